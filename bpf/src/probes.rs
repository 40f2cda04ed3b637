//! Loading and attaching the probes, and reading the globals they share with the recorder.

use std::{
    io::Read,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd},
    ptr,
    sync::Mutex,
};

use libbpf_rs::{
    Iter, Link, MapCore, MapFlags, PrintLevel, libbpf_sys,
    skel::{OpenSkel, SkelBuilder},
};

use crate::{
    BackendChoice, ProbeError, Ring,
    backend::{Backend, candidates},
    cpus::CpuEvents,
    skel::{PfrecSkel, PfrecSkelBuilder, types},
};

/// Which tasks are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everything but the recorder.
    All,
    /// These processes, all their threads and descendants.
    Tree(Vec<u32>),
    /// These processes with all their threads, without their children.
    Pids(Vec<u32>),
}

/// How to open the probes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which tasks are recorded.
    pub target: Target,
    /// Size of the ring buffer in bytes: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Which backend to use.
    pub backend: BackendChoice,
}

/// What the probes could not pass on, since they were attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// The ring buffer was full.
    pub reserve: u64,
    /// Completion without an entry.
    pub no_entry: u64,
    /// No memory for the state of a task.
    pub state: u64,
    /// Entry without completion: failed, or restarted from user mode, or not a real fault.
    pub unfinished: u64,
    /// The end of a thread was lost to a full ring buffer.
    pub exits: u64,
    /// Runs of a probe that the kernel skipped because it was already running on that CPU.
    pub recursion: u64,
}

/// Loaded and attached probes. Dropping them detaches.
pub struct Probes {
    // Declared first, to be dropped first: the programs outlive what they are attached to.
    cpus: CpuEvents,
    _links: Vec<Link>,
    skel: PfrecSkel<'static>,
    backend: &'static dyn Backend,
}

impl Probes {
    /// Loads and attaches the first backend that the kernel takes. Nothing is recorded before
    /// [`Probes::start`].
    pub fn open(config: &Config) -> Result<Self, ProbeError> {
        let mut first_error = None;
        for backend in candidates(config.backend) {
            match Self::open_backend(config, *backend) {
                Ok(probes) => return Ok(probes),
                // The first one names the cause: the others are fallbacks.
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        Err(first_error.unwrap_or_else(|| ProbeError::Config("no backend to try".to_owned())))
    }

    pub(crate) fn open_backend(config: &Config, backend: &'static dyn Backend) -> Result<Self, ProbeError> {
        capture_libbpf_log();
        let load_error = |source| ProbeError::Load {
            source,
            log: take_libbpf_log(),
        };
        // libbpf-rs ties the object to storage of the caller's; a recording opens one object, a trial a few.
        let storage = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open = PfrecSkelBuilder::default().open(storage).map_err(load_error)?;
        open.progs.pf_try_fentry.set_autoload(false);
        open.progs.pf_try_kprobe.set_autoload(false);
        backend.select(&mut open);
        open.maps
            .pf_ring
            .set_max_entries(config.ring_bytes)
            .map_err(load_error)?;
        let (target, roots): (_, &[u32]) = match &config.target {
            Target::All => (types::pf_target::PF_TARGET_ALL, &[]),
            Target::Tree(pids) => (types::pf_target::PF_TARGET_TREE, pids),
            Target::Pids(pids) => (types::pf_target::PF_TARGET_PIDS, pids),
        };
        let rodata = open.maps.rodata_data.as_deref_mut();
        let rodata = rodata.ok_or_else(|| ProbeError::Config("the BPF object has no .rodata".to_owned()))?;
        rodata.pf_target = target.0;
        rodata.pf_self_tgid = std::process::id();
        rodata.pf_wake_bytes = u64::from(config.ring_bytes / 4);
        let skel = open.load().map_err(load_error)?;
        for pid in roots {
            skel.maps
                .pf_roots
                .update(&pid.to_ne_bytes(), &[1], MapFlags::ANY)
                .map_err(ProbeError::Roots)?;
        }

        let attach = |program: &libbpf_rs::ProgramMut<'_>, name| {
            program.attach().map_err(|source| ProbeError::Attach {
                program: name,
                source,
            })
        };
        let mut links = vec![
            attach(&skel.progs.pf_fork, "tp_btf/sched_process_fork")?,
            attach(&skel.progs.pf_exit, "tp_btf/sched_process_exit")?,
        ];
        // The fork probe is in force, so nobody slips through between the two.
        if config.target != Target::All {
            for_each_task(&skel.progs.pf_mark)?;
        }
        let mut cpus = CpuEvents::default();
        cpus.follow(&backend.per_cpu(&skel))?;
        links.extend(backend.attach(&skel)?);
        Ok(Self {
            cpus,
            _links: links,
            skel,
            backend,
        })
    }

    /// Begins to record: faults that enter from now on.
    pub fn start(&mut self) {
        self.write_global(|bss| &raw mut bss.pf_recording, 1);
    }

    /// Ends the recording: no fault that enters from now on. Those on their way still complete until
    /// the probes are dropped.
    pub fn stop(&mut self) {
        self.write_global(|bss| &raw mut bss.pf_recording, 0);
    }

    /// The consumer's end of the ring buffer. Call once.
    pub fn ring(&self) -> Result<Ring, ProbeError> {
        Ring::new(&self.skel.maps.pf_ring)
    }

    /// To be called before each drain: the probes wake the recorder at most once in between.
    pub fn expect_wake_up(&mut self) {
        self.write_global(|bss| &raw mut bss.pf_wake_pending, 0);
    }

    /// Attaches to CPUs that have come online; returns how many.
    pub fn follow_cpus(&mut self) -> Result<usize, ProbeError> {
        let attachments = self.backend.per_cpu(&self.skel);
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
            no_entry: raw.no_entry,
            state: raw.state,
            unfinished: raw.unfinished,
            exits: raw.exits,
            recursion: self.recursion_misses(),
        }
    }

