//! Where a view writes to: standard output or a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flow::{Event, Snapshot};

use crate::view::View;

/// A view and its output.
pub(crate) struct Sink {
    view: Box<dyn View>,
    out: BufWriter<Box<dyn Write>>,
    /// `None` is standard output.
    path: Option<PathBuf>,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    /// Whoever read it went away.
    Closed,
    Failed(io::Error),
    /// Failed, and that was said.
    Over,
}

impl Sink {
    /// A view on standard output.
    pub(crate) fn stdout(view: Box<dyn View>) -> Self {
        Self { view, out: buffered(Box::new(io::stdout())), path: None, state: State::Open }
    }

    /// A view into a new file at `path`.
    pub(crate) fn file(view: Box<dyn View>, path: &Path) -> io::Result<Self> {
        let out = buffered(Box::new(File::create(path)?));
        Ok(Self { view, out, path: Some(path.to_owned()), state: State::Open })
    }

    /// Whether anybody still reads what is written.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Writes what happened.
    pub(crate) fn events(&mut self, events: &[Event]) {
        self.attempt(|view, out| view.events(events, out));
    }

    /// Writes what stands, and lets it out.
    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        self.attempt(|view, out| view.show(snapshot, out).and_then(|()| out.flush()));
    }

    /// Writes what stands once more, if that takes the place of what is seen.
    pub(crate) fn repaint(&mut self, snapshot: &Snapshot) {
        if self.view.repaints() {
            self.show(snapshot);
        }
    }

    /// Lets out what was written.
    pub(crate) fn flush(&mut self) {
        self.attempt(|_, out| out.flush());
    }

    /// Opens the file again, which a rotation has moved away; one that was not moved is added to. If that fails, the old
    /// one is kept, and the line says so.
    pub(crate) fn reopen(&mut self) -> Option<String> {
        self.flush();
        let path = self.path.as_ref()?;
        match File::options().create(true).append(true).open(path) {
            Ok(file) => {
                self.out = buffered(Box::new(file));
                self.state = State::Open;
                None
            }
            Err(e) => Some(format!(
                "cannot open {} again, going on with the file that is open: {e}",
                path.display()
            )),
        }
    }

    /// What went wrong, in one line, once.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        let State::Failed(error) = &self.state else { return None };
        let to = self.path.as_deref().map_or("standard output".into(), Path::to_string_lossy);
        let line = format!("cannot write to {to}: {error}");
        self.state = State::Over;
        Some(line)
    }

    /// Writes as long as the output takes it. A reader that goes away is no failure.
    fn attempt(&mut self, write: impl FnOnce(&mut dyn View, &mut dyn Write) -> io::Result<()>) {
        if !self.is_open() {
            return;
        }
        if let Err(e) = write(&mut *self.view, &mut self.out) {
            self.state = if e.kind() == io::ErrorKind::BrokenPipe { State::Closed } else { State::Failed(e) };
        }
    }
}

fn buffered(out: Box<dyn Write>) -> BufWriter<Box<dyn Write>> {
    BufWriter::with_capacity(64 * 1024, out)
}

impl Drop for Sink {
    /// Nothing is written behind the back of [`Self::take_failure`].
    fn drop(&mut self) {
        if !self.is_open() {
            let out = std::mem::replace(&mut self.out, BufWriter::new(Box::new(io::sink())));
            drop(out.into_parts());
        }
    }
}
