//! Each fault as a line, for `-v`.

use pf_formats::{Access, CommId, Dict, Event, Object, ObjectKind};
use pf_printing::escape;
use serde::Serialize;

use super::{clock::iso, lines::push};
use crate::cli::Format;

/// Writes faults, and knows the names that they refer to.
pub struct FaultLines {
    format: Format,
    page_size: u64,
    utc_offset_ns: i64,
    comms: Vec<String>,
    objects: Vec<Object>,
    with_head: bool,
}

/// Named and written as `pfanalyze events` does it.
#[derive(Serialize)]
struct FaultLine<'a> {
    r#type: &'static str,
    time: String,
    ts_ns: u64,
    pid: u32,
    tid: u32,
    comm: &'a str,
    major: bool,
    failed: bool,
    abandoned: bool,
    latency_ns: u64,
    address: u64,
    access: Option<&'static str>,
    kind: &'static str,
    file: Option<&'a str>,
    file_offset: Option<u64>,
}

impl FaultLines {
    /// Times of faults count from `utc_offset_ns` before 1970.
    #[must_use]
    pub fn new(format: Format, page_size: u64, utc_offset_ns: i64) -> Self {
        Self {
            format,
            page_size,
            utc_offset_ns,
            comms: Vec::new(),
            objects: Vec::new(),
            with_head: format == Format::Table,
        }
    }

    /// New names.
    pub fn learn(&mut self, dict: Dict) {
        match dict {
            Dict::Comms { first_id, entries } => put(&mut self.comms, first_id, entries),
            Dict::Objects { first_id, entries } => put(&mut self.objects, first_id, entries),
            _ => {}
        }
    }

    /// Adds the line of a fault.
    pub fn write(&mut self, text: &mut String, fault: &Event) {
        if std::mem::take(&mut self.with_head) {
            text.push_str(&format!(
                "{:<27} {:<15} {:>7} {:<9} {:>12} {:<16} FILE+OFFSET\n",
                "TIME", "COMM", "TID", "CLASS", "LATENCY_US", "ADDRESS"
            ));
        }
        let utc_ns = fault.ts_ns.wrapping_add_signed(self.utc_offset_ns);
        let CommId(comm) = fault.comm;
        let comm = get(&self.comms, comm).map_or("?", String::as_str);
        let class = match (fault.failed, fault.major) {
            (true, _) if fault.abandoned => "abandoned",
            (true, _) => "failed",
            (false, true) => "major",
            (false, false) => "minor",
        };
        let object = get(&self.objects, fault.object.0);
        let kind = object.map_or(ObjectKind::Unknown, |object| object.kind);
        let is_file = matches!(kind, ObjectKind::File | ObjectKind::Shm);
        let offset = is_file.then(|| fault.object_page * self.page_size);
        let path = object.filter(|object| is_file && !object.path.is_empty());
        let path = path.map(|object| object.path.as_str());
        if self.format == Format::Json {
            let line = FaultLine {
                r#type: "fault",
                time: iso(utc_ns, 9),
                ts_ns: fault.ts_ns,
                pid: fault.pid,
                tid: fault.tid,
                comm,
                major: fault.major,
                failed: fault.failed,
                abandoned: fault.abandoned,
                latency_ns: fault.latency_ns,
                address: fault.address,
                access: fault.access.map(Access::name),
                kind: kind.name(),
                file: path,
                file_offset: offset,
            };
            push(text, &line);
            return;
        }
        let place = match offset {
            Some(offset) => format!("{}+{offset:#x}", escape(path.unwrap_or("?"))),
            None => format!("[{}]", kind.name()),
        };
        text.push_str(&format!(
            "{:<27} {:<15} {:>7} {class:<9} {:>12.3} {:<#16x} {place}\n",
            iso(utc_ns, 6),
            escape(comm),
            fault.tid,
            fault.latency_ns as f64 / 1e3,
            fault.address,
        ));
    }
}

/// Ids begin at 1. Entries may come again.
fn put<T: Default + Clone>(all: &mut Vec<T>, first_id: u32, entries: Vec<T>) {
    let at = (first_id as usize).saturating_sub(1);
    if all.len() < at + entries.len() {
        all.resize(at + entries.len(), T::default());
    }
    for (place, entry) in all[at..].iter_mut().zip(entries) {
        *place = entry;
    }
}

fn get<T>(all: &[T], id: u32) -> Option<&T> {
    all.get((id as usize).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pf_formats::ObjectId;
    use serde_json::Value;

    use super::*;

    fn lines(format: Format) -> FaultLines {
        let mut lines = FaultLines::new(format, 4096, 1_709_210_096_000_000_000);
        lines.learn(Dict::Comms {
            first_id: 1,
            entries: vec!["a\tb".to_owned()],
        });
        lines.learn(Dict::Objects {
            first_id: 1,
            entries: vec![
                Object {
                    kind: ObjectKind::File,
                    path: "/data/x".to_owned(),
                    ..Object::default()
                },
                Object {
                    kind: ObjectKind::Heap,
                    ..Object::default()
                },
            ],
        });
        lines
    }

    fn fault(object: u32) -> Event {
        Event {
            ts_ns: 123_456_789,
            latency_ns: 1_500,
            pid: 7,
            tid: 8,
            comm: CommId(1),
            object: ObjectId(object),
            object_page: 3,
            address: 0x7f00_dead_b000,
            major: true,
            ..Event::default()
        }
    }

    #[test]
    fn a_fault_is_a_line_with_its_time_its_thread_and_its_place() {
        let (mut lines, mut text) = (lines(Format::Table), String::new());
        lines.write(&mut text, &fault(1));
        lines.write(&mut text, &fault(2));
        let shown: Vec<&str> = text.lines().collect();
        assert!(shown[0].starts_with("TIME "), "{text}");
        assert_eq!(
            shown[1],
            "2024-02-29T12:34:56.123456Z a\\tb                  8 major            1.500 0x7f00deadb000   /data/x+0x3000"
        );
        assert!(shown[2].ends_with(" [heap]"), "{text}");
    }

    #[test]
    fn json_lines_keep_names_and_numbers_whole() {
        let (mut lines, mut text) = (lines(Format::Json), String::new());
        lines.write(&mut text, &fault(1));
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["comm"], &line["major"]), (&"a\tb".into(), &true.into()));
        assert_eq!(
            (&line["failed"], &line["abandoned"]),
            (&false.into(), &false.into())
        );
        assert_eq!(line["address"], 0x7f00_dead_b000_u64);
        assert_eq!(
            (&line["file"], &line["file_offset"]),
            (&"/data/x".into(), &0x3000.into())
        );
        assert_eq!(line["time"], "2024-02-29T12:34:56.123456789Z");
    }
}
