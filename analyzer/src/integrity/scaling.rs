//! What to know of numbers that are scaled up from a sample.

use crate::output::units::grouped;
use crate::trace::session::Session;

/// What to know of scaled numbers; `None` when every fault was recorded and known to be. The exact number of the kernel stands beside
/// the estimate.
#[must_use]
pub fn remark(session: &Session) -> Option<String> {
    if session.meta.is_none() {
        let text = "it is not known whether minor faults were sampled, because the record is damaged; nothing is scaled up";
        return Some(text.to_owned());
    }
    let sampling = session.sampling();
    if !sampling.is_sampled() {
        return None;
    }
    let factor = grouped(sampling.factor());
    let books = session
        .totals
        .as_ref()
        .and_then(|totals| totals.accounting.as_ref());
    // The kernel does not know of them.
    let has_others = session.meta.as_ref().is_some_and(|meta| meta.filters.len() > 1);
    let others = if has_others {
        ", before the other filters"
    } else {
        ""
    };
    let exact = match books {
        Some(books) => format!(
            "the kernel counted exactly {} in the whole recording{others}",
            grouped(books.kernel_minors)
        ),
        None => "the kernel's exact count is not in the trace".to_owned(),
    };
    Some(format!(
        "minor faults sampled 1 in {factor}: their counts and waits are scaled up by {factor}; {exact}"
    ))
}
