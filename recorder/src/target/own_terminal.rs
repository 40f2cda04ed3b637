//! A session of its own for a COMMAND of another user, and a terminal of its own in it. What leads a session, or only
//! belongs to it, may type into its terminal (TIOCSTI), read what is typed there and change its settings: a COMMAND of
//! somebody else would do that to the shell that pfrec was started from. As `sudo` does with `use_pty`, pfrec stands
//! between both terminals and passes on keys, output, sizes and stops.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    ptr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicPtr, Ordering::SeqCst},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{OpenptyResult, openpty},
    sys::{
        signal::{self, Signal},
        stat::{Mode, fchmod},
        termios::{self, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios},
    },
    unistd::{self, Gid, Pid, Uid},
};

/// More than a terminal keeps for its reader.
const LAST_READS: usize = 64;

/// How long the end waits for what is on its way: writing to a stopped terminal lasts as long as that is stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is seen whether the size has changed, and who is in front.
const TICK_MS: u8 = 100;

/// The session that COMMAND begins.
pub struct OwnSession {
    terminal: Option<Pty>,
}

/// The terminal in it.
struct Pty {
    ours: OwnedFd,
    theirs: OwnedFd,
    users: Arc<File>,
}

impl OwnSession {
    /// Prepares one for `uid`, with a terminal if COMMAND reads or writes on one.
    pub fn open(uid: Uid, with_terminal: bool) -> Result<Self> {
        let users = with_terminal.then(users_terminal).flatten();
        let terminal = users.map(|users| Pty::open(users, uid)).transpose();
        Ok(Self {
            terminal: terminal.context("no terminal for the command")?,
        })
    }

    /// In the child: leaves the session of pfrec, and whatever of it is a terminal.
    pub fn enter(&self) -> nix::Result<()> {
        unistd::setsid()?;
        let Some(Pty { theirs, .. }) = &self.terminal else {
            return Ok(());
        };
        // SAFETY: takes no pointer.
        Errno::result(unsafe { libc::ioctl(theirs.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
        for stream in standard_streams() {
            if stream.is_terminal() {
                // SAFETY: both are open, and the target is one of the three that are ours to replace.
                Errno::result(unsafe { libc::dup2(theirs.as_raw_fd(), stream.as_raw_fd()) })?;
            }
        }
        Ok(())
    }

    /// Begins to pass on what comes to COMMAND, which leads the session; `None` where there is no terminal.
    pub fn relay(self, leader: u32) -> Result<Option<Relay>> {
        let leader = Pid::from_raw(leader.cast_signed());
        self.terminal.map(|pty| Relay::start(pty, leader)).transpose()
    }

    /// Whether it has a terminal.
    #[must_use]
    pub fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }
}

/// Whether COMMAND could reach a terminal of ours.
#[must_use]
pub fn there_is_one() -> bool {
    standard_streams().iter().any(IsTerminal::is_terminal) || open_dev_tty().is_ok()
}

fn standard_streams() -> [BorrowedFd<'static>; 3] {
    // SAFETY: they are open, as Rust sees to before main, and never closed.
    [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) })
}

fn open_dev_tty() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

fn users_terminal() -> Option<File> {
    let stream = standard_streams().into_iter().find(IsTerminal::is_terminal)?;
    match open_dev_tty() {
        Ok(terminal) => Some(terminal),
        Err(_) => stream.try_clone_to_owned().ok().map(File::from),
    }
}

impl Pty {
    fn open(users: File, uid: Uid) -> Result<Self> {
        let mut modes = termios::tcgetattr(&users)?;
        if !io::stdin().is_terminal() {
            // The user's is not raw then, and ends lines as it does for others.
            modes.output_flags.remove(OutputFlags::OPOST);
        }
        let OpenptyResult { master, slave } = openpty(size_of(&users).as_ref(), &modes)?;
        for fd in [&master, &slave] {
            nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        }
        nix::fcntl::fcntl(&master, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        unistd::fchown(&slave, Some(uid), None::<Gid>)?;
        fchmod(&slave, Mode::S_IRUSR | Mode::S_IWUSR)?;
        Ok(Self {
            ours: master,
            theirs: slave,
            users: Arc::new(users),
        })
    }
}

fn size_of(terminal: &impl AsFd) -> Option<libc::winsize> {
    // SAFETY: zero is a valid size, and the pointer is valid for the call.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        let rc = libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size);
        (rc == 0).then_some(size)
    }
}

