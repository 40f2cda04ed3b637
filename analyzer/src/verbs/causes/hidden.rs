//! Waits of which no fault tells: the kernel touched memory of the program itself, for a system call. They are in no count of
//! faults, and in no other sum.

use crate::engine::columns::Column;
use crate::engine::scan::Pass;
use crate::engine::witnesses::functions;
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::{duration, quantity};
use crate::stats::bounded_map::{Kept, Sum};
use crate::trace::cause::Cause;
use crate::trace::session::Session;
use crate::trace::sleep::{Sleep, witness_of};
use crate::verbs::causes::pass::Wait;
use pf_formats::HiddenWait;
use polars::prelude::DataFrame;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The columns: a contract.
pub const HEADS: [ColumnHead; 9] = [
    ColumnHead::new("syscall"),
    ColumnHead::new("cause"),
    ColumnHead::new("count"),
    ColumnHead::new("total_ms"),
    ColumnHead::new("avg_ms"),
    ColumnHead::new("max_ms"),
    ColumnHead::new("top_file"),
    ColumnHead::new("top_function"),
    ColumnHead::new("wait_ns"),
];

/// Columns that give way to a narrow terminal, the first first.
pub(crate) const DROP_ORDER: [&str; 5] = ["wait_ns", "avg_ms", "max_ms", "top_function", "top_file"];

/// System calls that are told apart: the kernel has some 400.
const CALLS: usize = 1024;

/// What the others are called, and one that is not known.
const OTHER_CALLS: &str = "others";
const UNKNOWN_CALL: &str = "unknown";

#[derive(Clone, Copy, Debug, Default)]
struct Waits {
    count: u64,
    wait_ns: u64,
    max_ns: u64,
}

/// Collects them by system call and cause.
#[derive(Debug, Default)]
pub struct HiddenWaits {
    calls: Vec<String>,
    waits: BTreeMap<(usize, Cause), Waits>,
    files: Kept<(u32, u8, u32), Wait>,
    sleeps: Kept<(u32, u8, u32), Wait>,
}

impl Pass for HiddenWaits {
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn block(&mut self, _: &DataFrame, _: &Session) -> Result<(), AnalyzeError> {
        Ok(())
    }

    fn hidden_wait(&mut self, wait: &HiddenWait, session: &Session) {
        let call = self.call(&wait.syscall);
        let cause = cause_of(wait, session);
        let waits = self.waits.entry((call, cause)).or_default();
        waits.count = waits.count.saturating_add(1);
        waits.wait_ns = waits.wait_ns.saturating_add(wait.wait_ns);
        waits.max_ns = waits.max_ns.max(wait.wait_ns);
        let key = |id: u32| (u32::try_from(call).unwrap_or(u32::MAX), cause.code(), id);
        let of = Wait(wait.wait_ns.into());
        if wait.object.0 != 0 {
            self.files.of(key(wait.object.0)).merge(of);
        }
        if wait.sleep.0 != 0 {
            self.sleeps.of(key(wait.sleep.0)).merge(of);
        }
    }
}

/// Why it waited, by where the kernel slept.
#[must_use]
pub(crate) fn cause_of(wait: &HiddenWait, session: &Session) -> Cause {
    let slept = (wait.sleep.0 != 0).then(|| Sleep::of(functions(&session.dicts.stacks, wait.sleep.0)));
    match slept {
        Some(Sleep::Userfault) => Cause::Userfault,
        Some(Sleep::Writeback) => Cause::Writeback,
        Some(Sleep::Reclaim) => Cause::Reclaim,
        Some(Sleep::Swap) => Cause::SwapIn,
        Some(Sleep::Fs) => Cause::Fs,
        Some(Sleep::Lock) => Cause::Lock,
        Some(Sleep::Page) if wait.object.0 != 0 => Cause::Read,
        Some(Sleep::Page) => Cause::ReadWait,
        Some(Sleep::Other) | None => Cause::Unknown,
    }
}

impl HiddenWaits {
    fn call(&mut self, name: &str) -> usize {
        let name = if name.is_empty() { UNKNOWN_CALL } else { name };
        if let Some(known) = self.calls.iter().position(|call| call == name) {
            return known;
        }
        if self.calls.len() >= CALLS {
            return self.call(OTHER_CALLS);
        }
        self.calls.push(name.to_owned());
        if self.calls.len() + 1 == CALLS {
            self.calls.push(OTHER_CALLS.to_owned());
        }
        self.calls.len() - 1
    }

