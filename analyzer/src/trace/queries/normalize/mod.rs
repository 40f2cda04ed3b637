//! Texts of queries without what differs from call to call, so that they can be counted together: `WHERE id = 5` and
//! `WHERE id = 7` are one query. It knows the lexical rules of SQL and leaves other texts alone, numbers aside.

use std::iter::Peekable;
use std::str::CharIndices;

/// What stands for a literal.
const LITERAL: &str = "?";

/// A text that was cut ends at a different place of the statement for every length of its literals; this many
/// characters at its end are too few to tell statements apart and enough to hide that.
const STEP: usize = 32;

/// Words before a list whose length does not matter.
const LISTS: [&str; 3] = ["IN", "VALUES", "ARRAY"];

/// The text with `?` for literals and `(...)` for lists of them, without comments, in single spaces. `is_cut`: the text went on.
#[must_use]
pub(crate) fn normalised(text: &str, is_cut: bool) -> String {
    let tokens = short_lists(tokens(text));
    let mut out = String::with_capacity(text.len());
    for token in &tokens {
        if token.spaced && !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&token.text);
    }
    if is_cut {
        let kept = out.chars().count().saturating_sub(1) / STEP * STEP;
        let end = out.char_indices().nth(kept.max(STEP)).map(|(at, _)| at);
        out.truncate(end.unwrap_or(out.len()));
        out.truncate(out.trim_end().len());
        out.push('…');
        return out;
    }
    let end = out.trim_end_matches([';', ' ']).len();
    // A text of nothing else stays what it is.
    if end > 0 {
        out.truncate(end);
    }
    out
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    text: String,
    /// White space or a comment stood before it.
    spaced: bool,
}

impl Token {
    fn is(&self, text: &str) -> bool {
        self.text == text
    }
}

type Chars<'a> = Peekable<CharIndices<'a>>;

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut spaced = false;
    while let Some(&(at, c)) = chars.peek() {
        let rest = text.get(at..).unwrap_or_default();
        if c.is_whitespace() {
            chars.next();
            spaced = true;
            continue;
        }
        if let Some(length) = comment(rest) {
            skip(&mut chars, at + length);
            spaced = true;
            continue;
        }
        let length = literal(rest, tokens.last().filter(|_| !spaced));
        let (length, word) = match length {
            Some(length) => (length, LITERAL),
            None => {
                let length = word(rest).unwrap_or(c.len_utf8());
                (length, rest.get(..length).unwrap_or_default())
            }
        };
        skip(&mut chars, at + length.max(c.len_utf8()));
        // A sign belongs to the number where no value stands before it.
        if word == LITERAL
            && is_sign(&tokens)
            && let Some(sign) = tokens.pop()
        {
            spaced = sign.spaced;
        }
        tokens.push(Token {
            text: word.to_owned(),
            spaced,
        });
        spaced = false;
    }
    tokens
}

fn skip(chars: &mut Chars<'_>, to: usize) {
    while chars.next_if(|&(at, _)| at < to).is_some() {}
}

/// The last token is a sign and not an operator between two values.
fn is_sign(tokens: &[Token]) -> bool {
    let Some((last, before)) = tokens.split_last() else {
        return false;
    };
    if !(last.is("-") || last.is("+")) {
        return false;
    }
    before.last().is_some_and(|token| {
        let operator = token.text.chars().all(|c| "=<>(,+-*/%|".contains(c));
        operator && !token.text.is_empty()
    })
}

/// Bytes of a comment at the start of `text`; one that does not end takes the rest.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0usize, 0);
    loop {
        let rest = text.get(at..).unwrap_or_default();
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            match rest.chars().next() {
                Some(c) => at += c.len_utf8(),
                None => return Some(text.len()),
            }
        }
    }
}

/// Bytes of a literal at the start of `text`; `before`: what it touches.
fn literal(text: &str, before: Option<&Token>) -> Option<usize> {
    let first = text.chars().next()?;
    match first {
        '\'' => Some(quoted(text, false)),
        '$' => dollar(text),
        // Also one that begins with its point.
        '0'..='9' => number(text),
        '.' if before.is_none_or(|token| !ends_word(token)) => number(text),
        _ => prefixed(text),
    }
}

fn ends_word(token: &Token) -> bool {
    token
        .text
        .chars()
        .last()
        .is_some_and(|c| is_word(c) || c == '"' || c == ')' || c == '?')
}

