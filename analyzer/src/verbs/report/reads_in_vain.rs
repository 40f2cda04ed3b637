//! The finding that read-ahead brings in what no fault uses.

use crate::output::text::escape;
use crate::output::units::{bytes, percent, quantity};
use crate::verbs::causes::pass::ReadFacts;

/// What the kernel maps around a fault on a file, if it is in memory.
const MAPPED_AROUND_BYTES: u64 = 64 << 10;

/// Less is not worth a sentence.
const MUCH_READ_BYTES: u64 = 16 << 20;

/// Pages that were brought into the page cache, and that no fault can have used: each maps its own page, and those around
/// it that are in memory.
///
/// Gives the time waited for reads of that file, and the words; `command` shows more.
pub(super) fn of(reads: &[ReadFacts], page_size: u64, command: &str) -> Option<(u64, String)> {
    let mapped = (MAPPED_AROUND_BYTES / page_size.max(1)).max(1);
    let unused = |of: &ReadFacts| of.pages_read.saturating_sub(of.faults.saturating_mul(mapped));
    let file = reads.iter().max_by_key(|of| unused(of))?;
    let (unused, read_bytes) = (unused(file), file.pages_read.saturating_mul(page_size));
    if read_bytes < MUCH_READ_BYTES || unused.saturating_mul(2) < file.pages_read {
        return None;
    }
    let words = format!(
        "read-ahead in vain: of the {} that {} in {} brought into the page cache no fault used at least {}, as each maps up to {}; \
         MADV_RANDOM turns read-ahead off: {command}",
        bytes(read_bytes),
        quantity(file.faults, "fault"),
        escape(&file.label),
        percent(u128::from(unused), u128::from(file.pages_read)),
        quantity(mapped, "page"),
    );
    Some((file.wait_ns, words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What is said of so many faults that brought in so many pages.
    fn said(faults: u64, pages_read: u64) -> Option<String> {
        let reads = [ReadFacts {
            label: "/data/x\x1b".to_owned(),
            faults,
            pages_read,
            wait_ns: 5,
        }];
        let (wait_ns, words) = of(&reads, 4096, "pfanalyze files")?;
        assert_eq!(wait_ns, 5);
        Some(words)
    }

    #[test]
    fn what_faults_can_have_used_is_not_said_to_be_in_vain() {
        let words = said(1_000, 64_000).unwrap();
        assert!(
            words.starts_with(
                "read-ahead in vain: of the 250.0 MiB that 1,000 faults in /data/x\\x1b brought into the page cache no fault \
                 used at least 75.0 %, as each maps up to 16 pages; "
            ),
            "{words}"
        );
        // Read to its end, sixteen pages for a fault.
        assert_eq!(said(1_000, 16_000), None);
        assert_eq!(said(1_000, 31_000), None);
        // A page each, and little.
        assert_eq!(said(64_000, 64_000), None);
        assert_eq!(said(1, 4_000), None);
        assert_eq!(said(0, 0), None);
        assert!(said(u64::MAX, u64::MAX).is_none());
    }
}
