//! `stacks`: which code faulted, callers on top.

use crate::engine::columns::Column;
use crate::engine::frame::{u32s, u64s};
use crate::engine::scan::Pass;
use crate::engine::tally::Cell;
use crate::error::AnalyzeError;
use crate::output::table::Table;
use crate::output::units::{fixed, grouped, percent};
use crate::request::options::StackLimits;
use crate::request::weight::Weight;
use crate::stats::bounded_map::{Kept, Sum};
use crate::trace::function_names::{Function, Kind, Missing, NO_STACK, Names, OTHER_STACKS};
use crate::trace::session::Session;
use crate::verbs::stacks::prune::{Shown, choose};
use crate::verbs::stacks::tables;
use crate::verbs::stacks::text;
use crate::verbs::stacks::tree::{MAX_DEPTH, ROOT, Tree};
use polars::prelude::{DataFrame, PlHashMap};
use std::cmp::Reverse;
use std::io::Write;

/// Pairs of a thread name and a stack that are kept apart, some 60 bytes each.
const MOST_STACKS: usize = 1 << 19;

/// Collects faults by thread name and stack.
#[derive(Debug)]
pub struct Stacks {
    /// Stack 0 has the faults without one.
    faults: Kept<(u32, u32), Cell>,
}

impl Default for Stacks {
    fn default() -> Self {
        Self {
            faults: Kept::at_most(MOST_STACKS),
        }
    }
}

impl Sum for Cell {
    fn weight(&self) -> u128 {
        self.wait_ns.into()
    }

    fn merge(&mut self, other: Self) {
        Self::merge(self, other);
    }
}

impl Pass for Stacks {
    fn columns(&self) -> Vec<Column> {
        vec![Column::LatencyNs, Column::Weight, Column::CommId, Column::StackId]
    }

    fn block(&mut self, frame: &DataFrame, _: &Session) -> Result<(), AnalyzeError> {
        let comms = u32s(frame, Column::CommId)?.iter();
        let stacks = frame.column(Column::StackId.name())?.u32()?.iter();
        let latencies = u64s(frame, Column::LatencyNs)?.iter();
        let weights = u64s(frame, Column::Weight)?.iter();
        for ((&comm, stack), (&latency_ns, &weight)) in comms.zip(stacks).zip(latencies.zip(weights)) {
            let faults = self.faults.of((comm, stack.unwrap_or(0)));
            faults.merge(Cell::of(latency_ns, weight));
        }
        Ok(())
    }
}

/// What the outermost nodes of a tree are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Outermost functions.
    Function,
    /// Thread names, as flame graphs have them.
    Thread,
}

impl Stacks {
    /// All faults as a tree.
    ///
    /// # Errors
    /// When the trace has no stacks.
    pub fn finish(&self, session: &Session, base: Base) -> Result<StackTree, AnalyzeError> {
        let has_stacks =
            !session.dicts.stacks.is_empty() || self.faults.iter().any(|(&(_, stack), _)| stack != 0);
        if !has_stacks {
            return Err(AnalyzeError::Unanswerable(
                "the trace has no stacks: record it with 'pfrec --stacks'".to_owned(),
            ));
        }
        let mut folding = Folding::default();
        // In the order of ids, so that the same trace gives the same output every time.
        let mut faults: Vec<_> = self.faults.iter().collect();
        faults.sort_unstable_by_key(|(key, _)| **key);
        for (&(comm, stack), &cell) in faults {
            let base = match base {
                Base::Function => ROOT,
                Base::Thread => folding.label(ROOT, Kind::Thread, &session.dicts.comm(comm)),
            };
            let node = if stack == 0 {
                folding.label(base, Kind::NoStack, NO_STACK)
            } else {
                folding.node_of(base, stack, session)
            };
            folding.tree.add(node, cell);
        }
        if let Some(&others) = self.faults.others() {
            let node = folding.label(ROOT, Kind::Missing, OTHER_STACKS);
            folding.tree.add(node, others);
        }
        folding.tree.sum();
        Ok(StackTree {
            tree: folding.tree,
            names: folding.names,
            others: self.faults.describe_others("stacks"),
        })
    }
}

