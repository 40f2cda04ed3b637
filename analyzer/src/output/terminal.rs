//! What stands between a result and a terminal: nothing passes that a terminal would obey, and lines for people are broken
//! at its width. It is the last guard, not the first: names are escaped where they are put into text. Files and pipes get
//! every byte as it is.

use crate::output::text::{escape, fitting, width, wrap};
use std::io::{self, Write};

/// Writes line by line.
pub struct Screen<W> {
    inner: W,
    columns: usize,
    is_for_people: bool,
    line: Vec<u8>,
}

impl<W: Write> Screen<W> {
    /// A terminal of so many columns that gets data: CSV is exact everywhere but here.
    pub fn new(inner: W, columns: usize) -> Self {
        Self {
            inner,
            columns: columns.max(1),
            is_for_people: false,
            line: Vec::new(),
        }
    }

    /// From now on lines are broken at spaces to fit, and colours pass.
    pub(crate) fn make_for_people(&mut self) {
        self.is_for_people = true;
    }

    fn write_line(&mut self, has_end: bool) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = text.as_ref();
        let end = if has_end { "\n" } else { "" };
        if self.is_for_people && is_coloured(text) {
            return write!(self.inner, "{}{end}", cut(text, self.columns));
        }
        let text = escape(text);
        if !self.is_for_people || width(&text) <= self.columns {
            return write!(self.inner, "{text}{end}");
        }
        write!(
            self.inner,
            "{}{end}",
            wrap(text.trim_end(), self.columns).join("\n")
        )
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, has_end) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            self.line.extend_from_slice(text);
            if has_end {
                self.write_line(true)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.write_line(false)?;
        }
        self.inner.flush()
    }
}

/// Whether a line has colours (`ESC [ digits and semicolons m`) and nothing else to obey.
fn is_coloured(line: &str) -> bool {
    let mut pieces = line.split('\x1b');
    let is_clean = |text: &str| escape(text) == text;
    if !pieces.next().is_some_and(is_clean) {
        return false;
    }
    let mut pieces = pieces.peekable();
    pieces.peek().is_some()
        && pieces.all(|piece| {
            let Some(rest) = piece.strip_prefix('[') else {
                return false;
            };
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
            rest.strip_prefix('m').is_some_and(is_clean)
        })
}

/// A coloured line up to a width: a picture that is too wide for its terminal would fall apart when broken.
fn cut(line: &str, columns: usize) -> String {
    let mut out = String::with_capacity(line.len());
    let mut used = 0;
    for (index, piece) in line.split('\x1b').enumerate() {
        let (colour, text) = match piece.find('m').filter(|_| index > 0) {
            Some(end) => piece.split_at(end + 1),
            None => ("", piece),
        };
        if index > 0 {
            out.push('\x1b');
        }
        out.push_str(colour);
        let kept: String = fitting(text.chars(), columns - used).collect();
        used += width(&kept);
        out.push_str(&kept);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn shown(text: &str, columns: usize, is_for_people: bool) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, columns);
        if is_for_people {
            screen.make_for_people();
        }
        // However it comes in pieces.
        for piece in text.as_bytes().chunks(3) {
            screen.write_all(piece).unwrap();
        }
        screen.flush().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_for_people_are_broken_at_spaces() {
        assert_eq!(shown("one two three\n\nfour", 8, true), "one two\nthree\n\nfour");
        assert_eq!(shown("日本日本日本\n", 8, true), "日本日本\n日本\n");
        assert_eq!(shown("one,two,three four\n", 8, false), "one,two,three four\n");
    }

    #[test]
    fn colours_pass_for_people_and_nothing_else_does() {
        let map = "|\x1b[48;5;17m \x1b[0m|\n";
        assert_eq!(shown(map, 80, true), map);
        assert_eq!(shown(map, 2, true), "|\x1b[48;5;17m \x1b[0m\n");
        assert_eq!(shown(map, 80, false), "|\\x1b[48;5;17m \\x1b[0m|\n");
        for evil in [
            "\x1b[2J",
            "\x1b[0m\x1b]52;c;AAAA\x07",
            "\u{9b}2J",
            "a\rb",
            "\x1b",
            "\u{202e}",
        ] {
            for is_for_people in [false, true] {
                let text = shown(&format!("{evil}\n"), 80, is_for_people);
                assert!(
                    text.trim_end()
                        .chars()
                        .all(|c| !c.is_control() && c != '\u{202e}'),
                    "{text:?}"
                );
            }
        }
    }
}
