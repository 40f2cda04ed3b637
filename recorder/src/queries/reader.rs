//! Asks files for their probes. They are files of whoever is recorded, so a confined child reads them, and what it says is
//! bounded here once more.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use pf_bpf::MAX_SITES;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    binary::{Binary, Function, Note, alike},
    patience::{self, Patience},
    spec::{FunctionSpec, UsdtSpec},
};
use crate::{
    files::open::Pinned,
    files::sandbox::{self, Limits},
    messages::say,
    stop,
};

/// For one file that somebody named: the symbol table of a browser takes half a gigabyte.
const ONE: Limits = Limits {
    time: Duration::from_secs(20),
    memory: 1 << 30,
};
/// For many files at once that nobody named, and for one of them when the child did not get through all.
const MANY: Limits = Limits {
    time: Duration::from_secs(5),
    memory: 256 << 20,
};
const SINGLE: Limits = Limits {
    time: Duration::from_secs(1),
    memory: 256 << 20,
};
/// Files that are looked into at once, each of which takes a descriptor.
const AT_ONCE: usize = 64;

/// Where a semaphore is at most: perf_event_open(2) has 32 bits for it.
const SEMAPHORE: u64 = u32::MAX as u64;
/// Functions that one glob may name: each costs two breakpoints.
const MATCHES: usize = 512;
/// How many of too many are told.
const SHOWN: usize = 10;

/// Where the two probes of a query are in a file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Pair {
    /// The one that begins.
    pub begin: Vec<Site>,
    /// The one that ends.
    pub end: Vec<Site>,
}

/// One place of a probe.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Site {
    /// Bytes in the file.
    pub offset: u64,
    /// The same of its semaphore; 0: it has none.
    pub semaphore: u64,
    /// Where its arguments are.
    pub arguments: String,
}

/// The probes of each of `specs` in each of `files`. A file that cannot be read has none.
pub fn pairs_in(patience: Patience, files: &[&Pinned], specs: &[&UsdtSpec]) -> Vec<Vec<Option<Pair>>> {
    let (found, left_out) = pairs_within(patience, files, specs);
    if left_out > 0 && !stop::is_asked_for() {
        say(format!(
            "{left_out} of {} files were not searched for query probes: the search was stopped after {} s",
            files.len(),
            patience::MOST.as_secs()
        ));
    }
    found
}

/// And how many of the files it came to too late.
fn pairs_within(
    patience: Patience,
    files: &[&Pinned],
    specs: &[&UsdtSpec],
) -> (Vec<Vec<Option<Pair>>>, usize) {
    let none = || vec![None; specs.len()];
    let within = |limits: Limits| {
        let time = limits.time.min(patience.left()?);
        Some(Limits { time, ..limits })
    };
    let mut found = Vec::with_capacity(files.len());
    let mut left_out = 0;
    for batch in files.chunks(AT_ONCE) {
        let all = || batch.iter().map(|file| pairs(file, specs)).collect::<Vec<_>>();
        let Some(limits) = within(MANY) else {
            left_out += batch.len();
            found.extend(batch.iter().map(|_| none()));
            continue;
        };
        match sandbox::run(limits, batch, &mut stop::is_asked_for, all) {
            Ok(pairs) if pairs.len() == batch.len() => found.extend(pairs),
            // One of them is not to be read.
            _ => found.extend(batch.iter().map(|file| {
                let Some(limits) = within(SINGLE) else {
                    left_out += 1;
                    return none();
                };
                sandbox::run(limits, &[file], &mut stop::is_asked_for, || pairs(file, specs))
                    .unwrap_or_else(|_| none())
            })),
        }
    }
    for pairs in &mut found {
        pairs.resize(specs.len(), None);
        for pair in pairs.iter_mut() {
            *pair = pair.take().filter(is_bounded);
        }
    }
    (found, left_out)
}

/// The probes of `spec` in the file that it names.
///
/// # Errors
///
/// When it has none, with what it has instead.
pub fn pair_of(file: &Pinned, spec: &UsdtSpec, shown: &str) -> Result<Pair> {
    let pair = ask(file, shown, || {
        let binary = Binary::open(file, shown)?;
        binary.check_machine(shown)?;
        let notes = binary.notes().with_context(|| shown.to_owned())?;
        match pair(&notes, spec) {
            Some(pair) => Ok(pair),
            None => bail!(instead_of(spec, &notes, shown)),
        }
    })?;
    ensure!(
        is_bounded(&pair),
        "{shown}: more than {MAX_SITES} places of one probe, or a semaphore where no kernel looks for one"
    );
    Ok(pair)
}

