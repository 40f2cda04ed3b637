//! The columns given in SPEC.md as examples are read as it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{ColumnReader, Storage};

/// Each line: storage, parameter if any, numbers; two spaces or more; bytes.
fn examples() -> Vec<(Storage, Vec<u64>, Vec<u8>)> {
    let spec = include_str!("../../SPEC.md");
    let block = spec.split("```columns\n").nth(1).unwrap();
    let lines = block.split("```").next().unwrap().lines();
    lines.map(example).collect()
}

fn example(line: &str) -> (Storage, Vec<u64>, Vec<u8>) {
    let (numbers, bytes) = line.rsplit_once("  ").unwrap();
    let mut words = numbers.split_whitespace();
    let storage = match words.next().unwrap() {
        "planes" => Storage::Planes,
        "classes" => Storage::Classes(words.next().unwrap().parse().unwrap()),
        "names" => Storage::Names,
        other => panic!("{other}"),
    };
    let hex: String = bytes.split_whitespace().collect();
    let digits = hex.as_bytes().chunks(2);
    let bytes = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap());
    (
        storage,
        words.map(|word| word.parse().unwrap()).collect(),
        bytes.collect(),
    )
}

#[test]
fn the_columns_in_the_specification_are_read_as_it_says() {
    let examples = examples();
    assert_eq!(examples.len(), 5);
    for (storage, numbers, bytes) in examples {
        let mut values = Vec::new();
        ColumnReader::new()
            .unwrap()
            .read(&bytes, storage, 2, numbers.len(), &mut values)
            .unwrap_or_else(|error| panic!("{storage:?} {numbers:?}: {error}"));
        assert_eq!(values, numbers, "{storage:?}");
    }
}
