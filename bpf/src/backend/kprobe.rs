//! The `kprobe` backend: as `perf`, with a probe on the entry of `handle_mm_fault` that sees the mapping
//! and every attempt. No return probe: its instances run out while faults sleep, and then it misses
//! just the slow ones.

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

pub(super) struct Kprobe {
    pub(super) entry: EntryEvent,
}

impl Backend for Kprobe {
    fn name(&self) -> &'static str {
        "kprobe"
    }

    fn entry(&self) -> EntryEvent {
        self.entry
    }

    fn blind(&self) -> &'static [&'static str] {
        &[
            "faults taken on behalf of get_user_pages (counted, not listed)",
            "failed faults that end without a signal",
        ]
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
        open.progs.pf_try_by_kprobe.set_autoload(true);
    }

    fn attach(&self, skel: &PfrecSkel<'_>) -> Result<Vec<Link>, ProbeError> {
        let mut links = vec![attach(&skel.progs.pf_try_by_kprobe, "kprobe/handle_mm_fault")?];
        links.extend(self.entry.attach(skel)?);
        Ok(links)
    }

    fn per_cpu<'a, 'obj>(&self, skel: &'a PfrecSkel<'obj>, config: &Config) -> Vec<Attachment<'a, 'obj>> {
        let mut attachments = completion(skel, config);
        attachments.extend(self.entry.per_cpu(skel));
        attachments
    }
}
