//! The classes of faults, and the packed byte in which a trace stores class, access and origin of a row: what the analyzer
//! knows of its bits, which `pf_formats::Columns` names.

use crate::trace::byte_count;
use pf_formats::{Access, FaultClass, Origin};

/// How a fault ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The kernel counted it in `maj_flt`.
    Major,
    /// The kernel counted it in `min_flt`.
    #[default]
    Minor,
    /// Did not complete: it ended in SIGSEGV, SIGBUS or out of memory, or was abandoned. The kernel counted it in neither.
    Failed,
}

impl Class {
    /// All classes, in the order in which tables show them.
    pub const ALL: [Self; 3] = [Self::Major, Self::Minor, Self::Failed];

    /// The name in tables and exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Failed => "failed",
        }
    }
}

impl From<Class> for FaultClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Major => Self::Major,
            Class::Minor => Self::Minor,
            Class::Failed => Self::Failed,
        }
    }
}

/// Class, access and origin of one row, as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassBits(pub u8);

impl ClassBits {
    /// A failed fault is neither major nor minor, whatever I/O it had done before.
    #[must_use]
    pub fn class(self) -> Class {
        match (self.is_failed(), self.0 & 1 != 0) {
            (true, _) => Class::Failed,
            (false, true) => Class::Major,
            (false, false) => Class::Minor,
        }
    }

    /// Whether the kernel counted it as major.
    #[must_use]
    pub fn is_major(self) -> bool {
        self.class() == Class::Major
    }

    /// Whether it did not complete.
    #[must_use]
    pub fn is_failed(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether it was interrupted, and no later attempt completed it.
    #[must_use]
    pub fn is_abandoned(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// What was tried; `None` where the backend cannot tell.
    #[must_use]
    pub fn access(self) -> Option<Access> {
        Access::from_code(self.0 >> 2 & 3)
    }

    /// Who faulted.
    #[must_use]
    pub fn origin(self) -> Origin {
        Origin::from_code(self.0 >> 4 & 3)
    }
}

/// How many rows of each class a column has, in the order of [`Class::ALL`].
#[must_use]
pub fn counts(bits: &[u8]) -> [u64; 3] {
    let majors = byte_count::count(bits, 3, 1);
    let failed = byte_count::count(bits, 2, 2);
    let rest = (bits.len() as u64).saturating_sub(majors).saturating_sub(failed);
    [majors, rest, failed]
}

/// How many rows a column has that the kernel faulted in for itself (`gup`, `gup_remote`).
#[must_use]
pub fn taken_by_kernel(bits: &[u8]) -> u64 {
    byte_count::count(bits, 0x20, 0x20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fault_is_neither_major_nor_minor() {
        assert_eq!(
            [0, 1, 2, 3].map(|bits| ClassBits(bits).class()),
            [Class::Minor, Class::Major, Class::Failed, Class::Failed]
        );
        assert!(!ClassBits(3).is_major());
    }

    #[test]
    fn rows_are_counted_by_class() {
        assert_eq!(counts(&[0, 1, 2, 3, 0b11_01_00, 0b01, 0]), [2, 3, 2]);
        let of_kernel = |bits: &u8| matches!(ClassBits(*bits).origin(), Origin::Gup | Origin::GupRemote);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(
            taken_by_kernel(&all),
            all.iter().filter(|bits| of_kernel(bits)).count() as u64
        );
    }

    #[test]
    fn access_and_origin_do_not_disturb_the_class() {
        let bits = ClassBits(0b11_10_01);
        assert_eq!(bits.class(), Class::Major);
        assert_eq!(
            (bits.access(), bits.origin()),
            (Some(Access::Write), Origin::GupRemote)
        );
        assert_eq!(ClassBits(0).access(), None);
    }
}
