//! The accounts against made-up evidence: what is balanced, what is unexplained and by how much, and in which words.

use pf_bpf::{Offset, Tally};
use pf_formats::CommandEnd;

use super::*;

fn balance() -> Balance {
    Balance {
        kernel_majors: 1000,
        kernel_minors: 25,
        arrived: 1024,
        arrived_majors: 1000,
        events: 1024,
        hidden: 1,
        ..Balance::default()
    }
}

fn events(met: u64, missed: i64) -> EventCheck {
    EventCheck {
        tally: Tally {
            met,
            ..Tally::default()
        },
        missed: Ok(Offset {
            low: missed,
            high: missed,
        }),
        scope: CountScope::Tasks,
        missed_seen: 0,
        hidden_majors: 0,
        minors_left: 0,
        not_of_tasks: None,
    }
}

fn accounts(balance: &Balance, events: &EventCheck, wait4: Option<u64>) -> Accounts {
    Accounts::new(&Evidence {
        balance,
        events,
        before_exec: (0, 0, 0),
        without_state: (0, 0),
        dropped: 0,
        left_out: 0,
        ends_lost: 0,
        command: wait4.map(|minors| {
            let ended = Ended {
                end: CommandEnd::default(),
                majors: 0,
                minors,
            };
            (ended, (0, 0))
        }),
        unwaited: &[("7 (daemon)".to_owned(), 24)],
        cpus_added: false,
    })
}

#[test]
fn what_two_counts_agree_on_is_balanced() {
    let accounts = accounts(&balance(), &events(1024, 0), Some(1025));
    let lines = accounts.lines("recorded");
    assert_eq!(
        lines[0],
        "the kernel counted 1,000 major + 25 minor = 1,024 recorded + 0 lost + 1 hidden (resolved inside get_user_pages, \
         as in exec; counted, not listed): balanced"
    );
    assert!(
        lines[1].ends_with("independently of the probes: 1,024"),
        "{}",
        lines[1]
    );
    assert!(lines[2].starts_with("wait4(2) agrees"), "{}", lines[2]);
    assert!(accounts.is_exact());
}

#[test]
fn what_no_probe_saw_is_not_called_hidden() {
    // The tasks' counters tell of 10 more than arrived; one of them is no event.
    let more = Balance {
        kernel_minors: 34,
        hidden: 10,
        ..balance()
    };
    let accounts = accounts(&more, &events(1024, 9), None);
    assert_eq!((accounts.check.unexplained, accounts.accounting.hidden), (9, 1));
    let lines = accounts.lines("recorded");
    assert!(
        lines[0].contains(" + 9 UNEXPLAINED: NOT BALANCED"),
        "{}",
        lines[0]
    );
    assert!(lines[1].contains("the kernel counted 9 page faults that no probe saw"));
    assert!(!accounts.is_exact());
}

#[test]
fn major_faults_that_are_hidden_are_told_apart_whatever_was_taken_for_minor_before() {
    // The first record of a thread that ran before: 256 of its 259 hidden ones were taken as minor.
    let taken = Balance {
        kernel_minors: 25 + 258,
        hidden: 259,
        ..balance()
    };
    let told = EventCheck {
        hidden_majors: 256,
        ..events(1024, 0)
    };
    let hidden = accounts(&taken, &told, None);
    assert_eq!(
        (hidden.accounting.kernel_majors, hidden.accounting.kernel_minors),
        (1256, 27)
    );
    let line = &hidden.lines("recorded")[0];
    assert!(
        line.contains("259 hidden") && line.contains("256 of them MAJOR"),
        "{line}"
    );
    assert!(hidden.is_exact());
    // A probe that missed one cannot know what is hidden.
    let missed = EventCheck {
        hidden_majors: 256,
        ..events(1024, 9)
    };
    assert_eq!(accounts(&taken, &missed, None).hidden_majors, None);
}

#[test]
fn what_vanished_on_the_way_is_told_by_number_wherever_it_shows() {
    // As a gap between two records, behind the last one, and as both.
    for gaps in [5, 0, 3] {
        let fewer = Balance {
            kernel_minors: 20 + gaps,
            arrived: 1019,
            events: 1019,
            gaps,
            ..balance()
        };
        let accounts = accounts(&fewer, &events(1024, 0), None);
        assert_eq!(accounts.check.unexplained, 5, "{gaps} gaps");
        let Accounting {
            kernel_majors,
            kernel_minors,
            recorded,
            hidden,
            ..
        } = accounts.accounting;
        assert_eq!(kernel_majors + kernel_minors, recorded + hidden + 5);
    }
}

#[test]
fn what_was_hidden_before_a_record_that_vanished_did_not_vanish_too() {
    let fewer = Balance {
        arrived: 1019,
        events: 1019,
        gaps: 6,
        hidden: 0,
        ..balance()
    };
    let accounts = accounts(&fewer, &events(1024, 0), None);
    assert_eq!((accounts.check.unexplained, accounts.accounting.hidden), (5, 1));
}

