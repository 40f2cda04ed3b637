//! From what was asked for to what the probes and the session are told: which tasks, which of their faults.

pub mod cgroup;
pub mod family;
pub mod identity;
pub mod launch;
pub mod own_terminal;

use std::{collections::HashSet, fs::File, path::Path};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs};
use nix::unistd::{Uid, User};
use pf_bpf::{CommTables, Config, Filters, InjectedFaults, LiveCounting, MAX_RANGES, MappedFile, Target};
use pf_notation::{address, automaton::Automaton, duration::exact_duration, names::Names};

use crate::{
    cli::{Filter, Options, Scope},
    files::mapped,
    files::open::{self, Pinned},
    queries::{self, Candidate, Patience, QuerySpec},
    session::{FileIdentity, Members, Only, proc},
    stacks::kernel,
    target::identity::Identity,
    target::launch::Held,
};

/// The kernel memory that the lanes of all CPUs share by default, and the bounds for each.
const ALL_LANES: u32 = 128 << 20;
const LEAST_LANE: u32 = 1 << 20;
const LARGEST_LANE: u32 = 16 << 20;

/// A lane that nothing is written to still has a page.
const UNUSED_LANE: u32 = 4096;

/// What is recorded.
pub struct Resolved {
    /// For the probes.
    pub config: Config,
    /// For the session.
    pub members: Members,
    /// The one file that is asked for.
    pub only: Option<Only>,
    /// The probes of queries.
    pub queries: queries::Resolved,
}

/// Turns options into settings. `held` is the child that becomes COMMAND.
pub fn resolve(options: &Options, held: Option<&Held>, invoker: &Identity) -> Result<Resolved> {
    let (target, members) = scope(&options.scope, held)?;
    let patience = Patience::new();
    let may_read = |file: &Pinned| invoker.as_file_owner(|| file.open().is_ok());
    let queries = match options.output {
        Some(_) => queries::resolve(&options.queries, &files(options, patience), &may_read, patience)?,
        None => queries::Resolved::default(),
    };
    let live = live(options);
    let config = Config {
        target,
        filters: filters(&options.filter)?,
        buffer_bytes: match live {
            Some(LiveCounting { alone: true, .. }) => UNUSED_LANE,
            _ => options.buffer_bytes.unwrap_or_else(default_lane),
        },
        backend: options.backend,
        stacks: options.stacks,
        breakdown: options.breakdown,
        causes: options.causes,
        hidden_places: if options.causes {
            kernel::places_of(&HIDDEN)
        } else {
            Vec::new()
        },
        queries: !queries.is_empty(),
        live,
        held: held.map(Held::pid),
        strict: options.strict,
        faults: injected_faults()?,
    };
    Ok(Resolved {
        config,
        members,
        only: options.filter.file.as_deref().map(only).transpose()?,
        queries,
    })
}

/// Functions of the kernel by which it touches memory of a program as a fault would, and without one that is told.
const HIDDEN: [&str; 2] = ["__get_user_pages", "fixup_user_fault"];

/// What is counted in the kernel.
fn live(options: &Options) -> Option<LiveCounting> {
    options.watch.interval.map(|_| LiveCounting {
        threads: options.watch.threads,
        alone: !options.makes_records(),
    })
}

/// For tests: the environment says what is to go wrong, as `completions=7,exits=1`, to see that the check of the counts
/// finds it.
const INJECT: &str = "PFREC_TEST_INJECT";

fn injected_faults() -> Result<InjectedFaults> {
    let mut faults = InjectedFaults::default();
    let Ok(text) = std::env::var(INJECT) else {
        return Ok(faults);
    };
    for part in text.split(',') {
        let wrong = || format!("{INJECT}: {part:?} is not NAME=EVERY");
        let (name, every) = part.split_once('=').with_context(wrong)?;
        let every = every.parse().with_context(wrong)?;
        match name {
            "completions" => faults.completions = every,
            "entries" => faults.entries = every,
            "records" => faults.records = every,
            "exits" => faults.exits = every,
            "states" => faults.states = every,
            _ => bail!("{}", wrong()),
        }
    }
    Ok(faults)
}

