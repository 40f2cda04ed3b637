//! Names of threads and files: exact ones, patterns, and lists of them.
//!
//! `*` is any text, also none, and crosses `/`; `?` is one character. `\` takes the meaning off `*`, `?`, `,` and itself, and
//! begins the control characters that our tables show escaped, as `\x1b`. A name that is given as it stands always means
//! itself, whatever is in it.

use pf_printing::escape;
use std::str::Chars;

/// A thread's name in the kernel, without its NUL.
pub const COMM_BYTES: usize = 15;

/// Names shown where none fits.
const SHOWN: usize = 8;

/// Whose names they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Threads: the first 15 bytes count, as the kernel keeps no more.
    Thread,
    /// Files: without a `/` it is the last part of the path that counts.
    File,
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// This one.
    Char(char),
    /// `?`
    AnyChar,
    /// `*`
    AnyText,
}

/// Names as given: one, or several with commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    text: String,
    kind: Kind,
    patterns: Vec<Vec<Token>>,
}

impl Names {
    /// Reads a value of `--comm` or `--file`.
    ///
    /// # Errors
    /// What is wrong, and what a right value looks like; the value itself is for the caller to name.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "a name is missing: give one, a pattern with * or ?, or several with commas".to_owned(),
            );
        }
        let mut patterns = vec![Vec::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let token = match c {
                ',' => {
                    patterns.push(Vec::new());
                    continue;
                }
                '*' => Token::AnyText,
                '?' => Token::AnyChar,
                '\\' => Token::Char(unescaped(&mut chars)),
                c => Token::Char(c),
            };
            if let Some(pattern) = patterns.last_mut()
                && !(token == Token::AnyText && pattern.last() == Some(&token))
            {
                pattern.push(token);
            }
        }
        if patterns.iter().any(Vec::is_empty) {
            return Err(
                "a name is empty: names stand between the commas; a comma within a name is written \\,"
                    .to_owned(),
            );
        }
        if kind == Kind::Thread {
            patterns.iter_mut().try_for_each(fit_in_comm)?;
        }
        Ok(Self {
            text: text.to_owned(),
            kind,
            patterns,
        })
    }

    /// As given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The alternatives.
    pub fn patterns(&self) -> impl Iterator<Item = &[Token]> {
        self.patterns.iter().map(Vec::as_slice)
    }

    /// The text as a name, where it could be read otherwise, too.
    #[must_use]
    pub fn as_it_stands(&self) -> Option<&str> {
        let name = match self.kind {
            Kind::Thread => cut(&self.text),
            Kind::File => &self.text,
        };
        self.text.contains(['*', '?', ',', '\\']).then_some(name)
    }

    /// Whether a name is one of these.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let last_part = || name.rsplit('/').next().unwrap_or(name);
        let as_it_stands = self.as_it_stands().is_some_and(|given| {
            let is_last_part = self.kind == Kind::File && !given.contains('/');
            given == name || self.text == escape(name) || is_last_part && given == last_part()
        });
        as_it_stands
            || self.patterns.iter().any(|pattern| {
                let is_last_part = self.kind == Kind::File && !pattern.contains(&Token::Char('/'));
                fits(pattern, if is_last_part { last_part() } else { name })
            })
    }
}

/// The character that is meant by what follows a `\`: one that means something else without it, or one as our tables show
/// it, `\n` or `\x1b` or `\u{202e}`. Before anything else it is itself.
fn unescaped(chars: &mut Chars<'_>) -> char {
    let hexadecimal = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    let rest: String = chars.clone().take(10).collect();
    let found = match rest.chars().next() {
        Some(c @ ('*' | '?' | ',' | '\\')) => Some((c, 1)),
        Some('n') => Some(('\n', 1)),
        Some('t') => Some(('\t', 1)),
        Some('r') => Some(('\r', 1)),
        Some('x') => rest.get(1..3).and_then(hexadecimal).map(|c| (c, 3)),
        Some('u') => rest
            .strip_prefix("u{")
            .and_then(|rest| rest.split_once('}'))
            .and_then(|(digits, _)| hexadecimal(digits).map(|c| (c, digits.len() + 3))),
        _ => None,
    };
    let (c, used) = found.unwrap_or(('\\', 0));
    chars.by_ref().take(used).for_each(drop);
    c
}

/// `name` as it is given where only this name is meant.
#[must_use]
pub fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if "*?,\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What is said where no name fits: which were given, and some of those that there were.
#[must_use]
pub fn none_fits<'a>(wanted: &[&Names], seen: impl IntoIterator<Item = &'a str>) -> String {
    let (noun, verb) = match wanted.first().map_or(Kind::Thread, |names| names.kind) {
        Kind::Thread => ("thread", "was called"),
        Kind::File => ("file", "was called"),
    };
    let given: Vec<&str> = wanted.iter().map(|names| names.text()).collect();
    let given = given.join(",");
    let mut seen: Vec<&str> = seen.into_iter().filter(|name| !name.is_empty()).collect();
    seen.sort_unstable();
    seen.dedup();
    // First those that may have been meant.
    let is_close = |name: &str| wanted.iter().any(|names| name.contains(names.text()));
    seen.sort_by_key(|name| !is_close(name));
    let part = match seen.first() {
        Some(first) if is_close(first) => format!(" (a part of a name is given as *{given}*)"),
        _ => String::new(),
    };
    let more = match seen.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!(" and {more} more"),
        _ => String::new(),
    };
    seen.truncate(SHOWN);
    if seen.is_empty() {
        return format!("no {noun} {verb} {}; none was seen", escape(&given));
    }
    let seen: Vec<String> = seen.into_iter().map(escape).collect();
    format!(
        "no {noun} {verb} {}; seen were {}{more}{part}",
        escape(&given),
        seen.join(", ")
    )
}

