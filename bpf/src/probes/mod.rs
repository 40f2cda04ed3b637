//! Loading and attaching the probes, and reading the globals they share with the recorder.

mod settings;

use std::{
    io::Read,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd},
    ptr,
};

use libbpf_rs::{
    Iter, MapCore, MapFlags, ProgramMut, libbpf_sys,
    skel::{OpenSkel, Skel, SkelBuilder},
};

use crate::{
    Config, Drops, ProbeError, Ring, Target,
    attach::{Links, attach, attach_loaded},
    backend::{Backend, candidates},
    check::{Offset, Tallies, Tally},
    cpus::{CpuEvents, Tour, sum},
    event_counts::{EventCounts, room_for_files},
    features::Features,
    lanes::{LaneMaps, Lanes, Mapping},
    libbpf_log::{capture, load_error},
    live::{Live, LiveMaps},
    queries::{QueryProbe, Sites},
    skel::{PfrecSkel, PfrecSkelBuilder, types},
};
use settings::{LaneLayout, Settings};

/// Loaded and attached probes. Dropping them detaches.
pub struct Probes {
    // Declared first, to be dropped first: the programs outlive what they are attached to.
    cpus: CpuEvents,
    links: Links,
    skel: PfrecSkel<'static>,
    backend: &'static dyn Backend,
    config: Config,
    lanes: LaneLayout,
    /// Whether this kernel tells of additions to the page cache.
    sees_additions: bool,
    tallies: Tallies,
    /// The kernel's own counts, with how far they were from what was met when the recording began; or why there are
    /// none.
    counts: Result<(EventCounts, Offset), String>,
    not_of_tasks: Option<String>,
    minors_left: Option<u64>,
    sites: Sites,
}

/// Whose events are counted apart from the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountScope {
    /// Those of the tasks that are recorded.
    Tasks,
    /// Those of the whole machine, and all of it is recorded.
    Everything,
    /// Those of the whole machine, of which a part is recorded: whose a missed one is, the count does not tell.
    Machine,
}

/// What the programs met, against the kernel's own count of the same events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCheck {
    /// What became of the completions that were met.
    pub tally: Tally,
    /// Events that were counted and not met since the recording began; or why nobody knows.
    pub missed: Result<Offset, String>,
    /// Whose events were counted.
    pub scope: CountScope,
    /// Faults of recorded tasks of which the programs themselves know that no program met the completion.
    pub missed_seen: u64,
    /// Major faults that the tasks counted and no event told of.
    pub hidden_majors: u64,
    /// Of threads that still run, and where only major faults are asked for: minor ones since their last record.
    pub minors_left: u64,
    /// Why the events of the machine were counted where those of the tasks were asked for.
    pub not_of_tasks: Option<String>,
}

/// What the counts in the kernel leave aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveAside {
    /// Major and minor faults of the held child before it became the command: not counted.
    pub before: (u64, u64),
    /// Faults of which nobody could tell whether they were on the file asked for: not counted.
    pub unplaced: u64,
    /// Counted, or of the held child before, and no software event told of them.
    pub without_event: u64,
}

/// How many faults of our own making there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Completions that were skipped.
    pub completions: u64,
    /// Entries that were skipped.
    pub entries: u64,
    /// Records that vanished.
    pub records: u64,
    /// Thread ends that were not told.
    pub exits: u64,
    /// States of tasks that were not made.
    pub states: u64,
}

