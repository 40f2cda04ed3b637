//! Decodes ring-buffer records. The layout is that of `src/bpf/pf_wire.h`, through the skeleton's
//! generated types.

use std::mem::{offset_of, size_of};

use crate::skel::types::{pf_exit, pf_fault, pf_kind, pf_task_counts};

/// What one ring-buffer record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A page fault completed.
    Fault(Fault),
    /// A recorded thread ended.
    Exit(Exit),
}

/// One logical page fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Entry, nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Entry to completed accounting, nanoseconds.
    pub latency_ns: u64,
    /// Faulting address.
    pub address: u64,
    /// Instruction that faulted.
    pub ip: u64,
    /// Process, in the root pid namespace.
    pub tgid: u32,
    /// Thread, in the root pid namespace.
    pub tid: u32,
    /// CPU on which it entered.
    pub cpu: u16,
    /// The kernel's class.
    pub major: bool,
    /// Ended in a signal.
    pub failed: bool,
    /// `enum pf_access`; 0 where the backend cannot tell.
    pub access: u8,
    /// `enum pf_origin`.
    pub origin: u8,
    /// Attempts beyond the first.
    pub retries: u8,
    /// The thread's own counters, this fault included.
    pub counts: Counts,
}

/// The end of a recorded thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Process, in the root pid namespace.
    pub tgid: u32,
    /// Thread, in the root pid namespace.
    pub tid: u32,
    /// The thread's counters at its end.
    pub counts: Counts,
}

/// A thread's counters as the kernel and the probes keep them. `majors` and `minors` wrap at 2³².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The kernel's `maj_flt`, low half.
    pub majors: u32,
    /// The kernel's `min_flt`, low half.
    pub minors: u32,
    /// Since the last record of the task: faults the probes saw and could not pass on.
    pub lost: u32,
    /// Since the last record of the task: faults the kernel counted without telling the probes.
    pub hidden: u32,
}

// The wire structs have no implicit padding, so every byte of a record is initialised by the probe.
const _: () = assert!(size_of::<pf_fault>() == 64 && offset_of!(pf_fault, counts) == 48);
const _: () = assert!(size_of::<pf_exit>() == 40 && offset_of!(pf_exit, counts) == 24);

impl Record {
    /// Decodes one record; `None` if its kind or length is not of the wire contract.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match pf_kind(u32::from(*bytes.first()?)) {
            pf_kind::PF_FAULT => read::<pf_fault>(bytes).map(|raw| Self::Fault(raw.into())),
            pf_kind::PF_EXIT => read::<pf_exit>(bytes).map(|raw| Self::Exit(raw.into())),
            _ => None,
        }
    }
}

/// Marks the generated wire structs: integers only, so that any bytes are a valid value.
trait Plain: Copy {}
impl Plain for pf_fault {}
impl Plain for pf_exit {}

fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    // The kernel rounds records up to 8 bytes, never down.
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: the length was checked, T is made of integers only, and the read is unaligned.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

impl From<pf_fault> for Fault {
    fn from(raw: pf_fault) -> Self {
        Self {
            ts_ns: raw.ts_ns,
            latency_ns: raw.latency_ns,
            address: raw.address,
            ip: raw.ip,
            tgid: raw.tgid,
            tid: raw.tid,
            cpu: raw.cpu,
            major: raw.major != 0,
            failed: raw.failed != 0,
            access: raw.access,
            origin: raw.origin,
            retries: raw.retries,
            counts: raw.counts.into(),
        }
    }
}

impl From<pf_exit> for Exit {
    fn from(raw: pf_exit) -> Self {
        Self {
            ts_ns: raw.ts_ns,
            tgid: raw.tgid,
            tid: raw.tid,
            counts: raw.counts.into(),
        }
    }
}

impl From<pf_task_counts> for Counts {
    fn from(raw: pf_task_counts) -> Self {
        Self {
            majors: raw.maj_flt,
            minors: raw.min_flt,
            lost: raw.lost,
            hidden: raw.hidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_field_by_field() {
        let mut bytes = vec![1, 1, 0, 2, 1, 3];
        bytes.extend(7u16.to_ne_bytes());
        for value in [11u64, 22, 33, 44] {
            bytes.extend(value.to_ne_bytes());
        }
        for value in [5u32, 6, 1, 2, 3, 4] {
            bytes.extend(value.to_ne_bytes());
        }
        let counts = Counts {
            majors: 1,
            minors: 2,
            lost: 3,
            hidden: 4,
        };
        let fault = Fault {
            ts_ns: 11,
            latency_ns: 22,
            address: 33,
            ip: 44,
            tgid: 5,
            tid: 6,
            cpu: 7,
            major: true,
            failed: false,
            access: 2,
            origin: 1,
            retries: 3,
            counts,
        };
        assert_eq!(Record::decode(&bytes), Some(Record::Fault(fault)));
    }

    #[test]
    fn a_short_or_unknown_record_is_refused() {
        assert_eq!(Record::decode(&[]), None);
        assert_eq!(Record::decode(&[1; 63]), None);
        assert_eq!(Record::decode(&[9; 64]), None);
    }
}
