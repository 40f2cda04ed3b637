//! A tree for programs: one row per shown node with the row of its caller, and folded stacks as flame graph tools
//! read them.

use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::text::escape;
use crate::request::weight::Weight;
use crate::trace::function_names::{Kind, Names};
use crate::verbs::stacks::prune::Shown;
use crate::verbs::stacks::tree::{Node, ROOT, Tree};
use std::io::Write;

/// The columns, in order. `id` and `parent` make the tree: ids count from 1, and the parent of outermost functions is
/// null.
const NAMES: [&str; 16] = [
    "id",
    "parent",
    "depth",
    "kind",
    "function",
    "object",
    "build_id",
    "offset",
    "file",
    "line",
    "faults",
    "total_ms",
    "max_ms",
    "self_faults",
    "self_ms",
    "self_max_ms",
];

/// The shown nodes, callers first.
#[must_use]
pub fn table(tree: &Tree, names: &Names, shown: &Shown) -> Table {
    let mut ids = vec![0u64; tree.nodes().len()];
    for (id, &(index, _)) in (1..).zip(&shown.nodes) {
        if let Some(slot) = ids.get_mut(index) {
            *slot = id;
        }
    }
    let id_of = |index: usize| ids.get(index).copied().filter(|&id| id != 0);
    let nodes = shown.nodes.iter().filter_map(|&(index, _)| {
        let node = tree.nodes().get(index)?;
        Some(row(node, names, id_of(index), id_of(node.parent)))
    });
    Table {
        heads: NAMES.iter().map(|&name| ColumnHead::new(name)).collect(),
        rows: nodes.collect(),
        total: None,
    }
}

fn row(node: &Node, names: &Names, id: Option<u64>, parent: Option<u64>) -> Vec<Value> {
    let function = names.get(node.function).cloned().unwrap_or_default();
    let number = |number: Option<u64>| number.map_or(Value::Null, Value::Id);
    let text = |text: Option<String>| text.map_or(Value::Null, Value::Text);
    vec![
        number(id),
        number(parent),
        Value::Id(node.depth.into()),
        Value::Text(function.kind.name().to_owned()),
        Value::Text(function.name),
        text(function.object),
        text(function.build_id),
        number(function.offset),
        text(function.file),
        number(function.line.map(u64::from)),
        Value::Count(node.all.count),
        Value::Ms(node.all.wait_ns),
        Value::Ms(node.all.max_ns),
        Value::Count(node.own.count),
        Value::Ms(node.own.wait_ns),
        Value::Ms(node.own.max_ns),
    ]
}

/// One line per stack, `thread;caller;callee VALUE`: faults, or nanoseconds, in whole numbers. The tree has thread names
/// as its outermost nodes.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_folded(
    tree: &Tree,
    names: &Names,
    weight: Weight,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    let labels: Vec<String> = names
        .all()
        .iter()
        .map(|function| folded(function.kind, &function.label()))
        .collect();
    let mut path: Vec<&str> = Vec::new();
    for node in tree.nodes() {
        let value = weight.of(node.own);
        if value == 0 {
            continue;
        }
        path.clear();
        let mut at = *node;
        while at.depth > 0 {
            path.push(labels.get(at.function as usize).map_or("", String::as_str));
            at = tree.nodes().get(at.parent).copied().unwrap_or_default();
        }
        for (index, label) in path.iter().rev().enumerate() {
            let semicolon = if index == 0 { "" } else { ";" };
            write!(out, "{semicolon}{label}")?;
        }
        writeln!(out, " {value}")?;
    }
    Ok(())
}

/// A name without what separates names: Rust writes `[u8; 16]`, threads have spaces.
fn folded(kind: Kind, label: &str) -> String {
    let label = escape(label).replace(';', ":");
    if kind == Kind::Thread {
        label.replace(' ', "_")
    } else {
        label
    }
}

/// Nodes of a kind that stand for something missing, which are the outermost ones.
#[must_use]
pub(crate) fn of_kind(tree: &Tree, names: &Names, kind: Kind) -> Vec<Node> {
    let nodes = tree.nodes().iter().skip(ROOT + 1);
    let is_kind = |node: &&Node| {
        names
            .get(node.function)
            .is_some_and(|function| function.kind == kind)
    };
    nodes.filter(is_kind).copied().collect()
}
