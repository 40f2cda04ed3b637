//! Turns a [`Config`] into what is set before load: which programs, which maps, and the constants of the
//! programs.

use crate::{
    Config, MAX_HIDDEN_PLACES, MAX_RANGES, ProbeError, Target,
    backend::Backend,
    cpus::online_cpus,
    features::{Features, cgroup_subsystem, has_tracepoint, kernel_types},
    libbpf_log::load_error,
    queries::SITES,
    skel::{OpenPfrecSkel, types},
};
use libbpf_rs::skel::OpenSkel;

/// The ring for what is rare, bytes.
const RING_BYTES: u32 = 1 << 20;

/// The same where queries are told, of which there may be a million a second.
const RING_BYTES_WITH_QUERIES: u32 = 8 << 20;

/// What `mm_filemap_add_to_page_cache` calls.
const ADDITIONS: &str = "pf_page_added";

/// Entries of `pf_stack_scratch`: `enum pf_scratch`.
const SCRATCHES: u32 = 3;

/// System calls that look at memory of the program and may sleep for it in a way that a signal ends: those of which other
/// sleeps are few.
const HIDDEN_CALLS: [libc::c_long; 13] = [
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mlockall,
    libc::SYS_madvise,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_vmsplice,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_enter,
];

/// `PF_CGROUP_V2`.
const CGROUP_V2: u32 = u32::MAX;

/// The lanes in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneLayout {
    /// One for each CPU up to the highest that was online at the start.
    pub(super) count: u32,
    /// Records in each.
    pub(super) slots: u32,
}

impl LaneLayout {
    fn new(config: &Config) -> Result<Self, ProbeError> {
        let highest = online_cpus()?.last().copied().unwrap_or(0);
        Ok(Self {
            count: u32::try_from(highest + 1).unwrap_or(1),
            // Room for both halves of each: a power of two.
            slots: config.buffer_bytes / (size_of::<types::pf_fault>() + size_of::<types::pf_more>()) as u32,
        })
    }
}

/// Everything that is decided before load.
pub(super) struct Settings<'a> {
    config: &'a Config,
    backend: &'static dyn Backend,
    features: Features,
    pub(super) lanes: LaneLayout,
    /// Programs that no backend attaches, and that are wanted all the same.
    pub(super) extras: Vec<&'static str>,
    /// With causes: whether this kernel tells of additions to the page cache.
    pub(super) sees_additions: bool,
    cgroup_subsystem: u32,
}

impl<'a> Settings<'a> {
    pub(super) fn new(
        config: &'a Config,
        backend: &'static dyn Backend,
        features: Features,
    ) -> Result<Self, ProbeError> {
        let mut extras = Vec::new();
        let mut sees_additions = false;
        if asks_for_vma(config, backend, features) {
            extras.push("pf_mmap_lock");
        }
        if config.queries {
            if !(features.task_storage && features.attach_cookie) {
                return Err(ProbeError::Config(
                    "--query needs Linux 5.15 or later (task storage and attach cookies)".to_owned(),
                ));
            }
            extras.extend(["pf_query_exec", "pf_query_exit"]);
        }
        if config.breakdown {
            extras.extend(["pf_switch", "pf_wakeup"]);
            let types = kernel_types()?;
            sees_additions = config.causes && has_tracepoint(&types, "mm_filemap_add_to_page_cache");
            extras.extend(sees_additions.then_some(ADDITIONS));
            // A kernel without cgroups for memory has no such reclaim either.
            for (tracepoint, programs) in [
                (
                    "mm_vmscan_direct_reclaim_begin",
                    ["pf_reclaim_begin", "pf_reclaim_end"],
                ),
                (
                    "mm_vmscan_memcg_reclaim_begin",
                    ["pf_memcg_begin", "pf_memcg_end"],
                ),
            ] {
                if has_tracepoint(&types, tracepoint) {
                    extras.extend(programs);
                }
            }
        }
        let cgroup_subsystem = match &config.target {
            Target::Cgroup(cgroup) => cgroup.controller.as_deref().map(cgroup_subsystem).transpose()?,
            _ => None,
        };
        Ok(Self {
            config,
            backend,
            features,
            lanes: LaneLayout::new(config)?,
            extras,
            sees_additions,
            cgroup_subsystem: cgroup_subsystem.unwrap_or(CGROUP_V2),
        })
    }

