//! Traces read back: through pfanalyze as a user would, and record by record.

use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

use pf_formats::{
    Accounting, BlockDecoder, Check, Columns, Event, Item, Loss, Projection, Summary, TraceReader,
};
use serde_json::Value;

use super::{pfanalyze, plain, process::run, text, until};

/// One fault, as `pfanalyze events` tells it.
#[derive(Clone, Debug)]
pub struct Fault {
    pub ts_ns: u64,
    pub latency_ns: u64,
    pub pid: u32,
    pub tid: u32,
    pub address: u64,
    pub major: bool,
    pub origin: String,
    pub retries: u64,
    pub failed: bool,
}

/// Every fault that `pfanalyze events` lists with these filters.
pub fn faults(trace: &Path, filters: &[&str]) -> Vec<Fault> {
    let arguments = [&["events", text(trace), "--format", "json"], filters].concat();
    let listed = run(pfanalyze(&arguments)).ok();
    listed.stdout.lines().map(fault).collect()
}

fn fault(line: &str) -> Fault {
    let row: Value = serde_json::from_str(line).unwrap();
    let number = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{name} in {line}"));
    Fault {
        ts_ns: number("ts_ns"),
        latency_ns: number("latency_ns"),
        pid: u32::try_from(number("pid")).unwrap(),
        tid: u32::try_from(number("tid")).unwrap(),
        address: number("address"),
        major: row["major"].as_bool().unwrap(),
        origin: row["origin"].as_str().unwrap().to_owned(),
        // Empty where the backend does not see them.
        retries: row["retries"].as_u64().unwrap_or(0),
        failed: row["failed"].as_bool().unwrap(),
    }
}

/// Asserts that each of `touched`, `address-offset` in hexadecimal, has a fault there in `file`.
pub fn assert_offsets(trace: &Path, file: &Path, touched: &[&str]) {
    let arguments = ["events", text(trace), "--file", text(file), "--format", "json"];
    let listed = run(pfanalyze(&arguments)).ok();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        (
            row["address"].as_u64().unwrap(),
            row["file_offset"].as_u64().unwrap(),
        )
    };
    let of_address: HashMap<u64, u64> = listed.stdout.lines().map(row).collect();
    for line in touched {
        let (address, offset) = line.split_once('-').unwrap();
        let hex = |text| u64::from_str_radix(text, 16).unwrap();
        assert_eq!(of_address.get(&hex(address)), Some(&hex(offset)), "{line}");
    }
}

/// What `pfanalyze VERB --format json` says.
pub fn json(verb: &str, trace: &Path) -> Value {
    let said = run(pfanalyze(&[verb, text(trace), "--format", "json"])).ok();
    serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said:#?}"))
}

/// What the backend of a recording sees.
#[derive(Clone, Debug)]
pub struct Sight {
    pub backend: String,
    pub retries: bool,
    pub gup: bool,
    pub failed: bool,
}

/// By what the trace itself says of its backend. Only fentry promises to see all of it.
pub fn sight(trace: &Path) -> Sight {
    let info = json("info", trace);
    let backend = info["backend"].as_str().unwrap().to_owned();
    let blind: Vec<&str> = info["cannot_see"]
        .as_array()
        .unwrap()
        .iter()
        .map(|what| what.as_str().unwrap())
        .collect();
    let sees = |what: &str| !blind.iter().any(|text| text.contains(what));
    let sight = Sight {
        backend,
        retries: sees("retries"),
        gup: sees("get_user_pages"),
        failed: sees("failed"),
    };
    if sight.backend == "fentry" {
        assert!(sight.retries && sight.gup && sight.failed, "{info}");
    }
    sight
}

/// Names of all threads in the per-thread table.
pub fn thread_names(trace: &Path) -> Vec<String> {
    let table = json("threads", trace);
    let rows = table.as_array().unwrap().iter();
    rows.map(|row| row["comm"].as_str().unwrap().to_owned()).collect()
}

/// The records of a trace, read without pfanalyze.
#[derive(Debug, Default)]
pub struct Contents {
    pub summary: Summary,
    pub losses: Vec<Loss>,
    pub accounting: Option<Accounting>,
    pub check: Option<Check>,
    pub hidden_majors: Option<u64>,
    pub last_ts_ns: u64,
}

/// Reads a trace; `None` as long as it has no header.
pub fn try_contents(trace: &Path) -> Option<Contents> {
    let mut reader = TraceReader::new(BufReader::new(File::open(trace).ok()?)).ok()?;
    let mut contents = Contents::default();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Events(block) => contents.last_ts_ns = contents.last_ts_ns.max(block.info.ts_max),
            Item::Loss(losses) => contents.losses.extend(losses),
            Item::Footer(footer) => {
                contents.accounting = footer.totals.accounting;
                contents.check = footer.totals.check;
                contents.hidden_majors = footer.totals.hidden_majors;
            }
            _ => {}
        }
    }
    contents.summary = reader.summary().clone();
    Some(contents)
}

