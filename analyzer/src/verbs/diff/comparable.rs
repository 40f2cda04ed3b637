//! Whether two recordings can be compared: what of their circumstances differs, and what of it makes numbers wrong.

use crate::integrity::warnings;
use crate::output::text::escape;
use crate::output::text::shell_words;
use crate::output::units::{bytes, duration, grouped};
use crate::trace::class::Class;
use crate::trace::scope;
use crate::trace::session::Session;
use crate::trace::visibility::Sight;
use pf_formats::Meta;
use std::borrow::Cow;

/// Recordings whose lengths differ by more, in percent of the shorter one, are compared per second, too.
const SAME_LENGTH_PERCENT: u128 = 25;

/// Options of the recorder that change what is recorded and what recording a fault costs, which is part of its latency.
const OPTIONS: [&str; 3] = ["--stacks", "--breakdown", "--query"];

/// What there is to say, ready for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fairness {
    /// Differences and losses because of which numbers are not those of the same thing.
    pub unfair: Vec<String>,
    /// What else differs: it may be what the comparison is about.
    pub differs: Vec<String>,
    /// What is the same.
    pub same: Vec<&'static str>,
    /// Whether the lengths differ much.
    pub by_rate: bool,
}

/// Looks at both, of which so much is compared.
#[must_use]
pub(crate) fn judge(a: &Session, b: &Session, lengths_ns: (u64, u64)) -> Fairness {
    let mut fair = Fairness::default();
    for (side, session, length_ns) in [("A", a, lengths_ns.0), ("B", b, lengths_ns.1)] {
        if length_ns == 0 {
            fair.unfair.push(format!(
                "nothing of {side} is in the time that was asked for: it is {} long",
                duration(session.duration_ns())
            ));
        }
        let warnings = warnings::warnings(session).into_iter();
        fair.unfair
            .extend(warnings.map(|warning| format!("{side} is not whole: {warning}")));
        let hidden = session.hidden_majors();
        // The kernel starts a program with some.
        if hidden >= 8 + session.of_class(Class::Major) / 100 {
            fair.unfair.push(format!(
                "{side} has {} more major faults that were counted without latency",
                grouped(hidden)
            ));
        }
    }
    let (Some(of_a), Some(of_b)) = (&a.meta, &b.meta) else {
        let text = "whether options and machines agree is not known: the record of one of them is damaged";
        fair.unfair.push(text.to_owned());
        fair.by_rate = lengths_differ(lengths_ns);
        return fair;
    };
    fair.recorder(of_a, of_b, a, b);
    fair.machine(of_a, of_b);
    fair.by_rate = lengths_differ(lengths_ns);
    if fair.by_rate {
        fair.differs.push(format!(
            "length: A {}, B {}",
            duration(lengths_ns.0),
            duration(lengths_ns.1)
        ));
    }
    fair
}

impl Fairness {
    fn recorder(&mut self, a: &Meta, b: &Meta, in_a: &Session, in_b: &Session) {
        let filters = |session| match warnings::filters(session) {
            filters if filters.is_empty() => "nothing".to_owned(),
            filters => warnings::listed(&filters),
        };
        self.compare("filters", "left out", filters(in_a), filters(in_b), true);
        if in_a.sampling() != in_b.sampling() {
            let part = |session: &Session| match session.sampling().factor() {
                1 => "all".to_owned(),
                factor => format!("1 in {}", grouped(factor)),
            };
            self.unfair.push(format!(
                "minor faults were sampled differently: A {}, B {}; counts, waits and quantiles are weighted, pages are \
                 those of the faults that were recorded",
                part(in_a),
                part(in_b)
            ));
        }
        let [blind_in_a, blind_in_b] = [a, b].map(|meta| Sight::of(Some(meta)).blind());
        let sees = |meta: &Meta, blind: &[Cow<'_, str>]| match blind.is_empty() {
            true => meta.backend.clone(),
            false => format!("{}, which does not see {}", meta.backend, blind.join(", ")),
        };
        let (sees_a, sees_b) = (sees(a, &blind_in_a), sees(b, &blind_in_b));
        self.compare("backend", "backend", sees_a, sees_b, blind_in_a != blind_in_b);
        let given = |meta: &Meta| {
            let own = meta.options.iter().take_while(|option| *option != "--");
            let has = |option: &&&str| {
                own.clone()
                    .any(|given| given == **option || given.starts_with(&format!("{option}=")))
            };
            let given: Vec<&str> = OPTIONS.iter().filter(has).copied().collect();
            match given.is_empty() {
                true => "none of --stacks, --breakdown and --query".to_owned(),
                false => given.join(" "),
            }
        };
        self.compare("options", "recorded with", given(a), given(b), true);
        let scopes = [a, b].map(|meta| scope::kind(meta).to_owned());
        let [of_a, of_b] = scopes;
        self.compare("scope", "recorded", of_a, of_b, true);
        self.compare(
            "recorder",
            "recorder",
            a.recorder.clone(),
            b.recorder.clone(),
            false,
        );
        let (in_a, in_b) = differing(&scope::words(a), &scope::words(b));
        self.compare("command", "command", in_a, in_b, false);
    }