/// Checks what can be checked before a command is forked.
pub fn check(options: &Options) -> Result<()> {
    let filters = filters(&options.filter)?;
    if let (Some(path), None, Some(_)) = (&options.filter.file, filters.file, options.watch.interval) {
        bail!(
            "--file {}: on this file system (overlayfs) the probes cannot tell its faults from others: name the file in the \
             layer underneath (findmnt -T {0} shows the layers), or record (-o FILE, without -i)",
            path.display()
        );
    }
    // Only a file that is named may be wrong.
    queries::resolve(&options.queries, &[], &|_| false, Patience::new())?;
    if let Scope::Cgroup(path) = &options.scope {
        cgroup::find(path)?;
    }
    Ok(())
}

/// What the target runs already, or is about to run.
fn files(options: &Options, patience: Patience) -> Vec<Candidate> {
    if let Some(program) = options.command.as_ref().and_then(|command| command.first()) {
        // A command that cannot be found is complained of when it is started.
        let found = launch::find(program).ok().and_then(|shown| {
            let file = Pinned::by_path(&shown).ok()?;
            Some(Candidate { file, shown })
        });
        return found.into_iter().collect();
    }
    match &options.scope {
        Scope::Pids { pids, .. } => queries::files_of(patience, pids.iter().copied()),
        // Reading all mappings of a machine takes its time, so only when somebody asks.
        _ if options.queries.iter().any(QuerySpec::is_anywhere) => {
            queries::files_of(patience, proc::parents().into_iter().map(|(pid, _)| pid))
        }
        _ => Vec::new(),
    }
}

/// The filters in words, for the trace.
#[must_use]
pub fn words(filter: &Filter) -> Vec<String> {
    let mut words = Vec::new();
    if filter.major_only {
        words.push("major faults only".to_owned());
    }
    if let Some(latency) = filter.min_latency {
        words.push(format!(
            "latency of at least {}",
            exact_duration(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX))
        ));
    }
    if filter.sample > 1 {
        words.push(format!("one minor fault in {}, by chance", filter.sample));
    }
    if !filter.comm.is_empty() {
        let names: Vec<&str> = filter.comm.iter().map(Names::text).collect();
        words.push(format!("threads named {}", names.join(",")));
    }
    if let Some(uid) = &filter.uid {
        words.push(format!("user {uid}"));
    }
    for range in &filter.addresses {
        words.push(format!("addresses {}", address::range(range)));
    }
    if let Some(file) = &filter.file {
        words.push(format!("file {}", file.display()));
    }
    words
}

fn filters(filter: &Filter) -> Result<Filters> {
    ensure!(
        filter.addresses.len() <= MAX_RANGES,
        "--address: at most {MAX_RANGES} ranges"
    );
    let min_latency_ns = filter.min_latency.map_or(0, |latency| latency.as_nanos() as u64);
    Ok(Filters {
        major_only: filter.major_only,
        min_latency_ns,
        sample: filter.sample,
        comm: comm_tables(&filter.comm)?,
        uid: filter.uid.as_deref().map(uid).transpose()?,
        file: match &filter.file {
            Some(path) => in_the_kernel(path)?,
            None => None,
        },
        ranges: filter.addresses.clone(),
    })
}

/// The names of threads as the probes compare them.
fn comm_tables(names: &[Names]) -> Result<Option<CommTables>> {
    if names.is_empty() {
        return Ok(None);
    }
    let Automaton {
        step,
        stay,
        start,
        accept,
    } = Automaton::new(names).map_err(|wrong| anyhow!("--comm: {wrong}"))?;
    Ok(Some(CommTables {
        step,
        stay,
        start,
        accept,
    }))
}

