//! The `fentry` backend: as `perf`, with trampolines on both ends of `handle_mm_fault`. Sees everything:
//! retries, mappings, failed faults, and those of `get_user_pages`.

use libbpf_rs::Link;

use super::{
    Backend, EntryEvent,
    perf::{completion, select_completion},
};
use crate::{
    Config, ProbeError,
    attach::attach,
    cpus::Attachment,
    skel::{OpenPfrecSkel, PfrecSkel},
};

pub(super) struct Fentry {
    pub(super) entry: EntryEvent,
}

impl Backend for Fentry {
    fn name(&self) -> &'static str {
        "fentry"
    }

    fn entry(&self) -> EntryEvent {
        self.entry
    }

    fn blind(&self) -> &'static [&'static str] {
        &[]
    }

    fn sees_vma(&self) -> bool {
        true
    }

    fn leaves_minors_open(&self, config: &Config) -> bool {
        config.filters.major_only
    }

    fn select(&self, open: &mut OpenPfrecSkel<'_>, config: &Config, _: bool) {
        self.entry.select(open);
        select_completion(open, config, false);
        open.progs.pf_try_by_fentry.set_autoload(true);
        open.progs.pf_tried_by_fexit.set_autoload(true);
    }

    fn attach(&self, skel: &PfrecSkel<'_>) -> Result<Vec<Link>, ProbeError> {
        // The completion first: nothing may enter that then completes unseen.
        let mut links = vec![
            attach(&skel.progs.pf_tried_by_fexit, "fexit/handle_mm_fault")?,
            attach(&skel.progs.pf_try_by_fentry, "fentry/handle_mm_fault")?,
        ];
        links.extend(self.entry.attach(skel)?);
        Ok(links)
    }

    fn per_cpu<'a, 'obj>(&self, skel: &'a PfrecSkel<'obj>, config: &Config) -> Vec<Attachment<'a, 'obj>> {
        let mut attachments = completion(skel, config);
        attachments.extend(self.entry.per_cpu(skel));
        attachments
    }
}
