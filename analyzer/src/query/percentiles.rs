//! `percentiles`: how long faults took, by class, thread, thread name, file, origin or access.

use crate::class::{Class, ClassBits};
use crate::error::AnalyzeError;
use crate::frame::{u8s, u32s};
use crate::histogram::Histogram;
use crate::query::classes::{self, Classes, faults};
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use crate::table::{Head, Table, Value};
use pf_formats::{Access, Origin};
use polars::prelude::{DataFrame, PlHashMap};
use std::collections::BTreeMap;

/// What a row of the table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Major, minor, failed if any, all.
    #[default]
    Class,
    /// One row per thread.
    Tid,
    /// One row per thread name.
    Comm,
    /// One row per file or kind of memory.
    File,
    /// Who faulted: user, kernel, gup, gup_remote.
    Origin,
    /// What was tried: read, write, exec.
    Access,
}

const LATENCY_HEADS: [Head; 7] = [
    Head {
        name: "count",
        title: "COUNT",
    },
    Head {
        name: "p50_us",
        title: "P50_US",
    },
    Head {
        name: "p90_us",
        title: "P90_US",
    },
    Head {
        name: "p99_us",
        title: "P99_US",
    },
    Head {
        name: "p99_9_us",
        title: "P99.9_US",
    },
    Head {
        name: "p99_99_us",
        title: "P99.99_US",
    },
    Head {
        name: "max_us",
        title: "MAX_US",
    },
];

/// Collects latencies by group.
#[derive(Debug)]
pub struct Percentiles {
    by: By,
    groups: PlHashMap<(u32, u32), Histogram>,
    classes: Classes,
}

impl Percentiles {
    /// Empty.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self {
            by,
            groups: PlHashMap::default(),
            classes: Classes::default(),
        }
    }
}

impl Query for Percentiles {
    fn columns(&self) -> Vec<Column> {
        let mut columns = classes::COLUMNS.to_vec();
        match self.by {
            By::Class | By::Origin | By::Access => {}
            By::Tid => columns.extend([Column::Pid, Column::Tid]),
            By::Comm => columns.push(Column::CommId),
            By::File => columns.push(Column::ObjectId),
        }
        columns
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let one = |column| Ok::<_, AnalyzeError>(u32s(frame, column)?.iter().map(|&id| (id, 0)).collect());
        let codes = |code: &dyn Fn(ClassBits) -> u32| {
            let bits = u8s(frame, Column::ClassBits)?.iter();
            Ok::<_, AnalyzeError>(bits.map(|&bits| (code(ClassBits(bits)), 0)).collect())
        };
        let keys: Vec<(u32, u32)> = match self.by {
            By::Class => {
                faults(frame, session)?.for_each(|fault| self.classes.add(&fault));
                return Ok(());
            }
            By::Tid => {
                let pids = u32s(frame, Column::Pid)?.iter().copied();
                pids.zip(u32s(frame, Column::Tid)?.iter().copied()).collect()
            }
            By::Comm => one(Column::CommId)?,
            By::File => one(Column::ObjectId)?,
            By::Origin => codes(&|bits| bits.origin() as u32)?,
            By::Access => codes(&|bits| bits.access().map_or(0, |access| access as u32))?,
        };
        for (key, fault) in keys.into_iter().zip(faults(frame, session)?) {
            let histogram = self.groups.entry(key).or_default();
            histogram.add_times(fault.latency_ns, fault.weight);
        }
        Ok(())
    }
}

impl Percentiles {
    /// The table: classes in their fixed order, groups with the most faults first.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        if self.by == By::Class {
            return class_table(&self.classes);
        }
        // Several ids can have one name; the pair of ids keeps threads of one name apart.
        let mut named: BTreeMap<Vec<Name>, Histogram> = BTreeMap::new();
        for (&(first, second), histogram) in &self.groups {
            let name = match self.by {
                By::Tid => vec![Name::Id(first), Name::Id(second)],
                By::Comm => vec![Name::Text(session.dicts.comm(first).into_owned())],
                By::Class | By::File => vec![Name::Text(session.dicts.label(first).into_owned())],
                By::Origin => vec![Name::Text(Origin::from_code(code_of(first)).name().to_owned())],
                By::Access => {
                    let name = Access::from_code(code_of(first)).map_or("unknown", Access::name);
                    vec![Name::Text(name.to_owned())]
                }
            };
            named.entry(name).or_default().merge(histogram);
        }
        let mut rows: Vec<(Vec<Name>, Histogram)> = named.into_iter().collect();
        rows.sort_by_key(|(_, histogram)| std::cmp::Reverse(histogram.count()));
        let mut heads: Vec<Head> = match self.by {
            By::Tid => vec![
                Head {
                    name: "pid",
                    title: "PID",
                },
                Head {
                    name: "tid",
                    title: "TID",
                },
            ],
            By::Comm => vec![Head {
                name: "comm",
                title: "COMM",
            }],
            By::Class | By::File => vec![Head {
                name: "file",
                title: "FILE",
            }],
            By::Origin => vec![Head {
                name: "origin",
                title: "ORIGIN",
            }],
            By::Access => vec![Head {
                name: "access",
                title: "ACCESS",
            }],
        };
        heads.extend(LATENCY_HEADS);
        let cells = |(name, histogram): (Vec<Name>, Histogram)| {
            name.into_iter()
                .map(Name::value)
                .chain(latency_cells(&histogram))
                .collect()
        };
        Table {
            heads,
            rows: rows.into_iter().map(cells).collect(),
            total: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Id(u32),
    Text(String),
}

impl Name {
    fn value(self) -> Value {
        match self {
            Self::Id(id) => Value::Id(u64::from(id)),
            Self::Text(text) => Value::Text(text),
        }
    }
}

fn code_of(key: u32) -> u8 {
    u8::try_from(key).unwrap_or(0)
}

/// Major, minor, failed if there are any, and all; a class without faults has no percentiles.
#[must_use]
pub fn class_table(classes: &Classes) -> Table {
    let mut heads = vec![Head {
        name: "class",
        title: "CLASS",
    }];
    heads.extend(LATENCY_HEADS);
    let all = classes.all();
    let row = |name: &str, histogram: &Histogram| {
        std::iter::once(Value::Text(name.to_owned()))
            .chain(latency_cells(histogram))
            .collect()
    };
    let shown = Class::ALL
        .into_iter()
        .filter(|&class| class != Class::Failed || classes.failed.count() > 0);
    let mut rows: Vec<Vec<Value>> = shown.map(|class| row(class.name(), classes.of(class))).collect();
    rows.push(row("all", &all));
    Table {
        heads,
        rows,
        total: None,
    }
}

fn latency_cells(histogram: &Histogram) -> Vec<Value> {
    let mut cells = vec![Value::Count(histogram.count())];
    if histogram.count() == 0 {
        cells.extend(LATENCY_HEADS.iter().skip(1).map(|_| Value::Null));
        return cells;
    }
    cells.extend([50_000, 90_000, 99_000, 99_900, 99_990].map(|q| Value::Us(histogram.quantile(q))));
    cells.push(Value::Us(histogram.max()));
    cells
}