fn uid(text: &str) -> Result<u32> {
    match text.parse() {
        // The kernel's own "no user".
        Ok(u32::MAX) => bail!("--uid {text}: no user has this number"),
        Ok(uid) => return Ok(uid),
        Err(_) => {}
    }
    match User::from_name(text).with_context(|| format!("--uid {text}"))? {
        Some(user) => Ok(Uid::as_raw(user.uid)),
        None => bail!("--uid {text}: there is no such user"),
    }
}

/// The file, open, to be asked how the kernel shows it where it is mapped.
fn mappable(path: &Path) -> Result<File> {
    open::mappable(path).with_context(|| format!("--file {}", path.display()))
}

fn in_maps(path: &Path, file: &File) -> Result<FileIdentity> {
    mapped::in_maps(file).with_context(|| format!("--file {}: it cannot be mapped", path.display()))
}

/// The file for the session.
fn only(path: &Path) -> Result<Only> {
    let file = mappable(path)?;
    let mut shown = vec![in_maps(path, &file)?];
    shown.extend(mapped::in_records(&file));
    Ok(Only::new(path, shown))
}

/// The file for the probes. On overlayfs the kernel's mappings are of the file underneath, whose numbers do
/// not show here: then the session alone filters.
fn in_the_kernel(path: &Path) -> Result<Option<MappedFile>> {
    let file = mappable(path)?;
    let shown = in_maps(path, &file)?;
    let overlay = fstatfs(&file).is_ok_and(|system| system.filesystem_type() == OVERLAYFS_SUPER_MAGIC);
    Ok((!overlay).then_some(MappedFile {
        device: shown.device,
        inode: shown.inode,
    }))
}

/// A power of two: what is shared, cut into as many pieces as there are CPUs.
fn default_lane() -> u32 {
    let cpus = pf_bpf::online_cpus().map_or(1, |cpus| cpus.len().max(1));
    let share = ALL_LANES / u32::try_from(cpus).unwrap_or(u32::MAX);
    let power = 1 << share.max(1).ilog2();
    power.clamp(LEAST_LANE, LARGEST_LANE)
}

fn scope(scope: &Scope, held: Option<&Held>) -> Result<(Target, Members)> {
    let (roots, children): (Vec<u32>, bool) = match scope {
        Scope::All => return Ok((Target::All, Members::All)),
        Scope::Cgroup(path) => {
            let found = cgroup::find(path)?;
            let members = Members::Some {
                pids: cgroup::processes(&found.folder),
                children: true,
            };
            return Ok((Target::Cgroup(found.cgroup), members));
        }
        Scope::Command => (held.map(Held::pid).into_iter().collect(), true),
        Scope::Pids { pids, children } => (pids.clone(), *children),
    };
    if !children {
        let members = Members::Some {
            pids: roots.iter().copied().collect(),
            children,
        };
        return Ok((Target::Pids(roots), members));
    }
    let pids = with_descendants(&roots);
    let target = Target::Tree(pids.iter().copied().collect());
    Ok((target, Members::Some { pids, children }))
}

/// The processes and those of their descendants that exist already.
fn with_descendants(roots: &[u32]) -> HashSet<u32> {
    let parents = proc::parents();
    let mut known: HashSet<u32> = roots.iter().copied().collect();
    loop {
        let found: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| known.contains(parent) && !known.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if found.is_empty() {
            return known;
        }
        known.extend(found);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_number_of_no_user_is_refused_and_no_filter() {
        assert_eq!(uid("4294967294").unwrap(), u32::MAX - 1);
        let error = uid("4294967295").unwrap_err().to_string();
        assert!(error.contains("4294967295: no user"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_mapped_is_named() {
        for path in ["/no/such/file", "/proc/self", "/proc/self/maps"] {
            let error = format!("{:#}", only(Path::new(path)).unwrap_err());
            assert!(error.contains(path), "{error}");
        }
    }
}
