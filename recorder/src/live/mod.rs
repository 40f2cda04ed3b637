//! The live monitor: the threads that fault, as a table on the screen or as lines, from counts that the probes
//! keep in the kernel (`-i`); and each fault as a line (`-v`), which takes records.

mod clock;
mod command_output;
mod counting;
mod faults;
mod files;
mod frame;
mod lines;
mod printer;
mod sampler;
mod screen;
mod table;
mod threads;

use anyhow::Result;
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::unistd::{SysconfVar, sysconf};

use command_output::CommandOutput;
pub use counting::Counting;
pub use files::FileCounter;
pub use printer::FaultSlot;
pub use sampler::{Display, Following};

use crate::{
    cli::{Format, Options, Output, Scope},
    clock::utc_offset_ns,
    stop::Stop,
    target,
    target::launch::Streams,
};
use faults::FaultLines;
use files::Files;
use frame::Frame;
use printer::{Paper, Printer};
use screen::Screen;
use threads::Interval;

/// Intervals that may wait for the screen.
const INTERVALS: usize = 2;

/// How what is watched is shown.
pub enum Mode {
    /// Not at all: a plain recording.
    Silent,
    /// Line after line.
    Lines(Paper),
    /// In place, on a terminal. COMMAND's output is kept aside meanwhile.
    Screen(Option<CommandOutput>),
}

/// What shows it.
pub struct View {
    mode: Mode,
    format: Format,
    printer: Option<Printer>,
    intervals: Option<(Sender<Interval>, Receiver<Interval>)>,
    files: Option<Files>,
    screen: Option<Screen>,
}

impl Mode {
    /// Chooses. Starts no thread yet.
    pub fn choose(options: &Options) -> Result<Self> {
        let watch = &options.watch;
        if watch.interval.is_none() && !watch.verbose {
            return Ok(Self::Silent);
        }
        let paper = match options.output {
            Some(Output::Stdout) => Paper::Stderr,
            _ => Paper::Stdout,
        };
        let lines = watch.verbose || watch.format == Format::Json || paper == Paper::Stderr;
        if lines || !screen::is_possible() {
            return Ok(Self::Lines(paper));
        }
        let output = options.command.as_ref().map(|_| CommandOutput::create());
        Ok(Self::Screen(output.transpose()?))
    }

    /// Where COMMAND reads and writes.
    #[must_use]
    pub fn streams(&self, options: &Options) -> Streams<'_> {
        match self {
            Self::Screen(Some(output)) => Streams::Aside(output.file()),
            Self::Lines(Paper::Stdout) => Streams::StdoutToStderr,
            _ if options.output == Some(Output::Stdout) => Streams::StdoutToStderr,
            _ => Streams::Ours,
        }
    }
}

impl View {
    /// Starts the printer, if one is needed.
    pub fn open(mode: Mode, options: &Options) -> Result<Self> {
        let format = options.watch.format;
        let printer = match mode {
            Mode::Lines(paper) => {
                let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
                let lines = FaultLines::new(format, page.unsigned_abs(), utc_offset_ns());
                Some(Printer::start(paper, format, lines)?)
            }
            _ => None,
        };
        let intervals = matches!(mode, Mode::Screen(_)).then(|| bounded(INTERVALS));
        let files = (intervals.is_some() && options.makes_records()).then(Files::default);
        Ok(Self {
            mode,
            format,
            printer,
            intervals,
            files,
            screen: None,
        })
    }

    /// Where intervals go.
    #[must_use]
    pub fn display(&self) -> Option<Display> {
        match (&self.intervals, &self.printer) {
            (Some((intervals, _)), _) => Some(Display::Screen(intervals.clone())),
            (None, Some(printer)) => Some(Display::Lines(printer.text(), self.format)),
            (None, None) => None,
        }
    }

    /// Where faults go, with `-v`.
    #[must_use]
    pub fn faults(&self, options: &Options) -> Option<FaultSlot> {
        let printer = self.printer.as_ref().filter(|_| options.watch.verbose);
        printer.map(Printer::faults)
    }

    /// What counts the faults of files, beside a recording on the screen.
    #[must_use]
    pub fn file_counter(&self) -> Option<FileCounter> {
        self.files.as_ref().map(Files::counter)
    }

    /// Whether standard error is left to others, such as a spinner.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.mode, Mode::Silent)
    }

    /// Begins to draw, where a screen was chosen.
    pub fn begin(&mut self, options: &Options, backend: &str) -> Result<()> {
        if let (Mode::Screen(output), Some((_, intervals))) = (&self.mode, &self.intervals) {
            let filters = target::words(&options.filter).join(", ");
            let frame = Frame::new(about(options, backend), filters, self.files.clone());
            self.screen = Some(Screen::open(frame, intervals.clone(), output.clone())?);
        }
        Ok(())
    }

    /// Whether its reader wants no more: `q`, a closed terminal or pipe.
    #[must_use]
    pub fn left(&self) -> Option<Stop> {
        if self.screen.as_ref().is_some_and(Screen::quit) {
            return Some(Stop::Left);
        }
        let is_read = self.printer.as_ref().is_none_or(|printer| !printer.reader_gone());
        (!is_read).then_some(Stop::ReaderGone)
    }

    /// Whether it is drawn in place.
    #[must_use]
    pub fn has_screen(&self) -> bool {
        self.screen.is_some()
    }

    /// Gives the terminal back, and prints on it what COMMAND printed meanwhile.
    pub fn leave(&mut self) {
        if let Some(screen) = self.screen.take() {
            screen.close();
        }
        self.print_output();
    }

    /// Prints what COMMAND has printed since, the screen being closed.
    pub fn print_output(&self) {
        if let Mode::Screen(Some(output)) = &self.mode {
            output.print();
        }
    }

    /// Waits until every line is printed; tells what was not.
    pub fn finish(&mut self) -> Option<String> {
        let printer = self.printer.take()?;
        let is_gone = printer.reader_gone();
        let lost = printer.finish();
        if is_gone {
            return Some("the reader of the lines closed the pipe before the end".to_owned());
        }
        (lost > 0).then(|| {
            format!("LOST {lost} lines of -v: the reader was too slow; counts and trace include these faults")
        })
    }
}

fn about(options: &Options, backend: &str) -> String {
    let what = match &options.scope {
        Scope::Command => {
            let words = options.command.iter().flatten();
            words
                .map(|word| word.to_string_lossy())
                .collect::<Vec<_>>()
                .join(" ")
        }
        Scope::Pids { pids, .. } => {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            format!("-p {}", pids.join(","))
        }
        Scope::Cgroup(path) => format!("--cgroup {}", path.display()),
        Scope::All => "all processes".to_owned(),
    };
    let every = options.watch.interval.unwrap_or_default();
    let recorded = match &options.output {
        Some(Output::File(path)) => format!("  -> {}", path.display()),
        _ => String::new(),
    };
    pf_printing::escape(&format!("every {every:?}  {backend} backend  {what}{recorded}"))
}