#[test]
fn what_a_running_thread_left_out_after_its_last_record_is_counted() {
    let mut check = events(1024 + 337, 0);
    check.tally.filtered = 337;
    check.tally.filtered_major = 30;
    let accounts = accounts(&balance(), &check, None);
    let Accounting {
        filtered,
        kernel_majors,
        kernel_minors,
        ..
    } = accounts.accounting;
    assert_eq!((filtered, kernel_majors, kernel_minors), (337, 1030, 25 + 307));
    assert!(accounts.is_exact());
}

#[test]
fn names_with_more_faults_than_are_missing_are_none_of_them() {
    let few = accounts(&balance(), &events(1024, 0), Some(1020));
    assert!(few.lines("recorded")[2].ends_with("the other 5 belong to children for which no process waited"));
}

#[test]
fn without_a_count_apart_nothing_is_called_balanced() {
    let unchecked = EventCheck {
        missed: Err("the processes have too many threads".to_owned()),
        ..events(1024, 0)
    };
    let accounts = accounts(&balance(), &unchecked, None);
    let lines = accounts.lines("recorded");
    assert!(lines[0].ends_with(": not checked"), "{}", lines[0]);
    assert!(lines[1].ends_with("too many threads"), "{}", lines[1]);
    assert!(!accounts.is_exact() && !accounts.check.is_alarming());
}

#[test]
fn a_count_that_was_read_while_it_grew_says_how_exact_it_is() {
    let busy = EventCheck {
        missed: Ok(Offset { low: -2, high: 3 }),
        ..events(1024, 0)
    };
    let accounts = accounts(&balance(), &busy, None);
    assert!(accounts.is_exact());
    assert!(accounts.lines("recorded")[1].contains("to within 5"));
}

#[test]
fn of_what_is_missed_on_the_machine_only_that_of_the_recorded_tasks_is_unexplained() {
    let more = Balance {
        kernel_minors: 34,
        hidden: 10,
        ..balance()
    };
    let of_machine = |low, high, seen| EventCheck {
        missed: Ok(Offset { low, high }),
        scope: CountScope::Machine,
        missed_seen: seen,
        ..events(1024, 0)
    };
    let told = |check| {
        let accounts = accounts(&more, &check, None);
        (
            accounts.check.unexplained,
            accounts.check.uncertain,
            accounts.accounting.hidden,
        )
    };
    assert_eq!(told(of_machine(9, 9, 9)), (9, 0, 1));
    // Of others, or of ours without a trace of it.
    assert_eq!(told(of_machine(12, 12, 9)), (9, 1, 1));
    assert_eq!(told(of_machine(0, 4, 0)), (0, 4, 10));
    // An open fault alone proves nothing.
    assert_eq!(told(of_machine(0, 0, 9)), (0, 0, 10));
}

#[test]
fn more_faults_by_wait4_than_the_probes_read_are_an_alarm_and_fewer_have_names() {
    let more = accounts(&balance(), &events(1024, 0), Some(1030));
    assert!(more.lines("recorded")[2].starts_with("ALARM: wait4(2)"));
    assert!(!more.is_exact());
    let fewer = accounts(&balance(), &events(1024, 0), Some(1001));
    assert_eq!(
        fewer.lines("recorded")[2],
        "wait4(2) counted 1,001 of the 1,025 faults in the tasks' counters; the other 24 belong to 7 (daemon), for \
         which no process waited"
    );
    assert!(fewer.is_exact());
}

#[test]
fn where_the_tasks_own_events_cannot_be_counted_those_of_the_machine_are_and_the_reason_is_told() {
    let instead = |high| EventCheck {
        missed: Ok(Offset { low: 0, high }),
        scope: CountScope::Machine,
        not_of_tasks: Some("the process has 5000 threads".to_owned()),
        ..events(1024, 0)
    };
    let more = Balance {
        kernel_minors: 34,
        hidden: 10,
        ..balance()
    };
    let certain = accounts(&more, &instead(0), None);
    assert!(certain.is_exact());
    let lines = certain.lines("recorded");
    assert!(lines[1].starts_with("checked: all page-fault events of this machine"));
    assert!(
        lines[2].starts_with("--strict: ") && lines[2].ends_with("has 5000 threads"),
        "{}",
        lines[2]
    );
    // What was asked for is not known, then.
    let uncertain = accounts(&more, &instead(4), None);
    assert!(!uncertain.is_exact());
    let lines = uncertain.lines("recorded");
    assert!(
        lines[1].contains("to within 4") && !lines[1].contains("--strict"),
        "{}",
        lines[1]
    );
}

#[test]
fn minor_faults_of_running_threads_that_nobody_asked_for_are_filtered_ones() {
    let only_majors = EventCheck {
        minors_left: 70,
        ..events(1024, 0)
    };
    let accounts = accounts(&balance(), &only_majors, None);
    assert_eq!(
        (accounts.accounting.kernel_minors, accounts.accounting.filtered),
        (25 + 70, 70)
    );
    assert!(accounts.is_exact());
}
