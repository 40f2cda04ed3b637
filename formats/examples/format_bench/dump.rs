//! Columns as files that numpy reads: little-endian arrays without a header, and a list of them in JSON.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use pf_formats::Event;

use crate::json;
use crate::raw;
use crate::source::Source;

/// A column: its name, its type as numpy calls it, how many bytes of the value it takes, and the value.
type Column = (&'static str, &'static str, usize, fn(&Event) -> u64);

/// Those of the struct of 56 bytes.
const COLUMNS: [Column; 11] = [
    ("ts_ns", "<u8", 8, |event| event.ts_ns),
    ("latency_ns", "<u8", 8, |event| event.latency_ns),
    ("address", "<u8", 8, |event| event.address),
    ("ip", "<u8", 8, |event| event.ip),
    ("object_page", "<u8", 8, |event| event.object_page),
    ("pid", "<u4", 4, |event| event.pid.into()),
    ("tid", "<u4", 4, |event| event.tid.into()),
    ("object", "<u4", 4, |event| event.object.0.into()),
    ("cpu", "<u2", 2, |event| event.cpu.into()),
    ("class", "u1", 1, |event| raw::class(event).into()),
    ("retries", "u1", 1, |event| event.retries.into()),
];

/// Writes every column to `directory`/NAME.bin, and their list to columns.json.
pub(crate) fn dump(source: &Source, directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let mut files = Vec::new();
    for (name, ..) in COLUMNS {
        let file = File::create(directory.join(format!("{name}.bin")))?;
        files.push(BufWriter::new(file));
    }
    let (mut blocks, mut events, mut rows) = (source.blocks(), Vec::new(), 0);
    while blocks.next(&mut events) {
        rows += events.len();
        for ((.., width, value), file) in COLUMNS.iter().zip(&mut files) {
            for event in &events {
                file.write_all(&value(event).to_le_bytes()[..*width])?;
            }
        }
    }
    for mut file in files {
        file.flush()?;
    }
    let columns = COLUMNS.map(|(name, dtype, ..)| {
        let file = format!("{name}.bin");
        json::object(&[
            ("name", json::text(name)),
            ("dtype", json::text(dtype)),
            ("file", json::text(&file)),
        ])
    });
    let list = json::object(&[("rows", rows.to_string()), ("columns", json::array(columns))]);
    Ok(fs::write(directory.join("columns.json"), list + "\n")?)
}
