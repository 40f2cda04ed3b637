//! What reading takes in memory, mapped pages included. Alone in its process, whose peak is measured.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufWriter, Write};

use common::noise::{peak_kib, read_through, write_trace};
use pf_formats::{TraceReader, Via};

const LIMIT_KIB: u64 = 128 << 10;

#[test]
fn a_trace_of_any_length_and_the_longest_blocks_is_read_in_128_mib() {
    let mut file = tempfile::tempfile().unwrap();
    let mut out = BufWriter::new(&file);
    let events = write_trace(&mut out, 2 * (LIMIT_KIB << 10), 64);
    out.flush().unwrap();
    drop(out);
    file.flush().unwrap();
    for via in [Via::Map, Via::Position, Via::Stream] {
        for threads in [1, 2, 4] {
            std::io::Seek::rewind(&mut file).unwrap();
            let reader = TraceReader::open_via(file.try_clone().unwrap(), via).unwrap();
            assert_eq!(read_through(reader, Some(threads)), events);
            let peak = peak_kib();
            assert!(peak <= LIMIT_KIB, "{via:?}, {threads} threads: {peak} KiB");
        }
    }
}
