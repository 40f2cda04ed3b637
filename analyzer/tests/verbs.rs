//! Every verb on one small trace with known numbers, through the library, with the exact text it must print.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{CommId, Condition, Event, LossReason, ObjectId, ObjectKind};
use pf_notation::names::{Kind, Names};
use pfanalyze::engine::filter::Filter;
use pfanalyze::engine::scan::Pass;
use pfanalyze::output::render::Format;
use pfanalyze::request::options::GroupBy;
use pfanalyze::request::weight::Weight;
use pfanalyze::trace::class::Class;
use pfanalyze::verbs::files::Files;
use pfanalyze::verbs::heatmap::panels::Extent;
use pfanalyze::verbs::heatmap::pass::Heat;
use pfanalyze::verbs::info::InfoAnswer;
use pfanalyze::verbs::percentiles::pass::Percentiles;
use pfanalyze::verbs::threads::Threads;
use support::ask::{DIGITS, events_text, read, report, text, threads, written};
use support::{dicts, events, file_fault, heap_fault, loss, meta, object, small, trace, unfinished};

#[test]
fn threads_are_sorted_by_wait_and_summed_up() {
    let expected = "\
PID  TID  COMM    MAJOR  MINOR  TOTAL_MS  AVG_MS  MAX_MS  MIN_US  P50_US  P99_US
100  101  worker      4      0     2.000   0.500   1.400   100.0   199.7  1400.0
100  100  main        0      3     0.002   0.001   0.001     0.5     0.7     0.9
          total       4      3     2.002   0.286   1.400     0.5    99.8  1400.0
";
    assert_eq!(threads(&small(), &Filter::default(), Format::Table), expected);
}

#[test]
fn threads_for_programs_are_exact_and_without_the_total() {
    let csv = "\
pid,tid,comm,major,minor,total_ms,avg_ms,max_ms,min_us,p50_us,p99_us
100,101,worker,4,0,2.000000,0.500000,1.400000,100.000,199.680,1400.000
100,100,main,0,3,0.002100,0.000700,0.000900,0.500,0.700,0.900
";
    assert_eq!(threads(&small(), &Filter::default(), Format::Csv), csv);
    let json: serde_json::Value =
        serde_json::from_str(&threads(&small(), &Filter::default(), Format::Json)).unwrap();
    assert_eq!(json[0]["total_ms"], 2.0);
    assert_eq!(json[1]["comm"], "main");
    assert_eq!(json.as_array().unwrap().len(), 2);
}

#[test]
fn a_thread_that_changed_its_name_is_shown_with_the_last_one() {
    let mut all = events();
    all.push(Event {
        comm: CommId(1),
        ..file_fault(95, 1, 3)
    });
    let shown = threads(
        &trace(&meta(), &dicts(), &all, &[]),
        &Filter::default(),
        Format::Csv,
    );
    assert!(shown.contains("100,101,main,5,0"), "{shown}");
}

#[test]
fn every_filter_keeps_only_what_it_names() {
    fn names(text: &str, kind: Kind) -> Vec<Names> {
        vec![Names::parse(text, kind).unwrap()]
    }
    type Case = (fn(&mut Filter), u64);
    let cases: [Case; 15] = [
        (
            |filter| {
                filter.from_ns = Some(30_000_000);
                filter.to_ns = Some(90_000_000);
            },
            3,
        ),
        (|filter| filter.from_ns = Some(0), 7),
        (|filter| filter.to_ns = Some(10_000_000), 1),
        (|filter| filter.pids = vec![100, 3], 7),
        (|filter| filter.pids = vec![3], 0),
        (|filter| filter.tids = vec![101], 4),
        (|filter| filter.comms = names("main", Kind::Thread), 3),
        (|filter| filter.comms = names("w*r", Kind::Thread), 4),
        (|filter| filter.files = names("segments.bin", Kind::File), 4),
        (|filter| filter.files = names("[heap]", Kind::File), 3),
        (|filter| filter.class = Some(Class::Major), 4),
        (|filter| filter.class = Some(Class::Minor), 3),
        (|filter| filter.min_latency_ns = Some(300_000), 2),
        (|filter| filter.max_latency_ns = Some(700), 2),
        (
            |filter| {
                filter.class = Some(Class::Minor);
                filter.tids = vec![101];
            },
            0,
        ),
    ];
    for (choose, expected) in cases {
        let mut filter = Filter::default();
        choose(&mut filter);
        let mut threads = Threads::default();
        read(&small(), &filter, &mut [&mut threads]);
        assert_eq!(threads.classes().count(), expected, "{filter:?}");
    }
}

