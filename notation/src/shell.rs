//! Words quoted for a shell: what is printed can be pasted, and steers no terminal meanwhile.

use pf_printing::escape;
use std::ffi::OsStr;
use std::path::Path;

/// Arguments as one would type them.
#[must_use]
pub fn shell_words(arguments: &[String]) -> String {
    let words = arguments.iter().map(|argument| shell_word(OsStr::new(argument)));
    words.collect::<Vec<_>>().join(" ")
}

/// One argument as one would type it. What a terminal would obey, and what is not UTF-8, is written in digits, as bash, zsh
/// and ksh read them: `$'a\x1bb'`.
#[must_use]
pub fn shell_word(argument: &OsStr) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match argument.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if escape(text) == text => format!("'{}'", text.replace('\'', "'\\''")),
        _ => in_digits(argument.as_encoded_bytes()),
    }
}

fn in_digits(bytes: &[u8]) -> String {
    let mut word = "$'".to_owned();
    let digits = |bytes: &[u8], word: &mut String| {
        bytes
            .iter()
            .for_each(|byte| word.push_str(&format!("\\x{byte:02x}")));
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let text = c.encode_utf8(&mut [0; 4]).to_owned();
            match c {
                '\\' | '\'' => word.push_str(&format!("\\{c}")),
                _ if escape(&text) == text => word.push(c),
                _ => digits(text.as_bytes(), &mut word),
            }
        }
        digits(chunk.invalid(), &mut word);
    }
    word.push('\'');
    word
}

/// A path as a word for a shell, which no program takes for an option.
#[must_use]
pub fn shell_path(path: &Path) -> String {
    let is_option = path.as_os_str().as_encoded_bytes().starts_with(b"-") && path.as_os_str() != "-";
    if is_option {
        shell_word(Path::new(".").join(path).as_os_str())
    } else {
        shell_word(path.as_os_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_so_that_a_shell_reads_them_back() {
        let words =
            ["a.b-c", "", "it's", "a b", "\x1b[2J\\'é\u{202e}"].map(|word| shell_word(OsStr::new(word)));
        assert_eq!(
            words,
            [
                "a.b-c",
                "''",
                "'it'\\''s'",
                "'a b'",
                "$'\\x1b[2J\\\\\\'é\\xe2\\x80\\xae'"
            ]
        );
    }
}