/// `'...'` where `''` is a quote, and with `backslash` also `\'`.
fn quoted(text: &str, backslash: bool) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if backslash => {
                chars.next();
            }
            '\'' if chars.next_if(|&(_, next)| next == '\'').is_some() => {}
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `E'...'`, `B'...'`, `X'...'`, `N'...'` and `U&'...'`.
fn prefixed(text: &str) -> Option<usize> {
    let at = text.bytes().take(3).position(|byte| byte == b'\'')?;
    let prefix = text.get(..at)?;
    let known = ["e", "b", "x", "n", "u&"];
    known
        .iter()
        .any(|each| prefix.eq_ignore_ascii_case(each))
        .then(|| {
            let backslash = prefix.eq_ignore_ascii_case("e");
            at + quoted(text.get(at..).unwrap_or_default(), backslash)
        })
}

/// `$$...$$`, `$tag$...$tag$`, or a parameter such as `$1`.
fn dollar(text: &str) -> Option<usize> {
    let rest = text.get(1..)?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits > 0 {
        return Some(1 + digits);
    }
    let tag_end = rest.find('$')?;
    let tag = text.get(..tag_end + 2)?;
    if !tag.trim_matches('$').chars().all(is_word) {
        return None;
    }
    let body = text.get(tag.len()..)?;
    Some(match body.find(tag) {
        Some(end) => tag.len() + end + tag.len(),
        None => text.len(),
    })
}

/// `5`, `1.5`, `.5`, `1e-9`, `0xff`; not the digits at the start of a word such as `4k`.
fn number(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let run = bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit());
        from + run.count()
    };
    let is_at = |at: usize, these: &[u8]| bytes.get(at).is_some_and(|byte| these.contains(byte));
    let mut end = digits(0);
    if end == 1 && is_at(0, b"0") && is_at(1, b"xX") {
        let run = bytes.iter().skip(2).take_while(|byte| byte.is_ascii_hexdigit());
        end = 2 + run.count();
    } else {
        if is_at(end, b".") {
            end = digits(end + 1);
        }
        if is_at(end, b"eE") {
            let sign = usize::from(is_at(end + 1, b"+-"));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
    }
    let has_digit = bytes.iter().take(end).any(u8::is_ascii_digit);
    let next = text.get(end..).and_then(|rest| rest.chars().next());
    (has_digit && !next.is_some_and(is_word)).then_some(end)
}

/// Bytes of a word, or of a quoted identifier, at the start of `text`.
fn word(text: &str) -> Option<usize> {
    if let Some(rest) = text.strip_prefix('"') {
        return Some(rest.find('"').map_or(text.len(), |end| end + 2));
    }
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    (end > 0).then_some(end)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `IN (?, ?, ?)` becomes `IN (...)`, and `VALUES (?, ?), (?, ?)` becomes `VALUES (...)`. A list that the text cuts counts as well.
fn short_lists(tokens: Vec<Token>) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = out.last().map_or("", |token| token.text.as_str());
        let is_listed =
            LISTS.iter().any(|word| before.eq_ignore_ascii_case(word)) || before == "(...)" && token.is(",");
        let from = if token.is(",") { at + 1 } else { at };
        match list(tokens.get(from..).unwrap_or_default()).filter(|_| is_listed) {
            Some((length, close)) => {
                // Another row of VALUES adds nothing.
                if !token.is(",") {
                    let (open, close) = if close == "]" { ("[", "]") } else { ("(", ")") };
                    out.push(Token {
                        text: format!("{open}...{close}"),
                        spaced: token.spaced,
                    });
                }
                at = from + length;
            }
            None => {
                out.push(token.clone());
                at += 1;
            }
        }
    }
    out
}

/// Tokens of a list of nothing but literals at the start, and what closes it.
fn list(tokens: &[Token]) -> Option<(usize, &'static str)> {
    let close = match tokens.first()?.text.as_str() {
        "(" => ")",
        "[" => "]",
        _ => return None,
    };
    let inside = tokens.iter().skip(1);
    let literals = inside
        .take_while(|token| token.is(LITERAL) || token.is(","))
        .count();
    match tokens.get(1 + literals) {
        Some(token) if token.is(close) => (literals > 0).then_some((literals + 2, close)),
        Some(_) => None,
        None => (literals > 0).then_some((literals + 1, close)),
    }
}

#[cfg(test)]
mod tests;
