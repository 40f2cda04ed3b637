//! What one row stands for: the only place that knows the weight of a row. With `--sample N` the recorder kept one minor
//! fault in N, chosen by chance; every other fault was kept.

use crate::output::units::grouped;
use crate::trace::class::Class;
use crate::trace::session::Session;

/// The sampling of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    one_in: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self::one_in(1)
    }
}

impl Sampling {
    /// One minor fault in `one_in` was recorded; 0 and 1 mean every one.
    #[must_use]
    pub fn one_in(one_in: u32) -> Self {
        Self {
            one_in: u64::from(one_in.max(1)),
        }
    }

    /// How many minor faults one recorded minor fault stands for.
    #[must_use]
    pub fn factor(self) -> u64 {
        self.one_in
    }

    /// Whether minor faults are missing by intention.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.one_in > 1
    }

    /// How many faults a row of this class stands for.
    #[must_use]
    pub fn weight(self, class: Class) -> u64 {
        match class {
            Class::Minor => self.one_in,
            Class::Major | Class::Failed => 1,
        }
    }
}

/// What to know of scaled numbers; `None` when every fault was recorded and known to be. The exact number of the kernel stands beside
/// the estimate.
#[must_use]
pub fn remark(session: &Session) -> Option<String> {
    if session.meta.is_none() {
        let text =
            "whether minor faults were sampled is not known, its record is damaged; nothing is scaled up";
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
        "minor faults sampled 1 in {factor}: counts and waits of minors are scaled up by {factor}; {exact}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_minor_faults_stand_for_others() {
        let sampling = Sampling::one_in(16);
        assert_eq!(Class::ALL.map(|class| sampling.weight(class)), [1, 16, 1]);
        for every in [Sampling::one_in(0), Sampling::one_in(1), Sampling::default()] {
            assert!(!every.is_sampled());
            assert_eq!(every.weight(Class::Minor), 1);
        }
    }
}
