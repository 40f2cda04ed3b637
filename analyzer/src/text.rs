//! Strings out of a trace made safe and short enough for a terminal. It knows nothing of tables.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Replaces what could steer a terminal or forge a line (control and format characters) by `\x1b`-like escapes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x100 && c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if reorders_or_hides(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// Line separators, zero-width characters, bidirectional controls, annotations and tags.
fn reorders_or_hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A JSON value as text. JSON itself lets C1 controls, DEL and what reorders text pass, and a terminal may obey them.
#[must_use]
pub fn json_text(value: &serde_json::Value) -> String {
    let text = value.to_string();
    let is_unsafe = |c: char| c.is_control() || reorders_or_hides(c);
    if !text.chars().any(is_unsafe) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Columns that `text` takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// As many characters of `text` as fit into `room` columns.
pub(crate) fn fitting<'a>(
    text: impl Iterator<Item = char> + 'a,
    room: usize,
) -> impl Iterator<Item = char> + 'a {
    let mut used = 0;
    text.take_while(move |c| {
        used += c.width().unwrap_or(0);
        used <= room
    })
}

/// Keeps the end of `text`, which is the telling part of a path: `…/data/segments.bin`.
#[must_use]
pub fn keep_end(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let kept: Vec<char> = fitting(text.chars().rev(), room.saturating_sub(1)).collect();
    std::iter::once('…').chain(kept.into_iter().rev()).collect()
}

/// Keeps the start of `text`: `mmap-workload -t 4 …`.
#[must_use]
pub fn keep_start(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    fitting(text.chars(), room.saturating_sub(1))
        .chain(std::iter::once('…'))
        .collect()
}

/// Breaks at spaces into lines of at most `room` columns; a longer word is broken anywhere.
#[must_use]
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = width(word);
        let space = usize::from(used > 0);
        if used > 0 && used + space + length > room {
            lines.push(String::new());
            used = 0;
        }
        for (index, c) in word.chars().enumerate() {
            let columns = c.width().unwrap_or(0);
            if used > 0 && used + columns > room {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                if index == 0 && used > 0 {
                    line.push(' ');
                    used += 1;
                }
                line.push(c);
                used += columns;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_do_not_pass() {
        assert_eq!(escape("a\x1b[2Jb\n\u{9b}c\u{7f}"), "a\\x1b[2Jb\\n\\x9bc\\x7f");
        assert_eq!(escape("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(
            escape("\u{61c}\u{ad}\u{180e}\u{fff9}\u{e0041}"),
            "\\u{61c}\\u{ad}\\u{180e}\\u{fff9}\\u{e0041}"
        );
        assert_eq!(json_text(&"a\u{9b}\u{7f}\n".into()), "\"a\\u009b\\u007f\\n\"");
        let hidden = "\u{202e}\u{e0041}";
        assert_eq!(json_text(&hidden.into()), "\"\\u202e\\udb40\\udc41\"");
        assert_eq!(
            serde_json::from_str::<String>(&json_text(&hidden.into())).ok(),
            Some(hidden.to_owned())
        );
        assert_eq!(escape("Grüße 日本"), "Grüße 日本");
    }

    #[test]
    fn text_is_wrapped_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn long_text_is_cut_at_the_less_telling_end() {
        assert_eq!(keep_end("/a/b/c.bin", 6), "…c.bin");
        assert_eq!(keep_start("abcdef", 4), "abc…");
        assert_eq!(keep_end("abc", 3), "abc");
        assert_eq!(keep_end("abc", 0), "…");
        // Two columns each.
        assert_eq!(
            (keep_end("日本語", 5), keep_start("日本語", 4)),
            ("…本語".into(), "日…".into())
        );
    }
}
