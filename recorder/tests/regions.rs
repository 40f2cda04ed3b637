//! Faults per tensor of a model that a program really read from disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{alone, disk_folder, pfanalyze, pfrec, process::run, program, text};
use serde_json::Value;
use std::fs;

/// Tensors of one-byte integers, a page and a half and more each, so that they share pages.
const SIZES: [u64; 6] = [500_000, 6_000, 300_032, 8_192, 1_000_000, 250_016];

/// A GGUF file and (name, first byte, bytes) of its tensors.
fn model() -> (Vec<u8>, Vec<(String, u64, u64)>) {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut file = [&b"GGUF"[..], &3u32.to_le_bytes()].concat();
    file.extend((SIZES.len() as u64).to_le_bytes());
    file.extend(0u64.to_le_bytes());
    let mut offset = 0u64;
    let mut tensors = Vec::new();
    for (index, size) in SIZES.into_iter().enumerate() {
        let name = format!("blk.{index}.weight");
        file.extend(string(&name));
        file.extend(1u32.to_le_bytes());
        file.extend(size.to_le_bytes());
        file.extend(24u32.to_le_bytes());
        file.extend(offset.to_le_bytes());
        tensors.push((name, offset, size));
        offset += size.next_multiple_of(32);
    }
    file.resize(file.len().next_multiple_of(32), 0);
    let data = file.len() as u64;
    file.extend((0..offset).map(|byte| (byte * 7 % 251) as u8));
    let tensors = tensors
        .into_iter()
        .map(|(name, offset, size)| (name, data + offset, size));
    (file, tensors.collect())
}

#[test]
#[ignore = "needs root"]
fn faults_per_tensor_are_those_of_the_single_events() {
    let _alone = alone();
    let folder = disk_folder();
    let path = folder.path().join("model.gguf");
    let (file, tensors) = model();
    fs::write(&path, file).unwrap();
    let trace = folder.path().join("t.pfz");
    let workload = program("mmap-workload");
    let command = [
        "-o",
        text(&trace),
        "--",
        text(&workload),
        "-f",
        text(&path),
        "--evict",
        "-c",
        "2000",
    ];
    run(pfrec(&command)).ok();
    let asked = ["regions", text(&trace), "--file", text(&path), "--format", "json"];
    let regions: Value = serde_json::from_str(&run(pfanalyze(&asked)).ok().stdout).unwrap();
    let asked = ["events", text(&trace), "--file", text(&path), "--format", "json"];
    let listed = run(pfanalyze(&asked)).ok().stdout;
    let events: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(events.len() > 100, "{} events", events.len());
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
    for (name, offset, size) in tensors {
        let inside: Vec<&Value> = events
            .iter()
            .filter(|event| {
                let byte = number(event, "file_offset") + number(event, "address") % 4096;
                (offset..offset + size).contains(&byte)
            })
            .collect();
        let row = regions
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["region"] == name.as_str());
        let counted = row.map_or((0, 0), |row| (number(row, "major"), number(row, "minor")));
        let majors = inside.iter().filter(|event| event["major"] == true).count() as u64;
        assert_eq!(counted, (majors, inside.len() as u64 - majors), "{name}");
        if let Some(row) = row {
            let wait: u64 = inside.iter().map(|event| number(event, "latency_ns")).sum();
            let shown = row["total_ms"].as_f64().unwrap() * 1e6;
            assert!((shown - wait as f64).abs() < 1.0, "{name}: {shown} and {wait}");
            assert_eq!((number(row, "offset"), number(row, "size_bytes")), (offset, size));
            assert_eq!(
                (&row["type"], &row["shape"]),
                (&Value::from("I8"), &Value::from(size.to_string()))
            );
        }
    }
}