    fn sum(&self) -> Waits {
        let mut sum = Waits::default();
        for waits in self.waits.values() {
            sum.count = sum.count.saturating_add(waits.count);
            sum.wait_ns = sum.wait_ns.saturating_add(waits.wait_ns);
            sum.max_ns = sum.max_ns.max(waits.max_ns);
        }
        sum
    }

    /// The table, longest wait first.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        let mut all: Vec<_> = self.waits.iter().collect();
        all.sort_by_key(|&(&(call, cause), waits)| (Reverse(waits.wait_ns), self.calls.get(call), cause));
        let rows: Vec<_> = all
            .into_iter()
            .map(|(&(call, cause), waits)| {
                let of = (u32::try_from(call).unwrap_or(u32::MAX), cause.code());
                let file = longest(&self.files, of).map(|id| session.dicts.label(id).into_owned());
                let name = self.calls.get(call).cloned().unwrap_or_default();
                let function = self.function(of, session);
                row(name, cause.name(), waits, (file, function))
            })
            .collect();
        let total = || row("total".to_owned(), "", &self.sum(), (None, None));
        Table {
            heads: HEADS.to_vec(),
            total: (!rows.is_empty()).then(total),
            rows,
        }
    }

    /// The function that tells what most of the time was slept for.
    fn function(&self, (call, code): (u32, u8), session: &Session) -> Option<String> {
        let mut sums: BTreeMap<&str, u128> = BTreeMap::new();
        for (&(of_call, of_code, stack), wait) in self.sleeps.iter() {
            if (of_call, of_code) == (call, code)
                && let Some(name) = witness_of(functions(&session.dicts.stacks, stack))
            {
                *sums.entry(name).or_default() += wait.0;
            }
        }
        let largest = sums.into_iter().max_by_key(|(_, wait)| *wait);
        largest.map(|(name, _)| name.to_owned())
    }

    /// For whoever looks at faults.
    #[must_use]
    pub(crate) fn remark(&self) -> Option<String> {
        let said = self.describe()?;
        Some(format!("{said}: causes --part hidden"))
    }

    /// How much was waited, and for whom.
    #[must_use]
    pub(crate) fn describe(&self) -> Option<String> {
        let sum = self.sum();
        let mut calls: BTreeMap<&str, u64> = BTreeMap::new();
        for (&(call, _), waits) in &self.waits {
            let name = self.calls.get(call).map_or(UNKNOWN_CALL, String::as_str);
            *calls.entry(name).or_default() += waits.wait_ns;
        }
        let (longest, _) = calls.iter().max_by_key(|(_, wait_ns)| **wait_ns)?;
        let among = if calls.len() > 1 { ", most of it" } else { "" };
        Some(format!(
            "not in these numbers: {} slept in {} of the kernel's own accesses to memory, of which no fault tells{among} in {longest}",
            duration(sum.wait_ns),
            quantity(sum.count, "wait"),
        ))
    }

    /// For whoever looks at them.
    #[must_use]
    pub(crate) fn remark_on_table(&self, session: &Session) -> Option<String> {
        let is_blind = session.sight().is_blind_to_hidden_waits();
        if self.waits.is_empty() && is_blind {
            return Some("this recording could not see waits of hidden faults".to_owned());
        }
        None
    }
}

fn row(
    call: String,
    cause: &str,
    waits: &Waits,
    (file, function): (Option<String>, Option<String>),
) -> Vec<Value> {
    let text = |name: Option<String>| name.map_or(Value::Null, Value::Text);
    vec![
        Value::Text(call),
        Value::Text(cause.to_owned()),
        Value::Count(waits.count),
        Value::Ms(waits.wait_ns),
        Value::Ms(waits.wait_ns.checked_div(waits.count).unwrap_or(0)),
        Value::Ms(waits.max_ns),
        text(file),
        text(function),
        Value::Count(waits.wait_ns),
    ]
}

fn longest(waits: &Kept<(u32, u8, u32), Wait>, of: (u32, u8)) -> Option<u32> {
    let own = waits.iter().filter(|((call, code, _), _)| (*call, *code) == of);
    let longest = own.max_by_key(|&(&(.., id), wait)| (wait.0, Reverse(id)));
    longest.map(|(&(.., id), _)| id)
}
