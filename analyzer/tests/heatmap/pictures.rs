//! Pictures: the same bytes every time, with everything in them that a reader must know, and harmless.

use crate::support::{dicts, events, file_fault, loss, meta, object, small, trace};
use crate::{Place, heatmap, pixels};
use pf_formats::{CommId, Dict, Event, LossReason, Meta, ObjectId, ObjectKind};
use pfanalyze::verbs::heatmap::picture::LEVELS;
use std::fs;
use std::process::Command;

#[test]
fn a_png_has_the_levels_of_its_cells_and_the_same_bytes_every_time() {
    let place = Place::with(&small());
    let arguments = [
        "--file",
        "segments.bin",
        "--rows",
        "3",
        "--columns",
        "10",
        "-o",
        "a.png",
    ];
    let done = place.heatmap(&arguments);
    assert_eq!(
        (done.status, done.stderr.as_str(), done.stdout.len()),
        (Some(0), "", 0)
    );
    let bytes = fs::read(place.path("a.png")).unwrap();
    let piped = place.heatmap(&[&arguments[..6], &["--format", "png"]].concat());
    assert!(piped.stdout == bytes);
    let (width, pixels) = pixels(&bytes);
    let count = |colour: [u8; 3]| pixels.iter().filter(|&&pixel| pixel == colour).count();
    // Four cells with one fault each, and a field of the colour bar; nothing is hotter.
    assert!(count(LEVELS[0]) > 0 && LEVELS[1..].iter().all(|&level| count(level) == 0));
    assert!(count([255; 3]) > pixels.len() / 2 && width > 400);
    let ink = |y: usize| pixels[y * width..(y + 1) * width].contains(&[0; 3]);
    assert!((16..36).any(ink), "a title");
}

#[test]
fn an_svg_has_a_tooltip_for_every_cell_and_nothing_that_runs() {
    let done = heatmap(&small(), &["--format", "svg", "--file", "segments.bin"]);
    let svg = done.text();
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<title>").count(), 1 + 4, "{svg}");
    assert_eq!(svg.matches("<title>").count(), svg.matches("</title>").count());
    assert!(svg.contains(": 1 fault, 1.40 ms</title></rect>"), "{svg}");
    for words in [
        "Page faults of mmap-workload -t 2",
        "file offset",
        "faults per cell",
        "&gt;= 1",
        "none",
    ] {
        assert!(svg.contains(words), "{words}: {svg}");
    }
    assert!(!svg.contains("script") && !svg.contains("href") && !svg.contains("url("));
    assert_eq!(
        done.stdout,
        heatmap(&small(), &["--format", "svg", "--file", "segments.bin"]).stdout
    );
}

#[test]
fn a_picture_says_what_is_missing_in_it() {
    let lossy = trace(
        &Meta { sample: 16, ..meta() },
        &dicts(),
        &events(),
        &[loss(LossReason::Reserve, 9)],
    );
    let done = heatmap(&lossy, &["--format", "svg", "--major", "--panels", "1"]);
    for words in [
        "! lost: 9 faults",
        "only the faults that pass --major",
        "minor faults sampled 1 in 16",
    ] {
        assert!(done.text().contains(words), "{words}: {}", done.text());
    }
    assert!(done.stderr.contains("warning: lost: 9 faults"), "{}", done.stderr);
    let done = heatmap(&small(), &["--format", "svg", "--panels", "1"]);
    assert!(
        done.text().contains(
            "not shown: --pid 100 --address 0x555500000000-0x555500002000 with 42.9 % of the faults"
        ),
        "{}",
        done.text()
    );
}

#[test]
fn hostile_names_are_text_in_a_picture() {
    let evil = "/\"><script>alert('&\u{202e}\x1b[2J\u{1f600}\u{ffff}";
    let mut dicts = dicts();
    dicts.push(Dict::Comms {
        first_id: 3,
        entries: vec![evil.into()],
    });
    dicts.push(Dict::Objects {
        first_id: 3,
        entries: vec![object(ObjectKind::File, evil)],
    });
    let mut meta = meta();
    meta.command = vec![evil.repeat(50)];
    meta.host.hostname = evil.into();
    let event = Event {
        comm: CommId(3),
        object: ObjectId(3),
        ..file_fault(1, 5, 9)
    };
    let bytes = trace(&meta, &dicts, &[event], &[]);
    for arguments in [&["--file", "*alert*"][..], &[], &["-y", "latency"]] {
        let svg = heatmap(&bytes, &[arguments, &["--format", "svg"]].concat());
        let svg = svg.text();
        assert!(
            svg.contains("&lt;script&gt;alert(&#39;&amp;\\u{202e}\\x1b[2J"),
            "{svg}"
        );
        assert!(!svg.contains("<script") && !svg.contains(['\u{202e}', '\x1b', '\u{ffff}']));
        let png = heatmap(&bytes, &[arguments, &["--format", "png"]].concat());
        assert!(
            pixels(&png.stdout).0 < 1_300,
            "long names do not make wide pictures"
        );
    }
}

#[test]
fn a_png_is_never_written_to_a_terminal() {
    let place = Place::with(&small());
    let (master, slave) = {
        let pty = nix::pty::openpty(None, None).unwrap();
        (pty.master, pty.slave)
    };
    let output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .current_dir(place.0.path())
        .args(["heatmap", "t.pfz", "--format", "png"])
        .stdout(slave)
        .output()
        .unwrap();
    drop(master);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        message,
        "error: a PNG cannot go to a terminal: give a file with -o heatmap.png\n"
    );
}
