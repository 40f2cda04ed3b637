//! What the report says in sentences of a thread's life and of bursts: shares of the time that was asked for, by the wait in it.

use super::stalls::life;
use super::tables::grouped;
use super::timeline::{common, span, window};
use crate::filters::Filter;
use crate::truth::{Fault, Trace};

/// Looks at the sentences that are there.
pub fn compare(report: &str, trace: &Trace, filter: &Filter, faults: &[&Fault]) -> Result<(), String> {
    let words: Vec<&str> = report.split_whitespace().collect();
    let window = window(trace, filter);
    of_life(&words, trace, faults, window)?;
    burst(&words, trace, faults, window)
}

/// Wait of these faults within a time.
fn wait_within(faults: &[&Fault], within: (u64, u64)) -> u128 {
    let wait = |fault: &&Fault| u128::from(common(span(fault), within)) * u128::from(fault.weight);
    faults.iter().map(wait).sum()
}

fn tenths(part: u128, whole: u128) -> u128 {
    (part * 1000 + whole / 2) / whole
}

/// `31.4`, as so many tenths.
fn read_tenths(word: &str) -> Result<u128, String> {
    let digits = word.trim_start_matches('(').replace(['.', ','], "");
    digits.parse().map_err(|_| format!("'{word}' is no share"))
}

/// `thread NAME (TID) waited 1.00 s in faults, 31.4 % of its life`.
fn of_life(words: &[&str], trace: &Trace, faults: &[&Fault], window: (u64, u64)) -> Result<(), String> {
    let is_here = |words: &[&str]| words[..2] == ["of", "its"] && words[2].trim_end_matches(':') == "life";
    let Some(at) = words.windows(3).position(is_here) else {
        return Ok(());
    };
    let told = read_tenths(words[at - 2])?;
    let waited = words[..at]
        .iter()
        .rposition(|&word| word == "waited")
        .ok_or("who waited?")?;
    let tid: u32 = words[waited - 1]
        .trim_matches(['(', ')'])
        .parse()
        .map_err(|_| "no thread")?;
    let threads = grouped(faults, |fault| (fault.event.pid, fault.event.tid));
    let shares: Vec<u128> = threads
        .iter()
        .filter(|(thread, _)| thread.1 == tid)
        .map(|(&thread, faults)| {
            let lived = common(life(trace, thread), window);
            tenths(wait_within(faults, window), u128::from(lived.max(1)))
        })
        .collect();
    if told <= 1_000 && shares.contains(&told) {
        Ok(())
    } else {
        Err(format!(
            "{told} tenths of a percent of the life of {tid} instead of {shares:?}"
        ))
    }
}

/// `99.9 % of the waiting is in 3.15 ms (0.4 % of the time), from 97.00 ms on`: what is told is rounded, so it is held against the
/// shortest and the longest time that is told like that.
fn burst(words: &[&str], trace: &Trace, faults: &[&Fault], window: (u64, u64)) -> Result<(), String> {
    let is_here = |words: &[&str]| words == ["of", "the", "waiting", "is", "in"];
    let Some(at) = words.windows(5).position(is_here) else {
        return Ok(());
    };
    let told = read_tenths(words[at - 2])?;
    let length = time(&words[at + 5..])?;
    let of_time = read_tenths(words[at + 7])?;
    let from = words[at..]
        .iter()
        .position(|&word| word == "from")
        .ok_or("from when on?")?;
    let from = time(&words[at + from + 1..])?;
    let begin = |ns: u64| trace.start_ns() + ns;
    let most = (begin(from.0), begin(from.1 + length.1));
    let least = (begin(from.1), begin(from.0 + length.0));
    let whole: u128 = faults.iter().map(|fault| fault.wait_ns()).sum();
    let share = |within: (u64, u64)| {
        tenths(
            wait_within(faults, (within.0, within.1.min(window.1))),
            whole.max(1),
        )
    };
    let of_window = |length: u64| tenths(length.into(), u128::from((window.1 - window.0).max(1)));
    if share(least) > told + 1 || told > share(most) + 1 {
        return Err(format!(
            "a burst with {told} tenths of a percent of the wait has {} to {}",
            share(least),
            share(most)
        ));
    }
    if of_window(length.0) > of_time + 1 || of_time > of_window(length.1) + 1 {
        return Err(format!(
            "a burst of {length:?} ns is not {of_time} tenths of a percent of {window:?}"
        ));
    }
    Ok(())
}

/// The least and the most nanoseconds that are told by a number and a unit.
fn time(words: &[&str]) -> Result<(u64, u64), String> {
    let (number, unit) = (words[0], words[1].trim_matches([',', ')', ';']));
    let unit_ns = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        other => return Err(format!("'{other}' is no unit")),
    };
    let value: f64 = number
        .replace(',', "")
        .parse()
        .map_err(|_| format!("'{number}' is no time"))?;
    let digits = number
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len() as i32);
    let rounding = 10f64.powi(-digits);
    let ns = |value: f64| (value.max(0.0) * unit_ns) as u64;
    Ok((ns(value - rounding), ns(value + rounding) + 1))
}