#[test]
fn files_count_distinct_pages_and_name_nameless_memory() {
    let mut files = Files::default();
    let session = read(&small(), &Filter::default(), &mut [&mut files]);
    let expected = "\
FILE                MAJOR  MINOR  TOTAL_MS  AVG_MS  MAX_MS  PAGES  REREAD_BYTES  SEQ_%  STRIDE_%
/data/segments.bin      4      0     2.000   0.500   1.400      3       4.0 KiB  100.0       0.0
[heap]                  0      3     0.002   0.001   0.001      2           0 B
total                   4      3     2.002   0.286   1.400      5       4.0 KiB  100.0       0.0
";
    assert_eq!(text(&files.table(&session), Format::Table), expected);
}

#[test]
fn an_id_without_a_name_is_still_shown() {
    let odd = Event {
        comm: CommId(77),
        object: ObjectId(88),
        ..file_fault(1, 5, 9)
    };
    let bytes = trace(
        &meta(),
        &dicts(),
        &[
            odd,
            Event {
                comm: CommId(0),
                object: ObjectId(0),
                ..odd
            },
        ],
        &[],
    );
    let mut files = Files::default();
    let session = read(&bytes, &Filter::default(), &mut [&mut files]);
    let shown = text(&files.table(&session), Format::Csv);
    assert!(
        shown.contains("\nunknown#88,1") && shown.contains("\n[unknown],1"),
        "{shown}"
    );
    let shown = events_text(&bytes, Format::Csv);
    assert!(
        shown.contains(",unknown#77,") && shown.contains(",unknown,"),
        "{shown}"
    );
}

#[test]
fn percentiles_by_class_and_by_group() {
    let mut by_class = Percentiles::new(GroupBy::Class);
    let mut by_file = Percentiles::new(GroupBy::File);
    let mut by_tid = Percentiles::new(GroupBy::Tid);
    let mut by_comm = Percentiles::new(GroupBy::Comm);
    let queries: &mut [&mut dyn Pass] = &mut [&mut by_class, &mut by_file, &mut by_tid, &mut by_comm];
    let session = read(&small(), &Filter::default(), queries);
    let expected = "\
CLASS  COUNT  P50_US  P90_US  P99_US  P99_9_US  P99_99_US  MAX_US
major      4   199.7  1400.0  1400.0    1400.0     1400.0  1400.0
minor      3     0.7     0.9     0.9       0.9        0.9     0.9
all        7    99.8  1400.0  1400.0    1400.0     1400.0  1400.0
";
    assert_eq!(text(&by_class.table(&session), Format::Table), expected);
    let first_cells = |percentiles: &Percentiles| -> Vec<String> {
        let csv = text(&percentiles.table(&session), Format::Csv);
        csv.lines()
            .map(|line| line.split(",").take(2).collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(
        first_cells(&by_file),
        ["file count", "/data/segments.bin 4", "[heap] 3"]
    );
    assert_eq!(first_cells(&by_tid), ["pid tid", "100 101", "100 100"]);
    assert_eq!(first_cells(&by_comm), ["comm count", "worker 4", "main 3"]);
}

#[test]
fn a_class_without_faults_has_no_percentiles() {
    let mut percentiles = Percentiles::new(GroupBy::Class);
    let filter = Filter {
        class: Some(Class::Major),
        ..Filter::default()
    };
    let session = read(&small(), &filter, &mut [&mut percentiles]);
    assert!(text(&percentiles.table(&session), Format::Csv).contains("\nminor,0,,,,,,\n"));
}

#[test]
fn events_come_in_time_order_with_the_columns_of_the_contract() {
    let csv = events_text(&small(), Format::Csv);
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        "ts_ns,latency_ns,pid,tid,comm,cpu,address,major,access,origin,retries,failed,ip,kind,file,file_offset,\
         blocked_ns,runqueue_ns,reclaim_ns,lock_ns,query_id,stack_id,interruptions,signal,abandoned,pages_read,sleep_stack_id,read_offset,cause,time"
    );
    assert_eq!(
        lines.next().unwrap(),
        "1000000000000,500,100,100,main,0,93823560581120,false,write,user,0,false,4198400,heap,,,,,,,,,,,false,,,,,2026-11-22T20:00:00.000000000Z"
    );
    assert_eq!(
        lines.nth(2).unwrap(),
        "1000030000000,200000,100,101,worker,3,139637976731656,true,read,user,1,false,4198400,file,\
         /data/segments.bin,4096,,,,,,,,,false,,,,,2026-11-22T20:00:00.030000000Z"
    );
    let times: Vec<u64> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect();
    assert!(times.len() == 7 && times.is_sorted());
}

#[test]
fn events_as_json_are_one_object_per_line_with_nulls() {
    let json = events_text(&small(), Format::Json);
    let rows: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 7);
    assert_eq!(rows[1]["file_offset"], 0);
    assert_eq!(rows[1]["major"], true);
    assert!(rows[0]["file"].is_null() && rows[0]["query_id"].is_null());
    assert_eq!(rows[0].as_object().unwrap().len(), 30);
}

