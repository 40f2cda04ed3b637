//! What a verb should write, and how that is held against what it writes, in CSV and in JSON.

use serde_json::Value;
use std::fmt::Write as _;

/// One expected cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Text(String),
    Int(u128),
    /// Nanoseconds, written in seconds.
    Seconds(u128),
    /// Nanoseconds, written in milliseconds.
    Ms(u128),
    /// Nanoseconds, written in microseconds.
    Us(u128),
    /// As `Ms`, within the stated one percent.
    AboutMs(u64),
    /// As `Us`, within the stated one percent.
    AboutUs(u64),
    /// 100 × the first / the second, to three decimals.
    Percent(u128, u128),
    /// Thousandths.
    Decimal(u128),
    /// What it is, below zero.
    Minus(Box<Cell>),
    /// A whole number from the first to the second.
    Between(u128, u128),
    /// Nanoseconds from the first to the second, written in milliseconds.
    MsBetween(u128, u128),
    /// Words, which are no numbers.
    Any,
}

pub fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

pub fn int(number: impl Into<u128>) -> Cell {
    Cell::Int(number.into())
}

fn decimals(nanoseconds: u128, digits: usize) -> String {
    let unit = 10_u128.pow(digits as u32);
    format!("{}.{:0digits$}", nanoseconds / unit, nanoseconds % unit)
}

/// Written without its decimal point, which has `digits` digits behind it.
fn nanoseconds(text: &str, digits: usize) -> u128 {
    let (whole, fraction) = text
        .split_once('.')
        .unwrap_or_else(|| panic!("'{text}' has no decimals"));
    assert_eq!(fraction.len(), digits, "'{text}'");
    format!("{whole}{fraction}").parse().unwrap()
}

impl Cell {
    /// Exactly as it must be written; `None` where one percent is allowed.
    fn exact(&self) -> Option<String> {
        Some(match self {
            Self::Null => String::new(),
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Seconds(ns) => decimals(*ns, 9),
            Self::Ms(ns) => decimals(*ns, 6),
            Self::Us(ns) => decimals(*ns, 3),
            Self::Percent(_, 0) => "0.000".to_owned(),
            Self::Percent(part, whole) => decimals((part * 100_000 + whole / 2) / whole, 3),
            Self::Decimal(thousandths) => decimals(*thousandths, 3),
            // Less than can be written has no sign.
            Self::Minus(cell) => match cell.exact()? {
                zero if !zero.contains(|digit: char| ('1'..='9').contains(&digit)) => zero,
                number => format!("-{number}"),
            },
            Self::AboutMs(_) | Self::AboutUs(_) | Self::Between(..) | Self::MsBetween(..) | Self::Any => {
                return None;
            }
        })
    }

    fn is_in_csv(&self, written: &str) -> bool {
        let about = |exact: u64, digits| {
            let exact = u128::from(exact);
            nanoseconds(written, digits).abs_diff(exact) * 100 <= exact
        };
        match (self, self.exact()) {
            (Self::AboutMs(ns), _) => about(*ns, 6),
            (Self::AboutUs(ns), _) => about(*ns, 3),
            (Self::Between(least, most), _) => (*least..=*most).contains(&written.parse::<u128>().unwrap()),
            (Self::MsBetween(least, most), _) => (*least..=*most).contains(&nanoseconds(written, 6)),
            (Self::Any, _) => true,
            (_, exact) => exact.as_deref() == Some(written),
        }
    }

    fn is_in_json(&self, written: &Value) -> bool {
        let number = |text: &str| text.parse::<f64>().ok();
        match (self, self.exact()) {
            (Self::Null, _) => written.is_null(),
            (Self::Text(text), _) => written.as_str() == Some(text),
            (Self::AboutMs(ns), _) => is_about(written, *ns, 1e6),
            (Self::AboutUs(ns), _) => is_about(written, *ns, 1e3),
            (Self::Between(least, most), _) => {
                let written = written.as_u64().map(u128::from);
                written.is_some_and(|written| (*least..=*most).contains(&written))
            }
            (Self::MsBetween(least, most), _) => {
                let written = written.as_f64().map(|ms| (ms * 1e6).round() as u128);
                written.is_some_and(|written| (*least..=*most).contains(&written))
            }
            (Self::Any, _) => true,
            (_, exact) => written.as_f64().is_some() && written.as_f64() == exact.as_deref().and_then(number),
        }
    }
}

