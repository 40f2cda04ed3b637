//! Stacks folded into a tree, callers on top: what each function and all it called waited for. It knows functions by
//! their numbers; `trace::function_names` gives them, `text` and `tables` write the tree.

use crate::engine::tally::Cell;
use polars::prelude::PlHashMap;

/// Nodes of a tree, up to a KB each with their names. A recording has some ten thousand; only a trace made to hurt reaches
/// this, and what no longer fits is counted in the caller.
const MAX_NODES: usize = 1 << 18;

/// Frames of one stack, inlined ones included. Recorders stop at some hundred.
pub(crate) const MAX_DEPTH: u32 = 1024;

/// The root: everything.
pub(crate) const ROOT: usize = 0;

/// A function in the place where it was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The caller; the root is its own.
    pub parent: usize,
    /// Number of the function; without meaning for the root.
    pub function: u32,
    /// Callers above it, the root not counted: 0 for the root and outermost functions 1.
    pub depth: u32,
    /// Faults in the function itself.
    pub own: Cell,
    /// Faults in it and in all it called.
    pub all: Cell,
}

/// The tree.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Callers come before those they call.
    nodes: Vec<Node>,
    index: PlHashMap<(usize, u32), usize>,
    left_out: u64,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            index: PlHashMap::default(),
            left_out: 0,
        }
    }
}

impl Tree {
    /// The node of `function` called by the node `parent`; `parent` itself when the tree is full.
    pub fn child(&mut self, parent: usize, function: u32) -> usize {
        if let Some(&known) = self.index.get(&(parent, function)) {
            return known;
        }
        let depth = self.nodes.get(parent).map_or(MAX_DEPTH, |node| node.depth);
        if self.is_full() || depth >= MAX_DEPTH {
            self.leave_out();
            return parent;
        }
        let node = self.nodes.len();
        self.nodes.push(Node {
            parent,
            function,
            depth: depth + 1,
            ..Node::default()
        });
        self.index.insert((parent, function), node);
        node
    }

    /// Whether there is no room for more nodes.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.nodes.len() >= MAX_NODES
    }

    /// Takes note of a function that counts in its caller.
    pub(crate) fn leave_out(&mut self) {
        self.left_out = self.left_out.saturating_add(1);
    }

    /// How often a function did not fit.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Counts faults in a node.
    pub fn add(&mut self, node: usize, faults: Cell) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.own.merge(faults);
        }
    }

    /// Adds up what was counted, once all is.
    pub fn sum(&mut self) {
        for node in &mut self.nodes {
            node.all = node.own;
        }
        for index in (1..self.nodes.len()).rev() {
            let Some(&Node { parent, all, .. }) = self.nodes.get(index) else {
                continue;
            };
            if let Some(caller) = self.nodes.get_mut(parent) {
                caller.all.merge(all);
            }
        }
    }

    /// All nodes; the first is the root, and callers come before those they call.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Everything counted.
    #[must_use]
    pub fn total(&self) -> Cell {
        self.nodes.first().map_or_else(Cell::default, |root| root.all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn faults(count: u64, wait_ns: u64, max_ns: u64) -> Cell {
        Cell {
            count,
            wait_ns,
            max_ns,
        }
    }

    #[test]
    fn a_caller_has_what_all_it_called_have() {
        let mut tree = Tree::default();
        let main = tree.child(ROOT, 1);
        let read = tree.child(main, 2);
        let write = tree.child(main, 3);
        assert_eq!(tree.child(main, 2), read);
        tree.add(read, faults(2, 20, 15));
        tree.add(write, faults(1, 7, 7));
        tree.add(main, faults(1, 1, 1));
        tree.sum();
        assert_eq!(tree.nodes()[main].all, faults(4, 28, 15));
        assert_eq!(tree.nodes()[main].own, faults(1, 1, 1));
        assert_eq!(tree.total(), tree.nodes()[main].all);
    }

    #[test]
    fn a_stack_without_end_is_cut_and_its_faults_are_counted() {
        let mut tree = Tree::default();
        let mut node = ROOT;
        for function in 0..3 * MAX_DEPTH {
            node = tree.child(node, function);
        }
        assert_eq!(tree.nodes().len(), MAX_DEPTH as usize + 1);
        tree.add(node, faults(1, u64::MAX, u64::MAX));
        tree.add(ROOT, faults(1, 5, 5));
        tree.sum();
        assert_eq!(tree.total(), faults(2, u64::MAX, u64::MAX));
    }
}
