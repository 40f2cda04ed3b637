//! Queries: faults name them by thread and begin, the trace by a number.

use std::collections::VecDeque;

use pf_bpf::QueryText;
use pf_formats::{Query, QueryEnd, QueryFaults, QueryId};
use rustc_hash::FxHashMap;

/// Queries of a thread, and threads, that are remembered when they have ended: a fault may turn up late, when
/// its CPU was taken away in the middle of the probe, as hypervisors do.
const ENDED: usize = 32;
const GONE: usize = 256;

/// Queries of a thread whose end was not told. The probes keep 16 inside each other, so the end of others was lost.
const OPEN: usize = 64;

/// The queries in progress and those that have just ended, as far as something was heard of them.
#[derive(Debug, Default)]
pub struct Queries {
    /// By the number of their probe.
    names: Vec<String>,
    start_ns: u64,
    last_id: u64,
    known: FxHashMap<u32, Vec<Known>>,
    gone: VecDeque<u32>,
    ended: Vec<Query>,
}

#[derive(Debug)]
struct Known {
    begin_ns: u64,
    id: QueryId,
    text: Option<String>,
    cut: bool,
    ended: bool,
}

impl Queries {
    /// `names` are those of the probes; queries that began before `start_ns` are told as that.
    pub fn new(names: Vec<String>, start_ns: u64) -> Self {
        Self {
            names,
            start_ns,
            ..Self::default()
        }
    }

    /// The number of a query of thread `tid`; none for a begin of 0.
    pub fn id(&mut self, tid: u32, begin_ns: u64) -> QueryId {
        if begin_ns == 0 {
            return QueryId::default();
        }
        self.known(tid, begin_ns).id
    }

    /// Keeps a text until the query ends.
    pub fn text(&mut self, text: &QueryText) {
        let known = self.known(text.tid, text.begin_ns);
        known.text = Some(String::from_utf8_lossy(&text.text).into_owned());
        known.cut = text.cut;
    }

    /// A query ended.
    pub fn end(&mut self, query: &pf_bpf::Query) {
        let parent = self.id(query.tid, query.parent_ns);
        let known = self.known(query.tid, query.begin_ns);
        // A probe at its end can be interrupted until the open ones are told, and tells of it once more then.
        if known.ended {
            return;
        }
        let (id, text, cut) = (known.id, known.text.take(), known.cut);
        self.retire(query);
        self.ended.push(Query {
            id,
            parent,
            pid: query.tgid,
            tid: query.tid,
            name: self.names.get(query.probe as usize).cloned().unwrap_or_default(),
            text,
            text_cut: cut,
            key: query.key,
            begin_ns: query.begin_ns,
            end_ns: query.end_ns,
            begun_before: query.begin_ns < self.start_ns,
            end: match (query.open, query.abandoned) {
                (true, _) => QueryEnd::Open,
                (false, true) => QueryEnd::Abandoned,
                (false, false) => QueryEnd::Ended,
            },
            own: faults(query.own),
            nested: faults(query.nested),
        });
    }

    /// The thread has ended.
    pub fn forget(&mut self, tid: u32) {
        if !self.known.contains_key(&tid) {
            return;
        }
        self.gone.push_back(tid);
        if self.gone.len() > GONE
            && let Some(tid) = self.gone.pop_front()
        {
            self.known.remove(&tid);
        }
    }

    /// Those that have ended, to be taken.
    pub fn ended(&mut self) -> &mut Vec<Query> {
        &mut self.ended
    }

    fn known(&mut self, tid: u32, begin_ns: u64) -> &mut Known {
        let known = self.known.entry(tid).or_default();
        let at = match known.iter().rposition(|known| known.begin_ns == begin_ns) {
            Some(at) => at,
            None => {
                if known.len() >= ENDED + OPEN {
                    forget_one(known);
                }
                self.last_id += 1;
                known.push(Known {
                    begin_ns,
                    id: QueryId(self.last_id),
                    text: None,
                    cut: false,
                    ended: false,
                });
                known.len() - 1
            }
        };
        &mut known[at]
    }

    /// A query has ended, and so has whatever began inside it, or before it in the one around it, though the record of
    /// that may have been lost.
    fn retire(&mut self, query: &pf_bpf::Query) {
        let known = self.known.entry(query.tid).or_default();
        // One that began later may be known already: faults in it overtake what the ring buffer holds back.
        let is_over = |known: &&mut Known| known.begin_ns > query.parent_ns && known.begin_ns <= query.end_ns;
        known
            .iter_mut()
            .filter(is_over)
            .for_each(|known| known.ended = true);
        while known.len() > ENDED
            && let Some(oldest) = known.iter().position(|known| known.ended)
        {
            known.remove(oldest);
        }
    }
}

