//! Which threads have fewer rows than the kernel counted for them.

use crate::output::text::escape;
use crate::output::units::{grouped, quantity};
use crate::trace::session::Session;
use crate::verbs::threads::Threads;
use std::cmp::Reverse;

/// Threads named as affected.
const THREADS_SHOWN: usize = 3;

/// Which threads have fewer rows than the kernel counted for them, as far as it is known: of threads that began and
/// ended during the recording. `None` when nothing was lost.
#[must_use]
pub(crate) fn affected_threads(session: &Session, threads: &Threads) -> Option<String> {
    if session.events_lost() == 0 {
        return None;
    }
    let mut missing: Vec<(u64, u64, u32, u32)> = Vec::new();
    for (&(pid, tid), life) in &session.lifetimes {
        // Two lives under one number cannot be told apart, and counts from before the recording would not compare.
        let came_again = session.came_again(&(pid, tid));
        let (Some(_), Some(counted), false) = (life.begin_ns, life.kernel_count, came_again) else {
            continue;
        };
        let rows = match threads.get(pid, tid) {
            Some(thread) => thread.rows_in_kernel_count,
            None if threads.others().is_none() => 0,
            // It may be one of those that are not kept apart.
            None => continue,
        };
        let less = counted.saturating_sub(rows);
        if less > 0 {
            missing.push((less, counted, pid, tid));
        }
    }
    missing.sort_by_key(|&(less, _, pid, tid)| (Reverse(less), pid, tid));
    if missing.is_empty() {
        return None;
    }
    let named: Vec<String> = missing
        .iter()
        .take(THREADS_SHOWN)
        .map(|&(less, counted, pid, tid)| {
            let name = threads.get(pid, tid).map_or_else(String::new, |thread| {
                format!(" {}", escape(&session.dicts.comm(thread.comm_id())))
            });
            format!("{tid}{name} {} of {}", grouped(less), grouped(counted))
        })
        .collect();
    let more = match missing.len().saturating_sub(THREADS_SHOWN) {
        0 => String::new(),
        more => format!(", and some of {}", quantity(more as u64, "more thread")),
    };
    Some(format!(
        "missing by thread (lost or hidden, where the kernel's count is known): {}{more}",
        named.join(", ")
    ))
}
