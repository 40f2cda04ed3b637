//! `info`: counts of what was recorded, before any filter, and how long it took.

use super::Checks;
use crate::filters::Filter;
use crate::truth::Trace;
use pf_formats::LossReason;
use serde_json::Value;

pub fn info(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    // It knows no filters.
    if filter.is_empty() {
        let asked = ["info", "--format", "json"];
        let info = serde_json::from_str(&checks.output(&asked)).unwrap();
        checks.note(&asked, compare(trace, &info));
    }
}

pub fn compare(trace: &Trace, info: &Value) -> Result<(), String> {
    if !trace.sees_failed() && !info["failed"].is_null() {
        return Err("failed faults that nobody could see are counted".to_owned());
    }
    let bytes = std::fs::metadata(&trace.path).unwrap().len();
    for (name, expected) in numbers(trace, bytes) {
        if info[name].as_u64() != Some(expected) {
            return Err(format!("{name}: {} instead of {expected}", info[name]));
        }
    }
    let close = |name: &str, exact: f64, within: f64| {
        let written = info[name].as_f64();
        let is_close = written.is_some_and(|written| (written - exact).abs() <= within);
        if is_close {
            Ok(())
        } else {
            Err(format!("{name}: {written:?} instead of {exact}"))
        }
    };
    close(
        "duration_s",
        (trace.end_ns() - trace.start_ns()) as f64 / 1e9,
        1e-9,
    )?;
    if !trace.faults.is_empty() {
        close(
            "bytes_per_event",
            bytes as f64 / trace.faults.len() as f64,
            0.0006,
        )?;
    }
    // Those that touch are one; none is counted twice, and none is forgotten.
    let listed = info["losses"].as_array().unwrap();
    let listed: u64 = listed.iter().map(|loss| loss["count"].as_u64().unwrap()).sum();
    let all = trace
        .losses
        .iter()
        .filter(|loss| loss.reason != LossReason::Unfinished);
    let all: u64 = all.map(|loss| loss.count).sum();
    if listed == all {
        Ok(())
    } else {
        Err(format!("losses: {listed} instead of {all}"))
    }
}

fn numbers(trace: &Trace, bytes: u64) -> Vec<(&'static str, u64)> {
    let of_class = |class| trace.faults.iter().filter(|fault| fault.class() == class).count() as u64;
    let lost_to = |reason: LossReason| {
        let losses = trace.losses.iter().filter(|loss| loss.reason == reason);
        losses.map(|loss| loss.count).sum::<u64>()
    };
    let costly = [
        LossReason::Reserve,
        LossReason::NoEntry,
        LossReason::Queue,
        LossReason::State,
        LossReason::Damage,
        LossReason::LaterEvents,
    ];
    let mut numbers = vec![
        ("events", trace.faults.len() as u64),
        ("major", of_class("major")),
        ("minor", of_class("minor")),
        ("queries", trace.queries.len() as u64),
        ("blocks", trace.blocks as u64),
        ("bytes", bytes),
        ("start_ns", trace.start_ns()),
        ("lost", costly.map(lost_to).iter().sum()),
        ("not_completed", lost_to(LossReason::Unfinished)),
        ("sample", trace.one_in()),
    ];
    if trace.sees_failed() {
        numbers.push(("failed", of_class("failed")));
    }
    if let Some(books) = trace
        .totals
        .as_ref()
        .and_then(|totals| totals.accounting.as_ref())
    {
        numbers.extend([
            ("kernel_majors", books.kernel_majors),
            ("kernel_minors", books.kernel_minors),
            ("recorded", books.recorded),
            ("hidden", books.hidden),
            ("filtered", books.filtered),
        ]);
    }
    numbers
}
