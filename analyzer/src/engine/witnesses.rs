//! The causes of the faults of a block, from what its columns hold and the names of the kernel's functions that came with
//! its stacks.

use crate::trace::cause::{Cause, Evidence};
use crate::trace::class::ClassBits;
use crate::trace::session::Session;
use crate::trace::sleep::Sleep;
use crate::trace::stack_dict::StackDict;
use pf_formats::{Access, Columns, ObjectKind};
use polars::prelude::PlHashMap;

/// Frames of a stack that are looked at; the kernel's have fewer.
const FRAMES: usize = 256;

/// For each row its cause; `None` where nobody looked for one.
pub(crate) fn causes(columns: &Columns, session: &Session) -> impl Iterator<Item = Option<Cause>> {
    let mut sleeps: PlHashMap<u32, Sleep> = PlHashMap::default();
    (0..columns.len()).map(move |row| {
        let seen = columns.witnesses_of(row).filter(|seen| !seen.is_none())?;
        let (bits, object) = (ClassBits(*columns.class.get(row)?), *columns.object.get(row)?);
        let of = |times: &[u64]| times.get(row).copied();
        let sleep = seen.sleep.map(|stack| match (stack.0, of(&columns.blocked_ns)) {
            // It slept, and the stack was lost.
            (0, Some(1..)) => Some(Sleep::Other),
            (0, _) => None,
            (id, _) => Some(
                *sleeps
                    .entry(id)
                    .or_insert_with(|| Sleep::of(functions(&session.dicts.stacks, id))),
            ),
        });
        Some(Cause::of(&Evidence {
            class: bits.class(),
            has_signal: columns.signal.get(row).is_some_and(|&signal| signal != 0),
            is_abandoned: bits.is_abandoned(),
            is_write: bits.access().map(|access| access == Access::Write),
            is_file: session.dicts.kind(object) == ObjectKind::File,
            is_shared: seen.shared,
            sleep,
            pages_read: seen.pages_read,
            reads_own_page: seen
                .pages_before
                .zip(seen.pages_read)
                .map(|(before, pages)| u32::try_from(before).is_ok_and(|before| before < pages)),
            is_present: seen.present,
            latency_ns: of(&columns.latency_ns)?,
            runqueue_ns: of(&columns.runqueue_ns),
            reclaim_ns: of(&columns.reclaim_ns),
        }))
    })
}

/// The names of the functions of a stack, the innermost first, as far as they are known.
pub(crate) fn functions(stacks: &StackDict, stack: u32) -> impl Iterator<Item = &str> + Clone {
    let node = move |id: &u32| {
        stacks
            .node(*id)
            .map(|node| node.parent.0)
            .filter(|&parent| parent != 0)
    };
    let nodes = std::iter::successors(Some(stack).filter(|&id| id != 0), node).take(FRAMES);
    nodes.filter_map(|id| Some(stacks.symbol(stacks.node(id)?.frame.0)?.name.as_str()))
}
