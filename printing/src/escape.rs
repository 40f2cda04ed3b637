//! What a terminal could obey, and what replaces it.

/// Replaces control characters and invisible ones by `\x1b`-like escapes. Escaped text stays as it is.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x100 && c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if is_invisible(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// Makes JSON text safe, which stays the same value: JSON itself lets DEL, C1 controls and invisible characters pass.
#[must_use]
pub fn json(text: String) -> String {
    let is_unsafe = |c: char| c.is_control() || is_invisible(c);
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

/// What reorders text, breaks lines or takes no room: bidirectional controls, separators of lines and paragraphs, zero-width
/// characters, fillers, annotations, tags. U+FE00 to U+FE0F are missing: names with emoji have them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_passes() {
        assert_eq!(
            escape("a\x1b[2Jb\n\u{9b}c\u{7f}\t\r\0"),
            "a\\x1b[2Jb\\n\\x9bc\\x7f\\t\\r\\x00"
        );
        assert_eq!(
            escape("x\u{202e}y\u{2066}\u{2028}"),
            "x\\u{202e}y\\u{2066}\\u{2028}"
        );
        assert_eq!(
            escape("\u{61c}\u{ad}\u{180e}\u{fff9}\u{e0041}\u{206a}\u{3164}"),
            "\\u{61c}\\u{ad}\\u{180e}\\u{fff9}\\u{e0041}\\u{206a}\\u{3164}"
        );
        assert_eq!(escape("Grüße 日本 ❤\u{fe0f} \\x1b"), "Grüße 日本 ❤\u{fe0f} \\x1b");
        // All of C0, DEL and C1, and each is so once for all.
        for code in (0..0x20).chain(0x7f..0xa0) {
            let once = escape(&char::from(code).to_string());
            assert!(!once.chars().any(char::is_control), "{code:#x}: {once}");
            assert_eq!(escape(&once), once);
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        assert_eq!(json("\"a\u{9b}\u{7f}\"".to_owned()), "\"a\\u009b\\u007f\"");
        assert_eq!(
            json("\"\u{202e}\u{e0041}\"".to_owned()),
            "\"\\u202e\\udb40\\udc41\""
        );
        assert_eq!(json("{\"Grüße\":1}".to_owned()), "{\"Grüße\":1}");
    }
}
