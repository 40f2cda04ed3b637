//! The terminal: a thread that draws intervals in place and obeys keys. Whatever happens to pfrec short of
//! SIGKILL, the terminal is given back as it was.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use crossbeam_channel::Receiver;
use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyEventKind},
    execute, queue,
    style::{Attribute, Print, SetAttribute},
    terminal::{
        self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen,
    },
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use pf_printing::{escape, fitting, width as cells};

use super::{
    command_output::CommandOutput,
    frame::{Frame, Line, Style, Wish},
    threads::Interval,
};

/// How long the end waits for the drawing thread: writing to a stopped terminal lasts as long as that is stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a key may wait at most, and how often the last line of COMMAND's output is looked at.
const TICK_MS: u8 = 100;

/// Whether standard output is a terminal that can be drawn on, and keys can be read.
#[must_use]
pub fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let keys = io::stdin().is_terminal() || File::open("/dev/tty").is_ok();
    // SAFETY: both only ask.
    let in_front = unsafe { libc::tcgetpgrp(libc::STDOUT_FILENO) == libc::getpgrp() };
    io::stdout().is_terminal() && keys && !dumb && in_front
}

/// The thread.
pub struct Screen {
    stop: Arc<AtomicBool>,
    quit: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Screen {
    /// Takes the terminal and begins to draw.
    pub fn open(frame: Frame, intervals: Receiver<Interval>, output: Option<CommandOutput>) -> Result<Self> {
        let terminal = Terminal::take().context("cannot draw on the terminal")?;
        let (stop, quit) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stopped, quits) = (Arc::clone(&stop), Arc::clone(&quit));
        let body = move || {
            let _terminal = terminal;
            let outcome = draw(frame, &intervals, output.as_ref(), &stopped);
            // Whoever closed the terminal wants to see no more; that is how `q` is heard, too.
            quits.store(true, Relaxed);
            outcome
        };
        let thread = Builder::new()
            .name("pfrec-screen".to_owned())
            .spawn(body)
            .context("cannot start pfrec-screen")?;
        Ok(Self { stop, quit, thread })
    }

    /// Somebody asked for the end.
    #[must_use]
    pub fn quit(&self) -> bool {
        self.quit.load(Relaxed)
    }

    /// Gives the terminal back.
    pub fn close(self) {
        self.stop.store(true, Relaxed);
        let begun = Instant::now();
        while !self.thread.is_finished() {
            if begun.elapsed() > PATIENCE {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // What could not be drawn is of no interest any more; a panic was reported.
        self.thread.join().ok();
    }
}

fn draw(
    mut frame: Frame,
    intervals: &Receiver<Interval>,
    output: Option<&CommandOutput>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let keys = Keys::find();
    let mut pause_ms = TICK_MS;
    let mut wish = Wish::Redraw;
    let mut shown_output = String::new();
    while !stop.load(Relaxed) {
        while let Ok(interval) = intervals.try_recv() {
            frame.take(interval);
            wish = wish_of(wish, Wish::Draw);
        }
        if let Some(output) = output {
            let line = output.last_line();
            if line != shown_output {
                shown_output = line;
                wish = wish_of(wish, Wish::Draw);
            }
        }
        if wish != Wish::None {
            let (width, height) = match terminal::size()? {
                // Nobody told it its size.
                (0, _) | (_, 0) => (80, 24),
                size => size,
            };
            let lines = frame.lines((width.into(), height.into()), Some(&shown_output));
            paint(&lines, width.into(), wish == Wish::Redraw)?;
            wish = Wish::None;
        }
        keys.wait(pause_ms)?;
        pause_ms = TICK_MS;
        if event::poll(Duration::ZERO)? {
            // Several may have come at once.
            pause_ms = 0;
            wish = match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => frame.key(key),
                Event::Resize(..) => Wish::Redraw,
                _ => Wish::None,
            };
            match wish {
                Wish::Quit => return Ok(()),
                Wish::Interrupt => {
                    interrupt();
                    wish = Wish::None;
                }
                Wish::None | Wish::Draw | Wish::Redraw => {}
            }
        }
    }
    Ok(())
}

/// Where keys come from. A terminal that has gone is always ready, with nothing: reading it would last for ever.
enum Keys {
    Stdin,
    Terminal(File),
}

impl Keys {
    fn find() -> Self {
        if io::stdin().is_terminal() {
            return Self::Stdin;
        }
        File::open("/dev/tty").map_or(Self::Stdin, Self::Terminal)
    }

    /// Waits for a key for at most so long.
    fn wait(&self, pause_ms: u8) -> io::Result<()> {
        let stdin = io::stdin();
        let fd = match self {
            Self::Stdin => stdin.as_fd(),
            Self::Terminal(file) => file.as_fd(),
        };
        let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(pause_ms)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        if fds[0].revents().is_some_and(|events| events.intersects(gone)) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(())
    }
}

fn wish_of(before: Wish, now: Wish) -> Wish {
    if before == Wish::Redraw { before } else { now }
}

/// What the terminal itself does on Ctrl-C when it is not drawn on: everybody in front of it is told.
fn interrupt() {
    // SAFETY: sends a signal to our own process group.
    unsafe { libc::kill(0, libc::SIGINT) };
}

fn paint(lines: &[Line], width: usize, clean: bool) -> io::Result<()> {
    let mut out = Vec::new();
    queue!(out, BeginSynchronizedUpdate)?;
    if clean {
        queue!(out, Clear(ClearType::All))?;
    }
    for (at, line) in lines.iter().enumerate() {
        queue!(out, MoveTo(0, u16::try_from(at).unwrap_or(u16::MAX)))?;
        let mut room = width;
        for (style, text) in line {
            // The last guard: whatever was forgotten before is not obeyed.
            let text = escape(text);
            let text: String = fitting(text.chars(), room).collect();
            room -= cells(&text);
            queue!(
                out,
                SetAttribute(attribute(*style)),
                Print(text),
                SetAttribute(Attribute::Reset)
            )?;
        }
        if room > 0 {
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
    }
    queue!(out, EndSynchronizedUpdate)?;
    let mut stdout = pf_printing::raw_out().lock();
    stdout.write_all(&out)?;
    stdout.flush()
}

fn attribute(style: Style) -> Attribute {
    match style {
        Style::Plain => Attribute::Reset,
        Style::Bold => Attribute::Bold,
        Style::Dim => Attribute::Dim,
        Style::Reverse => Attribute::Reverse,
    }
}

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours.
struct Terminal;

impl Terminal {
    fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // On the screen that stays.
                give_back();
                report(panic);
            }));
        });
        terminal::enable_raw_mode()?;
        TAKEN.store(true, Relaxed);
        let terminal = Self;
        execute!(pf_printing::raw_out(), EnterAlternateScreen, Hide)?;
        Ok(terminal)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Relaxed) {
        // A terminal that is gone needs nothing.
        execute!(pf_printing::raw_out(), Show, LeaveAlternateScreen).ok();
        terminal::disable_raw_mode().ok();
    }
}
