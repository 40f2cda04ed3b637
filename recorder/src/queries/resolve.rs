//! Finds the probes that `--query` names, or says what is there instead.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use pf_bpf::{QueryPoint, QueryProbe, UsdtPoint, UsdtSite};

use super::{
    binary::alike,
    library,
    patience::{self, Patience},
    reader::{self, Pair},
    spec::{FunctionSpec, QuerySpec, UsdtSpec},
};
use crate::{
    files::mapped_file::{self, MappedFile},
    files::open::Pinned,
    messages::say,
    pipeline::sideband::Map,
    session::proc,
    stop,
};

/// A file that may have probes.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The file itself.
    pub file: Pinned,
    /// How messages name it.
    pub shown: PathBuf,
}

impl Candidate {
    /// The file behind a mapping of a process.
    pub fn behind(pid: u32, map: &Map) -> Option<Self> {
        Some(Self {
            file: mapped_file::find(pid, &MappedFile::from(map))?,
            shown: PathBuf::from(&map.path),
        })
    }
}

/// What to attach.
#[derive(Debug, Default)]
pub struct Resolved {
    /// At once: in files that were named.
    pub probes: Vec<QueryProbe>,
    /// Likewise, in files of the target's.
    pub found: Vec<QueryProbe>,
    /// What queries of a probe are called, by its number.
    pub names: Vec<String>,
    /// Looked for in every file that is run later.
    pub anywhere: Vec<Wanted>,
}

/// USDT probes that may be in any file.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What they are.
    pub spec: UsdtSpec,
    /// Their number.
    pub number: u32,
}

impl Resolved {
    /// Whether there is anything to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.probes.is_empty() && self.found.is_empty() && self.anywhere.is_empty()
    }

    /// A query of its own name.
    fn named(&mut self, name: String) -> u32 {
        self.names.push(name);
        self.names.len() as u32 - 1
    }
}

/// `files`: what the target runs already, or is about to. What nobody asked for is looked for only in those of them that
/// `may_read` says the invoker may read.
pub fn resolve(
    specs: &[QuerySpec],
    files: &[Candidate],
    may_read: &dyn Fn(&Pinned) -> bool,
    patience: Patience,
) -> Result<Resolved> {
    let mut resolved = Resolved::default();
    let own = UsdtSpec::own();
    let asked_for_own = specs
        .iter()
        .any(|spec| matches!(spec, QuerySpec::None) || matches!(spec, QuerySpec::Usdt(spec) if *spec == own));
    for spec in specs {
        match spec {
            QuerySpec::None => {}
            QuerySpec::Usdt(spec) => {
                usdt(spec, &mut resolved).with_context(|| format!("--query {spec}"))?;
            }
            QuerySpec::Function(spec) => {
                function(spec, &mut resolved).with_context(|| format!("--query {spec}"))?;
            }
        }
    }
    resolved.found = wanted_in(patience, files, &resolved.anywhere);
    // Without being asked only where they are for certain, so that others pay nothing, and where they can be told.
    if !asked_for_own && pf_bpf::can_tell_queries() {
        let files: Vec<Candidate> = files
            .iter()
            .filter(|file| may_read(&file.file))
            .cloned()
            .collect();
        let name = own.name();
        let number = resolved.names.len() as u32;
        let found = wanted_in(patience, &files, &[Wanted { spec: own, number }]);
        if !found.is_empty() {
            resolved.named(name);
            resolved.found.extend(found);
        }
    }
    // Of those that several specs name, the first.
    let mut places = HashSet::new();
    resolved.probes.retain(|probe| places.insert(place(probe)));
    resolved.found.retain(|probe| places.insert(place(probe)));
    Ok(resolved)
}

/// The executables and libraries of processes, each once. A process can make each take long to find.
#[must_use]
pub fn files_of(patience: Patience, pids: impl IntoIterator<Item = u32>) -> Vec<Candidate> {
    let executable = libc::PROT_EXEC.cast_unsigned();
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for pid in pids {
        for map in proc::maps(pid).unwrap_or_default() {
            if map.inode == 0 || map.prot & executable == 0 || !seen.insert((map.device, map.inode)) {
                continue;
            }
            if patience.left().is_none() {
                if !stop::is_asked_for() {
                    say(format!(
                        "the search for files of the processes was stopped after {} s: some query probes may be missing",
                        patience::MOST.as_secs()
                    ));
                }
                return files;
            }
            files.extend(Candidate::behind(pid, &map));
        }
    }
    files
}