    pub(super) fn apply(&self, open: &mut OpenPfrecSkel<'_>) -> Result<(), ProbeError> {
        self.select_programs(open);
        self.size_maps(open).map_err(load_error)?;
        let rodata = open.maps.rodata_data.as_deref_mut();
        let rodata = rodata.ok_or_else(|| ProbeError::Config("the BPF object has no .rodata".to_owned()))?;
        self.set_constants(rodata)?;
        self.set_filters(rodata)
    }

    fn select_programs(&self, open: &mut OpenPfrecSkel<'_>) {
        for mut program in open.open_object_mut().progs_mut() {
            let wanted = self.extras.iter().any(|name| program.name() == *name);
            program.set_autoload(wanted);
        }
        open.progs.pf_fork.set_autoload(true);
        open.progs.pf_fork_again.set_autoload(true);
        open.progs.pf_exit.set_autoload(true);
        open.progs.pf_exit_again.set_autoload(true);
        open.progs.pf_exit_late.set_autoload(true);
        open.progs.pf_exec.set_autoload(true);
        open.progs.pf_signal.set_autoload(true);
        open.progs.pf_stop.set_autoload(true);
        open.progs.pf_mark.set_autoload(true);
        open.progs.pf_count_open.set_autoload(true);
        if self.config.queries {
            let progs = &mut open.progs;
            progs.pf_query_begin.set_autoload(true);
            progs.pf_query_end.set_autoload(true);
            progs.pf_call_begin.set_autoload(true);
            progs.pf_call_end.set_autoload(true);
            progs.pf_tell_open_queries.set_autoload(true);
        }
        self.backend.select(open, self.config, self.asks_for_vma());
    }

    pub(super) fn asks_for_vma(&self) -> bool {
        asks_for_vma(self.config, self.backend, self.features)
    }

    fn size_maps(&self, open: &mut OpenPfrecSkel<'_>) -> libbpf_rs::Result<()> {
        let maps = &mut open.maps;
        maps.pf_tasks.set_autocreate(self.features.task_storage)?;
        maps.pf_tasks_by_tid.set_autocreate(!self.features.task_storage)?;
        maps.pf_query_stacks.set_autocreate(self.config.queries)?;
        if self.config.queries {
            maps.pf_sites.set_max_entries(SITES)?;
        }
        maps.pf_ring.set_max_entries(self.ring_bytes())?;
        let slots = self.lanes.count * self.lanes.slots;
        maps.pf_lanes.set_max_entries(slots)?;
        maps.pf_lanes_more.set_max_entries(slots)?;
        maps.pf_lane_ends.set_max_entries(self.lanes.count)?;
        if let Some(live) = self.config.live {
            maps.pf_live_slots
                .set_max_entries(live.threads.max(1) + self.lanes.count)?;
            maps.pf_live_doors.set_max_entries(live.threads.max(1))?;
            maps.pf_live_ring.set_max_entries(live.ring_slots())?;
        }
        if self.config.causes {
            maps.pf_lanes_causes.set_max_entries(slots)?;
            maps.pf_stack_scratch.set_max_entries(SCRATCHES)?;
        }
        if !(self.config.stacks || self.config.causes) {
            maps.pf_stacks_sent.set_max_entries(1)?;
        }
        Ok(())
    }

    fn ring_bytes(&self) -> u32 {
        if self.config.queries {
            RING_BYTES_WITH_QUERIES
        } else {
            RING_BYTES
        }
    }

