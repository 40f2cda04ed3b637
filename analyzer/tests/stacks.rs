//! `stacks` on a small trace whose stacks are known, through the library, with the exact text it must print.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod stack_fixture;
mod support;

use pf_formats::{CommId, Dict, Event, FrameId, StackId, StackNode, Symbol, TraceReader};
use pfanalyze::engine::filter::Filter;
use pfanalyze::engine::scan::scan;
use pfanalyze::error::AnalyzeError;
use pfanalyze::output::render::{self, Format};
use pfanalyze::request::options::StackLimits;
use pfanalyze::request::weight::Weight;
use pfanalyze::verbs::stacks::pass::{Base, StackTree, Stacks, describe_hidden};
use stack_fixture::{faults, stack_dicts, stack_of, stack_trace, symbol_dicts};
use support::{dicts, events, file_fault, meta, small, trace};

const ALL: StackLimits = StackLimits {
    min_share: 0,
    depth: None,
};

fn tree(bytes: &[u8], filter: &Filter, base: Base) -> Result<StackTree, AnalyzeError> {
    let mut stacks = Stacks::default();
    let reader = TraceReader::new(bytes).unwrap();
    let session = scan(reader, filter, &mut [&mut stacks], &mut |_| {}).unwrap();
    stacks.finish(&session, base)
}

fn text_of(bytes: &[u8], weight: Weight, limits: StackLimits) -> String {
    let tree = tree(bytes, &Filter::default(), Base::Function).unwrap();
    let shown = tree.shown(weight, limits);
    let mut out = Vec::new();
    tree.write_text(&shown, weight, None, &mut out).unwrap();
    let mut text = String::from_utf8(out).unwrap();
    for remark in describe_hidden(&shown, limits)
        .into_iter()
        .chain(tree.remarks(weight))
    {
        text.push_str(&remark);
        text.push('\n');
    }
    text
}

