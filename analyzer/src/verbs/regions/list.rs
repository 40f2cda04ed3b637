//! Regions from a list: `name,offset,len` per line, numbers decimal or with 0x; a first line without numbers is a header.

use crate::verbs::regions::region::{Collected, Region, RegionError};
use std::io::Read;

/// The longest list; far more than `MOST_REGIONS` lines need.
const LONGEST_LIST: u64 = 64 << 20;

/// Reads the list.
///
/// # Errors
/// With the number of the line; or when there are too many lines.
pub fn read(list: impl Read) -> Result<Vec<Region>, RegionError> {
    let mut csv = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(list.take(LONGEST_LIST));
    let mut regions = Collected::default();
    let mut row = csv::ByteRecord::new();
    let mut is_first = true;
    while csv.read_byte_record(&mut row).map_err(unreadable)? {
        let line = row.position().map_or(0, csv::Position::line);
        let wrong = |what: String| RegionError::Line { line, what };
        let text = |index| row.get(index).map(String::from_utf8_lossy).unwrap_or_default();
        let (name, offset, len) = (text(0), text(1), text(2));
        if row.len() != 3 {
            return Err(wrong(format!(
                "{} fields, and 3 are needed: name,offset,len",
                row.len()
            )));
        }
        let number = |field: &str, text: &str| {
            whole_number(text).ok_or_else(|| {
                wrong(format!(
                    "{field} '{text}' is not a number: give bytes as 4096 or 0x1000"
                ))
            })
        };
        let is_header = is_first && number("offset", &offset).is_err() && number("len", &len).is_err();
        is_first = false;
        if is_header {
            continue;
        }
        let (offset, len) = (number("offset", &offset)?, number("len", &len)?);
        if offset.checked_add(len).is_none() {
            return Err(wrong(format!("offset {offset} + len {len} is beyond any file")));
        }
        regions.push(Region {
            name: name.into_owned(),
            offset,
            len,
            kind: None,
            shape: None,
        })?;
    }
    Ok(regions.into_regions())
}

/// Decimal, or hexadecimal with 0x, as tools write such lists.
fn whole_number(text: &str) -> Option<u64> {
    let trimmed = text.trim();
    match trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => trimmed.parse().ok(),
    }
}

fn unreadable(error: csv::Error) -> RegionError {
    let position = error.position().map_or((0, 0), |at| (at.line(), at.byte()));
    let words = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => RegionError::Io {
            offset: position.1,
            source,
        },
        _ => RegionError::Line {
            line: position.0,
            what: words,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read_text(text: &str) -> Result<Vec<(String, u64, u64)>, String> {
        let regions = read(text.as_bytes()).map_err(|error| error.to_string())?;
        let tuple = |region: Region| (region.name, region.offset, region.len);
        Ok(regions.into_iter().map(tuple).collect())
    }

    #[test]
    fn lists_have_a_header_or_none_and_numbers_of_both_kinds() {
        let expected = vec![("a".into(), 0, 16), ("b, c".into(), 4096, 1)];
        for text in [
            "name,offset,len\na,0,16\n\"b, c\",0x1000,1\n",
            "a, 0, 0x10\n\n# what follows\n\"b, c\" , 4096 , 1",
        ] {
            assert_eq!(read_text(text), Ok(expected.clone()));
        }
        assert_eq!(read_text(""), Ok(vec![]));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, says) in [
            ("a,0,1\nb,1\n", "line 2: 2 fields"),
            ("a,0,1\nb,x,2\n", "line 2: offset 'x' is not a number"),
            ("a,0,-1\n", "line 1: len '-1' is not a number"),
            ("name,offset,len\na,0,18446744073709551616\n", "line 2: len"),
            ("a,1,18446744073709551615\n", "line 1: offset 1 + len"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
