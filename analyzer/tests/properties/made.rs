//! What the traces are made of: a property says nothing where what it is about never comes.

use crate::generate::{Made, class_of, end_of, page_of, traces, traces_of_lone_reads};
use crate::memory::plainly;
use pf_formats::Event;
use pfanalyze::engine::filter::Filter;
use pfanalyze::trace::class::Class;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

const TRACES: usize = 200;

/// A query with faults, in one of its own name.
fn recurses(made: &Made) -> bool {
    made.queries.iter().any(|query| {
        let outer = made.queries.iter().find(|outer| outer.id == query.parent);
        outer.is_some_and(|outer| outer.name == query.name) && query.total().majors > 0
    })
}

/// A page number faulted in both files of a path.
fn has_two_inodes(made: &Made) -> bool {
    let pages = |object: u32| {
        let events = made.events.iter().filter(move |event| event.object.0 == object);
        events.map(|event| event.object_page)
    };
    pages(1).any(|page| pages(2).any(|other| other == page))
}

/// The last of its page is a major that began before a minor ended: within a block, or across blocks.
fn minor_is_through_first(made: &Made, is_across: bool) -> bool {
    let block = |index: usize| index / made.block;
    let is = |event: &Event, class| class_of(event) == class;
    let mut majors = made
        .events
        .iter()
        .enumerate()
        .filter(|(_, event)| is(event, Class::Major));
    majors.any(|(index, major)| {
        made.events.iter().enumerate().take(index).any(|(before, minor)| {
            is(minor, Class::Minor)
                && page_of(minor) == page_of(major)
                && end_of(minor) > major.ts_ns
                && (block(before) < block(index)) == is_across
        })
    })
}

/// Pages are read again, and no two majors wait for one page together.
fn reads_alone(made: &Made) -> bool {
    let (files, is_together) = plainly(made, &Filter::default());
    !is_together && files.values().any(|again| again.count > 0)
}

#[test]
fn the_made_traces_have_what_they_are_made_for() {
    let mut runner = TestRunner::deterministic();
    let mut some = |strategy: &dyn Fn(&mut TestRunner) -> Made| -> Vec<Made> {
        (0..TRACES).map(|_| strategy(&mut runner)).collect()
    };
    let made = some(&|runner| traces().new_tree(runner).unwrap().current());
    let lone = some(&|runner| traces_of_lone_reads().new_tree(runner).unwrap().current());
    let share = |made: &[Made], name: &str, is_so: &dyn Fn(&Made) -> bool| {
        let count = made.iter().filter(|made| is_so(made)).count();
        assert!(count * 10 >= TRACES, "{name}: {count} of {TRACES}");
    };
    share(&made, "recursion", &recurses);
    share(&made, "two inodes", &has_two_inodes);
    share(&made, "a minor through first", &|made| {
        minor_is_through_first(made, false)
    });
    share(&made, "samples", &|made| made.sample > 1);
    share(&made, "many blocks", &|made| made.block < made.events.len());
    share(&lone, "reads alone", &reads_alone);
    share(&lone, "a minor through in the block before", &|made| {
        minor_is_through_first(made, true)
    });
}
