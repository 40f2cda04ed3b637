//! What this kernel takes: the trial loads behind `pfrec doctor`.

use std::mem::MaybeUninit;

use libbpf_rs::{
    OpenProgramMut,
    skel::{OpenSkel, SkelBuilder},
};

use crate::{
    BackendChoice, Config, ProbeError, Probes, Target,
    backend::candidates,
    probes::{capture_libbpf_log, take_libbpf_log},
    skel::{PfrecSkel, PfrecSkelBuilder},
};

/// One trial of a backend.
#[derive(Debug)]
pub struct Attempt {
    /// Name of the backend.
    pub backend: &'static str,
    /// Name of its entry event.
    pub entry: &'static str,
    /// What it cannot see.
    pub blind: &'static [&'static str],
    /// Whether it loaded and attached.
    pub outcome: Result<(), ProbeError>,
}

/// A way of probing kernel functions that a backend may rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// BPF trampolines on kernel functions.
    Fentry,
    /// Breakpoints on kernel functions.
    Kprobe,
}

/// Loads and attaches every backend once, in order of preference, and detaches it again.
#[must_use]
pub fn survey() -> Vec<Attempt> {
    let config = Config {
        target: Target::Pids(Vec::new()),
        ring_bytes: 1 << 20,
        backend: BackendChoice::Auto,
    };
    candidates(BackendChoice::Auto)
        .iter()
        .map(|backend| Attempt {
            backend: backend.name(),
            entry: backend.entry().name(),
            blind: backend.blind(),
            outcome: Probes::open_backend(&config, *backend).map(drop),
        })
        .collect()
}

/// Loads and attaches one empty program by `mechanism`, and detaches it again.
pub fn try_mechanism(mechanism: Mechanism) -> Result<(), ProbeError> {
    capture_libbpf_log();
    let load_error = |source| ProbeError::Load {
        source,
        log: take_libbpf_log(),
    };
    let mut storage = MaybeUninit::uninit();
    let mut open = PfrecSkelBuilder::default()
        .open(&mut storage)
        .map_err(load_error)?;
    let wanted = match mechanism {
        Mechanism::Fentry => "pf_try_fentry",
        Mechanism::Kprobe => "pf_try_kprobe",
    };
    let select = |mut program: OpenProgramMut<'_>| program.set_autoload(program.name() == wanted);
    open.open_object_mut().progs_mut().for_each(select);
    let skel: PfrecSkel<'_> = open.load().map_err(load_error)?;
    let program = match mechanism {
        Mechanism::Fentry => &skel.progs.pf_try_fentry,
        Mechanism::Kprobe => &skel.progs.pf_try_kprobe,
    };
    match program.attach() {
        Ok(_detached_again) => Ok(()),
        Err(source) => Err(ProbeError::Attach {
            program: "handle_mm_fault",
            source,
        }),
    }
}