impl Probes {
    /// Loads and attaches the first backend that the kernel takes. Nothing is recorded before
    /// [`Probes::start`].
    pub fn open(config: &Config) -> Result<Self, ProbeError> {
        room_for_files();
        let mut first_error = None;
        for backend in candidates(config.backend) {
            match Self::open_backend(config, *backend, Features::of_this_kernel()) {
                Ok(probes) => return Ok(probes),
                Err(e) if e.is_file_limit() => return Err(e),
                // The first one names the cause: the others are fallbacks.
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        Err(first_error.unwrap_or_else(|| ProbeError::Config("no backend to try".to_owned())))
    }

    pub(crate) fn open_backend(
        config: &Config,
        backend: &'static dyn Backend,
        features: Features,
    ) -> Result<Self, ProbeError> {
        capture();
        // libbpf-rs ties the object to storage of the caller's; a recording opens one object, a trial a few.
        let storage = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open = PfrecSkelBuilder::default().open(storage).map_err(load_error)?;
        let settings = Settings::new(config, backend, features)?;
        settings.apply(&mut open)?;
        let mut skel = open.load().map_err(load_error)?;
        if let Target::Tree(roots) | Target::Pids(roots) = &config.target {
            for pid in roots {
                skel.maps
                    .pf_roots
                    .update(&pid.to_ne_bytes(), &[1], MapFlags::ANY)
                    .map_err(ProbeError::Roots)?;
            }
        }

        // Completions before entries before marks: what a marked task does is seen from its beginning.
        let mut links = vec![
            attach(&skel.progs.pf_fork, "tp_btf/sched_process_fork")?,
            attach(&skel.progs.pf_fork_again, "tp_btf/sched_process_fork")?,
            attach(&skel.progs.pf_exit, "tp_btf/sched_process_exit")?,
            attach(&skel.progs.pf_exit_again, "tp_btf/sched_process_exit")?,
            attach(&skel.progs.pf_exit_late, "tp_btf/sched_process_free")?,
            attach(&skel.progs.pf_exec, "tp_btf/sched_process_exec")?,
            attach(&skel.progs.pf_signal, "tp_btf/signal_deliver")?,
            attach(&skel.progs.pf_stop, "tp_btf/sched_switch")?,
        ];
        let mut cpus = CpuEvents::default();
        cpus.follow(&backend.per_cpu(&skel, config))?;
        links.extend(backend.attach(&skel)?);
        links.extend(attach_loaded(&mut skel, &settings.extras)?);
        // The fork probe is in force, so nobody slips through between the two.
        if config.target != Target::All {
            for_each_task(&skel.progs.pf_mark)?;
        }
        let lanes = settings.lanes.count as usize;
        let tallies = Tallies::new(Mapping::new(skel.maps.pf_lane_ends.as_fd(), lanes)?, lanes);
        Ok(Self {
            cpus,
            links: Links(links),
            skel,
            backend,
            config: config.clone(),
            lanes: settings.lanes,
            sees_additions: settings.sees_additions,
            tallies,
            counts: Err("the recording did not begin".to_owned()),
            not_of_tasks: None,
            minors_left: None,
            sites: Sites::default(),
        })
    }

    /// Begins to record: faults that enter from now on.
    pub fn start(&mut self) {
        let mut counts = EventCounts::open(&self.config).unwrap_or_else(|reason| {
            self.not_of_tasks = Some(reason);
            EventCounts::Machine
        });
        self.counts = self.offset(&mut counts).map(|offset| (counts, offset));
        self.write_global(|bss| &raw mut bss.pf_recording, 1);
    }

    /// Ends the recording: no fault that enters from now on, which is `now_ns` of `CLOCK_MONOTONIC`. Those on
    /// their way still complete until the probes are dropped.
    pub fn stop(&mut self, now_ns: u64) {
        self.write_global(|bss| &raw mut bss.pf_stopped_ns, now_ns);
        self.write_global(|bss| &raw mut bss.pf_recording, 0);
    }

    /// Ends the check of the counts, and detaches the programs that complete faults: what is on its way does so unseen.
    /// To be called after [`Probes::stop`].
    pub fn finish_check(&mut self) -> EventCheck {
        let counts = std::mem::replace(&mut self.counts, Err("it was ended before".to_owned()));
        let mut scope = CountScope::Tasks;
        let missed = counts.and_then(|(mut counts, start)| {
            scope = match (&counts, &self.config.target) {
                (EventCounts::Machine, Target::All) => CountScope::Everything,
                (EventCounts::Machine, _) => CountScope::Machine,
                _ => CountScope::Tasks,
            };
            Ok(self.offset(&mut counts)?.since(start))
        });
        self.cpus = CpuEvents::default();
        EventCheck {
            tally: self.tally(),
            missed,
            scope,
            missed_seen: self.missed_seen(),
            hidden_majors: self.hidden_majors(),
            minors_left: self.minors_left.unwrap_or(0),
            not_of_tasks: self.not_of_tasks.take(),
        }
    }

    /// How many events are counted more than were met.
    fn offset(&mut self, counts: &mut EventCounts) -> Result<Offset, String> {
        let met: fn(&Tally) -> u64 = match counts {
            EventCounts::Machine => Tally::runs,
            EventCounts::Cgroup(counts) if counts.holds_us => |tally| tally.met + tally.own,
            _ => |tally| tally.met,
        };
        let counted_first = matches!(counts, EventCounts::Machine);
        let mut tour = Tour::begin();
        let offset = Offset::measure(tour.cpus(), counted_first, || {
            tour.go_on();
            let before = met(&self.tally());
            let counted = match counts {
                EventCounts::Tasks(counters) => sum(counters.iter_mut()),
                EventCounts::Cgroup(counts) => counts.read(),
                EventCounts::Machine => self.cpus.completions(),
            }?;
            Ok((before, counted, met(&self.tally())))
        });
        offset.map_err(|e| format!("the counters cannot be read: {e}"))
    }

    /// What became of the completions so far.
    fn tally(&self) -> Tally {
        let Some(bss) = self.skel.maps.bss_data.as_deref() else {
            return Tally::default();
        };
        // SAFETY: as in `drops`.
        let beyond = unsafe { ptr::read_volatile(&raw const bss.pf_tally_beyond) };
        self.tallies.read(&beyond)
    }

    fn missed_seen(&self) -> u64 {
        let bss = self.skel.maps.bss_data.as_deref();
        // SAFETY: as in `drops`.
        bss.map_or(0, |bss| unsafe {
            ptr::read_volatile(&raw const bss.pf_missed) + ptr::read_volatile(&raw const bss.pf_missed_open)
        })
    }

    fn hidden_majors(&self) -> u64 {
        let bss = self.skel.maps.bss_data.as_deref();
        // SAFETY: as in `drops`.
        bss.map_or(0, |bss| unsafe {
            ptr::read_volatile(&raw const bss.pf_hidden_majors)
        })
    }

    /// What was made to go wrong so far.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.skel
            .maps
            .bss_data
            .as_deref()
            .map_or_else(Injected::default, |bss| Injected {
                completions: bss.pf_injected_completions.done,
                entries: bss.pf_injected_entries.done,
                records: bss.pf_injected_records.done,
                exits: bss.pf_injected_exits.done,
                states: bss.pf_injected_states.done,
            })
    }

    /// The consumer's end. Call once.
    pub fn ring(&self) -> Result<Ring, ProbeError> {
        let maps = &self.skel.maps;
        let of_lanes = LaneMaps {
            slots: maps.pf_lanes.as_fd(),
            more: maps.pf_lanes_more.as_fd(),
            causes: self.config.causes.then(|| maps.pf_lanes_causes.as_fd()),
            ends: maps.pf_lane_ends.as_fd(),
        };
        let lanes = Lanes::map(&of_lanes, self.lanes.count as usize, self.lanes.slots)?;
        Ring::new(&maps.pf_ring, lanes)
    }

    /// The counts in the kernel, if the configuration asks for them. Call once.
    pub fn live(&self) -> Result<Option<Live>, ProbeError> {
        let maps = &self.skel.maps;
        let maps = LiveMaps {
            slots: maps.pf_live_slots.as_fd(),
            doors: maps.pf_live_doors.as_fd(),
            ring: maps.pf_live_ring.as_fd(),
            ends: maps.pf_live_ends.as_fd(),
        };
        let counting = self.config.live;
        counting
            .map(|counting| Live::map(&maps, counting, self.lanes.count))
            .transpose()
    }

    /// What the counts in the kernel leave aside.
    #[must_use]
    pub fn live_aside(&self) -> LiveAside {
        let Some(bss) = self.skel.maps.bss_data.as_deref() else {
            return LiveAside::default();
        };
        // SAFETY: as in `drops`.
        unsafe {
            let before = ptr::read_volatile(&raw const bss.pf_live_before);
            LiveAside {
                before: (before.majors, before.minors),
                unplaced: ptr::read_volatile(&raw const bss.pf_live_unplaced),
                without_event: ptr::read_volatile(&raw const bss.pf_live_without_event),
            }
        }
    }

    /// To be called before each drain: the probes wake the recorder at most once in between.
    pub fn expect_wake_up(&mut self) {
        self.write_global(|bss| &raw mut bss.pf_wake_pending, 0);
    }

    /// Attaches to CPUs that have come online; returns how many.
    pub fn follow_cpus(&mut self) -> Result<usize, ProbeError> {
        if let Ok((counts, _)) = &mut self.counts {
            counts.follow_cpus();
        }
        let attachments = self.backend.per_cpu(&self.skel, &self.config);
        self.cpus.follow(&attachments)
    }

    /// What was dropped so far.
    pub fn drops(&self) -> Drops {
        let Some(bss) = self.skel.maps.bss_data.as_deref() else {
            return Drops::default();
        };
        // SAFETY: the reference is valid; the kernel writes concurrently, hence the volatile read.
        let raw = unsafe { ptr::read_volatile(&raw const bss.pf_drops) };
        Drops {
            reserve: raw.reserve,
            failed: raw.failed,
            no_entry: raw.no_entry,
            state: raw.state,
            state_major: raw.state_major,
            unfinished: raw.unfinished,
            atomic: raw.atomic,
            exits: raw.exits,
            stacks: raw.stacks,
            queries: raw.queries,
            texts: raw.texts,
            deep: raw.deep,
            unmatched: raw.unmatched,
            recursion: self.recursion_misses(),
        }
    }

    /// How many recorded faults have entered and not completed; asks the kernel to look at every task. To be called
    /// first at the end of the recording.
    pub fn in_flight(&mut self) -> Result<u64, ProbeError> {
        self.write_global(|bss| &raw mut bss.pf_in_flight, 0);
        self.write_global(|bss| &raw mut bss.pf_missed_open, 0);
        self.write_global(|bss| &raw mut bss.pf_minors_left, 0);
        for_each_task(&self.skel.progs.pf_count_open)?;
        if let Some(bss) = self.skel.maps.bss_data.as_deref() {
            // SAFETY: as in `drops`.
            let minors = unsafe { ptr::read_volatile(&raw const bss.pf_minors_left) };
            self.minors_left.get_or_insert(minors);
        }
        Ok(self.skel.maps.bss_data.as_deref().map_or(0, |bss| {
            // SAFETY: as in `drops`.
            unsafe { ptr::read_volatile(&raw const bss.pf_in_flight) }
        }))
    }

    /// Attaches one query probe, in all processes that run its file now or later.
    pub fn attach_query(&mut self, probe: &QueryProbe) -> Result<(), ProbeError> {
        self.links.0.extend(probe.attach(&self.skel, &mut self.sites)?);
        Ok(())
    }

    /// Makes the probes tell of the queries that are still open. To be called once, after [`Probes::stop`].
    pub fn tell_open_queries(&self) -> Result<(), ProbeError> {
        if !self.config.queries {
            return Ok(());
        }
        for_each_task(&self.skel.progs.pf_tell_open_queries)
    }

    /// Name of the backend in force.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.backend.name()
    }

