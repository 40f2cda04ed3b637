//! Queries of a trace with their faults, read record by record.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use pf_formats::{BlockDecoder, Columns, Dict, Item, Projection, Query, QueryEnd, QueryFaults, TraceReader};

use super::{disk_folder, pfrec, process::run, program, text};

/// Whether this kernel can tell queries. One before 5.15 has to say so, and is asked for nothing more.
pub fn supported() -> bool {
    let folder = disk_folder();
    let trace = folder.path().join("supported.pfz");
    let spec = format!("--query=func:{}:main", program("pfrec").display());
    let ended = run(pfrec(&["-o", text(&trace), &spec, "--", "true"]));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    if version >= (5, 15) {
        ended.ok();
        return true;
    }
    assert!(ended.stderr.contains("--query needs Linux 5.15"), "{ended:#?}");
    pf_checks::not_run("queries", &format!("they need Linux 5.15, and this is {release}"));
    false
}

/// A fault that belongs to a query.
#[derive(Clone, Debug)]
pub struct QueryFault {
    pub ts_ns: u64,
    pub latency_ns: u64,
    pub tid: u32,
    pub major: bool,
    /// Path of the file or name of the memory.
    pub object: String,
    /// Page of that file.
    pub page: usize,
}

/// The queries of a trace, by their beginning.
#[derive(Debug, Default)]
pub struct Queries {
    pub rows: Vec<Query>,
    faults: HashMap<u64, Vec<QueryFault>>,
}

/// Reads the queries of `trace`. Asserts what holds for all: each fault that names a query is of its thread and
/// time, and the faults of each are as many, and as long, as the kernel's probes counted for it.
pub fn queries(trace: &Path) -> Queries {
    let mut reader = TraceReader::new(BufReader::new(File::open(trace).unwrap())).unwrap();
    let mut objects = HashMap::new();
    let mut decoder = BlockDecoder::new().unwrap();
    let mut columns = Columns::default();
    let mut queries = Queries::default();
    let mut faults: Vec<(u64, u32, QueryFault)> = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Queries(rows) => queries.rows.extend(rows),
            Item::Dict(Dict::Objects { first_id, entries }) => {
                objects.extend((first_id..).zip(entries.into_iter().map(|object| object.path)));
            }
            Item::Events(block) => {
                decoder.decode(&block, Projection::ALL, &mut columns).unwrap();
                faults.extend((0..columns.ts_ns.len()).filter_map(|row| fault(&columns, row)));
            }
            _ => {}
        }
    }
    for (query, object, mut fault) in faults {
        fault.object = objects.get(&object).cloned().unwrap_or_default();
        queries.faults.entry(query).or_default().push(fault);
    }
    queries.rows.sort_by_key(|query| (query.begin_ns, query.id));
    queries.assert_sound();
    queries
}

/// The fault of a row, with its query and its object.
fn fault(columns: &Columns, row: usize) -> Option<(u64, u32, QueryFault)> {
    let query = columns.query.get(row).copied().filter(|query| *query != 0)?;
    let fault = QueryFault {
        ts_ns: columns.ts_ns[row],
        latency_ns: columns.latency_ns[row],
        tid: columns.tid[row],
        major: columns.class[row] & 1 != 0,
        object: String::new(),
        page: usize::try_from(columns.object_page[row]).unwrap(),
    };
    // Failed faults are rows that nobody counts.
    let failed = columns.class[row] & 2 != 0;
    (!failed).then_some((query, columns.object[row], fault))
}

impl Queries {
    /// Faults of the query itself, in their order.
    pub fn faults(&self, query: &Query) -> &[QueryFault] {
        self.faults.get(&query.id.0).map_or(&[], Vec::as_slice)
    }

    /// Those with this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Query> + 'a {
        self.rows.iter().filter(move |query| query.name == name)
    }

    /// All, the longest wait first.
    pub fn slowest(&self) -> Vec<&Query> {
        let mut rows: Vec<&Query> = self.rows.iter().collect();
        rows.sort_by_key(|query| std::cmp::Reverse(query.total().wait_ns));
        rows
    }

    fn assert_sound(&self) {
        let known: HashMap<u64, &Query> = self.rows.iter().map(|query| (query.id.0, query)).collect();
        assert_eq!(known.len(), self.rows.len(), "an id came twice");
        for (id, faults) in &self.faults {
            assert!(
                known.contains_key(id),
                "of the unknown query {id}: {faults:?} {:#?}",
                self.rows
            );
        }
        let mut inside: HashMap<u64, QueryFaults> = HashMap::new();
        for query in &self.rows {
            assert!(query.begin_ns <= query.end_ns, "{query:?}");
            for fault in self.faults(query) {
                assert_eq!(fault.tid, query.tid, "{query:?}: {fault:?}");
                let within = query.begin_ns <= fault.ts_ns && fault.ts_ns <= query.end_ns;
                assert!(within, "{query:?}: {fault:?}");
            }
            assert_eq!(sum(self.faults(query)), query.own, "{query:?}");
            if query.parent.0 != 0 {
                let parent = known.get(&query.parent.0);
                let parent = parent.unwrap_or_else(|| panic!("no parent: {query:?}"));
                assert_eq!((query.pid, query.tid), (parent.pid, parent.tid), "{query:?}");
                let all = inside.entry(query.parent.0).or_default();
                *all = add(*all, query.total());
            }
        }
        for query in self.rows.iter().filter(|query| query.end == QueryEnd::Ended) {
            let nested = inside.get(&query.id.0).copied().unwrap_or_default();
            assert_eq!(nested, query.nested, "{query:?}");
        }
    }
}

fn add(one: QueryFaults, other: QueryFaults) -> QueryFaults {
    QueryFaults {
        majors: one.majors + other.majors,
        minors: one.minors + other.minors,
        wait_ns: one.wait_ns + other.wait_ns,
    }
}

/// What so many faults amount to.
pub fn sum(faults: &[QueryFault]) -> QueryFaults {
    let one = |fault: &QueryFault| QueryFaults {
        majors: u64::from(fault.major),
        minors: u64::from(!fault.major),
        wait_ns: fault.latency_ns,
    };
    faults.iter().map(one).fold(QueryFaults::default(), add)
}