fn folded(bytes: &[u8], weight: Weight) -> String {
    let tree = tree(bytes, &Filter::default(), Base::Thread).unwrap();
    let mut out = Vec::new();
    tree.write_folded(weight, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn table(bytes: &[u8], format: Format) -> String {
    let tree = tree(bytes, &Filter::default(), Base::Function).unwrap();
    let mut out = Vec::new();
    let table = tree.table(&tree.shown(Weight::Wait, ALL));
    render::table(&table, format, None, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_tree_has_callers_on_top_and_says_what_it_does_not_show() {
    let expected = " WAIT_%  SELF_%  FAULTS  TOTAL_MS  MAX_MS  FUNCTION
 90.0 %   0.0 %       3     1.799   1.400  - _start  app.c  in /usr/bin/app
 90.0 %   0.0 %       3     1.799   1.400    main  app.c:7
 90.0 %  15.0 %       3     1.799   1.400    walk  app.c
 75.0 %   0.0 %       2     1.499   1.400    step (inlined)  step.h:9
 75.0 %  75.0 %       2     1.499   1.400    touch (inlined)  step.h:3
  7.5 %   0.0 %       1     0.150   0.150  - [truncated: no frame pointers]
  7.5 %   0.0 %       1     0.150   0.150    [app+0x999]
  7.5 %   7.5 %       1     0.150   0.150    [0x7fff0000]
  2.5 %   0.0 %       1     0.050   0.050  - [truncated: frame not resident]
  2.5 %   2.5 %       1     0.050   0.050    main  app.c:7  in /usr/bin/app
100.0 %   0.0 %       6     2.000   1.400  total
hidden: 1 branch below 0.5 % (--min-percent 0 shows all)
no stack: 1 fault was recorded without one, 0.1 % of the wait
truncated: 10.0 % of the wait, in stacks whose outermost callers are missing \
(frame not resident 2.5 %, no frame pointers 7.5 %)
";
    let limits = StackLimits {
        min_share: 500,
        ..ALL
    };
    assert_eq!(
        text_of(&stack_trace(&meta(), &faults()), Weight::Wait, limits),
        expected
    );
}

#[test]
fn a_depth_hides_what_was_called_below_it() {
    let limits = StackLimits {
        depth: Some(2),
        ..ALL
    };
    let shown = text_of(&stack_trace(&meta(), &faults()), Weight::Count, limits);
    let expected = "FAULTS_%  SELF_%  FAULTS  TOTAL_MS  MAX_MS  FUNCTION
  50.0 %   0.0 %       3     1.799   1.400  - _start  app.c  in /usr/bin/app
  50.0 %   0.0 %       3     1.799   1.400    main  app.c:7
  16.7 %  16.7 %       1     0.001   0.001  - [no stack]
  16.7 %   0.0 %       1     0.050   0.050  - [truncated: frame not resident]
  16.7 %  16.7 %       1     0.050   0.050    main  app.c:7  in /usr/bin/app
  16.7 %   0.0 %       1     0.150   0.150  - [truncated: no frame pointers]
  16.7 %   0.0 %       1     0.150   0.150    [app+0x999]
 100.0 %   0.0 %       6     2.000   1.400  total
hidden: 2 branches deeper than 2
no stack: 1 fault was recorded without one, 16.7 % of the faults
truncated: 33.3 % of the faults, in stacks whose outermost callers are missing \
(frame not resident 16.7 %, no frame pointers 16.7 %)
";
    assert_eq!(shown, expected);
}

#[test]
fn the_longest_fault_of_a_branch_is_the_longest_of_all_it_called() {
    let shown = text_of(&stack_trace(&meta(), &faults()), Weight::Max, ALL);
    let walk = shown.lines().find(|line| line.contains("  walk")).unwrap();
    assert!(
        walk.starts_with("100.0 %   21.4 %       3     1.799   1.400    walk"),
        "{walk}"
    );
    assert!(shown.contains("16.7 % of the faults"), "{shown}");
}

#[test]
fn folded_stacks_begin_with_the_thread_and_end_with_a_whole_number() {
    let bytes = stack_trace(&meta(), &faults());
    let expected = "\
main;[no stack] 1000
main;_start;main;walk;step (inlined);touch (inlined) 99000
worker;_start;main;walk 300000
worker;_start;main;walk;step (inlined);touch (inlined) 1400000
worker;[truncated: no frame pointers];[app+0x999];[0x7fff0000] 150000
worker;[truncated: frame not resident];main 50000
";
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&folded(&bytes, Weight::Wait)), sorted(expected));
    let counts = folded(&bytes, Weight::Count);
    assert!(counts.lines().all(|line| line.ends_with(" 1")), "{counts}");
}

#[test]
fn programs_get_every_field_of_a_function_and_null_where_its_frames_differ() {
    let bytes = stack_trace(&meta(), &faults());
    let rows: serde_json::Value = serde_json::from_str(&table(&bytes, Format::Json)).unwrap();
    let row = |function: &str, depth: u64| {
        let rows = rows.as_array().unwrap();
        let found = rows
            .iter()
            .find(|row| row["function"] == function && row["depth"] == depth);
        found
            .unwrap_or_else(|| panic!("no {function} in {rows:?}"))
            .clone()
    };
    let main = row("main", 2);
    let start = row("_start", 1);
    assert_eq!(
        (&start["id"], &start["parent"], &start["line"]),
        (&1.into(), &().into(), &().into())
    );
    assert_eq!(
        (&main["parent"], &main["line"], &main["file"]),
        (&1.into(), &7.into(), &"app.c".into())
    );
    assert_eq!(
        (&main["object"], &main["build_id"]),
        (&"/usr/bin/app".into(), &"dead01".into())
    );
    assert_eq!(main["offset"], 0x200);
    let walk = row("walk", 3);
    assert_eq!(
        (&walk["line"], &walk["offset"], &walk["file"]),
        (&().into(), &().into(), &"app.c".into())
    );
    assert_eq!((&walk["faults"], &walk["self_faults"]), (&3.into(), &1.into()));
    assert_eq!(
        (walk["total_ms"].as_f64(), walk["self_ms"].as_f64()),
        (Some(1.799), Some(0.3))
    );
    let touch = row("touch", 5);
    assert_eq!(
        (&touch["kind"], &touch["file"], &touch["line"]),
        (&"inlined".into(), &"step.h".into(), &3.into())
    );
    assert_eq!(row("[0x7fff0000]", 3)["kind"], "unnamed");
    assert_eq!(row("[truncated: no frame pointers]", 1)["kind"], "missing");
    assert_eq!(row("[no stack]", 1)["kind"], "no_stack");
    let csv = table(&bytes, Format::Csv);
    assert!(
        csv.starts_with(
            "id,parent,depth,kind,function,object,build_id,offset,file,line,faults,total_ms,max_ms,"
        ),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), rows.as_array().unwrap().len() + 1);
}

#[test]
fn filters_choose_the_faults_of_a_tree() {
    let filter = Filter {
        tids: vec![100],
        ..Filter::default()
    };
    let bytes = stack_trace(&meta(), &faults());
    let tree = tree(&bytes, &filter, Base::Function).unwrap();
    let shown = tree.shown(Weight::Wait, ALL);
    let mut out = Vec::new();
    tree.write_text(&shown, Weight::Wait, None, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.ends_with("100.0 %   0.0 %       2     0.100   0.099  total\n"),
        "{text}"
    );
    assert!(!text.contains("truncated"), "{text}");
}

#[test]
fn sampled_minors_stand_for_those_that_were_left_out() {
    let mut sampled = meta();
    sampled.sample = 10;
    let text = folded(&stack_trace(&sampled, &faults()), Weight::Wait);
    assert!(text.contains("main;[no stack] 10000\n"), "{text}");
    assert!(text.contains("touch (inlined) 990000\n"), "{text}");
    assert!(text.contains("walk 300000\n"), "{text}");
}

#[test]
fn a_trace_without_stacks_says_how_to_record_them() {
    let error = tree(&small(), &Filter::default(), Base::Function)
        .unwrap_err()
        .to_string();
    assert!(error.contains("pfrec --stacks"), "{error}");
    let none = trace(&meta(), &[dicts(), stack_dicts()].concat(), &events(), &[]);
    let text = text_of(&none, Weight::Wait, ALL);
    assert!(
        text.contains("no stack: 7 faults were recorded without one, 100.0 % of the wait"),
        "{text}"
    );
}

#[test]
fn stacks_that_damage_took_away_are_told_and_counted() {
    let lost = [
        stack_of(77, file_fault(10, 500, 0)),
        stack_of(2, file_fault(20, 500, 1)),
    ];
    let text = text_of(&stack_trace(&meta(), &lost), Weight::Wait, ALL);
    assert!(
        text.contains("- [truncated: the trace is damaged there]"),
        "{text}"
    );
    assert!(text.contains("(the trace is damaged there 50.0 %)"), "{text}");
    // The trace of stacks is there, that of the frames is not.
    let stacks = stack_dicts().pop().unwrap();
    let bytes = trace(&meta(), &[dicts(), vec![stacks]].concat(), &lost, &[]);
    assert!(text_of(&bytes, Weight::Wait, ALL).contains("[unknown#2]"));
}

#[test]
fn names_cannot_steer_a_terminal_or_forge_a_stack() {
    let evil = Dict::Symbols {
        entries: vec![Symbol {
            frame: FrameId(1),
            name: "a\x1b[2J\nb;c [u8; 4]".into(),
            ..Symbol::default()
        }],
    };
    let comm = Dict::Comms {
        first_id: 3,
        entries: vec!["my; thread\n".into()],
    };
    let fault = Event {
        comm: CommId(3),
        ..stack_of(1, file_fault(10, 500, 0))
    };
    let dicts = [dicts(), stack_dicts(), vec![evil, comm]].concat();
    let bytes = trace(&meta(), &dicts, &[fault], &[]);
    assert_eq!(
        folded(&bytes, Weight::Wait),
        "my:_thread\\n;a\\x1b[2J\\nb:c [u8: 4] 500\n"
    );
    assert!(text_of(&bytes, Weight::Wait, ALL).contains("a\\x1b[2J\\nb;c [u8; 4]"));
    let json: serde_json::Value = serde_json::from_str(&table(&bytes, Format::Json)).unwrap();
    assert_eq!(json[0]["function"], "a\x1b[2J\nb;c [u8; 4]");
}

#[test]
fn a_stack_deeper_than_any_real_one_is_cut_and_its_faults_are_counted() {
    let depth = 1 << 20;
    let nodes = (1..=depth).map(|id: u32| StackNode {
        parent: StackId(id - 1),
        frame: FrameId(1 + id % 2),
        truncated: 0,
    });
    let deep = Dict::Stacks {
        first_id: 1,
        entries: nodes.collect(),
    };
    let frames = stack_dicts().remove(1);
    let faults = [
        stack_of(depth, file_fault(10, 500, 0)),
        stack_of(depth - 1, file_fault(10, 500, 0)),
    ];
    let bytes = trace(&meta(), &[dicts(), vec![frames, deep]].concat(), &faults, &[]);
    let text = folded(&bytes, Weight::Count);
    assert_eq!(text.lines().count(), 1);
    assert!(text.ends_with(" 2\n") && text.len() < 100_000);
}

#[test]
fn wide_names_are_cut_to_the_terminal() {
    let bytes = stack_trace(&meta(), &faults());
    let tree = tree(&bytes, &Filter::default(), Base::Function).unwrap();
    let mut out = Vec::new();
    let shown = tree.shown(Weight::Wait, ALL);
    tree.write_text(&shown, Weight::Wait, Some(69), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 69), "{text}");
    assert!(text.contains("- [truncated: no frame po…"), "{text}");
}

