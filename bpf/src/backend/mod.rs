//! The backends: which programs each needs, how they are attached, and what it cannot see.
//!
//! A backend is decided on by trial load and attach, never by the kernel's version.

mod fentry;
mod kprobe;
mod perf;

use libbpf_rs::Link;

use crate::{
    BackendChoice, Config, ProbeError,
    attach::attach,
    cpus::Attachment,
    skel::{OpenPfrecSkel, PfrecSkel},
};

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

    /// Whether it tells that the page was there, and did not permit the access: bit 0 of the error code, on x86.
    pub(crate) fn tells_presence(self) -> bool {
        self == Self::Tracepoints && cfg!(target_arch = "x86_64")
    }

    /// Switches on its programs.
    fn select(self, open: &mut OpenPfrecSkel<'_>) {
        let tracepoints = self == Self::Tracepoints;
        open.progs.pf_enter_user.set_autoload(tracepoints);
        open.progs.pf_enter_kernel.set_autoload(tracepoints);
        open.progs.pf_enter_perf.set_autoload(!tracepoints);
    }

    /// Attaches those of its programs that are not on per-CPU events.
    fn attach(self, skel: &PfrecSkel<'_>) -> Result<Vec<Link>, ProbeError> {
        match self {
            Self::SoftwareEvent => Ok(Vec::new()),
            Self::Tracepoints => Ok(vec![
                attach(&skel.progs.pf_enter_user, "tp_btf/page_fault_user")?,
                attach(&skel.progs.pf_enter_kernel, "tp_btf/page_fault_kernel")?,
            ]),
        }
    }

    /// Its programs on per-CPU events.
    fn per_cpu<'a, 'obj>(self, skel: &'a PfrecSkel<'obj>) -> Option<Attachment<'a, 'obj>> {
        (self == Self::SoftwareEvent).then_some(Attachment {
            program: &skel.progs.pf_enter_perf,
            name: "pf_enter_perf",
            event: perf_event::events::Software::PAGE_FAULTS,
            event_name: "page-faults",
        })
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
    /// Whether it sees the mapping of a fault.
    fn sees_vma(&self) -> bool;
    /// Whether minor faults that nobody wants complete without telling.
    fn leaves_minors_open(&self, config: &Config) -> bool;
    /// Switches on the programs it needs, before load. With `ask_for_vma` those that find out the mapping,
    /// where the backend does not see it.
    fn select(&self, open: &mut OpenPfrecSkel<'_>, config: &Config, ask_for_vma: bool);
    /// Attaches the programs that are not on per-CPU events.
    fn attach(&self, skel: &PfrecSkel<'_>) -> Result<Vec<Link>, ProbeError>;
    /// The programs to attach to software events on every CPU.
    fn per_cpu<'a, 'obj>(&self, skel: &'a PfrecSkel<'obj>, config: &Config) -> Vec<Attachment<'a, 'obj>>;
}

const TRACEPOINTS: EntryEvent = EntryEvent::Tracepoints;
const SOFTWARE: EntryEvent = EntryEvent::SoftwareEvent;

/// All of them, best first.
static ALL: [&dyn Backend; 6] = [
    &fentry::Fentry { entry: TRACEPOINTS },
    &fentry::Fentry { entry: SOFTWARE },
    &perf::Perf { entry: TRACEPOINTS },
    &perf::Perf { entry: SOFTWARE },
    &kprobe::Kprobe { entry: TRACEPOINTS },
    &kprobe::Kprobe { entry: SOFTWARE },
];

/// Those to try for a choice, best first.
pub(crate) fn candidates(choice: BackendChoice) -> &'static [&'static dyn Backend] {
    match choice {
        BackendChoice::Auto => &ALL,
        BackendChoice::Fentry => &ALL[..2],
        BackendChoice::Perf => &ALL[2..4],
        BackendChoice::Kprobe => &ALL[4..],
    }
}