    /// How many recorded faults have entered and not completed; asks the kernel to look at every task.
    pub fn in_flight(&mut self) -> Result<u64, ProbeError> {
        self.write_global(|bss| &raw mut bss.pf_in_flight, 0);
        for_each_task(&self.skel.progs.pf_count_open)?;
        Ok(self.skel.maps.bss_data.as_deref().map_or(0, |bss| {
            // SAFETY: as in `drops`.
            unsafe { ptr::read_volatile(&raw const bss.pf_in_flight) }
        }))
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

    fn write_global<T>(&mut self, field: impl FnOnce(&mut types::bss) -> *mut T, value: T) {
        if let Some(bss) = self.skel.maps.bss_data.as_deref_mut() {
            // SAFETY: `field` points into `bss`; the probes read it concurrently, hence the volatile
            // write of one aligned word.
            unsafe { ptr::write_volatile(field(bss), value) };
        }
    }

    fn recursion_misses(&self) -> u64 {
        let progs = &self.skel.progs;
        [
            &progs.pf_enter_user,
            &progs.pf_enter_kernel,
            &progs.pf_enter_perf,
            &progs.pf_done_major,
            &progs.pf_done_minor,
            &progs.pf_fork,
            &progs.pf_exit,
        ]
        .into_iter()
        .filter(|program| program.autoload())
        .map(|program| misses_of(program.as_fd().as_raw_fd()))
        .sum()
    }
}

/// Runs a task iterator once.
fn for_each_task(program: &libbpf_rs::ProgramMut<'_>) -> Result<(), ProbeError> {
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

fn misses_of(fd: i32) -> u64 {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut len = size_of::<libbpf_sys::bpf_prog_info>() as u32;
    // SAFETY: `info` is a plain struct of `len` bytes, all pointers in it are null.
    let rc = unsafe { libbpf_sys::bpf_obj_get_info_by_fd(fd, (&raw mut info).cast(), &raw mut len) };
    if rc == 0 { info.recursion_misses } else { 0 }
}

static LIBBPF_LOG: Mutex<String> = Mutex::new(String::new());

/// libbpf prints the reasons of a failure; they belong into our error, not on the user's terminal.
pub(crate) fn capture_libbpf_log() {
    take_libbpf_log();
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, message| {
        if let Ok(mut log) = LIBBPF_LOG.lock() {
            log.push_str(&message);
        }
    })));
}

pub(crate) fn take_libbpf_log() -> String {
    LIBBPF_LOG
        .lock()
        .map(|mut log| std::mem::take(&mut *log))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