    /// The entry event in force.
    #[must_use]
    pub fn entry(&self) -> crate::EntryEvent {
        self.backend.entry()
    }

    /// What the backend in force cannot see.
    #[must_use]
    pub fn blind(&self) -> &'static [&'static str] {
        self.backend.blind()
    }

    /// Of a fault's cause, where it was asked for: what is not told here.
    #[must_use]
    pub fn blind_to_causes(&self) -> Vec<&'static str> {
        if !self.config.causes {
            return Vec::new();
        }
        let mut blind = Vec::new();
        if !self.sees_additions {
            blind.push("pages that a fault reads (with --causes)");
        }
        if !self.backend.entry().tells_presence() {
            blind.push("whether the page was present (with --causes)");
        }
        if self.config.hidden_places.is_empty() {
            blind.push("waits of hidden faults (with --causes)");
        }
        blind
    }

    fn write_global<T>(&mut self, field: impl FnOnce(&mut types::bss) -> *mut T, value: T) {
        if let Some(bss) = self.skel.maps.bss_data.as_deref_mut() {
            // SAFETY: `field` points into `bss`; the probes read it concurrently, hence the volatile
            // write of one aligned word.
            unsafe { ptr::write_volatile(field(bss), value) };
        }
    }

    fn recursion_misses(&self) -> u64 {
        let programs = self.skel.object().progs();
        let loaded = programs.filter(libbpf_rs::ProgramImpl::autoload);
        loaded.map(|program| misses_of(program.as_fd().as_raw_fd())).sum()
    }
}

fn misses_of(fd: i32) -> u64 {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut len = size_of::<libbpf_sys::bpf_prog_info>() as u32;
    // SAFETY: `info` is a plain struct of `len` bytes, all pointers in it are null.
    let rc = unsafe { libbpf_sys::bpf_obj_get_info_by_fd(fd, (&raw mut info).cast(), &raw mut len) };
    if rc == 0 { info.recursion_misses } else { 0 }
}

#[cfg(test)]
mod tests;

/// Runs a task iterator once.
fn for_each_task(program: &ProgramMut<'_>) -> Result<(), ProbeError> {
    let failed = |source| ProbeError::Attach {
        program: "iter/task",
        source,
    };
    let link = program.attach().map_err(failed)?;
    let mut iter = Iter::new(&link).map_err(failed)?;
    let mut output = Vec::new();
    iter.read_to_end(&mut output).map_err(|e| failed(e.into()))?;
    Ok(())
}
