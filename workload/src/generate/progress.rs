//! A progress bar for people who watch; nothing in a log.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error up to `total_bytes`; hidden unless that is a terminal.
pub(super) fn bar(total_bytes: u64, done_verb: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total_bytes);
    let colour = if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        ""
    } else {
        ".cyan"
    };
    let template = format!(
        "{{bar:40{colour}}} {{bytes}} of {{total_bytes}} {done_verb}, {{bytes_per_sec}}, {{eta}} left"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}
