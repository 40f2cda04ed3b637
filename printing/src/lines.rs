//! Writers that escape on the way: the last guard, behind whoever escapes names where they are put into text.

use crate::{escape, line_end};
use std::io::{self, Write};

/// Writes line by line; nothing but text and line feeds passes.
#[derive(Debug)]
pub struct Lines<W> {
    inner: W,
    is_terminal: bool,
    line: Vec<u8>,
}

impl<W: Write> Lines<W> {
    /// Escapes what goes to `inner`, which may be a terminal.
    pub fn new(inner: W, is_terminal: bool) -> Self {
        Self {
            inner,
            is_terminal,
            line: Vec::new(),
        }
    }
}

/// Printable ASCII, as nearly all lines are.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// Adds `bytes` to `out`, escaped.
fn add(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        out.extend_from_slice(escape(&String::from_utf8_lossy(bytes)).as_bytes());
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A line may come in pieces, and a piece end within a character.
        let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') else {
            self.line.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let mut whole = std::mem::take(&mut self.line);
        whole.extend_from_slice(&bytes[..end]);
        self.line.extend_from_slice(&bytes[end + 1..]);
        let mut out = Vec::with_capacity(whole.len() + 1);
        for line in whole.split(|&byte| byte == b'\n') {
            add(&mut out, line);
            out.extend_from_slice(line_end(self.is_terminal).as_bytes());
        }
        self.inner.write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            let mut out = Vec::with_capacity(line.len());
            add(&mut out, &line);
            self.inner.write_all(&out)?;
        }
        self.inner.flush()
    }
}

/// Where data goes.
#[derive(Debug)]
pub enum DataOut {
    /// Every byte as it is.
    Exact(io::Stdout),
    /// Nothing that it would obey.
    Terminal(Lines<io::Stdout>),
}

impl Write for DataOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Exact(out) => out.write(bytes),
            Self::Terminal(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Exact(out) => out.flush(),
            Self::Terminal(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_pass_however_they_come_in_pieces_and_nothing_else_does() {
        let text = "one\x1b[2J\n\nGrüße\u{9b}\rtwo\nrest\u{202e}";
        for size in 1..=text.len() {
            let mut out = Vec::new();
            let mut lines = Lines::new(&mut out, false);
            for piece in text.as_bytes().chunks(size) {
                lines.write_all(piece).unwrap();
            }
            lines.flush().unwrap();
            assert_eq!(
                String::from_utf8(out).unwrap(),
                "one\\x1b[2J\n\nGrüße\\x9b\\rtwo\nrest\\u{202e}",
                "{size}"
            );
        }
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, false);
        lines.write_all(b"a\xff\x9bb\n").unwrap();
        assert_eq!(out, "a\u{fffd}\u{fffd}b\n".as_bytes());
    }
}
