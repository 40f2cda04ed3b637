//! Functions of text. Positions count characters, from 1.

use crate::verbs::sql::function::Function;
use crate::verbs::sql::vector::{Data, Vector, narrowed};
use std::borrow::Cow;

/// A function of text that has a value for each row whose arguments are there.
#[must_use]
pub fn call<'a>(function: &Function, values: &[Vector<'a>], len: usize) -> Vector<'a> {
    let text = |which: usize, row: usize| values.get(which).and_then(|values| values.text(row));
    let number = |which: usize, row: usize| values.get(which).and_then(|values| values.digits(row));
    match function {
        Function::Like { ignores_case, escape } => {
            let of_row = |row: usize| Some(is_like(text(0, row)?, text(1, row)?, *ignores_case, *escape));
            Vector::flags((0..len).map(of_row), len)
        }
        Function::StartsWith => Vector::flags(
            (0..len).map(|row| Some(text(0, row)?.starts_with(text(1, row)?))),
            len,
        ),
        Function::EndsWith => Vector::flags(
            (0..len).map(|row| Some(text(0, row)?.ends_with(text(1, row)?))),
            len,
        ),
        Function::Contains => Vector::flags(
            (0..len).map(|row| Some(text(0, row)?.contains(text(1, row)?))),
            len,
        ),
        Function::Length => counts((0..len).map(|row| Some(text(0, row)?.chars().count())), len),
        Function::Position => counts(
            (0..len).map(|row| {
                let (all, part) = (text(0, row)?, text(1, row)?);
                let before = all.find(part).and_then(|at| all.get(..at));
                Some(before.map_or(0, |before| before.chars().count() + 1))
            }),
            len,
        ),
        Function::ConcatenateAll => texts(
            (0..len).map(|row| {
                let parts = values.iter().filter_map(|values| values.text(row));
                Some(parts.collect::<String>())
            }),
            len,
        ),
        Function::Hex => texts((0..len).map(|row| Some(hex(number(0, row)?))), len),
        _ => texts(
            (0..len).map(|row| {
                let first = text(0, row)?;
                let number = |which| number(which, row);
                Some(match function {
                    Function::Concatenate => [first, text(1, row)?].concat(),
                    Function::Upper => first.to_uppercase(),
                    Function::Lower => first.to_lowercase(),
                    Function::Reverse => first.chars().rev().collect(),
                    Function::Replace => replace(first, text(1, row)?, text(2, row)?),
                    Function::Trim { start, end } => {
                        let cut = match values.len() {
                            1 => " ",
                            _ => text(1, row)?,
                        };
                        trim(first, cut, *start, *end).to_owned()
                    }
                    Function::Left => left(first, number(1)?),
                    Function::Right => right(first, number(1)?),
                    Function::Substring => {
                        let length = match values.len() {
                            3 => Some(number(2)?),
                            _ => None,
                        };
                        substring(first, number(1)?, length)
                    }
                    Function::SplitPart => split_part(first, text(1, row)?, number(2)?).to_owned(),
                    _ => return None,
                })
            }),
            len,
        ),
    }
}

fn texts<'a>(values: impl Iterator<Item = Option<String>>, len: usize) -> Vector<'a> {
    let mut all = Vec::with_capacity(len);
    let mut valid = Vec::with_capacity(len);
    for value in values {
        valid.push(value.is_some());
        all.push(Cow::Owned(value.unwrap_or_default()));
    }
    let valid = valid.contains(&false).then_some(valid);
    Vector::new(Data::Text(all), valid, len)
}

fn counts<'a>(values: impl Iterator<Item = Option<usize>>, len: usize) -> Vector<'a> {
    let mut all = Vec::with_capacity(len);
    let mut valid = Vec::with_capacity(len);
    for value in values {
        valid.push(value.is_some());
        all.push(value.unwrap_or_default() as i128);
    }
    let valid = valid.contains(&false).then_some(valid);
    Vector::new(narrowed(all), valid, len)
}

/// Sixteen digits of a negative number, as DuckDB writes a BIGINT.
fn hex(number: i128) -> String {
    match i64::try_from(number) {
        Ok(number) => format!("{number:X}"),
        Err(_) => format!("{number:X}"),
    }
}

fn replace(text: &str, part: &str, by: &str) -> String {
    if part.is_empty() {
        text.to_owned()
    } else {
        text.replace(part, by)
    }
}

fn trim<'t>(text: &'t str, cut: &str, start: bool, end: bool) -> &'t str {
    let text = if start {
        text.trim_start_matches(|c| cut.contains(c))
    } else {
        text
    };
    if end {
        text.trim_end_matches(|c| cut.contains(c))
    } else {
        text
    }
}

/// The first characters; all but the last ones if the number is negative.
fn left(text: &str, count: i128) -> String {
    let length = text.chars().count() as i128;
    let count = if count < 0 { length + count } else { count };
    text.chars()
        .take(usize::try_from(count.clamp(0, length)).unwrap_or(0))
        .collect()
}

