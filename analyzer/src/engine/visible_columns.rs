//! Which columns of faults a recording could see.

use crate::engine::columns::Column;
use crate::trace::visibility::Sight;

impl Sight<'_> {
    /// Whether a column of faults says anything. A new one is to be thought of here.
    #[must_use]
    pub fn has(self, column: Column) -> bool {
        match column {
            Column::Retries => self.retries(),
            Column::LockNs => self.lock(),
            Column::TsNs
            | Column::LatencyNs
            | Column::Pid
            | Column::Tid
            | Column::Comm
            | Column::Cpu
            | Column::Address
            | Column::Major
            | Column::Access
            | Column::Origin
            | Column::Failed
            | Column::Ip
            | Column::Kind
            | Column::File
            | Column::FileOffset
            | Column::BlockedNs
            | Column::RunqueueNs
            | Column::ReclaimNs
            | Column::QueryId
            | Column::StackId
            | Column::Interruptions
            | Column::Signal
            | Column::Abandoned
            | Column::Cause
            | Column::PagesRead
            | Column::SleepStackId
            | Column::ReadOffset
            | Column::Weight
            | Column::ClassBits
            | Column::CauseCode
            | Column::CommId
            | Column::ObjectId
            | Column::ObjectPage => true,
        }
    }

    /// What to know of columns that a question names.
    #[must_use]
    pub(crate) fn describe_unseen(self, columns: &[Column]) -> Vec<String> {
        let backend = self.backend();
        let empty = columns.iter().filter(|column| !self.has(**column));
        let mut words: Vec<String> = empty
            .map(|column| {
                format!(
                    "{} is empty: it is not visible to the backend of this recording ({backend})",
                    column.name()
                )
            })
            .collect();
        if columns.contains(&Column::Failed) {
            words.extend(self.describe_failed());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pf_formats::Meta;

    #[test]
    fn what_is_empty_is_said_with_the_backend() {
        let perf = Meta {
            backend: "perf".to_owned(),
            blind: ["failed faults", "retries"].map(str::to_owned).to_vec(),
            ..Meta::default()
        };
        let sight = Sight::of(Some(&perf));
        let words = sight
            .describe_unseen(&[Column::TsNs, Column::LockNs, Column::Failed])
            .join("\n");
        assert!(
            words.contains("lock_ns is empty") && words.contains("(perf)"),
            "{words}"
        );
        assert!(
            words.contains("failed faults are not visible to this backend"),
            "{words}"
        );
        assert!(sight.describe_unseen(&[Column::Major]).is_empty());
    }
}
