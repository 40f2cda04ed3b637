//! Which part of a tree is shown: branches heavy enough, down to a depth, heaviest first.

use crate::request::options::StackLimits;
use crate::request::weight::Weight;
use crate::trace::function_names::Names;
use crate::verbs::stacks::tree::{Node, ROOT, Tree};

/// What is shown, callers first, each followed by all it called, heaviest first.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Nodes with the number of their shown siblings, themselves included.
    pub nodes: Vec<(usize, usize)>,
    /// Branches hidden because they are too light.
    pub light: u64,
    /// Branches hidden because they are too deep.
    pub deep: u64,
}

/// Chooses the nodes of a summed-up tree.
#[must_use]
pub fn choose(tree: &Tree, names: &Names, weight: Weight, limits: StackLimits) -> Shown {
    let nodes = tree.nodes();
    let total = weight.of(tree.total());
    let is_light = |node: &Node| {
        u128::from(weight.of(node.all)) * 100_000 < u128::from(total) * u128::from(limits.min_share)
    };
    let mut shown = Shown::default();
    let mut called: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate().skip(1) {
        // A branch is counted where it is cut, not once more for each of its twigs.
        let caller_shown = node.parent == ROOT
            || nodes.get(node.parent).is_some_and(|caller| {
                !is_light(caller) && limits.depth.is_none_or(|depth| caller.depth <= depth)
            });
        if !caller_shown {
            continue;
        }
        if limits.depth.is_some_and(|depth| node.depth > depth) {
            shown.deep += 1;
        } else if is_light(node) {
            shown.light += 1;
        } else if let Some(list) = called.get_mut(node.parent) {
            list.push(index);
        }
    }
    let mut stack: Vec<(usize, usize)> = Vec::new();
    let mut next = ROOT;
    loop {
        let mut list = called.get_mut(next).map(std::mem::take).unwrap_or_default();
        list.sort_by_cached_key(|&index| {
            let node = nodes.get(index).copied().unwrap_or_default();
            let name = names.get(node.function).map(|function| function.name.clone());
            (std::cmp::Reverse(weight.of(node.all)), name)
        });
        let siblings = list.len();
        stack.extend(list.into_iter().rev().map(|index| (index, siblings)));
        let Some(top) = stack.pop() else {
            return shown;
        };
        shown.nodes.push(top);
        next = top.0;
    }
}