#[test]
fn events_for_people() {
    let expected = "       \
TIME_S   LATENCY_US      PID      TID  COMM             CLASS      ACCESS  ORIGIN      RETRIES         ADDRESS  FILE+OFFSET
  0.000000000        0.500      100      100  main             minor      write   user              0  0x555500000000  [heap]
  0.010000000      100.000      100      101  worker           major      read    user              1  0x7f0000000008  /data/segments.bin+0x0
";
    let shown = events_text(&small(), Format::Table);
    assert_eq!(
        shown
            .lines()
            .take(3)
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
        expected
    );
}

#[test]
fn a_trace_without_events_still_has_heads() {
    let empty = trace(&meta(), &dicts(), &[], &[]);
    assert_eq!(events_text(&empty, Format::Csv).lines().count(), 1);
    assert_eq!(events_text(&empty, Format::Json), "");
    assert_eq!(threads(&empty, &Filter::default(), Format::Json), "[]\n");
    assert!(report(&empty, &Filter::default()).contains("no page faults were recorded"));
}

#[test]
fn a_heatmap_of_a_file_shows_time_by_offset() {
    let filter = Filter {
        files: vec![Names::parse("/data/*", Kind::File).unwrap()],
        ..Filter::default()
    };
    let mut heat = Heat::by_file();
    let session = read(&small(), &filter, &mut [&mut heat]);
    heat.settle();
    let mut out = Vec::new();
    let extent = Extent {
        size: (8, 20),
        regions: 3,
    };
    heat.write_text(&session, &filter, extent, DIGITS, &mut out)
        .unwrap();
    let expected = "\
time x offset in /data/segments.bin: faults
0x0-0x3000 (12.0 KiB), 4 faults (100.0 % of the faults)
           0x0 | 0                  |          1
        0x1000 |     0              |          1
        0x2000 |         0       0  |          2
               +|-----------|-------+
                0.000 s     0.060
one cell: 5.01 ms x 4.0 KiB; blank: none; at least this many faults per cell:
  0=1  (logarithmic, highest 1)
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let data = text(&heat.table(&session, &filter, (8, 20), Weight::Max), Format::Csv);
    assert!(
        data.starts_with("time_s,file,file_offset,address,value,pid\n"),
        "{data}"
    );
    assert_eq!(data.lines().count(), 5);
    assert!(data.ends_with(",/data/segments.bin,8192,,1400.000,\n"), "{data}");
}

#[test]
fn a_heatmap_of_a_short_time_is_as_fine_as_that_of_a_long_one() {
    let filter = Filter {
        from_ns: Some(19_999_000),
        to_ns: Some(20_003_000),
        ..Filter::default()
    };
    let mut heat = Heat::by_file();
    heat.within(&filter);
    let session = read(&small(), &filter, &mut [&mut heat]);
    heat.settle();
    let data = text(
        &heat.table(&session, &filter, (8, 40), Weight::Count),
        Format::Csv,
    );
    let times: Vec<&str> = data
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(times, ["0.020000000"], "{data}");
}

#[test]
fn a_heatmap_of_addresses_finds_the_regions_and_names_the_rest() {
    let mut heat = Heat::by_address(None);
    let filter = Filter::default();
    let session = read(&small(), &filter, &mut [&mut heat]);
    heat.settle();
    let mut out = Vec::new();
    let extent = Extent {
        size: (8, 20),
        regions: 1,
    };
    heat.write_text(&session, &filter, extent, DIGITS, &mut out)
        .unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert!(
        shown.starts_with(
            "time x address of pid 100 main: faults\n0x7f0000000000-0x7f0000003000 (12.0 KiB), 4 faults (57.1 %\nof the faults)"
        ),
        "{shown}"
    );
    assert!(shown.ends_with(
        "\nnot shown: --pid 100 --address 0x555500000000-0x555500002000\nwith 42.9 % of the faults\n"
    ));
    let mut heat = Heat::by_address(Some((support::HEAP_BASE, support::HEAP_BASE + 8191)));
    read(&small(), &filter, &mut [&mut heat]);
    let data = text(
        &heat.table(&session, &filter, (8, 20), Weight::Count),
        Format::Csv,
    );
    assert_eq!(data.lines().skip(1).count(), 3, "{data}");
}