/// What a probe is on, whatever the path of the file: attached to twice, a query would begin twice.
#[must_use]
pub fn place(probe: &QueryProbe) -> (Option<(u64, u64)>, String) {
    let point = match &probe.point {
        QueryPoint::Usdt { begin, end, .. } => format!("{}..{}", begin.name, end.name),
        QueryPoint::Function { offset, .. } => offset.to_string(),
    };
    let inode = probe.file.metadata().ok();
    (inode.map(|metadata| (metadata.dev(), metadata.ino())), point)
}

/// The probes that are wanted, in those files that have them.
pub fn wanted_in(patience: Patience, files: &[Candidate], wanted: &[Wanted]) -> Vec<QueryProbe> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let specs: Vec<&UsdtSpec> = wanted.iter().map(|wanted| &wanted.spec).collect();
    let pinned: Vec<&Pinned> = files.iter().map(|file| &file.file).collect();
    let mut probes = Vec::new();
    for (file, pairs) in files.iter().zip(reader::pairs_in(patience, &pinned, &specs)) {
        for (wanted, pair) in wanted.iter().zip(pairs) {
            probes.extend(pair.map(|pair| probe(&wanted.spec, wanted.number, file, pair)));
        }
    }
    probes
}

/// The pair of probes in one file.
fn probe(spec: &UsdtSpec, number: u32, file: &Candidate, pair: Pair) -> QueryProbe {
    let point = |name: &str, sites: Vec<reader::Site>| UsdtPoint {
        name: format!("{}:{name}", spec.provider),
        sites: sites
            .into_iter()
            .map(|site| UsdtSite {
                offset: site.offset,
                semaphore: site.semaphore,
                arguments: site.arguments,
            })
            .collect(),
    };
    QueryProbe {
        number,
        file: file.file.handle().clone(),
        shown: file.shown.clone(),
        point: QueryPoint::Usdt {
            begin: point(&spec.begin, pair.begin),
            begin_args: spec.args,
            end: point(&spec.end, pair.end),
            end_key: spec.end_key,
        },
    }
}

fn usdt(spec: &UsdtSpec, resolved: &mut Resolved) -> Result<()> {
    let number = resolved.named(spec.name());
    let Some(path) = &spec.path else {
        let spec = spec.clone();
        resolved.anywhere.push(Wanted { spec, number });
        return Ok(());
    };
    let file = candidate(path)?;
    let pair = reader::pair_of(&file.file, spec, &file.shown.display().to_string())?;
    resolved.probes.push(probe(spec, number, &file, pair));
    Ok(())
}

fn function(spec: &FunctionSpec, resolved: &mut Resolved) -> Result<()> {
    let file = candidate(&spec.path)?;
    let functions = reader::functions_of(&file.file, spec, &file.shown.display().to_string())?;
    for function in functions {
        let number = resolved.named(function.name.clone());
        resolved.probes.push(QueryProbe {
            number,
            file: file.file.handle().clone(),
            shown: file.shown.clone(),
            point: QueryPoint::Function {
                name: function.name,
                offset: function.offset,
                args: spec.args,
            },
        });
    }
    Ok(())
}

/// The file that a spec names.
fn candidate(path: &Path) -> Result<Candidate> {
    let shown = find(path)?;
    let file = Pinned::by_path(&shown).map_err(|e| anyhow!("{}: {e}", shown.display()))?;
    Ok(Candidate { file, shown })
}

fn find(path: &Path) -> Result<PathBuf> {
    let Some(found) = library::find(path) else {
        let names = match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => names_in(folder),
            None => library::all(),
        };
        let wanted = path.file_name().unwrap_or_default().to_string_lossy();
        let near = alike(&wanted, names.iter().map(String::as_str));
        let near = if near.is_empty() {
            String::new()
        } else {
            format!("; there is {}", near.join(", "))
        };
        bail!("{}: there is no such file{near}", path.display());
    };
    // Links stay: those in /proc lead to what another process sees, and their text to what this one does.
    std::path::absolute(&found).with_context(|| found.display().to_string())
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