/// How the user's terminal was before keys were passed on as they come.
struct Before {
    terminal: RawFd,
    modes: libc::termios,
}

/// Null while the terminal is as it was. Read in signal handlers.
static BEFORE: AtomicPtr<Before> = AtomicPtr::new(ptr::null_mut());

/// Makes the user's terminal as it was. Also for signal handlers: it makes one system call, and frees nothing.
pub fn give_back() {
    let before = BEFORE.swap(ptr::null_mut(), SeqCst);
    pf_printing::set_raw_terminal(false);
    // SAFETY: null, or made by `take` and never freed; tcsetattr(3) may be called in handlers.
    if let Some(before) = unsafe { before.as_ref() } {
        // SAFETY: the modes are whole; the descriptor is never closed while they are set.
        unsafe { libc::tcsetattr(before.terminal, libc::TCSADRAIN, &raw const before.modes) };
    }
}

/// Held by whoever takes the terminal, and while pfrec stops.
static IN_FRONT: Mutex<()> = Mutex::new(());

/// Gives the terminal to whoever waits for pfrec while `stop` lasts.
pub fn give_back_while(stop: impl FnOnce()) {
    let _nobody_takes_it = IN_FRONT.lock();
    give_back();
    stop();
}

/// Passes keys on as they come, and remembers how the terminal was.
fn take(users: &File, modes: Termios) -> nix::Result<()> {
    let before = Box::new(Before {
        terminal: users.as_raw_fd(),
        modes: modes.clone().into(),
    });
    let mut raw = modes;
    termios::cfmakeraw(&mut raw);
    // First, so that nothing can come between that leaves it raw. A few bytes for each return to the front.
    BEFORE.store(Box::into_raw(before), SeqCst);
    pf_printing::set_raw_terminal(true);
    termios::tcsetattr(users, SetArg::TCSADRAIN, &raw)
}

/// What stands between both terminals.
pub struct Relay {
    /// Dropped to end it.
    end: Option<OwnedFd>,
    interrupted: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Relay {
    fn start(pty: Pty, leader: Pid) -> Result<Self> {
        let (ended, end) = unistd::pipe2(OFlag::O_CLOEXEC).context("pipe")?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let between = Between {
            ours: File::from(pty.ours),
            _theirs: pty.theirs,
            users: pty.users,
            takes_keys: io::stdin().is_terminal(),
            is_raw: false,
            size: None,
            leader,
            keys: Vec::new(),
            interrupted: Arc::clone(&interrupted),
        };
        let thread = Builder::new()
            .name("pfrec-terminal".to_owned())
            .spawn(move || between.run(&ended))
            .context("cannot start pfrec-terminal")?;
        Ok(Self {
            end: Some(end),
            interrupted,
            thread,
        })
    }

    /// Whether Ctrl-C was typed, which COMMAND has got already.
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        self.interrupted.load(SeqCst)
    }
}

impl Drop for Relay {
    /// Shows what is still on its way, and gives the terminal back.
    fn drop(&mut self) {
        drop(self.end.take());
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        give_back();
    }
}

struct Between {
    ours: File,
    /// Kept open: without anybody on the other side a terminal is always ready, with nothing.
    _theirs: OwnedFd,
    users: Arc<File>,
    /// Standard input is the terminal. If it is not, keys may be for whoever is at the other end of a pipe.
    takes_keys: bool,
    is_raw: bool,
    size: Option<libc::winsize>,
    leader: Pid,
    /// Typed, and not taken yet.
    keys: Vec<u8>,
    interrupted: Arc<AtomicBool>,
}

impl Between {
    fn run(mut self, ended: &OwnedFd) {
        // A terminal that has gone ends it; COMMAND is told by the end of its own.
        while self.pass_on(ended).unwrap_or(false) {}
        // Whoever COMMAND has left behind may write for ever.
        for _ in 0..LAST_READS {
            if !self.show().is_ok_and(|shown| shown > 0) {
                break;
            }
        }
        if self.is_raw {
            give_back();
        }
    }

