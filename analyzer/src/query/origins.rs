//! Faults out of the ordinary: those that the kernel retried, and those of `get_user_pages`. The report mentions them.

use crate::bytes;
use crate::class::{self, ClassBits};
use crate::error::AnalyzeError;
use crate::frame::{optional_u8s, u8s};
use crate::query::classes::{self, faults};
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use crate::units::grouped;
use pf_formats::Origin;
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
}

impl Query for Origins {
    fn columns(&self) -> Vec<Column> {
        let mut columns = classes::COLUMNS.to_vec();
        columns.push(Column::Retries);
        columns
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let retries = optional_u8s(frame, Column::Retries)?.unwrap_or_default();
        let bits = u8s(frame, Column::ClassBits)?;
        // Rare, so that most blocks need a glance only.
        let of_kernel = class::taken_by_kernel(bits);
        let retried = (retries.len() as u64).saturating_sub(bytes::count(retries, 0xff, 0));
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
    /// What a report says of them; nothing when there are none.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
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
        let gup = self.gup.saturating_add(self.gup_remote);
        if gup > 0 {
            let mut said = says(
                gup,
                "was taken by the kernel for itself (get_user_pages",
                "were taken by the kernel for itself (get_user_pages",
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
        assert!(Origins::default().in_words().is_empty());
        let some = Origins {
            retried: 1_234,
            gup: 3,
            gup_remote: 2,
        };
        assert_eq!(
            some.in_words(),
            [
                "1,234 faults were retried by the kernel; each is one row",
                "5 faults were taken by the kernel for itself (get_user_pages, 2 of them on another process's memory)"
            ]
        );
    }
}
