//! A tree for people. Functions that are called from several places in a row stand in one column; one that is the only
//! one called stands under its caller, so that deep stacks stay narrow.

use crate::error::AnalyzeError;
use crate::output::table::column_names;
use crate::output::text::{escape, keep_start};
use crate::output::units::{fixed, grouped, percent};
use crate::request::weight::Weight;
use crate::trace::function_names::{Kind, Names};
use crate::verbs::stacks::prune::Shown;
use crate::verbs::stacks::tree::{Node, Tree};
use std::io::Write;

/// Characters left for a function's name on any terminal.
const MIN_NAME: usize = 24;

/// Writes the shown nodes and the total.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    tree: &Tree,
    names: &Names,
    shown: &Shown,
    weight: Weight,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    let title = match weight {
        Weight::Wait => "wait_percent",
        Weight::Count => "faults_percent",
        Weight::Max => "max_percent",
    };
    let heads = [title, "self_percent", "faults", "total_ms", "max_ms"].map(column_names::title);
    let total = tree.total();
    let whole = u128::from(weight.of(total));
    let cells = |node: &Node| {
        [
            percent(weight.of(node.all).into(), whole),
            percent(weight.of(node.own).into(), whole),
            grouped(node.all.count),
            fixed(node.all.wait_ns, 1_000_000, 3),
            fixed(node.all.max_ns, 1_000_000, 3),
        ]
    };
    let mut lines = vec![(heads, column_names::title("function"))];
    // Columns at which the names of the callers stand, by their depth.
    let mut columns: Vec<usize> = vec![0];
    for &(index, siblings) in &shown.nodes {
        let Some(node) = tree.nodes().get(index) else {
            continue;
        };
        let depth = node.depth as usize;
        let above = depth
            .checked_sub(1)
            .and_then(|above| columns.get(above))
            .copied()
            .unwrap_or(0);
        let (bullet, column) = if siblings > 1 {
            ("- ", above + 2)
        } else {
            ("", above)
        };
        columns.truncate(depth);
        columns.push(column);
        let label = describe(node, tree, names);
        let indent = " ".repeat(column - bullet.len());
        lines.push((cells(node), format!("{indent}{bullet}{label}")));
    }
    if let Some(root) = tree.nodes().first() {
        lines.push((cells(root), "total".to_owned()));
    }
    write_aligned(&lines, width, out)
}

/// The function, its source line, and the file that its code is in where that is not its caller's.
fn describe(node: &Node, tree: &Tree, names: &Names) -> String {
    let Some(function) = names.get(node.function) else {
        return String::new();
    };
    let caller = tree
        .nodes()
        .get(node.parent)
        .and_then(|caller| names.get(caller.function));
    let of_caller = caller
        .filter(|_| node.depth > 1)
        .and_then(|caller| caller.object.as_ref());
    let is_elsewhere = function.kind != Kind::Unnamed && function.object.as_ref() != of_caller;
    let object = function.object.clone().filter(|_| is_elsewhere);
    let source = function.file.as_ref().and_then(|_| function.source());
    let parts = [
        Some(function.label()),
        source,
        object.map(|object| format!("in {object}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    escape(&parts.join("  "))
}

fn write_aligned(
    lines: &[([String; 5], String)],
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    let mut widths = [0; 5];
    for (cells, _) in lines {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = crate::output::text::width(cell).max(*width);
        }
    }
    let used: usize = widths.iter().map(|width| width + 2).sum();
    for (cells, name) in lines {
        for (cell, width) in cells.iter().zip(widths) {
            write!(out, "{cell:>width$}  ")?;
        }
        match width {
            Some(width) => writeln!(
                out,
                "{}",
                keep_start(name, width.saturating_sub(used).max(MIN_NAME))
            )?,
            None => writeln!(out, "{name}")?,
        }
    }
    Ok(())
}