    /// One look at both sides; false at the end.
    fn pass_on(&mut self, ended: &OwnedFd) -> io::Result<bool> {
        let is_in_front = self.follow();
        let listens = is_in_front && self.keys.is_empty();
        let to_command = match self.keys.is_empty() {
            true => PollFlags::POLLIN,
            false => PollFlags::POLLIN | PollFlags::POLLOUT,
        };
        let mut fds = [
            PollFd::new(ended.as_fd(), PollFlags::empty()),
            PollFd::new(self.ours.as_fd(), to_command),
            PollFd::new(
                self.users.as_fd(),
                if listens {
                    PollFlags::POLLIN
                } else {
                    PollFlags::empty()
                },
            ),
        ];
        match poll(&mut fds, PollTimeout::from(TICK_MS)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(true),
            Err(e) => return Err(e.into()),
        }
        let [is_over, from_command, from_user] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        if from_command.contains(PollFlags::POLLIN) {
            self.show()?;
        }
        if from_command.contains(PollFlags::POLLOUT) {
            self.send_keys()?;
        }
        if from_user.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
            return Ok(false);
        }
        if from_user.contains(PollFlags::POLLIN) {
            self.take_keys()?;
        }
        Ok(is_over.is_empty())
    }

    /// Follows the size of the user's terminal, and whether keys are for us; whether they are.
    fn follow(&mut self) -> bool {
        let size = size_of(&self.users);
        let cells = |size: &Option<libc::winsize>| size.map(|size| (size.ws_row, size.ws_col));
        if let Some(new) = size.filter(|_| cells(&size) != cells(&self.size)) {
            // SAFETY: the pointer is valid for the call. COMMAND is told by the terminal.
            unsafe { libc::ioctl(self.ours.as_raw_fd(), libc::TIOCSWINSZ, &raw const new) };
            self.size = size;
        }
        let in_front =
            self.takes_keys && unistd::tcgetpgrp(&*self.users).is_ok_and(|group| group == unistd::getpgrp());
        // Whoever was in front meanwhile has left it as it likes, and a stop gives it back.
        let Ok(_no_stop_comes_between) = IN_FRONT.try_lock() else {
            return false;
        };
        self.is_raw = in_front && !BEFORE.load(SeqCst).is_null();
        if in_front
            && !self.is_raw
            && let Ok(modes) = termios::tcgetattr(&*self.users)
        {
            self.is_raw = take(&self.users, modes).is_ok();
        }
        in_front
    }

    /// Shows what there is at the moment; how much it was.
    fn show(&mut self) -> io::Result<usize> {
        let mut part = [0; 1 << 14];
        match self.ours.read(&mut part) {
            Ok(read) => (&*self.users).write_all(&part[..read]).map(|()| read),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(e) => Err(e),
        }
    }

    fn take_keys(&mut self) -> io::Result<()> {
        let mut part = [0; 1 << 10];
        let read = (&*self.users).read(&mut part)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.keys.extend_from_slice(&part[..read]);
        let typed = &part[..read];
        if self.has_signal(typed, SpecialCharacterIndices::VINTR) && !self.interrupted.swap(true, SeqCst) {
            // As on a terminal that both share. Only the first one: a later one would end pfrec before the command.
            signal::kill(Pid::this(), Signal::SIGINT).ok();
        }
        let stops = self.has_signal(typed, SpecialCharacterIndices::VSUSP);
        self.send_keys()?;
        // What leads a session without a parent in it is not stopped by its terminal. A shell there has told it who
        // is in front, and stops that itself.
        if stops && unistd::tcgetpgrp(&self.ours).is_ok_and(|group| group == self.leader) {
            signal::killpg(self.leader, Signal::SIGSTOP).ok();
        }
        Ok(())
    }

    /// Whether a key of COMMAND's terminal was typed that makes a signal.
    fn has_signal(&self, typed: &[u8], key: SpecialCharacterIndices) -> bool {
        termios::tcgetattr(&self.ours).is_ok_and(|modes| {
            modes.local_flags.contains(LocalFlags::ISIG) && typed.contains(&modes.control_chars[key as usize])
        })
    }

    fn send_keys(&mut self) -> io::Result<()> {
        match self.ours.write(&self.keys) {
            Ok(written) => {
                self.keys.drain(..written);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e),
        }
    }
}
