//! Strings out of a trace made safe and short enough for a terminal, as everything is that is printed. It knows nothing of
//! tables.

pub use pf_printing::{escape, fitting, keep_end, keep_start, width, wrap};

/// A JSON value as text that no terminal obeys.
#[must_use]
pub fn json_text(value: &serde_json::Value) -> String {
    pf_printing::json(value.to_string())
}
