//! The classes of faults, and the byte in which a trace stores class, access and origin of a row: no other place knows its
//! bits.

use crate::byte_count;
use crate::records::event::{Access, Event, Origin};

/// How a fault ended: a failed one is neither major nor minor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultClass {
    /// The kernel counted it in `maj_flt`.
    Major,
    /// The kernel counted it in `min_flt`.
    #[default]
    Minor,
    /// Did not complete: it ended in SIGSEGV, SIGBUS or out of memory, or was abandoned. The kernel counted it in neither.
    Failed,
}

impl FaultClass {
    /// All classes, in the order in which tables show them.
    pub const ALL: [Self; 3] = [Self::Major, Self::Minor, Self::Failed];

    /// The name used in tables and exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Failed => "failed",
        }
    }
}

const MAJOR: u8 = 1;
const FAILED: u8 = 1 << 1;
const ACCESS_SHIFT: u32 = 2;
const ORIGIN_SHIFT: u32 = 4;
/// Access and origin have two bits each.
const TWO_BITS: u8 = 3;
const ABANDONED: u8 = 1 << 6;
/// The origins of the kernel's own doing, `gup` and `gup_remote`, have this bit in common.
const BY_KERNEL: u8 = 1 << (ORIGIN_SHIFT + 1);

/// Class, access and origin of one row, as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassBits(pub u8);

impl ClassBits {
    /// Of an event.
    #[inline]
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let access = event.access.map_or(0, |access| access as u8);
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let flags = flag(event.major, MAJOR) | flag(event.failed, FAILED);
        let flags = flags | flag(event.abandoned, ABANDONED);
        Self(flags | access << ACCESS_SHIFT | (event.origin as u8) << ORIGIN_SHIFT)
    }

    /// A failed fault is neither major nor minor, whatever I/O it had done before.
    #[inline]
    #[must_use]
    pub fn class(self) -> FaultClass {
        match (self.is_failed(), self.has_major_flag()) {
            (true, _) => FaultClass::Failed,
            (false, true) => FaultClass::Major,
            (false, false) => FaultClass::Minor,
        }
    }

    /// Whether it needed I/O, as the kernel says; also of a failed one.
    #[inline]
    #[must_use]
    pub(crate) fn has_major_flag(self) -> bool {
        self.0 & MAJOR != 0
    }

    /// Whether the kernel counted it as major.
    #[inline]
    #[must_use]
    pub fn is_major(self) -> bool {
        self.class() == FaultClass::Major
    }

    /// Whether it did not complete.
    #[inline]
    #[must_use]
    pub fn is_failed(self) -> bool {
        self.0 & FAILED != 0
    }

    /// Whether it was interrupted, and no later attempt completed it.
    #[inline]
    #[must_use]
    pub fn is_abandoned(self) -> bool {
        self.0 & ABANDONED != 0
    }

    /// What was tried; `None` where the backend cannot tell.
    #[inline]
    #[must_use]
    pub fn access(self) -> Option<Access> {
        Access::from_code(self.0 >> ACCESS_SHIFT & TWO_BITS)
    }

    /// Who faulted.
    #[inline]
    #[must_use]
    pub fn origin(self) -> Origin {
        Origin::from_code(self.0 >> ORIGIN_SHIFT & TWO_BITS)
    }

    /// How many rows of a column are faults of which a software event tells: completed, and outside of `get_user_pages`.
    #[must_use]
    pub(crate) fn told_by_events(column: &[u8]) -> u64 {
        byte_count::count(column, FAILED | BY_KERNEL, 0)
    }

    /// How many rows of each class a column has, in the order of [`FaultClass::ALL`].
    #[must_use]
    pub fn counts(column: &[u8]) -> [u64; 3] {
        let majors = byte_count::count(column, MAJOR | FAILED, MAJOR);
        let failed = byte_count::count(column, FAILED, FAILED);
        let rest = (column.len() as u64)
            .saturating_sub(majors)
            .saturating_sub(failed);
        [majors, rest, failed]
    }

    /// How many rows a column has that the kernel faulted in for itself (`gup`, `gup_remote`).
    #[must_use]
    pub fn taken_by_kernel(column: &[u8]) -> u64 {
        byte_count::count(column, BY_KERNEL, BY_KERNEL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fault_is_neither_major_nor_minor() {
        assert_eq!(
            [0, 1, 2, 3].map(|bits| ClassBits(bits).class()),
            [
                FaultClass::Minor,
                FaultClass::Major,
                FaultClass::Failed,
                FaultClass::Failed
            ]
        );
        assert!(!ClassBits(3).is_major());
    }

    #[test]
    fn rows_are_counted_by_class() {
        assert_eq!(ClassBits::counts(&[0, 1, 2, 3, 0b11_01_00, 0b01, 0]), [2, 3, 2]);
        let of_kernel = |bits: &u8| matches!(ClassBits(*bits).origin(), Origin::Gup | Origin::GupRemote);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(
            ClassBits::taken_by_kernel(&all),
            all.iter().filter(|bits| of_kernel(bits)).count() as u64
        );
    }

    #[test]
    fn access_and_origin_do_not_disturb_the_class() {
        let bits = ClassBits(0b11_10_01);
        assert_eq!(bits.class(), FaultClass::Major);
        assert_eq!(
            (bits.access(), bits.origin()),
            (Some(Access::Write), Origin::GupRemote)
        );
        assert_eq!(ClassBits(0).access(), None);
    }

    #[test]
    fn what_is_stored_is_what_is_read() {
        for (major, failed, abandoned) in [(true, false, false), (false, true, true), (true, true, false)] {
            let event = Event {
                major,
                failed,
                abandoned,
                access: Some(Access::Exec),
                origin: Origin::Kernel,
                ..Event::default()
            };
            let bits = ClassBits::of(&event);
            assert_eq!(bits.has_major_flag(), major);
            assert_eq!((bits.is_failed(), bits.is_abandoned()), (failed, abandoned));
            assert_eq!((bits.access(), bits.origin()), (event.access, event.origin));
        }
    }
}
