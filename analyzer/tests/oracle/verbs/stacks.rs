//! `stacks`: the tree of functions, recomputed as sums over all paths that begin alike.

use super::Checks;
use crate::filters::Filter;
use crate::truth::{Fault, Trace};
use pf_formats::StackNode;
use std::collections::BTreeMap;

/// Kind, name and file of each function from the outermost on.
type Path = Vec<[String; 3]>;
/// Count, wait and longest, of all faults below and of its own.
type Value = [u128; 6];

pub fn stacks(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let faults: Vec<&Fault> = trace
        .faults
        .iter()
        .filter(|fault| (filter.passes)(fault))
        .collect();
    if trace.stacks.is_empty() && faults.iter().all(|fault| fault.event.stack.0 == 0) {
        checks.refuses(&["stacks"]);
        return;
    }
    let mut expected: BTreeMap<Path, Value> = BTreeMap::new();
    let mut folded: BTreeMap<String, u64> = BTreeMap::new();
    for fault in faults {
        let path = path(fault, trace);
        for depth in 1..=path.len() {
            let value = expected.entry(path[..depth].to_vec()).or_default();
            add(&mut value[..3], fault);
            if depth == path.len() {
                add(&mut value[3..], fault);
            }
        }
        *folded.entry(fold(&fault.comm, &path)).or_default() += fault.weight;
    }
    let asked = ["stacks", "--format", "csv"];
    let written = checks.output(&asked);
    checks.note(&asked, compare(&written, &expected));
    let asked = ["stacks", "--folded", "--weight", "count"];
    let written = checks.output(&asked);
    let line = |line: &str| {
        let (path, count) = line.rsplit_once(' ').unwrap();
        (path.to_owned(), count.parse().unwrap())
    };
    let written: BTreeMap<String, u64> = written.lines().map(line).collect();
    let is_same = written == folded;
    checks.note(
        &asked,
        if is_same {
            Ok(())
        } else {
            Err(format!("{written:?}\ninstead of {folded:?}"))
        },
    );
}

fn add(value: &mut [u128], fault: &Fault) {
    value[0] += u128::from(fault.weight);
    value[1] += fault.wait_ns();
    value[2] = value[2].max(fault.event.latency_ns.into());
}

fn path(fault: &Fault, trace: &Trace) -> Path {
    let label = |kind: &str, name: &str| [kind.to_owned(), name.to_owned(), String::new()];
    let mut id = fault.event.stack.0;
    if id == 0 {
        return vec![label("no_stack", "[no stack]")];
    }
    let mut innermost_first = Vec::new();
    let missing = loop {
        let Some(node) = trace.stacks.get(&id) else {
            break Some("the trace is damaged there");
        };
        innermost_first.push(functions(node.frame.0, trace));
        if node.parent.0 == 0 {
            break match node.truncated {
                StackNode::WHOLE => None,
                StackNode::NOT_RESIDENT => Some("frame not resident"),
                StackNode::DEPTH_LIMIT => Some("depth limit"),
                StackNode::NO_FRAME_POINTERS => Some("no frame pointers"),
                _ => Some("a reason that this version does not know"),
            };
        }
        id = node.parent.0;
    };
    let missing = missing.map(|reason| label("missing", &format!("[truncated: {reason}]")));
    missing
        .into_iter()
        .chain(innermost_first.into_iter().rev().flatten())
        .collect()
}

/// The one that the compiler emitted, then those inlined into it.
fn functions(frame: u32, trace: &Trace) -> Path {
    let Some(place) = trace.frames.get(&frame) else {
        let name = if frame == 0 {
            "[unknown]".to_owned()
        } else {
            format!("[unknown#{frame}]")
        };
        return vec![["unnamed".to_owned(), name, String::new()]];
    };
    let file = trace.file(place.object.0);
    let object = file.clone().unwrap_or_default();
    match trace.symbols.get(&frame).filter(|symbol| !symbol.name.is_empty()) {
        Some(symbol) => {
            let outer = ["function".to_owned(), symbol.name.clone(), object.clone()];
            let inner = symbol.inlined.iter().rev();
            let inner = inner.map(|inlined| ["inlined".to_owned(), inlined.name.clone(), object.clone()]);
            std::iter::once(outer).chain(inner).collect()
        }
        None => {
            let name = match file {
                Some(file) => format!("[{}+{:#x}]", file.rsplit('/').next().unwrap(), place.offset),
                None => format!("[{:#x}]", place.offset),
            };
            vec![["unnamed".to_owned(), name, object]]
        }
    }
}

fn fold(comm: &str, path: &Path) -> String {
    // Names of threads and functions are data: what ends a line or a function in it is written otherwise.
    let mut folded = pfanalyze::output::text::escape(comm)
        .replace(';', ":")
        .replace(' ', "_");
    for [kind, name, _] in path {
        let name = pfanalyze::output::text::escape(name).replace(';', ":");
        folded.push(';');
        folded.push_str(&name);
        folded.push_str(if kind == "inlined" { " (inlined)" } else { "" });
    }
    folded
}

fn compare(written: &str, expected: &BTreeMap<Path, Value>) -> Result<(), String> {
    let mut reader = csv::Reader::from_reader(written.as_bytes());
    let heads = reader.headers().unwrap().clone();
    let mut paths: BTreeMap<String, Path> = BTreeMap::new();
    let mut count = 0;
    for record in reader.records() {
        let record = record.unwrap();
        let cell = |name: &str| record[heads.iter().position(|head| head == name).unwrap()].to_owned();
        let mut path = paths.get(&cell("parent")).cloned().unwrap_or_default();
        path.push(["kind", "function", "object"].map(cell));
        if cell("depth") != path.len().to_string() {
            return Err(format!("{path:?}: depth {}", cell("depth")));
        }
        let number = |name: &str| cell(name).replace('.', "").parse::<u128>().unwrap();
        let value = [
            "faults",
            "total_ms",
            "max_ms",
            "self_faults",
            "self_ms",
            "self_max_ms",
        ]
        .map(number);
        if expected.get(&path) != Some(&value) {
            return Err(format!(
                "{path:?}: {value:?} instead of {:?}",
                expected.get(&path)
            ));
        }
        paths.insert(cell("id"), path);
        count += 1;
    }
    if count == expected.len() {
        Ok(())
    } else {
        Err(format!("{count} nodes instead of {}", expected.len()))
    }
}
