//! Strings out of a trace made safe and short enough for a terminal, as everything is that is printed. It knows nothing of
//! tables.

pub use pf_printing::{escape, fitting, keep_end, keep_start, width, wrap};

/// A JSON value as text that no terminal obeys.
#[must_use]
pub(crate) fn json_text(value: &serde_json::Value) -> String {
    pf_printing::json(value.to_string())
}

/// Arguments as one would type them.
#[must_use]
pub(crate) fn shell_words(arguments: &[String]) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let quote = |argument: &String| match !argument.is_empty() && argument.chars().all(safe) {
        true => argument.clone(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}
