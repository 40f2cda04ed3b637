//! Reads executables and command lines from /proc, on a thread of its own: the arguments lie in the memory of the
//! process, which can make a reader wait for as long as it likes.

use std::{
    fs::{self, File},
    io::{self, Read},
    thread::Builder,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::clock::monotonic_ns;

/// Bytes of a command line that are read.
pub const COMMAND_LINE: u64 = 4096;

/// Questions that wait for the thread; each is 16 bytes.
const QUESTIONS: usize = 65_536;

/// What /proc says of the program of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Path of the executable; empty when it is not known.
    pub executable: String,
    /// Arguments; empty when they are not known.
    pub command: Vec<String>,
}

/// The answer to a question.
#[derive(Debug)]
pub struct Answer {
    /// Of the question: the process, and since when it has run the program that was asked for.
    pub key: (u32, u64),
    /// When it was read; if the process ran another program by then, it is of that one.
    pub read_ns: u64,
    /// What was read.
    pub reading: Reading,
}

/// The thread.
#[derive(Debug)]
pub struct Reader {
    questions: Sender<(u32, u64)>,
    /// What comes back. The thread is not waited for: it ends with its questions, or with pfrec.
    pub answers: Receiver<Answer>,
}

impl Reader {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub fn start() -> io::Result<Self> {
        let (questions, asked) = bounded::<(u32, u64)>(QUESTIONS);
        let (give, answers) = bounded(QUESTIONS);
        let work = move || {
            for key in asked {
                let reading = read(key.0);
                let read_ns = monotonic_ns();
                if give
                    .send(Answer {
                        key,
                        read_ns,
                        reading,
                    })
                    .is_err()
                {
                    return;
                }
            }
        };
        Builder::new().name("pfrec-programs".to_owned()).spawn(work)?;
        Ok(Self { questions, answers })
    }

    /// Asks for a process. False when too many questions wait.
    #[must_use]
    pub fn ask(&self, key: (u32, u64)) -> bool {
        self.questions.try_send(key).is_ok()
    }
}

/// The program of a process now. Threads of the kernel have neither, and what has ended has no executable.
fn read(pid: u32) -> Reading {
    // The link is read and not followed.
    let executable = fs::read_link(format!("/proc/{pid}/exe"));
    let mut bytes = Vec::new();
    let text = File::open(format!("/proc/{pid}/cmdline"));
    // What was read before an error stands.
    text.map(|text| text.take(COMMAND_LINE).read_to_end(&mut bytes))
        .ok();
    Reading {
        executable: executable.map_or_else(|_| String::new(), |path| path.to_string_lossy().into_owned()),
        command: arguments(&bytes),
    }
}

/// Arguments end in a NUL each. A program that writes its state over them leaves any number of NULs behind.
fn arguments(bytes: &[u8]) -> Vec<String> {
    let is_cut = bytes.len() as u64 == COMMAND_LINE && !bytes.ends_with(&[0]);
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    // Of the NULs behind, the first ends the last argument; empty arguments before that are arguments.
    let trailing = bytes.len() - end;
    let is_overwritten = trailing > 2;
    let bytes = match trailing {
        _ if is_overwritten => &bytes[..end],
        0 => bytes,
        _ => &bytes[..bytes.len() - 1],
    };
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut arguments: Vec<String> = bytes
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    if is_cut && let Some(last) = arguments.last_mut() {
        last.push('…');
    }
    arguments
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn arguments_are_told_apart_whatever_is_in_them() {
        assert_eq!(arguments(b"sh\0-c\0echo 'a b'\0"), ["sh", "-c", "echo 'a b'"]);
        assert_eq!(arguments(b"x\0\0"), ["x", ""]);
        assert_eq!(arguments(b"x\0\xffy\0"), ["x", "\u{fffd}y"]);
        // As PostgreSQL does, with the room that its arguments had.
        assert_eq!(arguments(b"postgres: idle\0\0\0\0\0"), ["postgres: idle"]);
        assert_eq!(arguments(b"postgres: idle"), ["postgres: idle"]);
        assert_eq!(arguments(b""), Vec::<String>::new());
        assert_eq!(arguments(b"\0"), Vec::<String>::new());
    }

    #[test]
    fn a_command_line_that_is_cut_says_so() {
        let long = vec![b'x'; COMMAND_LINE as usize];
        let cut = arguments(&long);
        assert!(cut[0].ends_with("x…"));
        assert!(arguments(&long[1..])[0].ends_with('x'));
    }

    #[test]
    fn our_own_program_is_read_and_one_that_is_not_there_has_nothing() {
        let reader = Reader::start().unwrap();
        let own = std::process::id();
        assert!(reader.ask((own, 7)) && reader.ask((0x7000_0000, 8)));
        let next = || reader.answers.recv_timeout(Duration::from_secs(60)).unwrap();
        let answer = next();
        assert_eq!(answer.key, (own, 7));
        let exe = std::env::current_exe().unwrap();
        assert_eq!(answer.reading.executable, exe.to_str().unwrap());
        assert_eq!(answer.reading.command[0], std::env::args().next().unwrap());
        assert_eq!(next().reading, Reading::default());
    }
}
