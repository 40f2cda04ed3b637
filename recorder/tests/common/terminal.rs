//! Programs on a terminal of their own.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus},
    ptr,
    sync::{Arc, Mutex},
};

use nix::sys::termios::{LocalFlags, tcgetattr};

use super::until;

/// A program on a terminal of its own.
pub struct Terminal {
    pub child: Child,
    ours: File,
    theirs: OwnedFd,
    pub shown: Arc<Mutex<Vec<u8>>>,
}

/// Both sides of a new terminal.
pub fn open_terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize {
        ws_row: 24,
        ws_col: 132,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: all pointers are valid or null, as the call allows.
    let rc = unsafe {
        libc::openpty(
            &raw mut ours,
            &raw mut theirs,
            ptr::null_mut(),
            ptr::null(),
            &raw const size,
        )
    };
    assert_eq!(rc, 0, "{}", io::Error::last_os_error());
    // Whoever inherited it would keep the terminal from hanging up.
    // SAFETY: changes a flag of a descriptor of ours.
    assert_eq!(unsafe { libc::fcntl(ours, libc::F_SETFD, libc::FD_CLOEXEC) }, 0);
    // SAFETY: just opened, and owned by nobody else.
    unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

/// Starts a program that has the terminal for its own.
pub fn spawn_on(theirs: &OwnedFd, mut command: Command) -> Child {
    command
        .env("TERM", "xterm")
        .stdin(theirs.try_clone().unwrap())
        .stdout(theirs.try_clone().unwrap())
        .stderr(theirs.try_clone().unwrap());
    // SAFETY: both calls may be made between fork and exec.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command.spawn().unwrap()
}

impl Terminal {
    pub fn start(command: Command) -> Self {
        let (ours, theirs) = open_terminal();
        let child = spawn_on(&theirs, command);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, sink) = (ours.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // Ends with an error when nobody has the other side any more.
            while let Ok(read @ 1..) = reader.read(&mut part) {
                sink.lock().unwrap().extend_from_slice(&part[..read]);
            }
        });
        Self {
            child,
            ours,
            theirs,
            shown,
        }
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until `what` is drawn.
    pub fn until_shown(&self, what: &str) {
        self.until_shown_from(0, what);
    }

    pub fn until_shown_from(&self, from: usize, what: &str) {
        until(&format!("{what:?} on the terminal"), || {
            let shown = self.shown.lock().unwrap();
            let new = String::from_utf8_lossy(&shown[from..]);
            new.contains(what).then_some(())
        });
    }

    pub fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    /// Presses keys and waits until `what` is drawn after that.
    pub fn press_until(&mut self, keys: &str, what: &str) {
        let from = self.shown.lock().unwrap().len();
        self.press(keys);
        self.until_shown_from(from, what);
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the pointer is valid for the call.
        let rc = unsafe { libc::ioctl(self.ours.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(rc, 0);
    }

    pub fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.theirs).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Whether keys are passed on as they come, signals included. A shell that edits lines has signals.
    pub fn is_raw(&self) -> bool {
        !tcgetattr(&self.theirs)
            .unwrap()
            .local_flags
            .contains(LocalFlags::ISIG)
    }

    pub fn wait(mut self) -> (ExitStatus, String) {
        let child = &mut self.child;
        let status = until("the end of pfrec", || child.try_wait().unwrap());
        assert!(self.is_cooked(), "the terminal is not as it was");
        // What was written last is on its way.
        std::thread::sleep(std::time::Duration::from_millis(200));
        (status, self.shown())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Gone already after a wait.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
