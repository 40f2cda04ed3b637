//! Faults out of the ordinary: those that the kernel retried, those that signals interrupted, and those of
//! `get_user_pages`. The report mentions them.

use crate::engine::columns::Column;
use crate::engine::frame::{optional_u8s, u8s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::units::{duration, grouped};
use crate::stats::by_class::{self, faults};
use crate::trace::class::{Class, ClassBits};
use crate::trace::session::Session;
use pf_formats::{Origin, count_bytes};
use polars::prelude::DataFrame;

/// Counts by weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Faults with more than one attempt.
    pub retried: u64,
    /// `get_user_pages` on a task's own memory.
    pub gup: u64,
    /// `get_user_pages` on another task's memory.
    pub gup_remote: u64,
    /// Interrupted by a signal at least once, and completed by a later attempt.
    pub interrupted: u64,
    /// Those among them that the kernel counted as minor, by that attempt.
    pub interrupted_minor: u64,
    /// What they waited in all attempts.
    pub interrupted_wait_ns: u64,
}

impl Pass for Origins {
    fn columns(&self) -> Vec<Column> {
        let mut columns = by_class::COLUMNS.to_vec();
        columns.extend([Column::Retries, Column::Interruptions]);
        columns
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        self.add_interrupted(frame, session)?;
        let retries = optional_u8s(frame, Column::Retries)?.unwrap_or_default();
        let bits = u8s(frame, Column::ClassBits)?;
        // Rare, so that most blocks need a glance only.
        let of_kernel = ClassBits::taken_by_kernel(bits);
        let retried = (retries.len() as u64).saturating_sub(count_bytes(retries, 0xff, 0));
        if of_kernel == 0 && (retried == 0 || !session.sampling().is_sampled()) {
            self.retried = self.retried.saturating_add(retried);
            return Ok(());
        }
        let retries = retries.iter().copied().chain(std::iter::repeat(0));
        for ((retries, &bits), fault) in retries.zip(bits).zip(faults(frame, session)?) {
            let weight = if retries > 0 { fault.weight } else { 0 };
            self.retried = self.retried.saturating_add(weight);
            match ClassBits(bits).origin() {
                Origin::Gup => self.gup = self.gup.saturating_add(fault.weight),
                Origin::GupRemote => self.gup_remote = self.gup_remote.saturating_add(fault.weight),
                Origin::User | Origin::Kernel => {}
            }
        }
        Ok(())
    }
}

impl Origins {
    fn add_interrupted(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let interruptions = frame.column(Column::Interruptions.name())?;
        if interruptions.null_count() == frame.height() {
            return Ok(());
        }
        for (interruptions, fault) in interruptions.u8()?.iter().zip(faults(frame, session)?) {
            if interruptions.is_none() || fault.is_abandoned {
                continue;
            }
            let wait_ns = fault.latency_ns.saturating_mul(fault.weight);
            self.interrupted = self.interrupted.saturating_add(fault.weight);
            self.interrupted_wait_ns = self.interrupted_wait_ns.saturating_add(wait_ns);
            if fault.class == Class::Minor {
                self.interrupted_minor = self.interrupted_minor.saturating_add(fault.weight);
            }
        }
        Ok(())
    }

    /// What a report says of them; nothing when there are none.
    #[must_use]
    pub(crate) fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let says = |count: u64, one: &str, more: &str| match count {
            1 => format!("1 fault {one}"),
            count => format!("{} faults {more}", grouped(count)),
        };
        if self.retried > 0 {
            let said = says(
                self.retried,
                "was retried by the kernel; it is one row",
                "were retried by the kernel; each is one row",
            );
            lines.push(said);
        }
        if self.interrupted > 0 {
            let mut said = says(
                self.interrupted,
                "was interrupted by signals and tried again",
                "were interrupted by signals and tried again",
            );
            said.push_str(&format!(
                ", {} in all attempts",
                duration(self.interrupted_wait_ns)
            ));
            match self.interrupted_minor {
                0 => {}
                minor => said.push_str(&format!(
                    "; {} of them minor, since the last attempt found the page in memory",
                    grouped(minor)
                )),
            }
            lines.push(said);
        }
        let gup = self.gup.saturating_add(self.gup_remote);
        if gup > 0 {
            let mut said = says(
                gup,
                "was on behalf of the kernel (get_user_pages",
                "were on behalf of the kernel (get_user_pages",
            );
            if self.gup_remote > 0 {
                said.push_str(&format!(
                    ", {} of them on another process's memory",
                    grouped(self.gup_remote)
                ));
            }
            lines.push(said + ")");
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_what_is_not_there() {
        assert!(Origins::default().describe().is_empty());
        let some = Origins {
            retried: 1_234,
            gup: 3,
            gup_remote: 2,
            interrupted: 50,
            interrupted_minor: 49,
            interrupted_wait_ns: 1_020_000_000,
        };
        assert_eq!(
            some.describe(),
            [
                "1,234 faults were retried by the kernel; each is one row",
                "50 faults were interrupted by signals and tried again, 1.02 s in all attempts; 49 of them minor, since the \
                 last attempt found the page in memory",
                "5 faults were on behalf of the kernel (get_user_pages, 2 of them on another process's memory)"
            ]
        );
    }
}
