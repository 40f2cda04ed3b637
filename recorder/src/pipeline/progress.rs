//! The spinner: elapsed time, events, rate, lost, bytes. On a terminal only.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::pipeline::drain::Gauges;

/// Draws nothing unless standard error is a terminal.
pub struct Spinner {
    bar: ProgressBar,
    gauges: Arc<Gauges>,
    last: (Instant, u64),
    rate: u64,
}

impl Spinner {
    /// Starts the clock.
    #[must_use]
    pub fn new(gauges: Arc<Gauges>) -> Self {
        // A new bar draws to standard error, and hides when that is no terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            gauges,
            last: (Instant::now(), 0),
            rate: 0,
        }
    }

    /// Draws the current figures.
    pub fn tick(&mut self) {
        let events = self.gauges.events.load(Relaxed);
        let (then, before) = self.last;
        let elapsed = then.elapsed().as_secs_f64();
        if elapsed >= 0.5 {
            self.rate = ((events - before) as f64 / elapsed) as u64;
            self.last = (Instant::now(), events);
        }
        self.bar.set_message(format!(
            "{} faults  {}/s  {} lost  {}",
            HumanCount(events),
            HumanCount(self.rate),
            HumanCount(self.gauges.lost.load(Relaxed)),
            HumanBytes(self.gauges.bytes.load(Relaxed)),
        ));
        self.bar.tick();
    }

    /// Takes it off the screen.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
