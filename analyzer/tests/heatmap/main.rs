//! `heatmap` as a user runs it: what is zoomed to, lines for gnuplot, and pictures. What is in the cells of CSV and JSON is
//! recomputed by the oracle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod numbers;
mod pictures;
#[path = "../support/mod.rs"]
mod support;

use pf_formats::Event;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use support::{MS, START_NS, dicts, file_fault, heap_fault, meta, small, trace};
use tempfile::TempDir;

struct Done {
    status: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Done {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

struct Place(TempDir);

impl Place {
    fn with(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t.pfz"), bytes).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn heatmap(&self, arguments: &[&str]) -> Done {
        let output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .current_dir(self.0.path())
            .args(["heatmap", "t.pfz"])
            .args(arguments)
            // What these tests compute, unless they say otherwise.
            .args(
                ["--weight", "count"]
                    .iter()
                    .filter(|_| !arguments.contains(&"--weight")),
            )
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Done {
            status: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn heatmap(bytes: &[u8], arguments: &[&str]) -> Done {
    let done = Place::with(bytes).heatmap(arguments);
    assert_eq!(done.status, Some(0), "{arguments:?}: {}", done.stderr);
    done
}

/// 500 faults within 5 ms of a second, on pages near each other, and one of each kind far away.
fn burst() -> Vec<Event> {
    let mut all: Vec<Event> = (0..500u64)
        .map(|i| Event {
            ts_ns: START_NS + 70 * MS + i * 10_000,
            ..file_fault(0, 1_000 + i * i, 2_000 + i % 100)
        })
        .collect();
    all.push(file_fault(1, 5_000, 0));
    all.push(file_fault(95, 2_000, 60_000));
    all
}

/// Red, green and blue of every pixel, with the width.
fn pixels(bytes: &[u8]) -> (usize, Vec<[u8; 3]>) {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgb).unwrap();
    let pixels = rgb.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]);
    (info.width as usize, pixels.collect())
}

#[test]
fn a_burst_is_zoomed_to_and_the_text_says_what_is_outside() {
    let bytes = trace(&meta(), &dicts(), &burst(), &[]);
    let zoomed = heatmap(&bytes, &["--file", "segments.bin"]);
    let words = zoomed.text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("502 faults (100.0 % of the faults) zoomed to 0.0"),
        "{words}"
    );
    assert!(words.contains(" of 0.100"), "{words}");
    assert!(
        words.contains("left out: 2 faults, 0.4 % of the faults above (heatmap --whole shows all)"),
        "{words}"
    );
    let begin: f64 = words
        .split("zoomed to ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(begin > 0.065 && begin <= 0.070, "{begin}");
    let whole = heatmap(&bytes, &["--file", "segments.bin", "--whole"]);
    assert!(!whole.text().contains("zoomed"), "{}", whole.text());
    // What the user asks for is not narrowed any further.
    let asked = heatmap(&bytes, &["--file", "segments.bin", "--to", "90ms"]);
    assert!(!asked.text().contains(" s of "), "{}", asked.text());
}

#[test]
fn nothing_one_fault_and_extremes_have_every_form() {
    let extreme = Event {
        ts_ns: u64::MAX,
        latency_ns: u64::MAX,
        address: u64::MAX,
        object_page: u64::MAX,
        ..file_fault(0, 0, 0)
    };
    let traces = [
        vec![],
        vec![heap_fault(0, 0, 0)],
        vec![file_fault(1, 0, 0), extreme],
    ];
    for events in traces {
        let bytes = trace(&meta(), &dicts(), &events, &[]);
        for form in ["table", "csv", "json", "markdown", "raw", "svg", "png"] {
            for y in ["place", "latency"] {
                for filter in [
                    &[][..],
                    &["--file", "segments.bin"],
                    &["--weight", "wait", "--scale", "linear"],
                ] {
                    let done = heatmap(&bytes, &[&["--format", form, "--y", y], filter].concat());
                    match form {
                        "png" => assert!(!pixels(&done.stdout).1.is_empty()),
                        "svg" => assert!(done.text().ends_with("</svg>\n")),
                        _ => {}
                    }
                    if events.is_empty() && matches!(form, "table" | "svg") {
                        assert!(done.text().contains("no faults to draw"), "{}", done.text());
                    }
                }
            }
        }
    }
}

#[test]
fn the_name_of_the_output_decides_unless_a_format_is_given() {
    let place = Place::with(&small());
    for (name, arguments, begins) in [
        ("a.svg", &[][..], "<svg "),
        ("a.PNG", &[], "\u{fffd}PNG"),
        ("a.csv", &[], "time_s,address,"),
        ("a.json", &[], "[\n{"),
        ("a.raw", &["--rows", "2"], "0 "),
        ("a.txt", &[], "time x address"),
        ("a.png.txt", &[], "time x address"),
        ("b.png", &["--format", "csv"], "time_s,address,"),
        ("c", &[], "time x address"),
    ] {
        let done = place.heatmap(&[&["-o", name], arguments].concat());
        assert_eq!(done.status, Some(0), "{name}: {}", done.stderr);
        let written = fs::read(place.path(name)).unwrap();
        let written = String::from_utf8_lossy(&written);
        assert!(written.starts_with(begins), "{name}: {written}");
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let place = Place::with(&small());
    for (arguments, says) in [
        (
            &["-y", "latency", "--address", "0x0-0x1000"][..],
            "latencies have no address",
        ),
        (&["--format", "gif"], "invalid value 'gif'"),
        (&["--panels", "0"], "0"),
    ] {
        let done = place.heatmap(arguments);
        assert_eq!(done.status, Some(2), "{arguments:?}");
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
}
