//! One recording from beginning to end: prepare, attach, run the three threads, watch for the end,
//! close the file.

use std::{
    sync::{Arc, atomic::AtomicBool},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nix::{sys::signal::Signal, unistd::Uid};
use pf_bpf::Probes;
use pf_formats::{Header, Host, TraceWriter};

use crate::{
    cli::{Options, Output, Scope},
    clock::{monotonic_ns, utc_offset_ns},
    conditions::Conditions,
    host,
    live::{Counting, Display, FaultSlot, FileCounter, Following, Mode, View},
    messages::say,
    pipeline::backlog,
    pipeline::drain::{Drain, Drained, Gauges},
    pipeline::encode::{Encode, Encoded},
    pipeline::event_sink::Outlet,
    pipeline::progress::Spinner,
    pipeline::sideband::SidebandRings,
    pipeline::summary::{CutShort, Summary},
    pipeline::threads::{lock_memory, spawn},
    pipeline::trace_file::{self, TraceFile},
    pipeline::write_queue::WriteQueue,
    queries::{Later, QuerySpec},
    session::{Session, proc},
    stop::{Stop, StopSignals, Watched},
    target::family::Family,
    target::identity::{self, Identity},
    target::launch::{self, Ended, Held, Running, Streams},
    target::own_terminal::{self, OwnSession, Relay},
    target::{self, Resolved},
};

/// Exit status with `--strict`, as `pfanalyze verify` has it for a trace with losses.
const NOT_EXACT: u8 = 3;

/// How often the main thread looks around, and the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Records as asked; returns the exit status.
pub fn record(options: &Options) -> Result<u8> {
    host::require_root_pid_namespace()?;
    target::check(options)?;
    let invoker = Identity::invoking()?;
    let watched = Watched::new(&options.scope)?;
    let named = |name: &String| Identity::named(name, &options.preserve_env);
    let named = options.user.as_ref().map(named);
    let user = named.transpose()?.unwrap_or_else(|| invoker.clone());
    // A fork wants a process without threads, so the child comes first.
    let mode = Mode::choose(options)?;
    let streams = mode.streams(options);
    let session = own_session(options, &user, &streams)?;
    let command = options.command.as_ref();
    let held = command.map(|command| launch::hold(command, &user, &streams, session.as_ref()));
    let held = held.transpose()?;
    let signals = StopSignals::install()?;
    let gauges = Arc::new(Gauges::default());
    let prepared = View::open(mode, options).and_then(|view| {
        let engine = Engine::start(options, held.as_ref(), &invoker, &gauges, &view)?;
        Ok((engine, view))
    });
    let (engine, mut view) = match prepared {
        Ok(prepared) => prepared,
        Err(e) => {
            held.into_iter().for_each(Held::abandon);
            return Err(e);
        }
    };

    // The child sleeps in a read by now, so these do not move until it is released.
    let before = match options.scope {
        Scope::Command => held.as_ref().and_then(|held| proc::faults_of(held.pid())),
        _ => None,
    };
    let (relay, command) = match release(held, session) {
        Ok(released) => released,
        Err(e) => {
            engine.abandon();
            return Err(e);
        }
    };
    // COMMAND prints to the same terminal, and its lines would begin behind the spinner.
    let mut spinner = (view.is_silent() && options.command.is_none()).then(|| Spinner::new(gauges));
    // The command runs already, and does not depend on being watched.
    let begun = view.begin(options, engine.backend());
    let (stop, ended) = match begun {
        Ok(()) => watch(
            options,
            &watched,
            &signals,
            command.as_ref(),
            &engine,
            &view,
            &mut spinner,
        ),
        Err(_) => (Stop::Failed, None),
    };
    spinner.iter().for_each(Spinner::clear);
    if stop == Stop::Interrupted && !relay.as_ref().is_some_and(Relay::was_interrupted) {
        command.iter().for_each(|command| command.running.interrupt());
    }
    // What the command printed last comes before what is told of it.
    let relay = relay.filter(|_| ended.is_none());
    view.leave();
    let told = begun.and(engine.finish(stop, ended, before, options));
    let unprinted = view.finish();
    if let Some(words) = ended.and_then(|ended| ended.describe()) {
        say(words);
    }
    if let Ok((lines, _)) = &told {
        lines.iter().chain(&unprinted).for_each(say);
    }
    // Problems of the recording must not cut the command short, so its end is awaited either way.
    let status = match (command, ended) {
        (None, _) => 0,
        (Some(_), Some(ended)) => ended.status(),
        (Some(command), None) => command.wait_after(&signals, &view)?,
    };
    drop(relay);
    view.print_output();
    exit_status(told.map(|(_, is_exact)| is_exact), status, options.strict)
}

/// Lets a held command begin, on the terminal of its session if it has one.
fn release(held: Option<Held>, session: Option<OwnSession>) -> Result<(Option<Relay>, Option<Command>)> {
    let leader = held.as_ref().map_or(0, Held::pid);
    let relay = match session.map(|session| session.relay(leader)).transpose() {
        Ok(relay) => relay.flatten(),
        Err(e) => {
            held.into_iter().for_each(Held::abandon);
            return Err(e);
        }
    };
    Ok((relay, held.map(Command::release).transpose()?))
}

/// That of the command, unless the recording has something to say, too: whether it is exact, or why it failed.
fn exit_status(recorded: Result<bool>, status: u8, strict: bool) -> Result<u8> {
    match recorded {
        Ok(false) if strict => Ok(NOT_EXACT),
        Ok(_) => Ok(status),
        // As for any program in a pipe, that is no failure.
        Err(e) if e.downcast_ref::<CutShort>().is_some_and(|cut| cut.reader_gone) => {
            say("the reader of the trace closed standard output: the recording ended there");
            Ok(status)
        }
        Err(e) => Err(e),
    }
}

/// A session of its own for a command of somebody else, who could type into the terminal that pfrec was started from. Where
/// `sudo pfrec` runs the command as its caller, the terminal is that user's, and nobody else reads it afterwards; in a shell
/// of root's, from `sudo -i` or in a script, somebody does.
fn own_session(options: &Options, user: &Identity, streams: &Streams<'_>) -> Result<Option<OwnSession>> {
    let is_callers = user.passed.is_none() && identity::is_called_by_sudo();
    if options.command.is_none() || user.uid.is_root() || !Uid::effective().is_root() || is_callers {
        return Ok(None);
    }
    if !own_terminal::there_is_one() {
        return Ok(None);
    }
    let on_terminal = !matches!(streams, Streams::Aside(_));
    OwnSession::open(user.uid, on_terminal).map(Some)
}

struct Command {
    running: Running,
    end: Receiver<Result<Ended>>,
}

impl Command {
    fn release(held: Held) -> Result<Self> {
        let (give, end) = match waiter() {
            Ok(waiter) => waiter,
            Err(e) => {
                held.abandon();
                return Err(e);
            }
        };
        let running = held.release()?;
        give.send(running).context("the waiting thread is gone")?;
        Ok(Self { running, end })
    }

    /// The recording is over, the command is not.
    fn wait_after(&self, signals: &StopSignals, view: &View) -> Result<u8> {
        let mut told = false;
        loop {
            match self.end.recv_timeout(TICK) {
                Ok(ended) => {
                    let ended = ended?;
                    ended.describe().iter().for_each(say);
                    return Ok(ended.status());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the end of the command was not observed"),
            }
            if !std::mem::replace(&mut told, true) {
                say("waiting for the command to end");
            }
            view.print_output();
            // Once for each that came: for many programs the second one means "at once".
            if signals.take_terminated() {
                self.running.signal(Signal::SIGTERM);
            }
        }
    }
}

/// Waits for the first reason to stop recording. The command's end is returned with it.
fn watch(
    options: &Options,
    watched: &Watched,
    signals: &StopSignals,
    command: Option<&Command>,
    engine: &Engine,
    view: &View,
    spinner: &mut Option<Spinner>,
) -> (Stop, Option<Ended>) {
    let deadline = options.duration.map(|duration| Instant::now() + duration);
    let never = crossbeam_channel::never();
    let end = command.map_or(&never, |command| &command.end);
    loop {
        let tick = deadline.map_or(TICK, |at| TICK.min(at.saturating_duration_since(Instant::now())));
        crossbeam_channel::select! {
            recv(end) -> ended => match ended {
                Ok(Ok(ended)) => return (Stop::CommandEnded, Some(ended)),
                _ => return (Stop::CommandEnded, None),
            },
            recv(engine.broken()) -> _ => return (Stop::Failed, None),
            default(tick) => {}
        }
        if signals.interrupted() {
            return (Stop::Interrupted, None);
        }
        if signals.terminated() {
            return (Stop::Terminated, None);
        }
        if watched.all_gone() {
            return (Stop::TargetGone, None);
        }
        if deadline.is_some_and(|at| Instant::now() >= at) {
            return (Stop::Duration, None);
        }
        if trace_file::reader_is_gone(options.output.as_ref()) {
            return (Stop::Failed, None);
        }
        // A trace is not cut short because somebody looked away.
        if let Some(left) = view.left()
            && (options.output.is_none() || view.has_screen())
        {
            return (left, None);
        }
        spinner.iter_mut().for_each(Spinner::tick);
    }
}

/// A thread that waits for the command it is given. Started before the command: it may fail.
fn waiter() -> Result<(Sender<Running>, Receiver<Result<Ended>>)> {
    let (give, given) = bounded::<Running>(1);
    let (tell, told) = bounded(1);
    let wait = move || {
        if let Ok(running) = given.recv() {
            // pfrec may have ended early; then nobody asks.
            tell.send(running.wait()).ok();
        }
    };
    Builder::new()
        .name("pfrec-wait".to_owned())
        .spawn(wait)
        .context("cannot start a thread")?;
    Ok((give, told))
}

/// What runs between the beginning and the end.
enum Engine {
    /// Records leave the kernel: for the trace, for `-v`, or both.
    Recording(Box<Pipeline>),
    /// Counts only, in the kernel.
    Counting(Counting),
}

impl Engine {
    fn start(
        options: &Options,
        held: Option<&Held>,
        invoker: &Identity,
        gauges: &Arc<Gauges>,
        view: &View,
    ) -> Result<Self> {
        let shown = view.display().zip(options.watch.interval);
        match shown {
            Some((display, interval)) if !options.makes_records() => {
                Counting::start(options, held, invoker, display, interval).map(Self::Counting)
            }
            shown => {
                let file = options.output.as_ref();
                let file = file
                    .map(|output| TraceFile::create(output, options.force, invoker))
                    .transpose()?;
                let ends = Ends {
                    file,
                    faults: view.faults(options),
                    files: view.file_counter(),
                    shown,
                };
                Pipeline::start(options, held, invoker, ends, gauges)
                    .map(|pipeline| Self::Recording(Box::new(pipeline)))
            }
        }
    }

    /// Name of the backend in force.
    fn backend(&self) -> &'static str {
        match self {
            Self::Recording(pipeline) => pipeline.backend,
            Self::Counting(counting) => counting.backend,
        }
    }

    /// Something is received, or the sender is gone, when it cannot go on.
    fn broken(&self) -> &Receiver<()> {
        match self {
            Self::Recording(pipeline) => &pipeline.broken,
            Self::Counting(counting) => counting.broken(),
        }
    }

    /// Stops, and completes the trace if there is one. What is to be told of it, and whether the counts are exact.
    fn finish(
        self,
        stop: Stop,
        ended: Option<Ended>,
        before: Option<(u64, u64)>,
        options: &Options,
    ) -> Result<(Vec<String>, bool)> {
        match self {
            Self::Recording(pipeline) => {
                let summary = pipeline.finish(ended, before, options.output.as_ref())?;
                let mut lines = summary.lines(stop);
                let wanted = |spec: &QuerySpec| *spec != QuerySpec::None;
                if summary.queries() == 0 && options.queries.iter().any(wanted) {
                    lines.insert(
                        1,
                        "0 queries: nothing that was recorded ran the probes of --query".to_owned(),
                    );
                }
                Ok((lines, summary.is_exact()))
            }
            Self::Counting(counting) => {
                let closing = counting.finish(ended.zip(before))?;
                Ok((closing.lines(stop), closing.is_exact()))
            }
        }
    }

    /// The command could not be started: nothing is worth keeping.
    fn abandon(self) {
        match self {
            Self::Recording(pipeline) => pipeline.abandon(),
            Self::Counting(counting) => counting.abandon(),
        }
    }
}

/// Where a recording goes.
struct Ends {
    file: Option<TraceFile>,
    faults: Option<FaultSlot>,
    files: Option<FileCounter>,
    shown: Option<(Display, Duration)>,
}

/// What is there before the output is written to.
struct Attached {
    probes: Probes,
    sideband: SidebandRings,
    resolved: Resolved,
    later: Option<Later>,
    host: Host,
    header: Header,
}

/// The three threads of the hot path.
struct Pipeline {
    stop: Arc<AtomicBool>,
    drain: JoinHandle<Result<Drained>>,
    encode: JoinHandle<Encoded>,
    /// Something is received, or the sender is gone, when a thread has ended of itself.
    broken: Receiver<()>,
    live: Option<Following>,
    backend: &'static str,
    start_ns: u64,
}

impl Pipeline {
    fn start(
        options: &Options,
        held: Option<&Held>,
        invoker: &Identity,
        ends: Ends,
        gauges: &Arc<Gauges>,
    ) -> Result<Self> {
        match Self::attach(options, held, invoker) {
            Ok(attached) => Self::spawn(options, attached, held, ends, gauges),
            Err(e) => {
                ends.file.into_iter().for_each(TraceFile::discard);
                Err(e)
            }
        }
    }

    fn attach(options: &Options, held: Option<&Held>, invoker: &Identity) -> Result<Attached> {
        let mut resolved = target::resolve(options, held, invoker)?;
        let mut probes = Probes::open(&resolved.config)?;
        for probe in &resolved.queries.probes {
            probes.attach_query(probe)?;
        }
        // Nobody named these files: what is wrong with one of them ends no recording.
        for probe in &resolved.queries.found {
            if let Err(e) = probes.attach_query(probe) {
                say(format!("queries are not recorded in this file: {:#}", anyhow!(e)));
            }
        }
        let mut sideband = SidebandRings::default();
        sideband.follow_cpus()?;
        let anywhere = std::mem::take(&mut resolved.queries.anywhere);
        let attached = resolved.queries.probes.iter().chain(&resolved.queries.found);
        Ok(Attached {
            later: Later::start(anywhere, attached)?,
            host: host::describe()?,
            header: Header::new(host::random_id()?, utc_offset_ns()),
            probes,
            sideband,
            resolved,
        })
    }

    fn spawn(
        options: &Options,
        attached: Attached,
        held: Option<&Held>,
        ends: Ends,
        gauges: &Arc<Gauges>,
    ) -> Result<Self> {
        let Attached {
            mut probes,
            sideband,
            resolved,
            later,
            host,
            header,
        } = attached;
        let page_size = u64::from(host.page_size);
        let mut session = Session::new(resolved.members, page_size, held.map(Held::pid));
        session.only(resolved.only);
        session.only_threads(options.filter.comm.clone());
        session.set_filters(target::words(&options.filter));
        if ends.file.is_some() {
            let command = options.command.iter().flatten();
            let command = command.map(|argument| argument.to_string_lossy().into_owned());
            session
                .read_programs(command.collect())
                .context("cannot start a thread")?;
        }
        session.adopt_members();
        let start_ns = monotonic_ns();
        let meta = host::meta(options, host, &probes, start_ns);
        let is_written = ends.file.is_some();
        let trace = ends.file.map(|file| {
            let queue = WriteQueue::start(file, Arc::clone(gauges))?;
            TraceWriter::create(queue, &header, &meta).context("cannot begin the trace")
        });
        let outlet = Outlet::new(trace.transpose()?, ends.faults, ends.files);
        let conditions = is_written.then(|| Conditions::of(&options.scope, held));
        let backend = probes.backend();
        let counts = probes.live()?;
        probes.start();
        // What began before this moment may have faulted unseen.
        session.name_queries(resolved.queries.names, monotonic_ns());
        let live = match (counts, ends.shown) {
            (Some(counts), Some((display, interval))) => Some(Following::start(counts, display, interval)?),
            _ => None,
        };

        let stop = Arc::new(AtomicBool::new(false));
        let (backlog, batches) = backlog::backlog(start_ns);
        let (alive, broken) = bounded::<()>(0);
        let drain = Drain {
            probes,
            sideband,
            backlog,
            later,
            family: Family::new(held.map(Held::pid)),
            stop: Arc::clone(&stop),
            gauges: Arc::clone(gauges),
            start_ns,
        };
        let drain = spawn("pfrec-drain", alive.clone(), move || drain.run())?;
        let encode = Encode::new(batches, session, outlet, conditions);
        let encode = spawn("pfrec-encode", alive, move || encode.run())?;
        lock_memory();
        Ok(Self {
            stop,
            drain,
            encode,
            broken,
            live,
            backend,
            start_ns,
        })
    }

    /// Stops recording and completes the file.
    fn finish(
        self,
        ended: Option<Ended>,
        before: Option<(u64, u64)>,
        output: Option<&Output>,
    ) -> Result<Summary> {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let drained = self
            .drain
            .join()
            .map_err(|_| anyhow!("the draining thread panicked"))?;
        let last = self.live.and_then(Following::finish);
        let encoded = self
            .encode
            .join()
            .map_err(|_| anyhow!("the encoding thread panicked"))?;
        let summary = Summary::complete(drained, encoded, self.start_ns, (ended, before), output);
        if let Some(last) = last {
            last.show(summary.as_ref().ok().map(Summary::accounts));
        }
        summary
    }

    /// The command could not be started: nothing is worth keeping.
    fn abandon(self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.drain.join().ok();
        if let Some(last) = self.live.and_then(Following::finish) {
            last.show(None);
        }
        if let Ok(encoded) = self.encode.join() {
            encoded.discard();
        }
    }
}
