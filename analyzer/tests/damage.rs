//! Damaged and hostile traces through the library: never a panic, and what can be read is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod support;

use clap::ValueEnum;
use pf_formats::{
    Breakdown, CommId, Event, ObjectId, Origin, Query, QueryEnd, QueryFaults, QueryId, StackId, TraceReader,
    Witnesses,
};
use pfanalyze::engine::filter::Filter;
use pfanalyze::engine::scan::scan;
use pfanalyze::error::AnalyzeError;
use pfanalyze::integrity::warnings;
use pfanalyze::output::answer::Room;
use pfanalyze::output::render::{self, Format};
use pfanalyze::request::options::GroupBy;
use pfanalyze::request::weight::ColorScale;
use pfanalyze::request::weight::Weight;
use pfanalyze::trace::queries::each_row;
use pfanalyze::trace::session::Session;
use pfanalyze::verbs::events::Events;
use pfanalyze::verbs::heatmap::panels::Extent;
use pfanalyze::verbs::heatmap::pass::Heat;
use pfanalyze::verbs::heatmap::text::Style;
use pfanalyze::verbs::info::InfoAnswer;
use pfanalyze::verbs::percentiles::pass::Percentiles;
use pfanalyze::verbs::queries::pass::{Queries, Rows};
use pfanalyze::verbs::queries::slowest::{Choice, Chosen, Singles};
use pfanalyze::verbs::queries::text::SinglesAnswer;
use pfanalyze::verbs::report::{Layout, Report};
use support::{dicts, events, meta, small, totals, trace, writer};

const STYLE: Style = Style {
    weight: Weight::Wait,
    spread: ColorScale::Linear,
    colour: true,
};

/// Runs every query and every renderer once.
fn everything(bytes: &[u8], filter: &Filter) -> Result<Session, AnalyzeError> {
    let (mut report, mut for_programs, mut heat) = (Report::new(true), Report::new(false), Heat::by_file());
    let mut percentiles: Vec<Percentiles> = GroupBy::value_variants()
        .iter()
        .map(|&by| Percentiles::new(by).with_shape())
        .collect();
    let mut rows = Vec::new();
    let mut events = Events::new(Format::Json, &mut rows);
    let (mut rows_by_name, mut chosen) = (Rows::default(), Chosen::new(Choice::Slowest(9)));
    each_row(TraceReader::new(bytes)?, |row, session| {
        let passes = filter.passes_query(row, session);
        rows_by_name.add(row, passes);
        chosen.add(row, passes);
    })?;
    let (mut names, mut singles) = (Queries::new(rows_by_name), Singles::new(chosen));
    let mut passes = report.passes();
    passes.extend(for_programs.passes());
    passes.extend([
        &mut names as &mut dyn pfanalyze::engine::scan::Pass,
        &mut singles,
        &mut heat,
        &mut events,
    ]);
    passes.extend(
        percentiles
            .iter_mut()
            .map(|each| each as &mut dyn pfanalyze::engine::scan::Pass),
    );
    let session = scan(TraceReader::new(bytes)?, filter, &mut passes, &mut |_| {})?;
    events.finish(&session)?;
    let mut out = Vec::new();
    let layout = Layout {
        width: 80,
        style: STYLE,
        filters: String::new(),
    };
    report.settle();
    let page = report.document(&session, filter, &layout)?;
    render::document(&page, Format::Table, layout.width, &mut out)?;
    for_programs.write_json(&session, filter, &mut out)?;
    render::table(&names.table(&session, false), Format::Table, Some(80), &mut out)?;
    let room = Room {
        width: 80,
        table: Some(80),
    };
    let singles = SinglesAnswer {
        singles: &singles.finish(),
        alone: true,
        session: &session,
    };
    for format in [Format::Table, Format::Csv, Format::Json] {
        render::answer(&singles, format, room, &mut out)?;
    }
    heat.settle();
    heat.write_text(
        &session,
        filter,
        Extent {
            size: (9, 30),
            regions: 9,
        },
        STYLE,
        &mut out,
    )?;
    let cells = heat.table(&session, filter, (9, 30), Weight::Max);
    render::table(&cells, Format::Csv, None, &mut out)?;
    for percentiles in &percentiles {
        render::table(&percentiles.table(&session), Format::Table, Some(40), &mut out)?;
    }
    render::answer(&InfoAnswer(&session), Format::Csv, room, &mut out)?;
    Ok(session)
}

#[test]
fn a_trace_cut_at_any_byte_is_read_as_far_as_it_goes() {
    for whole in [small(), query_fixture::known()] {
        cut_anywhere(&whole);
    }
}