#[derive(Default)]
struct Folding {
    tree: Tree,
    names: Names,
    /// Nodes of the tree by stack, below the base at hand: each is walked to once.
    known: PlHashMap<u32, usize>,
    base: usize,
    /// How deep a stack is, and its part that fits the tree, whatever the base: a forged one can have millions of frames.
    cuts: PlHashMap<u32, (u32, u32)>,
}

impl Folding {
    fn label(&mut self, parent: usize, kind: Kind, name: &str) -> usize {
        let label = self.names.label(kind, name);
        self.tree.child(parent, label)
    }

    /// The outermost frames of a stack, as many as fit. Parents have smaller ids, which the reader of the trace has checked, so
    /// the walk ends.
    fn cut(&mut self, stack: u32, session: &Session) -> u32 {
        let mut path = Vec::new();
        let mut id = stack;
        let (mut depth, mut cut) = loop {
            if let Some(&known) = self.cuts.get(&id) {
                break known;
            }
            match session.dicts.stacks.node(id) {
                Some(node) if node.parent.0 != 0 => {
                    path.push(id);
                    id = node.parent.0;
                }
                _ => break (1, id),
            }
        };
        for id in path.into_iter().rev() {
            depth += 1;
            if depth <= MAX_DEPTH {
                cut = id;
            }
            self.cuts.insert(id, (depth, cut));
        }
        cut
    }

    /// The node of a stack.
    fn node_of(&mut self, base: usize, stack: u32, session: &Session) -> usize {
        if self.base != base {
            self.base = base;
            self.known.clear();
        }
        let mut id = self.cut(stack, session);
        if id != stack {
            self.tree.leave_out();
        }
        let mut path = Vec::new();
        let mut at = loop {
            if let Some(&known) = self.known.get(&id) {
                break known;
            }
            let missing = match session.dicts.stacks.node(id) {
                None => Some(Missing::Damaged),
                Some(node) => {
                    path.push((id, node.frame.0));
                    if node.parent.0 != 0 {
                        id = node.parent.0;
                        continue;
                    }
                    Missing::of(node)
                }
            };
            break match missing {
                Some(missing) => self.label(base, Kind::Missing, &missing.label()),
                None => base,
            };
        };
        for (id, frame) in path.into_iter().rev() {
            // Names take more memory than nodes.
            if self.tree.is_full() {
                self.tree.leave_out();
            } else {
                for function in self.names.functions(frame, &session.dicts) {
                    at = self.tree.child(at, function);
                }
            }
            self.known.insert(id, at);
        }
        at
    }
}

/// The result.
#[derive(Clone, Debug)]
pub struct StackTree {
    tree: Tree,
    names: Names,
    /// How many stacks were not kept apart.
    others: Option<String>,
}

impl StackTree {
    /// The faults in each function itself, wherever it was called from, longest wait first.
    #[must_use]
    pub fn own_by_function(&self) -> Vec<(&Function, Cell)> {
        let mut sums = vec![Cell::default(); self.names.all().len()];
        for node in self.tree.nodes().iter().skip(ROOT + 1) {
            if let Some(sum) = sums.get_mut(node.function as usize) {
                sum.merge(node.own);
            }
        }
        let mut functions: Vec<(&Function, Cell)> = self.names.all().iter().zip(sums).collect();
        functions.retain(|(_, own)| own.count > 0);
        // Stable: equals stay in the order in which they were met.
        functions.sort_by_key(|(_, own)| Reverse(own.wait_ns));
        functions
    }

    /// Chooses what to show.
    #[must_use]
    pub fn shown(&self, weight: Weight, limits: StackLimits) -> Shown {
        choose(&self.tree, &self.names, weight, limits)
    }

