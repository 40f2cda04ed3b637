//! Questions to a trace in memory, as the verbs ask them, answered as text.

use pf_formats::TraceReader;
use pfanalyze::engine::filter::Filter;
use pfanalyze::engine::scan::{Pass, scan};
use pfanalyze::output::answer::{Answer, Room};
use pfanalyze::output::command::Caller;
use pfanalyze::output::render::{self, Format};
use pfanalyze::output::table::Table;
use pfanalyze::request::options::GroupBy;
use pfanalyze::request::weight::ColorScale;
use pfanalyze::request::weight::Weight;
use pfanalyze::trace::session::Session;
use pfanalyze::verbs::events::Events;
use pfanalyze::verbs::files::Files;
use pfanalyze::verbs::heatmap::text::Style;
use pfanalyze::verbs::info::InfoAnswer;
use pfanalyze::verbs::percentiles::pass::Percentiles;
use pfanalyze::verbs::report::{Layout, Report};
use pfanalyze::verbs::threads::Threads;
use std::path::Path;

pub const DIGITS: Style = Style {
    weight: Weight::Count,
    spread: ColorScale::Log,
    colour: false,
};

pub fn read(bytes: &[u8], filter: &Filter, passes: &mut [&mut dyn Pass]) -> Session {
    scan(TraceReader::new(bytes).unwrap(), filter, passes, &mut |_| {}).unwrap()
}

pub fn session(bytes: &[u8]) -> Session {
    read(bytes, &Filter::default(), &mut [])
}

pub fn text(table: &Table, format: Format) -> String {
    let mut out = Vec::new();
    render::table(table, format, None, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// An answer on lines of 80 characters, without a terminal.
pub fn written(answer: &dyn Answer, format: Format) -> String {
    let room = Room {
        width: 80,
        table: None,
    };
    let mut out = Vec::new();
    render::answer(answer, format, room, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

pub fn threads(bytes: &[u8], filter: &Filter, format: Format) -> String {
    let mut threads = Threads::default();
    let session = read(bytes, filter, &mut [&mut threads]);
    text(&threads.table(&session), format)
}

pub fn files(bytes: &[u8], format: Format) -> String {
    let mut files = Files::default();
    let session = read(bytes, &Filter::default(), &mut [&mut files]);
    text(&files.table(&session), format)
}

pub fn percentiles(bytes: &[u8], by: GroupBy) -> serde_json::Value {
    let mut percentiles = Percentiles::new(by);
    let session = read(bytes, &Filter::default(), &mut [&mut percentiles]);
    json(&text(&percentiles.table(&session), Format::Json))
}

pub fn events_text(bytes: &[u8], format: Format) -> String {
    let mut out = Vec::new();
    let mut events = Events::new(format, &mut out);
    let session = read(bytes, &Filter::default(), &mut [&mut events]);
    events.finish(&session).unwrap();
    String::from_utf8(out).unwrap()
}

/// The rows of `events --format json`.
pub fn event_rows(bytes: &[u8]) -> Vec<serde_json::Value> {
    events_text(bytes, Format::Json).lines().map(json).collect()
}

pub fn info_json(bytes: &[u8]) -> serde_json::Value {
    json(&written(&InfoAnswer(&session(bytes)), Format::Json))
}

pub fn info_text(bytes: &[u8]) -> String {
    written(&InfoAnswer(&session(bytes)), Format::Table)
}

pub fn report(bytes: &[u8], filter: &Filter) -> String {
    let mut report = Report::new(true);
    report.within(filter);
    let mut session = read(bytes, filter, &mut report.passes());
    session.caller = Caller::of(Path::new("t.pfz"));
    let layout = Layout {
        width: 80,
        style: DIGITS,
        filters: "--tid 101".into(),
    };
    report.settle();
    let page = report.document(&session, filter, &layout).unwrap();
    let mut out = Vec::new();
    render::document(&page, Format::Table, layout.width, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The report without its line breaks, to look for sentences.
pub fn flat_report(bytes: &[u8]) -> String {
    let words: Vec<String> = report(bytes, &Filter::default())
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    words.join(" ")
}

pub fn report_json(bytes: &[u8]) -> serde_json::Value {
    let mut report = Report::new(false);
    let session = read(bytes, &Filter::default(), &mut report.passes());
    let mut out = Vec::new();
    report.write_json(&session, &Filter::default(), &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}