/// What the kernel keeps of a thread's name.
#[must_use]
pub fn cut(comm: &str) -> &str {
    let end = (0..=COMM_BYTES.min(comm.len()))
        .rev()
        .find(|&at| comm.is_char_boundary(at));
    comm.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// A plain name is cut as the kernel does; a pattern that no name can have is an error.
fn fit_in_comm(pattern: &mut Vec<Token>) -> Result<(), String> {
    let room = |token: &Token| match token {
        Token::Char(c) => c.len_utf8(),
        Token::AnyChar => 1,
        Token::AnyText => 0,
    };
    if pattern.iter().map(room).sum::<usize>() <= COMM_BYTES {
        return Ok(());
    }
    if pattern.iter().any(|token| !matches!(token, Token::Char(_))) {
        return Err(format!(
            "no thread can have such a name: the kernel keeps {COMM_BYTES} bytes of a name, and the pattern asks for more"
        ));
    }
    let mut bytes = 0;
    let fitting = pattern.iter().take_while(|token| {
        bytes += room(token);
        bytes <= COMM_BYTES
    });
    let fitting = fitting.count();
    pattern.truncate(fitting);
    Ok(())
}

/// Whether all of a name fits a pattern with `*` and `?`. It has no lists and no `\`: for what may hold any letter.
#[must_use]
pub fn glob(pattern: &str, name: &str) -> bool {
    let tokens: Vec<Token> = pattern
        .chars()
        .map(|c| match c {
            '*' => Token::AnyText,
            '?' => Token::AnyChar,
            c => Token::Char(c),
        })
        .collect();
    fits(&tokens, name)
}

/// Goes back to the last `*` only, so that no pattern takes exponential time.
fn fits(pattern: &[Token], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(Token::AnyText) => {
                last_star = Some((p, n));
                p += 1;
            }
            Some(token)
                if *token == Token::AnyChar || name.get(n).is_some_and(|&c| *token == Token::Char(c)) =>
            {
                p += 1;
                n += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|token| *token == Token::AnyText)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn threads(text: &str) -> Names {
        Names::parse(text, Kind::Thread).unwrap()
    }

    fn files(text: &str) -> Names {
        Names::parse(text, Kind::File).unwrap()
    }

    #[test]
    fn a_name_is_exact_and_a_pattern_fits_all_of_it() {
        assert!(threads("worker").matches("worker") && !threads("worker").matches("worker-1"));
        assert!(threads("w?rker*").matches("worker-12") && !threads("w?rker").matches("worker-12"));
        assert!(threads("*a*a*a*b*").matches("xaxaxaxbx"));
        assert!(files("*.bin").matches("/data/segments.bin") && !files("*.bi").matches("/data/segments.bin"));
        assert!(!glob(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn names_are_listed_with_commas() {
        let both = threads("main,pf-*");
        assert!(both.matches("main") && both.matches("pf-1") && !both.matches("other"));
        assert!(threads(r"a\,b").matches("a,b") && !threads(r"a\,b").matches("a"));
        for text in ["", ",", "a,", ",a", "a,,b"] {
            assert!(Names::parse(text, Kind::Thread).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_without_a_slash_is_the_last_part_of_a_path() {
        assert!(files("x.bin").matches("/data/x.bin") && !files("x.bin").matches("/data/ax.bin"));
        assert!(files("/data/*").matches("/data/deep/x.bin") && !files("data/x.bin").matches("/data/x.bin"));
        assert!(files("[anon]").matches("[anon]"));
    }

    #[test]
    fn of_a_threads_name_fifteen_bytes_count() {
        assert!(threads("a-name-that-is-too-long").matches("a-name-that-is-"));
        assert!(threads("fourteen-bytesé").matches("fourteen-bytes"));
        let error = Names::parse("a-name-that-is-too-*", Kind::Thread).unwrap_err();
        assert!(error.contains("15 bytes"), "{error}");
    }

    #[test]
    fn a_name_as_it_stands_or_as_it_is_shown_means_itself() {
        for name in ["a,b", "a*b", r"a\,b", r"C:\*", "x\x1b[2J", "a?"] {
            assert!(threads(name).matches(name), "{name}");
            assert!(threads(&escape(name)).matches(name), "{name}");
        }
    }

    #[test]
    fn where_no_name_fits_those_that_there_were_are_named() {
        let wanted = threads("worker");
        assert_eq!(
            none_fits(&[&wanted], ["main", "worker-1", "main"]),
            "no thread was called worker; seen were worker-1, main (a part of a name is given as *worker*)"
        );
        let many: Vec<String> = (0..20).map(|at| format!("t{at:02}")).collect();
        let said = none_fits(&[&wanted], many.iter().map(String::as_str));
        assert!(said.ends_with("t07 and 12 more"), "{said}");
        assert!(none_fits(&[&files("x")], []).ends_with("none was seen"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(name in "[a-c*?,\\\\/\\x00-\\x1f\u{e9}]{1,6}", other in "[a-c*?,\\\\/\u{e9}]{1,6}") {
            for kind in [Kind::Thread, Kind::File] {
                let exact = Names::parse(&quoted(&name), kind);
                prop_assert!(exact.as_ref().is_ok_and(|names| names.matches(&name)));
                // Nothing but it, except as the very text.
                let is_other = other != name && escape(&other) != name && other != quoted(&name) && !other.ends_with(&format!("/{name}"));
                if is_other && kind == Kind::Thread {
                    prop_assert!(!exact.as_ref().is_ok_and(|names| names.matches(&other)), "{} {}", name, other);
                }
                for text in [name.clone(), escape(&name)] {
                    if let Ok(names) = Names::parse(&text, kind) {
                        prop_assert!(names.matches(&name));
                    }
                }
            }
        }
    }
}
