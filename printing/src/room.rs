//! Text in as many columns as there are.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that `text` takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// As many characters of `text` as fit into `room` columns.
pub fn fitting<'a>(text: impl Iterator<Item = char> + 'a, room: usize) -> impl Iterator<Item = char> + 'a {
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