fn is_about(written: &Value, exact_ns: u64, unit_ns: f64) -> bool {
    let exact = exact_ns as f64;
    let written = written.as_f64();
    // A thousandth of a nanosecond for what binary fractions cannot say.
    written.is_some_and(|value| (value * unit_ns - exact).abs() <= 0.01 * exact + 1e-3)
}

/// An expected table.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub heads: Vec<&'static str>,
    /// In order.
    pub rows: Vec<Vec<Cell>>,
}

impl Expected {
    /// What is wrong with the CSV text.
    pub fn compare_csv(&self, written: &str) -> Result<(), String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(written.as_bytes());
        let mut records = reader.records().map(Result::unwrap);
        let heads = records.next().unwrap_or_default();
        if heads.iter().ne(self.heads.iter().copied()) {
            return Err(format!("the columns are {heads:?} instead of {:?}", self.heads));
        }
        let rows: Vec<csv::StringRecord> = records.collect();
        self.compare(rows.len(), |row, column, cell| {
            let written = rows[row].get(column).unwrap();
            if cell.is_in_csv(written) {
                Ok(())
            } else {
                Err(written.to_owned())
            }
        })
    }

    /// What is wrong with a JSON array of objects.
    pub fn compare_json(&self, written: &Value) -> Result<(), String> {
        let rows = written.as_array().ok_or_else(|| format!("no array: {written}"))?;
        self.compare(rows.len(), |row, column, cell| {
            let object = rows[row].as_object().unwrap();
            if object.len() != self.heads.len() {
                return Err(format!("{} members", object.len()));
            }
            match object.get(self.heads[column]) {
                Some(value) if cell.is_in_json(value) => Ok(()),
                value => Err(format!("{value:?}")),
            }
        })
    }

    fn compare(
        &self,
        count: usize,
        check: impl Fn(usize, usize, &Cell) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut wrong = String::new();
        if count != self.rows.len() {
            let _ = writeln!(wrong, "{count} rows instead of {}", self.rows.len());
        }
        for (index, row) in self.rows.iter().enumerate().take(count) {
            assert_eq!(row.len(), self.heads.len(), "the oracle forgot a cell");
            for (column, cell) in row.iter().enumerate() {
                if let Err(written) = check(index, column, cell) {
                    let head = self.heads[column];
                    let _ = writeln!(wrong, "row {index}, {head}: {written} instead of {cell:?}");
                }
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.lines().take(20).collect::<Vec<_>>().join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_digit_is_noticed() {
        let expected = Expected {
            heads: vec!["name", "count", "total_ms", "p50_us", "share"],
            rows: vec![vec![
                text("a,b"),
                int(12_u64),
                Cell::Ms(1_234_567),
                Cell::AboutUs(10_000),
                Cell::Percent(1, 3),
            ]],
        };
        let right = "name,count,total_ms,p50_us,share\n\"a,b\",12,1.234567,10.050,33.333\n";
        assert_eq!(expected.compare_csv(right), Ok(()));
        for (from, to) in [
            (",12,", ",13,"),
            ("4567", "4568"),
            ("10.050", "10.101"),
            (".333", ".334"),
            ("name", "n"),
            ("a,b", "a;b"),
        ] {
            let wrong = right.replacen(from, to, 1);
            assert!(expected.compare_csv(&wrong).is_err(), "{wrong}");
        }
        let json = |total| {
            format!(
                "[{{\"name\":\"a,b\",\"count\":12,\"total_ms\":{total},\"p50_us\":9.910,\"share\":33.333}}]"
            )
        };
        let compare = |total| expected.compare_json(&serde_json::from_str(&json(total)).unwrap());
        assert_eq!(compare("1.234567"), Ok(()));
        assert!(compare("1.234566").is_err());
        assert!(expected.compare_json(&Value::Array(Vec::new())).is_err());
    }
}
