//! The `perf` backend: an entry event, and completion by `PERF_COUNT_SW_PAGE_FAULTS_MAJ` and `_MIN`.
//! Works on every architecture, without kprobes and without trampolines on kernel functions.

use libbpf_rs::Link;
use perf_event::events::Software;

use super::{Backend, EntryEvent};
use crate::{
    ProbeError,
    cpus::Attachment,
    skel::{OpenPfrecSkel, PfrecSkel},
};

pub(super) struct Perf {
    pub(super) entry: EntryEvent,
}

impl Backend for Perf {
    fn name(&self) -> &'static str {
        "perf"
    }

    fn entry(&self) -> EntryEvent {
        self.entry
    }

    fn blind(&self) -> &'static [&'static str] {
        &[
            "faults taken on behalf of get_user_pages (counted, not listed)",
            "failed faults",
            "retries",
        ]
    }

    fn select(&self, open: &mut OpenPfrecSkel<'_>) {
        let tracepoints = self.entry == EntryEvent::Tracepoints;
        open.progs.pf_enter_user.set_autoload(tracepoints);
        open.progs.pf_enter_kernel.set_autoload(tracepoints);
        open.progs.pf_enter_perf.set_autoload(!tracepoints);
    }

    fn attach(&self, skel: &PfrecSkel<'_>) -> Result<Vec<Link>, ProbeError> {
        if self.entry == EntryEvent::SoftwareEvent {
            return Ok(Vec::new());
        }
        let attach = |program, name| {
            let program: &libbpf_rs::ProgramMut<'_> = program;
            program.attach().map_err(|source| ProbeError::Attach {
                program: name,
                source,
            })
        };
        Ok(vec![
            attach(&skel.progs.pf_enter_user, "tp_btf/page_fault_user")?,
            attach(&skel.progs.pf_enter_kernel, "tp_btf/page_fault_kernel")?,
        ])
    }

    fn per_cpu<'a, 'obj>(&self, skel: &'a PfrecSkel<'obj>) -> Vec<Attachment<'a, 'obj>> {
        let mut attachments = vec![
            Attachment {
                program: &skel.progs.pf_done_major,
                name: "pf_done_major",
                event: Software::PAGE_FAULTS_MAJ,
                event_name: "major-faults",
            },
            Attachment {
                program: &skel.progs.pf_done_minor,
                name: "pf_done_minor",
                event: Software::PAGE_FAULTS_MIN,
                event_name: "minor-faults",
            },
        ];
        if self.entry == EntryEvent::SoftwareEvent {
            attachments.push(Attachment {
                program: &skel.progs.pf_enter_perf,
                name: "pf_enter_perf",
                event: Software::PAGE_FAULTS,
                event_name: "page-faults",
            });
        }
        attachments
    }
}
