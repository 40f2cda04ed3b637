//! Which program a process runs.

use bincode::{Decode, Encode};

use crate::error::{FormatError, Result};
use crate::limits;
use crate::records::meta::{cut, shorten_to};

/// What a process runs from a moment on: until a later entry of the same process, or its end. Of entries with the same
/// process and time, the last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct ProcessEntry {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub ts_ns: u64,
    /// Process.
    pub pid: u32,
    /// Path of the executable as the kernel shows it, empty when it is not known.
    pub executable: String,
    /// Arguments, the name of the program first; empty when they are not known. What is cut ends in `…`.
    pub command: Vec<String>,
}

impl ProcessEntry {
    /// A copy within the limits of a writer.
    pub(crate) fn bounded(&self) -> Self {
        let mut entry = self.clone();
        shorten_to(&mut entry.executable, limits::EXECUTABLE);
        shorten_command(&mut entry.command);
        entry
    }

    /// Bytes in a record.
    pub(crate) fn stored(&self) -> usize {
        let command: usize = self.command.iter().map(|text| text.len() + 8).sum();
        8 + 4 + 8 + self.executable.len() + 8 + command
    }
}

/// Keeps the first bytes of a command line; each argument counts with one byte more, as in /proc/PID/cmdline.
fn shorten_command(command: &mut Vec<String>) {
    const MARK: char = '…';
    let mut room = limits::COMMAND_LINE;
    for at in 0..command.len() {
        let needed = command[at].len() + 1;
        if needed <= room {
            room -= needed;
            continue;
        }
        command.truncate(at + 1);
        let last = &mut command[at];
        match room.checked_sub(MARK.len_utf8() + 1) {
            Some(left) => {
                cut(last, left);
                last.push(MARK);
            }
            None => {
                last.clear();
                last.push(MARK);
            }
        }
        return;
    }
}

/// Refuses entries whose strings are too long, or whose arguments are too many together.
pub(crate) fn check(entries: &[ProcessEntry]) -> Result<()> {
    let arguments: usize = entries.iter().map(|entry| entry.command.len()).sum();
    if arguments > limits::LIST {
        return Err(FormatError::Limit {
            what: "arguments of all processes in a record",
            limit: limits::LIST as u64,
            actual: arguments as u64,
        });
    }
    let texts = entries
        .iter()
        .flat_map(|entry| [&entry.executable].into_iter().chain(&entry.command));
    texts.map(String::len).try_for_each(limits::check_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(command: &[&str]) -> Vec<String> {
        let command = command.iter().map(|text| (*text).to_owned()).collect();
        let entry = ProcessEntry {
            command,
            ..ProcessEntry::default()
        };
        entry.bounded().command
    }

    #[test]
    fn a_command_line_within_the_limit_is_kept() {
        let long = "x".repeat(limits::COMMAND_LINE - 4);
        assert_eq!(bounded(&["a", "", &long[1..]]), ["a", "", &long[1..]]);
    }

    #[test]
    fn a_long_command_line_is_cut_and_marked() {
        let long = "é".repeat(limits::COMMAND_LINE);
        let kept = bounded(&["cat", &long, "more"]);
        assert_eq!((kept.len(), kept[0].as_str()), (2, "cat"));
        assert!(kept[1].ends_with("é…"));
        let bytes: usize = kept.iter().map(|text| text.len() + 1).sum();
        assert!(
            (limits::COMMAND_LINE - 2..=limits::COMMAND_LINE).contains(&bytes),
            "{bytes}"
        );
        // No room for more than the mark.
        let full = "x".repeat(limits::COMMAND_LINE - 2);
        assert_eq!(bounded(&[&full, "y"]), [full.as_str(), "…"]);
        let many = vec!["x"; limits::COMMAND_LINE];
        assert_eq!(bounded(&many).len(), limits::COMMAND_LINE / 2 + 1);
    }
}
