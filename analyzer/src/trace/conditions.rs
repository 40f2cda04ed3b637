//! What was set, and how things stood, when the recording began and when it ended.

use pf_formats::Condition;
use std::collections::BTreeMap;

/// Settings and figures that are kept, and bytes of their names and values.
const KEPT: usize = 1 << 16;
const BYTES_KEPT: usize = 16 << 20;

/// A setting or a figure, as it was first and as it was last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// When it was read first, and as what.
    pub first: (u64, String),
    /// And last; the same where it was read once.
    pub last: (u64, String),
}

impl Setting {
    /// Whether it was another one at the end.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.first.1 != self.last.1
    }
}

/// All of them, by subject and name.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    settings: BTreeMap<(String, String), Setting>,
    bytes: usize,
    /// Entries that were not kept, because there were too many.
    pub left_out: u64,
}

impl Conditions {
    pub(crate) fn see(&mut self, entries: Vec<Condition>) {
        for entry in entries {
            let bytes = entry.subject.len() + entry.name.len() + 2 * entry.value.len();
            let key = (entry.subject, entry.name);
            let value = (entry.ts_ns, entry.value);
            if let Some(known) = self.settings.get_mut(&key) {
                if value.0 < known.first.0 {
                    known.first = value;
                } else if value.0 >= known.last.0 {
                    known.last = value;
                }
                continue;
            }
            if self.settings.len() >= KEPT || self.bytes + bytes > BYTES_KEPT {
                self.left_out = self.left_out.saturating_add(1);
                continue;
            }
            self.bytes += bytes;
            let setting = Setting {
                first: value.clone(),
                last: value,
            };
            self.settings.insert(key, setting);
        }
    }

    /// Whether the recording tells of any.
    #[must_use]
    pub fn are_known(&self) -> bool {
        !self.settings.is_empty()
    }

    /// Each with its subject and name, in their order.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Setting)> {
        let each = self.settings.iter();
        each.map(|((subject, name), setting)| (subject.as_str(), name.as_str(), setting))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, subject: &str, name: &str) -> Option<&Setting> {
        self.settings.get(&(subject.to_owned(), name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(ts_ns: u64, subject: &str, name: &str, value: &str) -> Condition {
        Condition {
            ts_ns,
            subject: subject.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn each_has_what_it_was_first_and_last_in_whatever_order_they_come() {
        let mut conditions = Conditions::default();
        assert!(!conditions.are_known());
        conditions.see(vec![
            entry(9, "machine", "SwapTotal", "7 kB"),
            entry(5, "machine", "SwapTotal", "5 kB"),
            entry(5, "cgroup /a", "memory.max", "max"),
        ]);
        let swap = conditions.get("machine", "SwapTotal").unwrap();
        assert_eq!((swap.first.1.as_str(), swap.last.1.as_str()), ("5 kB", "7 kB"));
        assert!(swap.has_changed() && !conditions.get("cgroup /a", "memory.max").unwrap().has_changed());
        let names: Vec<_> = conditions
            .all()
            .map(|(subject, name, _)| (subject, name))
            .collect();
        assert_eq!(names, [("cgroup /a", "memory.max"), ("machine", "SwapTotal")]);
    }

    #[test]
    fn a_flood_is_cut_off() {
        let mut conditions = Conditions::default();
        conditions.see(
            (0..70_000)
                .map(|i| entry(1, "machine", &i.to_string(), ""))
                .collect(),
        );
        assert_eq!(
            (conditions.all().count(), conditions.left_out),
            (KEPT, 70_000 - KEPT as u64)
        );
        let mut conditions = Conditions::default();
        let long = "x".repeat(4096);
        conditions.see(
            (0..9_000)
                .map(|i| entry(1, "machine", &i.to_string(), &long))
                .collect(),
        );
        assert!(conditions.bytes <= BYTES_KEPT && conditions.left_out > 0);
    }
}
