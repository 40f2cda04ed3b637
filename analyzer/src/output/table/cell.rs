//! Text in CSV. Spreadsheets take a cell for a formula by its first character, and quotes do not keep them from it: a thread
//! named `=HYPERLINK(…)` would be one on the desk of whoever opens the file. So such text gets an apostrophe in front, which
//! spreadsheets do not show, and so does text that has one there already: who takes away one apostrophe, where one or more
//! stand before such a character, has exactly what the trace says. JSON has it as it is.

use std::borrow::Cow;

/// What may begin a formula, with the wide forms that some spreadsheets take for the same.
fn begins_formula(c: char) -> bool {
    matches!(
        c,
        '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠'
    )
}

/// A name or other text of a trace as a cell that is no formula.
#[must_use]
pub fn guarded(text: &str) -> Cow<'_, str> {
    if text.trim_start_matches('\'').starts_with(begins_formula) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule that docs/analyzing.md gives to readers.
    fn exact(cell: &str) -> &str {
        match cell.strip_prefix('\'') {
            Some(rest) if rest.trim_start_matches('\'').starts_with(begins_formula) => rest,
            _ => cell,
        }
    }

    #[test]
    fn no_text_begins_as_a_formula_does_and_each_can_be_had_back() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-bash", "'-bash"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("\n=1", "'\n=1"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("''-", "'''-"),
            ("'quoted'", "'quoted'"),
            ("a=1", "a=1"),
            ("", ""),
            ("'", "'"),
        ] {
            assert_eq!(guarded(text), cell);
            assert_eq!(exact(cell), text);
        }
    }
}
