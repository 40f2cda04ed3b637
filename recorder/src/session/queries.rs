//! Queries: faults name them by thread and begin, the trace by a number.

use pf_bpf::QueryText;
use pf_formats::{Query, QueryEnd, QueryFaults, QueryId};
use rustc_hash::FxHashMap;

/// The queries in progress, as far as something was heard of them.
#[derive(Debug, Default)]
pub struct Queries {
    /// By the number of their probe.
    names: Vec<String>,
    start_ns: u64,
    last_id: u64,
    open: FxHashMap<u32, Vec<Open>>,
    ended: Vec<Query>,
}

#[derive(Debug)]
struct Open {
    begin_ns: u64,
    id: QueryId,
    text: Option<String>,
    cut: bool,
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
        self.open(tid, begin_ns).id
    }

    /// Keeps a text until the query ends.
    pub fn text(&mut self, text: &QueryText) {
        let open = self.open(text.tid, text.begin_ns);
        open.text = Some(String::from_utf8_lossy(&text.text).into_owned());
        open.cut = text.cut;
    }

    /// A query ended.
    pub fn end(&mut self, query: &pf_bpf::Query) {
        let parent = self.id(query.tid, query.parent_ns);
        let open = self.take(query);
        self.ended.push(Query {
            id: open.id,
            parent,
            pid: query.tgid,
            tid: query.tid,
            name: self.names.get(query.probe as usize).cloned().unwrap_or_default(),
            text: open.text,
            text_cut: open.cut,
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

    /// Nothing of this thread follows.
    pub fn forget(&mut self, tid: u32) {
        self.open.remove(&tid);
    }

    /// Those that have ended, to be taken.
    pub fn ended(&mut self) -> &mut Vec<Query> {
        &mut self.ended
    }

    fn open(&mut self, tid: u32, begin_ns: u64) -> &mut Open {
        let known = self.open.entry(tid).or_default();
        let at = match known.iter().rposition(|open| open.begin_ns == begin_ns) {
            Some(at) => at,
            None => {
                known.push(new(&mut self.last_id, begin_ns));
                known.len() - 1
            }
        };
        &mut known[at]
    }

    fn take(&mut self, query: &pf_bpf::Query) -> Open {
        let mut taken = None;
        if let Some(known) = self.open.get_mut(&query.tid) {
            let at = known.iter().rposition(|open| open.begin_ns == query.begin_ns);
            taken = at.map(|at| known.swap_remove(at));
            // Whatever began inside it has ended too, and its record was lost.
            known.retain(|open| open.begin_ns < query.begin_ns);
        }
        taken.unwrap_or_else(|| new(&mut self.last_id, query.begin_ns))
    }
}

fn new(last_id: &mut u64, begin_ns: u64) -> Open {
    *last_id += 1;
    Open {
        begin_ns,
        id: QueryId(*last_id),
        text: None,
        cut: false,
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
    fn a_query_whose_end_was_lost_does_not_stay() {
        let mut queries = Queries::new(Vec::new(), 0);
        queries.id(7, 10);
        queries.id(7, 20);
        queries.end(&query(10, 40, 0));
        assert!(queries.open[&7].is_empty());
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