#[test]
fn info_says_what_the_trace_says_about_itself() {
    let losses = [loss(LossReason::Reserve, 3), loss(LossReason::Unfinished, 2)];
    let session = read(
        &trace(&meta(), &dicts(), &events(), &losses),
        &Filter::default(),
        &mut [],
    );
    let info = InfoAnswer(&session);
    let json: serde_json::Value = serde_json::from_str(&written(&info, Format::Json)).unwrap();
    assert_eq!(json["events"], 7);
    assert_eq!(json["major"], 4);
    assert_eq!(json["command"][2], "2");
    assert_eq!(json["start_utc"], "2026-11-22 20:00:00 UTC");
    assert_eq!(json["duration_s"], 0.1);
    assert_eq!(json["lost"], 3);
    let reserve = serde_json::json!({"reason": "reserve", "count": 3, "from_s": 0.0, "to_s": 0.001});
    assert_eq!(json["losses"], serde_json::json!([reserve]));
    assert_eq!(json["not_completed"], 2);
    assert_eq!((&json["recorded"], &json["hidden"]), (&7.into(), &0.into()));
    assert!(json["bytes_per_event"].is_number() && json["start_ns"].is_number());
    assert!(json.get("reconciliation").is_none());
    assert_eq!(json["finished"], true);
    let shown = written(&info, Format::Table);
    assert!(
        shown.contains("\ncannot_see          GUP faults, failed faults, lock waits (with --breakdown)\n"),
        "{shown}"
    );
    assert!(
        shown.contains("kernel counted 7 faults = 7 recorded + 0 lost + 0 hidden: balanced"),
        "{shown}"
    );
}

#[test]
fn info_lists_what_was_set_and_what_of_it_changed_and_no_line_where_nothing_is_told() {
    let none = read(&small(), &Filter::default(), &mut []);
    let (json, shown) = (
        written(&InfoAnswer(&none), Format::Json),
        written(&InfoAnswer(&none), Format::Table),
    );
    assert!(
        !json.contains("condition") && !shown.contains("condition"),
        "{shown}"
    );

    let condition = |ts_ns, subject: &str, name: &str, value: &str| Condition {
        ts_ns,
        subject: subject.into(),
        name: name.into(),
        value: value.into(),
    };
    let mut writer = support::writer(&meta(), &dicts(), &events(), &[]);
    writer
        .conditions(&[
            condition(1, "cgroup /db\x1b[2J\n! forged", "memory.max", "134217728"),
            condition(1, "machine", "pgmajfault", "12"),
            condition(1, "machine", "pswpin", "0"),
            condition(9, "machine", "pgmajfault", "34"),
            condition(9, "machine", "pswpin", "0"),
        ])
        .unwrap();
    let session = read(
        &writer.finish(support::totals(&events())).unwrap(),
        &Filter::default(),
        &mut [],
    );
    let info = InfoAnswer(&session);
    let json: serde_json::Value = serde_json::from_str(&written(&info, Format::Json)).unwrap();
    let second = serde_json::json!({"subject": "machine", "name": "pgmajfault", "start": "12", "end": "34"});
    assert_eq!(json["conditions"][1], second);
    assert_eq!(json["conditions"].as_array().unwrap().len(), 3);
    let shown = written(&info, Format::Table);
    let lines: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("condition"))
        .collect();
    assert_eq!(
        lines,
        [
            "conditions          3, of which 1 changed; here 2 (--format json has all)",
            "condition           cgroup /db\\x1b[2J\\n! forged: memory.max 134217728 (128.0 MiB)",
            "condition           machine: pgmajfault 12 -> 34 (+22)",
        ],
        "{shown}"
    );
}