    /// The shown part for programs.
    #[must_use]
    pub fn table(&self, shown: &Shown) -> Table {
        tables::table(&self.tree, &self.names, shown)
    }

    /// The shown part for people, at most `width` characters wide where names can be cut.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_text(
        &self,
        shown: &Shown,
        weight: Weight,
        width: Option<usize>,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        text::write(&self.tree, &self.names, shown, weight, width, out)
    }

    /// Everything for flame graph tools.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_folded(&self, weight: Weight, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        tables::write_folded(&self.tree, &self.names, weight, out)
    }

    /// What the numbers do not show: faults without a stack, and stacks without their outermost callers.
    #[must_use]
    pub fn remarks(&self, weight: Weight) -> Vec<String> {
        // Longest faults have no sum.
        let (weight, what) = match weight {
            Weight::Wait => (weight, "wait"),
            Weight::Count | Weight::Max => (Weight::Count, "faults"),
        };
        let whole = u128::from(weight.of(self.tree.total()));
        let share = |part: u128| format!("{} of the {what}", percent(part, whole));
        let sum = |kind, name: &str| {
            let mut sum = Cell::default();
            for node in tables::of_kind(&self.tree, &self.names, kind) {
                if self
                    .names
                    .get(node.function)
                    .is_some_and(|function| function.name == name)
                {
                    sum.merge(node.all);
                }
            }
            sum
        };
        let mut remarks = Vec::new();
        if let Some(others) = &self.others {
            remarks.push(format!(
                "too many stacks to keep apart: {OTHER_STACKS} has those with the shortest waits together, {others}"
            ));
        }
        if self.tree.left_out() > 0 {
            remarks.push(format!(
                "too many functions, or too deep in each other: {} calls count in their callers",
                grouped(self.tree.left_out())
            ));
        }
        let none = sum(Kind::NoStack, NO_STACK);
        if none.count > 0 {
            let faults = if none.count == 1 {
                "1 fault was".to_owned()
            } else {
                format!("{} faults were", grouped(none.count))
            };
            remarks.push(format!(
                "no stack: {faults} recorded without one, {}",
                share(weight.of(none).into())
            ));
        }
        let parts: Vec<(Missing, Cell)> = Missing::ALL
            .into_iter()
            .map(|missing| (missing, sum(Kind::Missing, &missing.label())))
            .filter(|(_, cell)| cell.count > 0)
            .collect();
        if !parts.is_empty() {
            let all: u128 = parts.iter().map(|(_, cell)| u128::from(weight.of(*cell))).sum();
            let reasons: Vec<String> = parts
                .iter()
                .map(|(missing, cell)| {
                    format!("{} {}", missing.reason(), percent(weight.of(*cell).into(), whole))
                })
                .collect();
            remarks.push(format!(
                "truncated: {}, in stacks whose outermost callers are missing ({})",
                share(all),
                reasons.join(", ")
            ));
        }
        remarks
    }
}

/// What was left out of a tree, in words; `None` when nothing was.
#[must_use]
pub fn describe_hidden(shown: &Shown, limits: StackLimits) -> Option<String> {
    let branches = |count: u64| match count {
        1 => "1 branch".to_owned(),
        count => format!("{} branches", grouped(count)),
    };
    let mut parts = Vec::new();
    if shown.light > 0 {
        let percent = fixed(limits.min_share.into(), 1_000, 3);
        let percent = percent.trim_end_matches('0').trim_end_matches('.').to_owned();
        parts.push(format!(
            "{} below {percent} % (--min-percent 0 shows all)",
            branches(shown.light)
        ));
    }
    if let Some(depth) = limits.depth.filter(|_| shown.deep > 0) {
        parts.push(format!("{} deeper than {depth}", branches(shown.deep)));
    }
    (!parts.is_empty()).then(|| format!("hidden: {}", parts.join(", ")))
}
