//! What reading a long trace takes: `read_memory make FILE MIB [BITS]` writes one, with that many bits of noise in three of
//! its columns (8 without), and `read_memory read FILE [map|position|stream [THREADS]]` decodes all of it and tells the
//! peak of resident memory, mapped pages included, and the speed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

use common::noise::{peak_kib, read_through, write_trace};
use pf_formats::{TraceReader, Via};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["make", path, mib] => make(path, mib, "8"),
        ["make", path, mib, bits] => make(path, mib, bits),
        ["read", path] => read(path, None, None),
        ["read", path, via] => read(path, Some(via), None),
        ["read", path, via, threads] => read(path, Some(via), Some(threads.parse().unwrap())),
        _ => println!("read_memory make FILE MIB [BITS] | read FILE [map|position|stream [THREADS]]"),
    }
}

fn make(path: &str, mib: &str, bits: &str) {
    let bytes = mib.parse::<u64>().unwrap() << 20;
    let mut out = BufWriter::new(File::create(path).unwrap());
    let events = write_trace(&mut out, bytes, bits.parse().unwrap());
    out.flush().unwrap();
    println!("{events} events, {:.2} bytes each", bytes as f64 / events as f64);
}

fn read(path: &str, via: Option<&str>, threads: Option<usize>) {
    let file = File::open(path).unwrap();
    let via = match via {
        None => Via::best(&file).unwrap(),
        Some("map") => Via::Map,
        Some("position") => Via::Position,
        Some(_) => Via::Stream,
    };
    let began = Instant::now();
    let events = read_through(TraceReader::open_via(file, via).unwrap(), threads);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{via:?}: {events} events in {seconds:.2} s, {:.1} million a second, peak {:.1} MiB",
        events as f64 / seconds / 1e6,
        peak_kib() as f64 / 1024.0
    );
}
