//! One run: the plan's packets through the pipeline into its views.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, anyhow};
use capture::file::FileSource;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use crate::exit::Exit;
use crate::pipeline::{self, Output, Watch};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::sink::Sink;
use crate::view::View;
use crate::view::ndjson::Ndjson;
use crate::view::report::Report;

/// Runs `plan`; an error is what kept it from beginning.
pub fn run(plan: Plan) -> anyhow::Result<Exit> {
    let total = check_inputs(&plan)?;
    let watch = Watch::default();
    let reopen = Arc::new(AtomicBool::new(false));
    listen(&watch, &reopen).context("cannot listen to signals")?;
    let mut sinks = sinks(&plan)?;
    let mut progress = std::cell::RefCell::new(Progress::new(total, plan.quiet));
    let mut exit = Exit::Done;
    let each = |output| {
        if reopen.swap(false, std::sync::atomic::Ordering::Relaxed) {
            sinks.iter_mut().for_each(Sink::reopen);
        }
        match output {
            Output::Events(events) => sinks.iter_mut().for_each(|s| s.events(&events)),
            // Nothing could be read: the fault has said so, and an empty report would say something else.
            Output::Snapshot(snapshot) if exit == Exit::Failed && snapshot.captures.is_empty() => {}
            Output::Snapshot(snapshot) => {
                progress.borrow_mut().clear();
                for sink in &mut sinks {
                    sink.show(&snapshot);
                }
            }
            Output::Fault { line, damage } => {
                progress.borrow_mut().clear();
                say(&line);
                exit = exit.max(if damage { Exit::Damaged } else { Exit::Failed });
            }
        }
        sinks.iter().any(Sink::is_open)
    };
    pipeline::run(plan.job, &watch, each, || progress.borrow_mut().tick(&watch));
    progress.get_mut().clear();
    sinks.iter_mut().for_each(Sink::flush);
    for line in sinks.iter().filter_map(Sink::failure) {
        say(&line);
        exit = Exit::Failed;
    }
    Ok(exit)
}

/// Refuses what cannot be read before anything is counted; gives the bytes there are to read, if that is known.
fn check_inputs(plan: &Plan) -> anyhow::Result<Option<u64>> {
    let mut total = Some(0);
    for path in &plan.job.paths {
        if path == Path::new("-") {
            total = None;
            continue;
        }
        let meta = std::fs::metadata(path);
        if meta.is_ok_and(|m| !m.is_file() && !m.is_dir()) {
            // Opening a pipe twice would lose what the first opening read.
            total = None;
            continue;
        }
        let size = FileSource::open(path).map_err(|e| anyhow!("{e}"))?.size();
        total = total.zip(size).map(|(sum, size)| sum + size);
    }
    Ok(total)
}

fn listen(watch: &Watch, reopen: &Arc<AtomicBool>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // The second one ends at once what the first could not.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&watch.stop))?;
        flag::register(signal, Arc::clone(&watch.stop))?;
    }
    flag::register(SIGUSR1, Arc::clone(&watch.report))?;
    flag::register(SIGHUP, Arc::clone(reopen))?;
    Ok(())
}

fn sinks(plan: &Plan) -> anyhow::Result<Vec<Sink>> {
    let mut sinks = Vec::new();
    if let Some(options) = &plan.report {
        let view: Box<dyn View> = Box::new(Report::new(options.clone()));
        sinks.push(Sink::stdout(view));
    }
    if let Some(path) = &plan.json {
        let view: Box<dyn View> = Box::new(Ndjson::new(false));
        sinks.push(if path == Path::new("-") {
            Sink::stdout(view)
        } else {
            Sink::file(view, path).with_context(|| format!("cannot write {}", path.display()))?
        });
    }
    Ok(sinks)
}

/// One line on standard error. If that is gone, there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "sockethound: {line}");
}
