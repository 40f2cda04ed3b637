//! What changed, in a few sentences: how long was waited, where, and on which pages.

use crate::output::text::escape;
use crate::output::units::{duration, fixed, grouped, percent};
use crate::verbs::diff::comparable::Fairness;
use crate::verbs::diff::rows::{Numbers, Row};

/// A change of the wait below so many thousandths is noise.
const NOISE: u128 = 10;

/// A short name of what a line is about, and the line.
pub type Line = (&'static str, String);

/// Whether the two can be compared; first what speaks against it.
#[must_use]
pub fn fairness(fair: &Fairness) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let against = fair.unfair.iter();
    lines.extend(against.map(|what| ("unfair", what.clone())));
    if fair.unfair.is_empty() {
        let same = listed(&fair.same);
        let but = match fair.differs.is_empty() {
            true => "",
            false => "; what differs is in the next lines",
        };
        lines.push(("fair", format!("can be compared: same {same}{but}")));
    }
    lines.extend(fair.differs.iter().map(|what| ("differs", what.clone())));
    lines
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "format".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What changed. `classes` ends with the row of all faults; `files` and `threads` begin with the biggest change.
#[must_use]
pub fn summary(
    classes: &[Row],
    files: &[Row],
    threads: &[Row],
    fair: &Fairness,
    lengths_ns: (u64, u64),
) -> Vec<Line> {
    let Some(all) = classes.last() else {
        return Vec::new();
    };
    let mut lines = vec![("change", waited(&all.a, &all.b))];
    if let Some(place) = place(all, files, threads) {
        lines.push(("where", place));
    }
    lines.extend(classes.first().and_then(single).map(|text| ("latency", text)));
    lines.extend(pages(files).map(|text| ("pages", text)));
    if fair.by_rate {
        lines.push(("rate", rate(&all.a, &all.b, lengths_ns)));
    }
    if all.a != all.b {
        let noise = "each side is one run: only a second run of A shows how much runs differ by themselves";
        lines.push(("noise", noise.to_owned()));
    }
    for row in files {
        if let Some((other, reason)) = &row.paired {
            let text = format!("{} in A is taken for {other} in B: {}", row.name, reason.words());
            lines.push(("paired", escape(&text)));
        }
    }
    lines
}

fn waited(a: &Numbers, b: &Numbers) -> String {
    if a == b {
        if *a == Numbers::default() {
            return "neither has a page fault".to_owned();
        }
        return format!(
            "nothing: both waited {} in {}",
            duration(a.wait_ns),
            faults(a).join(", ")
        );
    }
    let part = |count: fn(&Numbers) -> u64, name: &str| {
        let (a, b) = (count(a), count(b));
        match (a, b) {
            (0, 0) => None,
            (a, b) if a == b => Some(format!("{} {name} as before", grouped(b))),
            (a, b) => Some(format!(
                "{} {name} instead of {}{}",
                grouped(b),
                grouped(a),
                relative(a, b)
            )),
        }
    };
    let parts: Vec<String> = [
        part(|numbers| numbers.majors, "major"),
        part(|numbers| numbers.minors, "minor"),
        part(|numbers| numbers.failed, "failed"),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!(
        "B waited {} instead of {}{} in page faults: {}",
        duration(b.wait_ns),
        duration(a.wait_ns),
        relative(a.wait_ns, b.wait_ns),
        parts.join(", ")
    )
}

fn faults(numbers: &Numbers) -> Vec<String> {
    let parts = [
        (numbers.majors, "major"),
        (numbers.minors, "minor"),
        (numbers.failed, "failed"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    parts
        .map(|(count, name)| format!("{} {name}", grouped(*count)))
        .collect()
}

/// ` (-67.4 %)`, or ` (12.3 times as much)`; nothing where there was nothing before.
fn relative(a: u64, b: u64) -> String {
    let (before, now) = (u128::from(a), u128::from(b));
    if before == 0 || before == now {
        return String::new();
    }
    if now >= before * 10 {
        return format!(" ({} times as much)", fixed(b, a, 1));
    }
    let sign = if now < before { "-" } else { "+" };
    format!(" ({sign}{})", percent(before.abs_diff(now), before))
}

/// Where most of the change is.
fn place(all: &Row, files: &[Row], threads: &[Row]) -> Option<String> {
    let whole = u128::from(all.change_ns());
    let most = u128::from(all.a.wait_ns.max(all.b.wait_ns));
    if whole * 1_000 < most * NOISE || whole == 0 {
        return None;
    }
    let is_less = all.b.wait_ns < all.a.wait_ns;
    let share = |rows: &'_ [Row]| {
        let row = rows
            .iter()
            .find(|row| row.change_ns() > 0 && (row.b.wait_ns < row.a.wait_ns) == is_less)?;
        Some((row.clone(), u128::from(row.change_ns())))
    };
    let describe = |part: u128| match part * 100 {
        part if part >= whole * 95 => "almost all".to_owned(),
        part => percent(part / 100, whole),
    };
    let (file, part) = share(files)?;
    let mut text = format!(
        "{} of the change is in {}: {} instead of {}",
        describe(part),
        file.label(),
        duration(file.b.wait_ns),
        duration(file.a.wait_ns)
    );
    let has_several = threads.iter().filter(|row| row.change_ns() > 0).count() > 1;
    if let Some((thread, part)) = share(threads).filter(|_| has_several) {
        text.push_str(&format!(
            "; {} of it in threads named {}",
            describe(part),
            thread.name
        ));
    }
    Some(escape(&text))
}

/// How long one major fault takes.
fn single(majors: &Row) -> Option<String> {
    let (a, b) = (&majors.a, &majors.b);
    let each = |a: u64, b: u64| format!("{} instead of {}{}", duration(b), duration(a), relative(a, b));
    if a == b {
        return None;
    }
    Some(format!(
        "a major fault took {} in the median, and {} at p99",
        each(a.p50_ns?, b.p50_ns?),
        each(a.p99_ns?, b.p99_ns?)
    ))
}

/// The pages of the file whose wait changed most.
fn pages(files: &[Row]) -> Option<String> {
    let row = files.iter().find(|row| row.pages.is_some())?;
    let pages = row.pages?;
    if pages.only_a() == 0 && pages.only_b() == 0 {
        return (pages.a > 0).then(|| {
            escape(&format!(
                "the same {}{} pages of {} were faulted in",
                about(pages.is_estimated),
                grouped(pages.a),
                row.label()
            ))
        });
    }
    let text = format!(
        "of {} A faulted in {}{} distinct pages, B {}: {} in both (Jaccard {}), {} only in A, {} only in B",
        row.label(),
        about(pages.is_estimated),
        grouped(pages.a),
        grouped(pages.b),
        grouped(pages.both),
        percent(pages.both.into(), pages.either().into()),
        grouped(pages.only_a()),
        grouped(pages.only_b()),
    );
    Some(escape(&text))
}

fn about(is_estimated: bool) -> &'static str {
    if is_estimated { "about " } else { "" }
}

/// Per second of what is compared.
fn rate(a: &Numbers, b: &Numbers, (of_a, of_b): (u64, u64)) -> String {
    let per_second = |value: u64, length_ns: u64| {
        let length = u128::from(length_ns.max(1));
        u64::try_from(u128::from(value) * 1_000_000_000 / length).unwrap_or(u64::MAX)
    };
    let wait = (per_second(a.wait_ns, of_a), per_second(b.wait_ns, of_b));
    let majors = (per_second(a.majors, of_a), per_second(b.majors, of_b));
    let minors = (per_second(a.minors, of_a), per_second(b.minors, of_b));
    format!(
        "per second of recording B waited {} instead of {}{}, in {} major and {} minor faults instead of {} and {}",
        duration(wait.1),
        duration(wait.0),
        relative(wait.0, wait.1),
        grouped(majors.1),
        grouped(minors.1),
        grouped(majors.0),
        grouped(minors.0),
    )
}