/// The last characters; all but the first ones if the number is negative.
fn right(text: &str, count: i128) -> String {
    let length = text.chars().count() as i128;
    let skipped = if count < 0 {
        count.saturating_neg()
    } else {
        length - count.min(length)
    };
    text.chars()
        .skip(usize::try_from(skipped.clamp(0, length)).unwrap_or(0))
        .collect()
}

/// From a place, which counts from the end if it is negative, as DuckDB counts.
fn substring(text: &str, from: i128, count: Option<i128>) -> String {
    let length = text.chars().count() as i128;
    let start = if from < 0 {
        length.saturating_add(from)
    } else {
        from - 1
    };
    let count = count.unwrap_or(i128::from(i64::MAX));
    let (start, end) = if count < 0 {
        (start.saturating_add(count), start)
    } else {
        (start, start.saturating_add(count))
    };
    let (start, end) = (start.clamp(0, length), end.clamp(0, length));
    let place = |at: i128| usize::try_from(at).unwrap_or(0);
    text.chars().take(place(end)).skip(place(start)).collect()
}

fn split_part<'t>(text: &'t str, separator: &str, place: i128) -> &'t str {
    let parts: Vec<&str> = if separator.is_empty() {
        vec![text]
    } else {
        text.split(separator).collect()
    };
    let index = match place {
        0 => 0,
        place if place > 0 => place - 1,
        place => parts.len() as i128 + place,
    };
    usize::try_from(index)
        .ok()
        .and_then(|index| parts.get(index))
        .copied()
        .unwrap_or("")
}

/// LIKE: `%` stands for any text, `_` for one character.
fn is_like(text: &str, pattern: &str, ignores_case: bool, escape: Option<char>) -> bool {
    if ignores_case {
        return is_like(&text.to_lowercase(), &pattern.to_lowercase(), false, escape);
    }
    let plain = |part: &str| !part.contains(['%', '_']) && escape.is_none_or(|escape| !part.contains(escape));
    // The usual patterns, at once.
    if let Some(part) = pattern
        .strip_prefix('%')
        .and_then(|part| part.strip_suffix('%'))
        .filter(|p| plain(p))
    {
        return text.contains(part);
    }
    if let Some(part) = pattern.strip_suffix('%').filter(|part| plain(part)) {
        return text.starts_with(part);
    }
    if let Some(part) = pattern.strip_prefix('%').filter(|part| plain(part)) {
        return text.ends_with(part);
    }
    matches(&text.chars().collect::<Vec<_>>(), &steps(pattern, escape))
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Any,
    One,
    Exactly(char),
}

fn steps(pattern: &str, escape: Option<char>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        steps.push(match character {
            escaped if Some(escaped) == escape => Step::Exactly(characters.next().unwrap_or(escaped)),
            '%' => Step::Any,
            '_' => Step::One,
            other => Step::Exactly(other),
        });
    }
    steps
}

/// Goes back to the last `%` alone: in time, length times length at most.
fn matches(text: &[char], steps: &[Step]) -> bool {
    let (mut at, mut step) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match steps.get(step) {
            Some(Step::Any) => {
                back = Some((at, step));
                step += 1;
            }
            Some(Step::One) => (at, step) = (at + 1, step + 1),
            Some(Step::Exactly(character)) if text.get(at) == Some(character) => {
                (at, step) = (at + 1, step + 1);
            }
            _ => match back {
                Some((from, any)) => {
                    back = Some((from + 1, any));
                    (at, step) = (from + 1, any + 1);
                }
                None => return false,
            },
        }
    }
    steps.iter().skip(step).all(|step| *step == Step::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_is_that_of_sql() {
        for (text, pattern, is) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%b%", true),
            ("abc", "_b_", true),
            ("abc", "a_", false),
            ("a%c", "a\\%c", false),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "%X%X%", true),
            ("äöü", "_ö%", true),
            ("mississippi", "m%iss%pi", true),
            ("mississippi", "m%iss%px", false),
        ] {
            assert_eq!(is_like(text, pattern, false, None), is, "{text} {pattern}");
        }
        assert!(is_like("a%c", "a!%c", false, Some('!')));
        assert!(is_like("ABC", "a%c", true, None));
    }

    #[test]
    fn parts_of_text_are_those_of_duckdb() {
        assert_eq!(substring("hello", 2, Some(3)), "ell");
        assert_eq!(substring("hello", -3, Some(2)), "ll");
        assert_eq!(substring("hello", 0, Some(2)), "h");
        assert_eq!(left("abc", -1), "ab");
        assert_eq!(right("abc", 2), "bc");
        assert_eq!(split_part("a/b/c", "/", 2), "b");
        assert_eq!(split_part("a/b", "/", -1), "b");
    }
}