#[test]
fn whatever_the_dictionaries_say_every_fault_is_counted_once() {
    let mut state = 7u64;
    let mut below = |limit: u32| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % limit
    };
    for _ in 0..200 {
        let mut all = dicts();
        let mut next_id = 1;
        for _ in 0..below(4) {
            // No id comes twice, and some never.
            let first_id = next_id + below(5);
            next_id = first_id + 10;
            let nodes = (first_id..first_id + 10).map(|id| StackNode {
                parent: StackId(below(id)),
                frame: FrameId(below(12)),
                truncated: below(6) as u8,
            });
            let entries = nodes.collect();
            all.push(Dict::Stacks { first_id, entries });
        }
        if below(2) == 0 {
            all.push(stack_dicts().remove(1));
            all.extend(symbol_dicts());
        }
        let faults: Vec<Event> = (0..50)
            .map(|i| stack_of(1 + below(40), file_fault(i, 1 + u64::from(below(1_000)), i)))
            .collect();
        let wait: u64 = faults.iter().map(|fault| fault.latency_ns).sum();
        let bytes = trace(&meta(), &all, &faults, &[]);
        for (weight, sum) in [(Weight::Count, 50), (Weight::Wait, wait)] {
            let values = folded(&bytes, weight);
            let values = values.lines().map(|line| line.rsplit_once(' ').unwrap().1);
            assert_eq!(
                values.map(|value| value.parse::<u64>().unwrap()).sum::<u64>(),
                sum
            );
        }
        let rows: serde_json::Value = serde_json::from_str(&table(&bytes, Format::Json)).unwrap();
        let rows = rows.as_array().unwrap();
        let sum = |field: &str, filter: &dyn Fn(&serde_json::Value) -> bool| {
            let rows = rows.iter().filter(|row| filter(row));
            rows.map(|row| row[field].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(sum("self_faults", &|_| true), 50);
        assert_eq!(sum("faults", &|row| row["parent"].is_null()), 50);
        // Callers have what those they called have, and their own.
        for row in rows {
            let called = sum("faults", &|other| other["parent"] == row["id"]);
            assert_eq!(
                row["faults"].as_u64(),
                Some(called + row["self_faults"].as_u64().unwrap())
            );
        }
    }
}
