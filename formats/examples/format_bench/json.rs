//! As much JSON as the results need: names and numbers.

/// Members whose values are JSON already.
pub(crate) fn object(members: &[(&str, String)]) -> String {
    let members = members
        .iter()
        .map(|(name, value)| format!("{}: {value}", text(name)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

/// Elements that are JSON already.
pub(crate) fn array(elements: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", elements.into_iter().collect::<Vec<_>>().join(", "))
}

/// A string without anything that JSON would escape.
pub(crate) fn text(text: &str) -> String {
    format!("\"{text}\"")
}