/// The functions that `spec` names: one, or those of a glob.
///
/// # Errors
///
/// When there are none, or too many.
pub fn functions_of(file: &Pinned, spec: &FunctionSpec, shown: &str) -> Result<Vec<Function>> {
    let mut functions = ask(file, shown, || {
        let binary = Binary::open(file, shown)?;
        binary.check_machine(shown)?;
        let functions = binary.functions().with_context(|| shown.to_owned())?;
        let found = matching(spec, &functions, shown)?;
        let of_go = found.iter().find(|function| function.is_of_go());
        if let Some(function) = of_go.filter(|_| binary.is_go()) {
            bail!(
                "{} is a function of Go, which moves its stacks: a probe at its return would end the program. See \
                 docs/queries.md for what works",
                function.name
            );
        }
        Ok(found.into_iter().cloned().collect::<Vec<_>>())
    })?;
    functions.truncate(MATCHES);
    Ok(functions)
}

/// What a child finds in one file that was asked for.
fn ask<T: Serialize + DeserializeOwned>(
    file: &Pinned,
    shown: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let answer: Result<T, String> = sandbox::run(ONE, &[file], &mut stop::is_asked_for, || {
        work().map_err(|e| format!("{e:#}"))
    })
    .with_context(|| shown.to_owned())?;
    answer.map_err(anyhow::Error::msg)
}

/// In the child.
fn pairs(file: &Pinned, specs: &[&UsdtSpec]) -> Vec<Option<Pair>> {
    let notes = Binary::open(file, "").and_then(|binary| binary.notes());
    let notes = notes.unwrap_or_default();
    specs.iter().map(|spec| pair(&notes, spec)).collect()
}

/// Where both probes are; `None` when one of them is nowhere.
fn pair(notes: &[Note], spec: &UsdtSpec) -> Option<Pair> {
    let sites = |name: &str| -> Vec<Site> {
        notes
            .iter()
            .filter(|note| note.provider == spec.provider && note.name == name)
            .filter_map(|note| {
                Some(Site {
                    offset: note.offset?,
                    semaphore: note.semaphore?,
                    arguments: note.arguments.clone(),
                })
            })
            // One more than may be, to be told from as many.
            .take(MAX_SITES + 1)
            .collect()
    };
    let pair = Pair {
        begin: sites(&spec.begin),
        end: sites(&spec.end),
    };
    (!pair.begin.is_empty() && !pair.end.is_empty()).then_some(pair)
}

fn is_bounded(pair: &Pair) -> bool {
    [&pair.begin, &pair.end]
        .iter()
        .all(|sites| sites.len() <= MAX_SITES && sites.iter().all(|site| site.semaphore <= SEMAPHORE))
}

fn instead_of(spec: &UsdtSpec, notes: &[Note], shown: &str) -> String {
    let names: BTreeSet<String> = notes
        .iter()
        .map(|note| format!("{}:{}", note.provider, note.name))
        .collect();
    let wanted = [&spec.begin, &spec.end].map(|name| format!("{}:{name}", spec.provider));
    let missing: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|name| !names.contains(*name))
        .collect();
    if missing.is_empty() {
        return format!("{shown}: its probes are outside of the program's code");
    }
    let mut message = format!("{shown} has no USDT probe {}", missing.join(" and "));
    let near = alike(missing[0], names.iter().map(String::as_str));
    let added = match names.first() {
        None => write!(message, ", and no other probes: was it built with probes?"),
        Some(first) if near.is_empty() => write!(message, "; it has {} others, such as {first}", names.len()),
        Some(_) => write!(message, "; it has {}", near.join(", ")),
    };
    // A string takes everything.
    added.ok();
    message
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
                "{many} functions match, and at most {MATCHES} can be probed: {}",
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
            "{many} functions of {shown} have that name; give a full name, or a glob for all of them: {}",
            list(&found)
        ),
    }
}

fn is_stripped(functions: &[Function]) -> &'static str {
    if functions.is_empty() {
        " (it has no symbols: it is stripped)"
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_that_nobody_named_take_no_more_than_their_time_and_none_is_forgotten() {
        let own = Pinned::by_path("/proc/self/exe").unwrap();
        let files = vec![&own; AT_ONCE + 1];
        let (found, left_out) = pairs_within(Patience::none(), &files, &[]);
        assert_eq!((found.len(), left_out), (AT_ONCE + 1, AT_ONCE + 1));
        let (found, left_out) = pairs_within(Patience::new(), &files, &[]);
        assert_eq!((found.len(), left_out), (AT_ONCE + 1, 0));
    }
}