    fn machine(&mut self, a: &Meta, b: &Meta) {
        let (a, b) = (&a.host, &b.host);
        let mut parts = Vec::new();
        let mut part = |name: &str, a: String, b: String| {
            if a != b {
                parts.push(format!("{name}: A {a}, B {b}"));
            }
        };
        part("host", a.hostname.clone(), b.hostname.clone());
        part("kernel", a.kernel.clone(), b.kernel.clone());
        part("CPUs", grouped(a.cpus.into()), grouped(b.cpus.into()));
        // What the firmware takes differs from boot to boot.
        if a.memory_bytes.abs_diff(b.memory_bytes) > a.memory_bytes / 100 {
            part("memory", bytes(a.memory_bytes), bytes(b.memory_bytes));
        }
        let is_other_kind = a.arch != b.arch || a.page_size != b.page_size;
        part("arch", a.arch.clone(), b.arch.clone());
        part("page size", bytes(a.page_size.into()), bytes(b.page_size.into()));
        if parts.is_empty() {
            self.same.push("machine");
        } else if is_other_kind {
            self.unfair
                .push(escape(&format!("machine: {}", parts.join("; "))));
        } else {
            self.differs.extend(parts.iter().map(|part| escape(part)));
        }
    }

    fn compare(&mut self, same: &'static str, what: &str, a: String, b: String, is_unfair: bool) {
        if a == b {
            self.same.push(same);
            return;
        }
        let line = escape(&format!("{what}: A {a}, B {b}"));
        if is_unfair {
            self.unfair.push(line);
        } else {
            self.differs.push(line);
        }
    }
}

/// Two commands without the words that they begin and end with alike, but for the last one before they part: it may be the
/// option to the words that differ.
fn differing(a: &[String], b: &[String]) -> (String, String) {
    let alike =
        |pairs: &mut dyn Iterator<Item = (&String, &String)>| pairs.take_while(|(a, b)| a == b).count();
    let start = alike(&mut a.iter().zip(b));
    let room = a.len().min(b.len()).saturating_sub(start);
    let end = alike(&mut a.iter().rev().zip(b.iter().rev())).min(room);
    let first = if start > 2 { start - 1 } else { 0 };
    let part = |words: &[String]| {
        let kept = words.get(first..words.len().saturating_sub(end)).unwrap_or(words);
        let before = if first > 0 { "… " } else { "" };
        let after = if end > 0 { " …" } else { "" };
        format!("{before}{}{after}", shell_words(kept))
    };
    (part(a), part(b))
}

fn lengths_differ((a, b): (u64, u64)) -> bool {
    let (a, b) = (u128::from(a), u128::from(b));
    let (shorter, longer) = (a.min(b), a.max(b));
    // Nothing has no rate.
    shorter > 0 && longer * 100 > shorter * (100 + SAME_LENGTH_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_commands_only_what_differs_is_told() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let told = |a, b| differing(&words(a), &words(b));
        let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            told("walk -f x --advice random -t 2", "walk -f x --advice normal -t 2"),
            both("… --advice random …", "… --advice normal …")
        );
        assert_eq!(told("walk -t 2", "other -t 2"), both("walk …", "other …"));
        assert_eq!(told("walk a b c", "walk a b c c"), both("… c", "… c c"));
        assert_eq!(told("walk a", "walk a"), both("walk a", "walk a"));
    }
}
