//! The backends: which programs each needs, how they are attached, and what it cannot see.
//!
//! A backend is decided on by trial load and attach, never by the kernel's version.

mod perf;

use libbpf_rs::Link;

use crate::{
    ProbeError,
    cpus::Attachment,
    skel::{OpenPfrecSkel, PfrecSkel},
};

/// Which backend the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The best that this kernel takes.
    #[default]
    Auto,
    /// Software events only.
    Perf,
}

/// The event that marks the entry of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryEvent {
    /// `page_fault_user` and `page_fault_kernel`: gives the access type.
    Tracepoints,
    /// `PERF_COUNT_SW_PAGE_FAULTS`: on every architecture.
    SoftwareEvent,
}

impl EntryEvent {
    /// The name used in the banner and the trace.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracepoints => "tracepoints page_fault_user, page_fault_kernel",
            Self::SoftwareEvent => "software event page-faults",
        }
    }
}

/// One way of seeing page faults. The state per task, the filters and the wire record are the same
/// for all of them.
pub(crate) trait Backend: Sync {
    /// Name for `--backend`, the banner and the trace.
    fn name(&self) -> &'static str;
    /// The entry event this one uses.
    fn entry(&self) -> EntryEvent;
    /// What it cannot see, in words.
    fn blind(&self) -> &'static [&'static str];
    /// Switches off the programs it does not need, before load.
    fn select(&self, open: &mut OpenPfrecSkel<'_>);
    /// Attaches the entry programs that are not on per-CPU events.
    fn attach(&self, skel: &PfrecSkel<'_>) -> Result<Vec<Link>, ProbeError>;
    /// The programs to attach to software events on every CPU.
    fn per_cpu<'a, 'obj>(&self, skel: &'a PfrecSkel<'obj>) -> Vec<Attachment<'a, 'obj>>;
}

/// Those to try for a choice, best first.
pub(crate) fn candidates(choice: BackendChoice) -> &'static [&'static dyn Backend] {
    match choice {
        BackendChoice::Auto | BackendChoice::Perf => &[
            &perf::Perf {
                entry: EntryEvent::Tracepoints,
            },
            &perf::Perf {
                entry: EntryEvent::SoftwareEvent,
            },
        ],
    }
}
