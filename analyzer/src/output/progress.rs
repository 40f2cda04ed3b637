//! A progress bar on stderr for reads that take longer than people like to wait in the dark.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shorter reads show nothing.
const QUIET: Duration = Duration::from_millis(500);

/// Counts bytes read; draws only on a terminal, and only after half a second.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    total: Option<u64>,
    bar: Option<ProgressBar>,
    enabled: bool,
}

impl Progress {
    /// `total` is the size of the input, if it has one.
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        Self {
            started: Instant::now(),
            total,
            bar: None,
            enabled: std::io::stderr().is_terminal(),
        }
    }

    /// Shows how far the reader is.
    pub(crate) fn tick(&mut self, bytes: u64) {
        if !self.enabled {
            return;
        }
        if self.bar.is_none() && self.started.elapsed() >= QUIET {
            self.bar = Some(self.draw());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    /// Removes the bar, so that the result stands alone.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.enabled = false;
    }

    fn draw(&self) -> ProgressBar {
        let (bar, template) = match self.total {
            Some(total) => {
                let template = "reading {bar:30} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}";
                (ProgressBar::new(total), template)
            }
            None => (
                ProgressBar::new_spinner(),
                "reading {spinner} {bytes} {bytes_per_sec}",
            ),
        };
        // The rate counts from the first byte, not from when the bar appears.
        let bar = bar.with_elapsed(self.started.elapsed());
        // A template that does not parse leaves the default look.
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}
