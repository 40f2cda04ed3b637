//! The `perf` backend: an entry event, and completion by `PERF_COUNT_SW_PAGE_FAULTS_MAJ` and `_MIN`.
//! Works on every architecture, without kprobes and without trampolines on kernel functions.

use libbpf_rs::Link;
use perf_event::events::Software;

use super::{Backend, EntryEvent};
use crate::{
    Config, ProbeError,
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
            "failed faults that end without a signal",
            "retries",
            "lock waits (with --breakdown)",
        ]
    }

    fn sees_vma(&self) -> bool {
        false
    }

    fn leaves_minors_open(&self, config: &Config) -> bool {
        config.filters.major_only
    }

    fn select(&self, open: &mut OpenPfrecSkel<'_>, config: &Config, ask_for_vma: bool) {
        self.entry.select(open);
        select_completion(open, config, ask_for_vma);
    }

    fn attach(&self, skel: &PfrecSkel<'_>) -> Result<Vec<Link>, ProbeError> {
        self.entry.attach(skel)
    }

    fn per_cpu<'a, 'obj>(&self, skel: &'a PfrecSkel<'obj>, config: &Config) -> Vec<Attachment<'a, 'obj>> {
        let mut attachments = completion(skel, config);
        attachments.extend(self.entry.per_cpu(skel));
        attachments
    }
}

/// Switches on the completion programs that `config` has a use for.
pub(super) fn select_completion(open: &mut OpenPfrecSkel<'_>, config: &Config, ask_for_vma: bool) {
    let minor = !config.filters.major_only;
    open.progs.pf_done_major.set_autoload(!ask_for_vma);
    open.progs.pf_done_minor.set_autoload(!ask_for_vma && minor);
    open.progs.pf_done_major_of_file.set_autoload(ask_for_vma);
    open.progs
        .pf_done_minor_of_file
        .set_autoload(ask_for_vma && minor);
}

/// The completion programs. Minor faults that nobody wants do not even call one.
pub(super) fn completion<'a, 'obj>(skel: &'a PfrecSkel<'obj>, config: &Config) -> Vec<Attachment<'a, 'obj>> {
    let progs = &skel.progs;
    let (major, minor) = if progs.pf_done_major.autoload() {
        (&progs.pf_done_major, &progs.pf_done_minor)
    } else {
        (&progs.pf_done_major_of_file, &progs.pf_done_minor_of_file)
    };
    let mut attachments = vec![Attachment {
        program: major,
        name: "pf_done_major",
        event: Software::PAGE_FAULTS_MAJ,
        event_name: "major-faults",
    }];
    if !config.filters.major_only {
        attachments.push(Attachment {
            program: minor,
            name: "pf_done_minor",
            event: Software::PAGE_FAULTS_MIN,
            event_name: "minor-faults",
        });
    }
    attachments
}
