//! What this kernel takes: the trial loads behind `pfrec doctor`.

use crate::{
    BackendChoice, Config, ProbeError, Probes, QueryProbe, Target, backend::candidates, features::Features,
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

/// Loads and attaches every backend once, in order of preference, and detaches it again.
#[must_use]
pub fn survey() -> Vec<Attempt> {
    let config = Config::new(Target::Pids(Vec::new()));
    let features = Features::of_this_kernel();
    candidates(BackendChoice::Auto)
        .iter()
        .map(|backend| Attempt {
            backend: backend.name(),
            entry: backend.entry().name(),
            blind: backend.blind(),
            outcome: Probes::open_backend(&config, *backend, features).map(drop),
        })
        .collect()
}

/// Loads and attaches what queries need, once, and detaches it again.
pub fn try_query(probe: &QueryProbe) -> Result<(), ProbeError> {
    let mut config = Config::new(Target::Pids(Vec::new()));
    config.queries = true;
    Probes::open(&config)?.attach_query(probe)
}