/// For all faults, without pfanalyze: when, where, and for how long, ns.
pub fn latencies(trace: &Path) -> Vec<(u64, u64, u64)> {
    let mut reader = TraceReader::new(BufReader::new(File::open(trace).unwrap())).unwrap();
    let mut latencies = Vec::new();
    let mut decoder = BlockDecoder::new().unwrap();
    let mut columns = Columns::default();
    while let Some(item) = reader.next().unwrap() {
        if let Item::Events(block) = item {
            decoder.decode(&block, Projection::ALL, &mut columns).unwrap();
            let rows = columns
                .ts_ns
                .iter()
                .zip(&columns.address)
                .zip(&columns.latency_ns);
            latencies.extend(rows.map(|((ts, address), latency)| (*ts, *address, *latency)));
        }
    }
    latencies
}

/// Every fault, without pfanalyze.
pub fn rows(trace: &Path) -> Vec<Event> {
    let mut reader = TraceReader::new(BufReader::new(File::open(trace).unwrap())).unwrap();
    let mut rows = Vec::new();
    let mut decoder = BlockDecoder::new().unwrap();
    let mut columns = Columns::default();
    while let Some(item) = reader.next().unwrap() {
        if let Item::Events(block) = item {
            decoder.decode(&block, Projection::ALL, &mut columns).unwrap();
            rows.extend((0..columns.len()).filter_map(|row| columns.event(row)));
        }
    }
    rows
}

/// Reads a trace.
pub fn contents(trace: &Path) -> Contents {
    try_contents(trace).expect("a header")
}

/// Waits until the partial file of a running recording holds events: from then on nothing escapes it.
pub fn until_recording(partial: &Path) {
    until(&format!("events in {}", partial.display()), || {
        try_contents(partial).filter(|contents| contents.summary.events > 0)
    });
}

/// The same of a recording of the whole machine, where perhaps nothing happens.
pub fn until_everything_is_recorded(partial: &Path) {
    let begun = || {
        run(plain(Path::new("true"), &[]));
        try_contents(partial).filter(|contents| contents.summary.events > 0)
    };
    until(&format!("events in {}", partial.display()), begun);
}

/// Decodes each block of `bytes`, cut or not; returns where each ended and how many events it gave.
pub fn blocks(bytes: &[u8]) -> Vec<(u64, usize)> {
    let Ok(mut reader) = TraceReader::new(bytes) else {
        return Vec::new();
    };
    let mut blocks = Vec::new();
    let mut decoder = BlockDecoder::new().unwrap();
    while let Some(item) = reader.next().unwrap() {
        if let Item::Events(block) = item {
            let mut columns = Columns::default();
            decoder.decode(&block, Projection::ALL, &mut columns).unwrap();
            blocks.push((reader.offset(), columns.ts_ns.len()));
        }
    }
    blocks
}

/// Asserts what holds for every finished recording: the books balance, to the fault, with a count of the kernel's that
/// knows nothing of the probes.
pub fn assert_books_balance(trace: &Path, stderr: &str) -> Accounting {
    let read = contents(trace);
    let (books, check) = (read.accounting.expect("accounting"), read.check.expect("check"));
    assert!(!check.is_alarming(), "{check:?}\n{stderr}");
    let events = check.events.expect("a count apart from the probes");
    // Only fentry has rows that are no events.
    if sight(trace).backend != "fentry" {
        // Without minor faults, those that were left out are in no event that is counted.
        let (least, most) = (
            books.recorded + books.lost,
            books.recorded + books.lost + books.filtered,
        );
        let is_right = events == most || events == least;
        assert!(is_right || check.uncertain > 0, "{check:?} {books:?}");
    }
    let kernel = books.kernel_majors + books.kernel_minors;
    assert_eq!(
        kernel,
        books.recorded + books.lost + books.hidden + books.filtered,
        "{books:?}\n{stderr}"
    );
    assert!(stderr.contains(": balanced\n"), "{stderr}");
    let mut reader = TraceReader::open(File::open(trace).unwrap()).unwrap();
    let verified = pf_formats::verify(&mut reader, &mut |_| {}).unwrap();
    assert_eq!(verified.contradictions, [], "{books:?}");
    let info = json("info", trace);
    assert_eq!(info["finished"], true, "{info}");
    assert_eq!(info["lost"], books.lost, "{info}");
    // Failed faults are rows that the kernel does not count.
    let failed = info["failed"].as_u64().unwrap();
    assert_eq!(info["events"], books.recorded + failed, "{info}");
    for (name, value) in [
        ("kernel_majors", books.kernel_majors),
        ("kernel_minors", books.kernel_minors),
        ("recorded", books.recorded),
        ("hidden", books.hidden),
    ] {
        assert_eq!(info[name], value, "{name} {info}");
    }
    books
}

/// The same, where what is lost besides faults is the business of the test.
pub fn assert_no_fault_lost(trace: &Path, stderr: &str) -> Accounting {
    let books = assert_books_balance(trace, stderr);
    assert_eq!(books.lost, 0, "{stderr}");
    assert!(stderr.contains("wait4(2) agrees"), "{stderr}");
    books
}

/// Asserts that the recording is complete and that `wait4(2)` counted the same for the command.
pub fn assert_whole(trace: &Path, stderr: &str) -> Accounting {
    assert!(stderr.contains("pfrec: nothing lost\n"), "{stderr}");
    assert_no_fault_lost(trace, stderr)
}