/// One that has ended, or whose end was lost: those that are around the others are the oldest, and stay.
fn forget_one(known: &mut Vec<Known>) {
    let ended = known.iter().position(|known| known.ended);
    let latest = || known.iter().zip(0..).max_by_key(|(known, _)| known.begin_ns);
    if let Some(at) = ended.or_else(|| latest().map(|(_, at)| at)) {
        known.remove(at);
    }
}

fn faults(faults: pf_bpf::QueryFaults) -> QueryFaults {
    QueryFaults {
        majors: faults.majors.into(),
        minors: faults.minors.into(),
        wait_ns: faults.wait_ns,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn query(begin_ns: u64, end_ns: u64, parent_ns: u64) -> pf_bpf::Query {
        pf_bpf::Query {
            begin_ns,
            end_ns,
            parent_ns,
            tid: 7,
            ..pf_bpf::Query::default()
        }
    }

    #[test]
    fn a_fault_and_the_end_of_its_query_agree_on_its_number() {
        let mut queries = Queries::new(vec!["step".to_owned()], 5);
        queries.text(&QueryText {
            tid: 7,
            begin_ns: 20,
            text: b"select \xff".to_vec(),
            cut: true,
        });
        let (outer, inner) = (queries.id(7, 10), queries.id(7, 20));
        assert_ne!(outer, inner);
        assert_eq!(queries.id(8, 0), QueryId(0));
        queries.end(&query(20, 30, 10));
        queries.end(&query(10, 40, 0));
        let ended = queries.ended();
        assert_eq!((ended[0].id, ended[0].parent), (inner, outer));
        assert_eq!((ended[1].id, ended[1].parent), (outer, QueryId(0)));
        assert_eq!(ended[0].text.as_deref(), Some("select \u{fffd}"));
        assert!(ended[0].text_cut && ended[0].name == "step" && !ended[1].begun_before);
    }

    #[test]
    fn a_fault_that_turns_up_late_finds_its_query() {
        let mut queries = Queries::new(Vec::new(), 0);
        queries.end(&query(10, 40, 0));
        queries.forget(7);
        assert_eq!(queries.id(7, 10), queries.ended()[0].id);
    }

    #[test]
    fn a_query_that_is_known_before_the_one_before_it_ends_is_told() {
        let mut queries = Queries::new(Vec::new(), 0);
        let later = queries.id(7, 50);
        queries.end(&query(10, 40, 0));
        queries.end(&query(50, 60, 0));
        let ids: Vec<QueryId> = queries.ended().iter().map(|query| query.id).collect();
        assert_eq!((ids.len(), ids[1]), (2, later));
    }

    #[test]
    fn a_query_that_is_told_twice_is_one() {
        let mut queries = Queries::new(Vec::new(), 0);
        queries.end(&query(10, 40, 0));
        queries.end(&pf_bpf::Query {
            open: true,
            ..query(10, 41, 0)
        });
        assert_eq!(queries.ended().len(), 1);
        queries.end(&query(50, 60, 0));
        assert_eq!(queries.ended().len(), 2);
    }

    #[test]
    fn queries_whose_ends_were_lost_do_not_stay_for_ever() {
        let mut queries = Queries::new(Vec::new(), 0);
        for round in 1..100 {
            queries.id(7, round * 100);
            queries.id(7, round * 100 + 10);
            queries.end(&query(round * 100, round * 100 + 40, 0));
        }
        assert!(queries.known[&7].len() <= ENDED);
        for tid in 100..100 + 2 * GONE as u32 {
            queries.id(tid, 1);
            queries.forget(tid);
        }
        assert!(queries.known.len() <= GONE + 1);
    }

    #[test]
    fn queries_whose_ends_are_all_lost_are_bounded_and_the_one_around_them_stays() {
        let mut queries = Queries::new(Vec::new(), 0);
        let outer = queries.id(7, 10);
        for begin_ns in 100..1_000 {
            queries.text(&QueryText {
                tid: 7,
                begin_ns,
                text: vec![b'x'; 256],
                cut: false,
            });
        }
        assert_eq!(queries.known[&7].len(), ENDED + OPEN);
        assert_eq!(queries.id(7, 10), outer);
        // The end of one tells that those before it are over, and that the one around it is not.
        queries.end(&query(1_000, 1_010, 10));
        let open: Vec<u64> = queries.known[&7]
            .iter()
            .filter(|known| !known.ended)
            .map(|known| known.begin_ns)
            .collect();
        assert_eq!(open, [10]);
        assert_eq!(queries.known[&7].len(), ENDED);
        queries.end(&query(10, 1_020, 0));
        assert_eq!(queries.ended().last().map(|query| query.id), Some(outer));
    }

    #[test]
    fn what_began_before_the_recording_is_told_as_that() {
        let mut queries = Queries::new(Vec::new(), 100);
        queries.end(&query(0, 110, 0));
        queries.end(&query(90, 120, 0));
        queries.end(&query(130, 140, 0));
        let before: Vec<_> = queries.ended().iter().map(|query| query.begun_before).collect();
        assert_eq!(before, [true, true, false]);
    }
}
