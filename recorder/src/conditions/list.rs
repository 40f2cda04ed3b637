//! What was read, one after the other.

use pf_formats::Condition;

use crate::clock::monotonic_ns;

/// Settings and figures, each with the time when it was read.
#[derive(Debug, Default)]
pub struct List {
    /// In the order in which they were read.
    pub entries: Vec<Condition>,
}

impl List {
    /// One more, if it is there: the first line of its value.
    pub fn put(&mut self, subject: &str, name: &str, value: Option<&str>) {
        let line = value.and_then(|value| value.trim().lines().next());
        let Some(value) = line.map(str::trim).filter(|value| !value.is_empty()) else {
            return;
        };
        self.entries.push(Condition {
            ts_ns: monotonic_ns(),
            subject: subject.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_or_empty_is_left_out_and_the_rest_is_one_line() {
        let mut list = List::default();
        for value in [None, Some(""), Some(" \n"), Some("\n 1 \n2\n")] {
            list.put("machine", "x", value);
        }
        let values: Vec<&str> = list.entries.iter().map(|entry| entry.value.as_str()).collect();
        assert_eq!(values, ["1"]);
        assert!(list.entries.iter().all(|entry| entry.ts_ns > 0));
    }
}
