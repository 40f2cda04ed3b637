//! Records as format 0.1 had them, for reading only.

use bincode::{Decode, Encode};

use crate::{Accounting, Host, Meta, Totals};

/// META of codec version 1: every fault was recorded.
#[derive(Encode, Decode)]
pub(crate) struct MetaV1 {
    pub(crate) recorder: String,
    pub(crate) host: Host,
    pub(crate) command: Vec<String>,
    pub(crate) options: Vec<String>,
    pub(crate) target: String,
    pub(crate) backend: String,
    pub(crate) entry: String,
    pub(crate) blind: Vec<String>,
    pub(crate) start_ns: u64,
    pub(crate) filters: Vec<String>,
}

/// Totals of codec version 1: failed faults were not counted apart.
#[derive(Encode, Decode)]
pub(crate) struct TotalsV1 {
    events: u64,
    majors: u64,
    minors: u64,
    lost: u64,
    end_ns: u64,
    pub(crate) accounting: Option<AccountingV1>,
}

/// The books of codec version 1: nothing was filtered.
#[derive(Encode, Decode)]
pub(crate) struct AccountingV1 {
    kernel_majors: u64,
    kernel_minors: u64,
    recorded: u64,
    lost: u64,
    hidden: u64,
    pub(crate) source: String,
}

impl From<MetaV1> for Meta {
    fn from(old: MetaV1) -> Self {
        Self {
            recorder: old.recorder,
            host: old.host,
            command: old.command,
            options: old.options,
            target: old.target,
            backend: old.backend,
            entry: old.entry,
            blind: old.blind,
            start_ns: old.start_ns,
            filters: old.filters,
            sample: 1,
        }
    }
}

impl From<TotalsV1> for Totals {
    fn from(old: TotalsV1) -> Self {
        Self {
            events: old.events,
            majors: old.majors,
            minors: old.minors,
            failed: 0,
            lost: old.lost,
            end_ns: old.end_ns,
            accounting: old.accounting.map(Accounting::from),
        }
    }
}

impl From<AccountingV1> for Accounting {
    fn from(old: AccountingV1) -> Self {
        Self {
            kernel_majors: old.kernel_majors,
            kernel_minors: old.kernel_minors,
            recorded: old.recorded,
            lost: old.lost,
            hidden: old.hidden,
            filtered: 0,
            source: old.source,
        }
    }
}