fn cut_anywhere(whole: &[u8]) {
    let mut most = 0;
    for length in 0..whole.len() {
        let Ok(session) = everything(&whole[..length], &Filter::default()) else {
            assert!(length < 64, "only a cut header is an error, not {length} bytes");
            continue;
        };
        assert!(!session.finished, "{length}");
        assert!(
            warnings::warnings(&session)[0].starts_with("unfinished"),
            "{length}"
        );
        assert!(session.events >= most, "fewer events from more bytes: {length}");
        most = session.events;
    }
    assert_eq!(most, 7);
    assert!(everything(whole, &Filter::default()).unwrap().finished);
}

#[test]
fn a_trace_with_any_byte_changed_does_no_harm() {
    for whole in [small(), query_fixture::known()] {
        change_anywhere(&whole);
    }
}

fn change_anywhere(whole: &[u8]) {
    for position in 0..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[position] ^= 0x55;
        if let Ok(session) = everything(&bytes, &Filter::default()) {
            assert!(session.events <= 7);
        } else {
            assert!(position < 64, "{position}");
        }
    }
}

#[test]
fn damage_is_named_before_anything_else() {
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes = trace(&meta(), &dicts(), &events(), &[]);
    }
    // A byte in the middle of the file belongs to some record.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let session = everything(&bytes, &Filter::default()).unwrap();
    assert!(session.damage_count > 0);
    assert!(
        warnings::warnings(&session)
            .iter()
            .any(|line| line.starts_with("damaged: "))
    );
}

/// A larger id is damage.
const LARGEST_ID: u32 = 4_194_304;

#[test]
fn extreme_values_do_not_overflow() {
    let mut extreme = meta();
    for (start_ns, page_size, sample) in [(0, u32::MAX, u32::MAX), (u64::MAX, 0, 0), (1, 1, 2)] {
        extreme.sample = sample;
        extreme.start_ns = start_ns;
        extreme.host.page_size = page_size;
        let all: Vec<Event> = [0, 1, u64::MAX / 2, u64::MAX - 1]
            .into_iter()
            .flat_map(|big| {
                [1u32, 0, u32::MAX].map(|id| Event {
                    ts_ns: big,
                    latency_ns: u64::MAX - big,
                    pid: id,
                    tid: u32::MAX - id,
                    comm: CommId(id.min(LARGEST_ID)),
                    cpu: u16::MAX,
                    address: big,
                    ip: u64::MAX,
                    object: ObjectId(id.min(LARGEST_ID)),
                    object_page: u64::MAX,
                    major: id == 0,
                    failed: id == u32::MAX,
                    access: None,
                    origin: Origin::GupRemote,
                    retries: u8::MAX,
                    abandoned: true,
                    interruptions: u8::MAX,
                    signal: u8::MAX,
                    witnesses: Witnesses::from_columns(u8::MAX, id.min(LARGEST_ID), u32::MAX, u32::MAX),
                    breakdown: Some(Breakdown {
                        blocked_ns: big,
                        runqueue_ns: u64::MAX - big,
                        reclaim_ns: u64::MAX,
                        lock_ns: big,
                    }),
                    stack: StackId(id.min(LARGEST_ID)),
                    query: QueryId(big),
                })
            })
            .collect();
        let mut writer = writer(&extreme, &dicts(), &all, &[]);
        writer.queries(&extreme_queries()).unwrap();
        let bytes = writer.finish(totals(&all)).unwrap();
        let narrow = Filter {
            from_ns: Some(1),
            to_ns: Some(u64::MAX),
            min_latency_ns: Some(1),
            max_latency_ns: Some(u64::MAX),
            ..Filter::default()
        };
        for filter in [Filter::default(), narrow] {
            let session = everything(&bytes, &filter).unwrap();
            assert_eq!(session.events, 12);
        }
    }
}

fn extreme_queries() -> Vec<Query> {
    let most = QueryFaults {
        majors: u64::MAX,
        minors: u64::MAX,
        wait_ns: u64::MAX,
    };
    let ends = [QueryEnd::Ended, QueryEnd::Open, QueryEnd::Abandoned];
    let ids = [1, u64::MAX / 2, u64::MAX - 1, u64::MAX];
    let query = |(id, end)| Query {
        id: QueryId(id),
        parent: QueryId(u64::MAX - id),
        pid: u32::MAX,
        key: Some(u64::MAX),
        begin_ns: id,
        end_ns: u64::MAX - id,
        end,
        own: most,
        nested: most,
        ..Query::default()
    };
    let pairs = ids.into_iter().flat_map(|id| ends.map(|end| (id, end)));
    pairs.map(query).collect()
}
