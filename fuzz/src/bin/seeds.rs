//! Writes the seeds of every target below `corpus/`, where cargo-fuzz begins.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    for (target, _) in targets::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in targets::seeds(target) {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
