//! One run: the plan's packets through the pipeline into its views.

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use capture::file::FileSource;
use flow::{Event, Snapshot};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGWINCH};
use signal_hook::flag;

use crate::exit::Exit;
use crate::geo::Geo;
use crate::pipeline::{self, Bell, Files, Input, Output, Watch};
use crate::plan::{Plan, Source};
use crate::progress::Progress;
use crate::sink::Sink;
use crate::start;
use crate::view::View;
use crate::view::chosen::Means;
use crate::view::text::visible;

/// Runs `plan`; an error is what kept it from beginning.
pub fn run(plan: Plan) -> anyhow::Result<Exit> {
    let Plan { source, mut job, views, geoip, quiet, no_sandbox } = plan;
    // Before privileges are given up, and all of them at once.
    let geo =
        (!geoip.is_empty()).then(|| Geo::open(&geoip)).transpose().map_err(|e| anyhow!(e))?.map(Arc::new);
    let means = Means { live: matches!(source, Source::Interfaces(_)), geo };
    let views: Vec<_> = views.into_iter().map(|view| view.make(&means)).collect();
    let places: Vec<PathBuf> = views.iter().filter_map(|(_, to)| to.clone()).collect();
    let writes: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
    let live = means.live;
    // Before anything takes long: a signal asks for an end or a report from the first moment on.
    let (bell, heard) = live.then(Bell::new).transpose().context("cannot listen to signals")?.unzip();
    let watch = Watch { bell, ..Watch::default() };
    let signals = Signals::listen(&watch).context("cannot listen to signals")?;
    let (input, total) = match source {
        Source::Files(files) => {
            capture::memory::share_heap();
            if let Err(refusal) = start::confine_to(&files, &writes, quiet, no_sandbox) {
                return Ok(refused(refusal));
            }
            let total = check_inputs(&files)?;
            (Input::Files(files), total)
        }
        Source::Interfaces(interfaces) => {
            let wants = || !watch.stop.load(Ordering::Relaxed);
            match start::open(&interfaces, &mut job, quiet, no_sandbox, wants) {
                Ok(mut live) => {
                    if let Some(heard) = heard {
                        live.heed_bell(heard);
                    }
                    (Input::Live(Box::new(live)), None)
                }
                Err(refusal) => return Ok(refused(refusal)),
            }
        }
    };
    let sinks = sinks(views)?;
    if live && let Err(refusal) = start::confine(&writes, quiet, no_sandbox) {
        return Ok(refused(refusal));
    }
    let stage = RefCell::new(Stage {
        sinks,
        progress: Progress::new(total, quiet),
        exit: Exit::Done,
        latest: None,
        signals,
    });
    let idle = || stage.borrow_mut().idle(&watch);
    pipeline::run(input, &job, &watch, |output| stage.borrow_mut().take(output), idle);
    Ok(stage.into_inner().finish())
}

/// Says why a run does not begin.
fn refused((exit, line): start::Refusal) -> Exit {
    say(&line);
    exit
}

/// What the calling thread does with all that comes out.
struct Stage {
    sinks: Vec<Sink>,
    progress: Progress,
    exit: Exit,
    latest: Option<Arc<Snapshot>>,
    signals: Signals,
}

impl Stage {
    /// Shows `output`; gives whether anybody still looks.
    fn take(&mut self, output: Output) -> bool {
        self.heed_signals();
        match output {
            Output::Events(events) => {
                self.sinks.iter_mut().for_each(|s| s.events(&events));
                // Whoever reads along is to know at once that capturing has begun.
                if matches!(events.first(), Some(Event::Began(_))) {
                    self.sinks.iter_mut().for_each(Sink::flush);
                }
            }
            // Nothing could be read: the fault has said so, and an empty report would say something else.
            Output::Snapshot(snapshot)
                if self.exit == Exit::Failed && snapshot.captures.is_empty() && snapshot.live.is_none() => {}
            Output::Snapshot(snapshot) => {
                self.progress.clear();
                self.sinks.iter_mut().for_each(|sink| sink.show(&snapshot));
                self.latest = Some(snapshot);
            }
            Output::Fault { line, damage } => {
                self.progress.clear();
                say(&line);
                self.exit = self.exit.max(if damage { Exit::Damaged } else { Exit::Failed });
            }
            Output::Notice(line) => {
                self.progress.clear();
                say(&line);
            }
            Output::Asked => {}
        }
        self.tell_failures();
        self.sinks.iter().any(Sink::is_open)
    }

    fn idle(&mut self, watch: &Watch) {
        self.heed_signals();
        self.progress.tick(watch);
    }

    fn heed_signals(&mut self) {
        if self.signals.reopen.swap(false, Ordering::Relaxed) {
            self.sinks.iter_mut().filter_map(Sink::reopen).for_each(|line| say(&line));
        }
        if self.signals.resized.swap(false, Ordering::Relaxed)
            && let Some(snapshot) = &self.latest
        {
            self.sinks.iter_mut().for_each(|sink| sink.repaint(snapshot));
        }
    }

    /// Says at once what cannot be written any more; the rest goes on.
    fn tell_failures(&mut self) {
        for line in self.sinks.iter_mut().filter_map(Sink::take_failure) {
            say(&line);
            self.exit = self.exit.max(Exit::Failed);
        }
    }

    fn finish(mut self) -> Exit {
        self.progress.clear();
        self.sinks.iter_mut().for_each(Sink::flush);
        self.tell_failures();
        self.exit
    }
}

/// What signals ask for, besides an end and a report.
struct Signals {
    reopen: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
}

impl Signals {
    fn listen(watch: &Watch) -> std::io::Result<Self> {
        let signals = Signals { reopen: Arc::default(), resized: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            // The second one ends at once what the first could not.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&watch.stop))?;
            flag::register(signal, Arc::clone(&watch.stop))?;
        }
        flag::register(SIGUSR1, Arc::clone(&watch.report))?;
        flag::register(SIGHUP, Arc::clone(&signals.reopen))?;
        flag::register(SIGWINCH, Arc::clone(&signals.resized))?;
        // Behind these, so that whoever looks finds them.
        for signal in [SIGHUP, SIGWINCH] {
            flag::register(signal, Arc::clone(&watch.asked))?;
        }
        if let Some(bell) = &watch.bell {
            [SIGINT, SIGTERM, SIGUSR1, SIGHUP, SIGWINCH]
                .into_iter()
                .try_for_each(|signal| bell.ring_by(signal))?;
        }
        Ok(signals)
    }
}

/// Refuses what cannot be read before anything is counted; gives the bytes there are to read, if that is known.
fn check_inputs(files: &Files) -> anyhow::Result<Option<u64>> {
    let mut total = Some(0);
    for path in &files.paths {
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

/// Opens what views write to.
fn sinks(views: Vec<(Box<dyn View>, Option<PathBuf>)>) -> anyhow::Result<Vec<Sink>> {
    let sink = |(view, to): (Box<dyn View>, Option<PathBuf>)| match to {
        None => Ok(Sink::stdout(view)),
        Some(path) => Sink::file(view, &path).with_context(|| format!("cannot write {}", path.display())),
    };
    views.into_iter().map(sink).collect()
}

/// One line on standard error. If that is gone, there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "sockethound: {}", visible(line));
}
