//! COMMAND's output while the screen is drawn on: it is kept in a file without a name, its last line is shown,
//! and all of it is printed when the screen is closed. So COMMAND never waits for pfrec.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::{Context, Result};

/// As much of it is printed at most: more than this has scrolled away anyway.
const PRINTED: u64 = 16 << 20;

/// The file. Clones share it.
#[derive(Clone)]
pub struct CommandOutput {
    file: Arc<File>,
    /// Up to where it was printed.
    printed: Arc<AtomicU64>,
}

impl CommandOutput {
    /// An empty one.
    pub fn create() -> Result<Self> {
        let file = tempfile::tempfile().with_context(|| {
            format!(
                "cannot store the output of the command in {} (redirect the output, or set TMPDIR)",
                std::env::temp_dir().display()
            )
        })?;
        Ok(Self {
            file: Arc::new(file),
            printed: Arc::default(),
        })
    }

    /// Where COMMAND writes.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The last line that is not empty.
    #[must_use]
    pub fn last_line(&self) -> String {
        const LONGEST: u64 = 4096;
        let end = self.len();
        let mut tail = vec![0; end.min(LONGEST) as usize];
        let read = self
            .file
            .read_at(&mut tail, end.saturating_sub(LONGEST))
            .unwrap_or(0);
        let text = String::from_utf8_lossy(&tail[..read]).into_owned();
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        line.unwrap_or_default().to_owned()
    }

    /// Prints what was not printed yet to standard output, on which the screen is closed. Every byte as it is: COMMAND
    /// would have written there itself.
    pub fn print(&self) {
        // Nobody is left to tell if that fails.
        self.print_to(&mut pf_printing::raw_out().lock()).ok();
    }

    fn print_to(&self, out: &mut impl Write) -> io::Result<()> {
        let end = self.len();
        let mut at = self.printed.load(Relaxed);
        // COMMAND has the file, too, and may have cut it.
        if at > end {
            at = 0;
        }
        if end - at > PRINTED {
            writeln!(
                out,
                "[{} earlier bytes of output were dropped: redirect the output to keep all of it]",
                end - PRINTED - at
            )?;
            at = end - PRINTED;
        }
        let mut part = vec![0; 1 << 16];
        while at < end {
            let read = self.file.read_at(&mut part, at)?;
            if read == 0 {
                break;
            }
            out.write_all(&part[..read])?;
            at += read as u64;
            self.printed.store(at, Relaxed);
        }
        out.flush()
    }

    fn len(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_written_is_printed_once_and_its_last_line_is_known() {
        let output = CommandOutput::create().unwrap();
        assert_eq!(output.last_line(), "");
        let mut out = Vec::new();
        output.file().write_all(b"one\ntwo\n\n").unwrap();
        assert_eq!(output.last_line(), "two");
        output.print_to(&mut out).unwrap();
        output.file().write_all(b"three").unwrap();
        output.print_to(&mut out).unwrap();
        output.print_to(&mut out).unwrap();
        assert_eq!(out, b"one\ntwo\n\nthree");
    }

    #[test]
    fn what_is_written_after_the_file_was_cut_is_printed_too() {
        let output = CommandOutput::create().unwrap();
        let mut out = Vec::new();
        output.file().write_all(b"one\ntwo\n").unwrap();
        output.print_to(&mut out).unwrap();
        output.file().set_len(0).unwrap();
        output.print_to(&mut out).unwrap();
        std::io::Seek::rewind(&mut output.file()).unwrap();
        output.file().write_all(b"x\n").unwrap();
        output.print_to(&mut out).unwrap();
        assert_eq!(out, b"one\ntwo\nx\n");
    }

    #[test]
    fn of_very_much_only_the_end_is_printed_and_that_is_told() {
        let output = CommandOutput::create().unwrap();
        output.file().set_len(PRINTED + 100).unwrap();
        let mut out = Vec::new();
        output.print_to(&mut out).unwrap();
        assert!(out.starts_with(b"[100 earlier bytes of output"));
        assert!(out.ends_with(&[0; 1000]));
    }
}