    fn set_constants(&self, rodata: &mut types::rodata) -> Result<(), ProbeError> {
        let target = match &self.config.target {
            Target::All => types::pf_target::PF_TARGET_ALL,
            Target::Tree(_) => types::pf_target::PF_TARGET_TREE,
            Target::Pids(_) => types::pf_target::PF_TARGET_PIDS,
            Target::Cgroup(cgroup) => {
                rodata.pf_cgroup_id = cgroup.id;
                types::pf_target::PF_TARGET_CGROUP
            }
        };
        rodata.pf_target = target.0;
        rodata.pf_cgroup_subsys = self.cgroup_subsystem;
        rodata.pf_self_tgid = std::process::id();
        rodata.pf_held = self.config.held.unwrap_or(0);
        rodata.pf_skip_completions = self.config.faults.completions;
        rodata.pf_skip_entries = self.config.faults.entries;
        rodata.pf_lose_records = self.config.faults.records;
        rodata.pf_lose_exits = self.config.faults.exits;
        rodata.pf_refuse_states = self.config.faults.states;
        rodata.pf_task_storage = self.features.task_storage.into();
        rodata.pf_task_pt_regs = self.features.task_pt_regs.into();
        rodata.pf_lane_count = self.lanes.count;
        rodata.pf_lane_slots = self.lanes.slots;
        rodata.pf_ring_wake_bytes = u64::from(self.ring_bytes() / 4);
        if let Some(live) = self.config.live {
            rodata.pf_live = 1;
            rodata.pf_unrecorded = live.alone.into();
            rodata.pf_live_room = live.threads.max(1);
            rodata.pf_live_cpus = self.lanes.count;
            rodata.pf_live_ring_slots = live.ring_slots();
        }
        rodata.pf_page_shift = page_shift()?;
        rodata.pf_want_vma = self.backend.sees_vma().into();
        rodata.pf_minor_unseen = self.backend.leaves_minors_open(self.config).into();
        rodata.pf_stacks = self.config.stacks.into();
        rodata.pf_breakdown = self.config.breakdown.into();
        rodata.pf_causes = (self.config.breakdown && self.config.causes).into();
        rodata.pf_additions = self.sees_additions.into();
        self.set_hidden_places(rodata);
        rodata.pf_queries = self.config.queries.into();
        Ok(())
    }

    fn set_hidden_places(&self, rodata: &mut types::rodata) {
        if rodata.pf_causes == 0 {
            return;
        }
        let places = self.config.hidden_places.iter().take(MAX_HIDDEN_PLACES);
        for (place, range) in rodata.pf_hidden_places.iter_mut().zip(places) {
            place.start = range.start;
            place.end = range.end;
            rodata.pf_hidden_places_used += 1;
        }
        for call in HIDDEN_CALLS {
            if let Ok(call) = usize::try_from(call)
                && let Some(word) = rodata.pf_hidden_calls.get_mut(call / 64)
            {
                *word |= 1 << (call % 64);
            }
        }
    }

    fn set_filters(&self, rodata: &mut types::rodata) -> Result<(), ProbeError> {
        let filters = &self.config.filters;
        rodata.pf_major_only = filters.major_only.into();
        rodata.pf_min_latency_ns = filters.min_latency_ns;
        rodata.pf_sample = filters.sample.max(1);
        rodata.pf_find_vma = self.asks_for_vma().into();
        if let Some(file) = filters.file
            && (self.backend.sees_vma() || self.asks_for_vma())
        {
            rodata.pf_by_file = 1;
            rodata.pf_file_inode = file.inode;
            rodata.pf_file_dev = file.device.0 << 20 | file.device.1;
        }
        if let Some(uid) = filters.uid {
            rodata.pf_uid = uid;
        }
        if let Some(comm) = &filters.comm {
            rodata.pf_by_comm = 1;
            rodata.pf_comm_step = *comm.step;
            rodata.pf_comm_stay = comm.stay;
            rodata.pf_comm_start = comm.start;
            rodata.pf_comm_accept = comm.accept;
        }
        if filters.ranges.len() > MAX_RANGES {
            return Err(ProbeError::Config(format!(
                "at most {MAX_RANGES} address ranges, not {}",
                filters.ranges.len()
            )));
        }
        rodata.pf_ranges_used = filters.ranges.len() as u32;
        for (place, range) in rodata.pf_ranges.iter_mut().zip(&filters.ranges) {
            place.start = range.start;
            place.end = range.end;
        }
        Ok(())
    }
}

/// Whether the probes have to find out for themselves which mapping a fault is in.
fn asks_for_vma(config: &Config, backend: &dyn Backend, features: Features) -> bool {
    config.filters.file.is_some() && !backend.sees_vma() && features.find_vma
}

fn page_shift() -> Result<u32, ProbeError> {
    // SAFETY: asks for a number.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u32::try_from(bytes)
        .ok()
        .and_then(u32::checked_ilog2)
        .ok_or_else(|| ProbeError::Config("the size of a page is unknown".to_owned()))
}