#[test]
fn the_report_fits_a_screen() {
    let shown = report(&small(), &Filter::default());
    let expected = "\
recorded  mmap-workload -t 2
host      box (Linux 6.12.0, x86_64, 8 CPUs, 16.0 GiB)
when      2026-11-22 20:00:00 UTC, 100.00 ms
by        pfrec 0.1.0, backend perf: page_fault_user+page_fault_kernel
          tracepoints
not seen  GUP faults, failed faults, lock waits (with --breakdown)
";
    assert!(shown.starts_with(expected), "{shown}");
    // Thread 100 lived all 100 ms, thread 101 from 5 to 95 ms.
    assert!(shown.contains("\nwait      2.00 ms in faults = 1.1 % of the 190.00 ms lifetime of the 2"));
    assert!(
        shown.contains("\nPID  TID  COMM    MAJOR  MINOR  TOTAL_MS  AVG_MS  MAX_MS  MIN_US\n"),
        "{shown}"
    );
    assert!(shown.contains("\ntime x offset in /data/"), "{shown}");
    assert!(shown.lines().count() < 60, "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}

#[test]
fn the_report_says_first_what_is_missing() {
    let shown = report(&unfinished(&meta(), &dicts(), &events()), &Filter::default());
    let first = "! unfinished: no valid end: the recorder was killed, is still writing, or the end is damaged; 7 events read\n";
    assert!(shown.starts_with(first), "{shown}");
    let lossy = trace(&meta(), &dicts(), &events(), &[loss(LossReason::Queue, 1_200)]);
    let shown = report(&lossy, &Filter::default());
    assert!(
        shown.starts_with("! lost: 1,200 faults between 0.000000 s and 0.001000 s (the recorder could not keep up, as with a slow disk, on CPU 1); counts and waits are too low there\n"),
        "{shown}"
    );
}

#[test]
fn the_report_names_the_filter_and_the_threads_it_leaves_out() {
    let shown = report(
        &small(),
        &Filter {
            tids: vec![101],
            ..Filter::default()
        },
    );
    assert!(
        shown.contains("\nfilter    --tid 101; below only the faults that pass\n"),
        "{shown}"
    );
    let many: Vec<Event> = (0..25)
        .map(|tid| Event {
            tid: 200 + tid,
            ..heap_fault(1, 5, 0)
        })
        .collect();
    let shown = report(&trace(&meta(), &dicts(), &many, &[]), &Filter::default());
    assert!(
        shown.contains("\n... and 5 more: pfanalyze threads t.pfz\n"),
        "{shown}"
    );
}

#[test]
fn names_from_a_hostile_trace_cannot_steer_the_terminal() {
    let mut dicts = dicts();
    let evil = "\x1b]0;owned\x07\n\u{202e}evil";
    dicts.push(pf_formats::Dict::Comms {
        first_id: 3,
        entries: vec![evil.into()],
    });
    dicts.push(pf_formats::Dict::Objects {
        first_id: 3,
        entries: vec![object(ObjectKind::File, evil)],
    });
    let mut meta = meta();
    meta.command = vec![evil.into()];
    meta.host.hostname = evil.into();
    meta.backend = evil.into();
    let odd = Event {
        comm: CommId(3),
        object: ObjectId(3),
        ..file_fault(1, 5, 9)
    };
    let bytes = trace(&meta, &dicts, &[odd], &[]);
    let session = read(&bytes, &Filter::default(), &mut []);
    let shown = [
        report(&bytes, &Filter::default()),
        events_text(&bytes, Format::Table),
        threads(&bytes, &Filter::default(), Format::Table),
        written(&InfoAnswer(&session), Format::Table),
    ];
    for text in shown {
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
        assert!(text.contains("evil"), "{text}");
    }
}

#[test]
fn a_part_of_the_time_is_held_against_the_life_in_it() {
    let words = |to_ns| {
        let filter = Filter {
            to_ns: Some(to_ns),
            ..Filter::default()
        };
        let shown = report(&small(), &filter);
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // Thread 100 lives from the start on, thread 101 from 5 ms on.
    let shown = words(92_000_000);
    assert!(
        shown.contains("wait 2.00 ms in faults of the 2 threads that faulted = 1.1 % of the 179.00 ms that they lived in it"),
        "{shown}"
    );
    // The last fault takes 1.4 ms from 90 ms on.
    let shown = words(90_400_000);
    assert!(
        shown.contains(
            "that faulted, 1.00 ms of it in this time = 0.6 % of the 175.80 ms that they lived in it"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("thread worker (101) waited 2.00 ms in faults (1.00 ms of it in this time, 1.2 % of its life then)"),
        "{shown}"
    );
}
