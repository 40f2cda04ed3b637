//! JSON Lines: one value per line, with the bytes that [`super::json`] writes. An array becomes a line for each of its
//! items, and an object, which may be written on several lines, becomes one.

use std::io::{self, Write};

/// Takes JSON as it is written, and passes it on line by line.
pub(crate) struct JsonLines<'a> {
    out: &'a mut dyn Write,
    /// Brackets that are open.
    depth: usize,
    /// The outermost bracket is that of an array, which is left out.
    is_array: bool,
    is_in_text: bool,
    is_escaped: bool,
    kept: Vec<u8>,
}

impl<'a> JsonLines<'a> {
    /// Writes to `out`.
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            depth: 0,
            is_array: false,
            is_in_text: false,
            is_escaped: false,
            kept: Vec::new(),
        }
    }

    fn take_in(&mut self, byte: u8) {
        if self.is_in_text {
            self.is_in_text = self.is_escaped || byte != b'"';
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            self.kept.push(byte);
            return;
        }
        let least = usize::from(self.is_array);
        match byte {
            // Behind an item: a line has its end already.
            b'\n' => {}
            b',' if self.depth == least => {}
            b'[' if self.depth == 0 => {
                self.is_array = true;
                self.depth = 1;
            }
            b']' if self.is_array && self.depth == 1 => {
                self.is_array = false;
                self.depth = 0;
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.kept.push(byte);
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.kept.push(byte);
                if self.depth == least {
                    self.kept.push(b'\n');
                }
            }
            byte => {
                self.is_in_text = byte == b'"';
                self.kept.push(byte);
            }
        }
    }
}

impl Write for JsonLines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bytes.iter().for_each(|&byte| self.take_in(byte));
        self.out.write_all(&self.kept)?;
        self.kept.clear();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lines(json: &str) -> String {
        let mut out = Vec::new();
        let mut lines = JsonLines::new(&mut out);
        for piece in json.as_bytes().chunks(2) {
            lines.write_all(piece).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_is_one_value_whatever_is_in_its_texts() {
        for (json, expected) in [
            ("[]\n", ""),
            (
                "[\n{\"a\":1,\"b\":[2,3]},\n{\"a\":null}\n]\n",
                "{\"a\":1,\"b\":[2,3]}\n{\"a\":null}\n",
            ),
            (
                "{\"a\":{},\n\"b\":[\n{\"c\":1},\n{}\n]\n}\n",
                "{\"a\":{},\"b\":[{\"c\":1},{}]}\n",
            ),
            ("{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n{\"a\":2}\n"),
            (
                "[\n{\"a\":\"],\\\"{\\\\\"},\n{}\n]\n",
                "{\"a\":\"],\\\"{\\\\\"}\n{}\n",
            ),
        ] {
            assert_eq!(lines(json), expected, "{json}");
        }
    }
}
