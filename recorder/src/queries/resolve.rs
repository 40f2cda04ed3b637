//! Finds the probes that `--query` names, or says what is there instead.

use std::{
    collections::HashSet,
    fmt::Write,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use pf_bpf::{QueryPoint, QueryProbe};

use super::{
    binary::{Binary, Function, alike},
    library,
    spec::{FunctionSpec, QuerySpec, UsdtSpec},
};
use crate::session::proc;

/// Functions that one glob may name: each costs two breakpoints.
const MATCHES: usize = 512;
/// How many of too many are told.
const SHOWN: usize = 10;

/// What to attach.
#[derive(Debug, Default)]
pub struct Resolved {
    /// At once.
    pub probes: Vec<QueryProbe>,
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
    /// The probes of `spec` in those of `files` that have them; returns whether any has.
    fn add(&mut self, spec: &UsdtSpec, number: u32, files: &[PathBuf]) -> bool {
        let before = self.probes.len();
        let found = files.iter().filter(|path| has(path, spec));
        self.probes
            .extend(found.map(|path| probe(spec, number, path.clone())));
        self.probes.len() > before
    }

    /// Whether the process by which a file was found has ended.
    #[must_use]
    pub fn has_lost_one(&self) -> bool {
        self.probes
            .iter()
            .any(|probe| probe.path.starts_with("/proc") && !probe.path.exists())
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.probes.is_empty() && self.anywhere.is_empty()
    }
}

/// `files`: what the target runs already, or is about to.
pub fn resolve(specs: &[QuerySpec], files: &[PathBuf]) -> Result<Resolved> {
    let mut resolved = Resolved::default();
    let own = UsdtSpec::own();
    let asked_for_own = specs
        .iter()
        .any(|spec| matches!(spec, QuerySpec::None) || matches!(spec, QuerySpec::Usdt(spec) if *spec == own));
    for spec in specs {
        match spec {
            QuerySpec::None => {}
            QuerySpec::Usdt(spec) => {
                usdt(spec, files, &mut resolved).with_context(|| format!("--query {spec}"))?;
            }
            QuerySpec::Function(spec) => {
                function(spec, &mut resolved).with_context(|| format!("--query {spec}"))?;
            }
        }
    }
    // Without being asked only where they are for certain, so that others pay nothing, and where they can be told.
    if !asked_for_own && pf_bpf::can_tell_queries() && resolved.add(&own, resolved.names.len() as u32, files)
    {
        resolved.names.push(own.name());
    }
    // Of those that several specs name, the first.
    let mut places = HashSet::new();
    resolved.probes.retain(|probe| places.insert(place(probe)));
    Ok(resolved)
}

/// The executables and libraries of processes, each once, as this process can open them.
#[must_use]
pub fn files_of(pids: impl IntoIterator<Item = u32>) -> Vec<PathBuf> {
    let executable = libc::PROT_EXEC.cast_unsigned();
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for pid in pids {
        for map in proc::maps(pid).unwrap_or_default() {
            if map.inode != 0 && map.prot & executable != 0 && seen.insert((map.device, map.inode)) {
                files.push(PathBuf::from(format!("/proc/{pid}/root{}", map.path)));
            }
        }
    }
    files
}

/// What a probe is on, whatever the path of the file: attached to twice, a query would begin twice.
#[must_use]
pub fn place(probe: &QueryProbe) -> (Option<(u64, u64)>, String) {
    let point = match &probe.point {
        QueryPoint::Usdt {
            provider, begin, end, ..
        } => format!("{provider}:{begin}..{end}"),
        QueryPoint::Function { offset, .. } => offset.to_string(),
    };
    (inode(&probe.path), point)
}

/// `None` if there is no such file.
fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Whether a file has both probes. One that cannot be read has none.
#[must_use]
pub fn has(path: &Path, spec: &UsdtSpec) -> bool {
    let probes = Binary::open(path, "").and_then(|binary| binary.probes());
    probes.is_ok_and(|probes| missing(spec, &probes).is_empty())
}

/// The pair of probes in one file.
#[must_use]
pub fn probe(spec: &UsdtSpec, number: u32, path: PathBuf) -> QueryProbe {
    QueryProbe {
        number,
        path,
        point: QueryPoint::Usdt {
            provider: spec.provider.clone(),
            begin: spec.begin.clone(),
            begin_args: spec.args,
            end: spec.end.clone(),
            end_key: spec.end_key,
        },
    }
}

fn usdt(spec: &UsdtSpec, files: &[PathBuf], resolved: &mut Resolved) -> Result<()> {
    let number = resolved.names.len() as u32;
    resolved.names.push(spec.name());
    let Some(path) = &spec.path else {
        resolved.add(spec, number, files);
        let spec = spec.clone();
        resolved.anywhere.push(Wanted { spec, number });
        return Ok(());
    };
    let path = find(path)?;
    let shown = path.display().to_string();
    let binary = Binary::open(&path, &shown)?;
    binary.check_machine(&shown)?;
    let probes = binary.probes()?;
    let missing = missing(spec, &probes);
    if !missing.is_empty() {
        let all: Vec<String> = probes
            .iter()
            .map(|(provider, name)| format!("{provider}:{name}"))
            .collect();
        let mut message = format!("{shown} has no USDT probe {}", missing.join(" and "));
        if all.is_empty() {
            message.push_str(", and no others either: was it built with probes?");
        } else {
            let near = alike(&missing[0], all.iter().map(String::as_str));
            if near.is_empty() {
                write!(message, "; it has {} others, such as {}", all.len(), all[0])?;
            } else {
                write!(message, "; it has {}", near.join(", "))?;
            }
        }
        bail!(message);
    }
    resolved.probes.push(probe(spec, number, path));
    Ok(())
}

/// Those of the two that are not there.
fn missing(spec: &UsdtSpec, probes: &[(String, String)]) -> Vec<String> {
    let there = |name: &&&String| {
        probes
            .iter()
            .any(|(provider, probe)| *provider == spec.provider && probe == **name)
    };
    let names = [&spec.begin, &spec.end];
    let absent = names.iter().filter(|name| !there(name));
    absent.map(|name| format!("{}:{name}", spec.provider)).collect()
}

fn function(spec: &FunctionSpec, resolved: &mut Resolved) -> Result<()> {
    let path = find(&spec.path)?;
    let shown = path.display().to_string();
    let binary = Binary::open(&path, &shown)?;
    binary.check_machine(&shown)?;
    let functions = binary.functions()?;
    for function in matching(spec, &functions, &shown)? {
        if function.is_of_go() && binary.is_go() {
            bail!(
                "{} is a function of Go, which moves its stacks: a probe at its return would end the program. See \
                 docs/queries.md for what works",
                function.name
            );
        }
        let number = resolved.names.len() as u32;
        resolved.names.push(function.name.clone());
        resolved.probes.push(QueryProbe {
            number,
            path: path.clone(),
            point: QueryPoint::Function {
                name: function.name.clone(),
                offset: function.offset,
                args: spec.args,
            },
        });
    }
    Ok(())
}

/// The functions that a spec names: one, or those of a glob.
fn matching<'a>(spec: &FunctionSpec, functions: &'a [Function], shown: &str) -> Result<Vec<&'a Function>> {
    let wanted = &spec.symbol;
    if wanted.contains(['*', '?', '[']) {
        let pattern = glob::Pattern::new(wanted).with_context(|| format!("{wanted}: not a glob"))?;
        let mut found: Vec<_> = functions
            .iter()
            .filter(|function| pattern.matches(&function.name) || pattern.matches(&function.symbol))
            .collect();
        found.dedup_by_key(|function| function.offset);
        return match found.len() {
            0 => bail!("{shown} has no function that matches{}", is_stripped(functions)),
            1..=MATCHES => Ok(found),
            many => bail!(
                "{many} functions match, at most {MATCHES} can be attached to:{}",
                list(&found)
            ),
        };
    }
    // C++ names with and without their parameters.
    let bare = |name: &str| name.split('(').next().unwrap_or(name).to_owned();
    let mut found: Vec<_> = functions
        .iter()
        .filter(|function| {
            function.symbol == *wanted || function.name == *wanted || bare(&function.name) == *wanted
        })
        .collect();
    found.dedup_by_key(|function| function.offset);
    match found.len() {
        0 => {
            let near = alike(wanted, functions.iter().map(|function| function.name.as_str()));
            let near = if near.is_empty() {
                String::new()
            } else {
                format!("; it has {}", near.join(", "))
            };
            bail!(
                "{shown} has no function of that name{near}{}",
                is_stripped(functions)
            )
        }
        1 => Ok(found),
        many => bail!(
            "{many} functions of {shown} have that name; take a full one, or a glob for all: {}",
            list(&found)
        ),
    }
}

fn is_stripped(functions: &[Function]) -> &'static str {
    if functions.is_empty() {
        " (it has no symbols at all: it is stripped)"
    } else {
        ""
    }
}

/// In one line: whoever made the file could put anything into several.
fn list(functions: &[&Function]) -> String {
    let shown = functions.iter().take(SHOWN).map(|function| {
        if function.symbol == function.name {
            function.name.clone()
        } else {
            format!("{} ({})", function.name, function.symbol)
        }
    });
    let more = (functions.len() > SHOWN).then(|| "…".to_owned());
    shown.chain(more).collect::<Vec<_>>().join("; ")
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
