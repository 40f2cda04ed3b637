//! What faults are grouped by: the key of a row, a number, and what a key is called.

use crate::engine::columns::Column;
use crate::engine::frame::{optional_u8s, u8s, u32s};
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Value};
use crate::request::options::GroupBy;
use crate::trace::cause::Cause;
use crate::trace::class::ClassBits;
use crate::trace::session::Session;
use crate::verbs::percentiles::key_names::{QueryNames, describe_stack};
use pf_formats::{Access, Origin};
use polars::prelude::DataFrame;

/// The key of what the recording could not see.
const UNSEEN: u64 = u64::MAX;

/// A cell of a name, in the order of the rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A number.
    Id(u64),
    /// A name.
    Text(String),
    /// A name whose beginning tells most.
    Prose(String),
    /// Nothing.
    None,
}

impl Name {
    /// For the table.
    #[must_use]
    pub fn value(self) -> Value {
        match self {
            Self::Id(id) => Value::Id(id),
            Self::Text(text) => Value::Text(text),
            Self::Prose(text) => Value::Prose(text),
            Self::None => Value::Null,
        }
    }
}

impl GroupBy {
    /// What the row of all others is called: numbers have no word for it.
    #[must_use]
    pub fn others(self) -> Vec<Value> {
        let is_number =
            |name: &str| matches!(name, "pid" | "tid" | "cpu" | "retries" | "query_id" | "stack_id");
        let heads = self.heads().into_iter();
        heads
            .map(|head| {
                if is_number(head.name) {
                    Value::Null
                } else {
                    Value::Prose("(all others)".to_owned())
                }
            })
            .collect()
    }

    /// The columns that keys are made of.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Class | Self::Access | Self::Origin | Self::Failed => &[Column::ClassBits],
            Self::Cause => &[Column::CauseCode],
            Self::Pid => &[Column::Pid],
            Self::Tid => &[Column::Pid, Column::Tid],
            Self::Comm => &[Column::CommId],
            Self::File | Self::Kind => &[Column::ObjectId],
            Self::Query | Self::QueryId => &[Column::QueryId],
            Self::Cpu => &[Column::Cpu],
            Self::Retries => &[Column::Retries],
            Self::Stack => &[Column::StackId],
        }
    }

    /// Whether the names of queries are needed, which come after the faults.
    #[must_use]
    pub(crate) fn reads_queries(self) -> bool {
        matches!(self, Self::Query | Self::QueryId)
    }

    /// The columns of a name.
    #[must_use]
    pub fn heads(self) -> Vec<ColumnHead> {
        match self {
            Self::Class => vec![ColumnHead::new("class")],
            Self::Cause => vec![ColumnHead::new("cause")],
            Self::Pid => vec![ColumnHead::new("pid")],
            Self::Tid => vec![ColumnHead::new("pid"), ColumnHead::new("tid")],
            Self::Comm => vec![ColumnHead::new("comm")],
            Self::File => vec![ColumnHead::new("file")],
            Self::Kind => vec![ColumnHead::new("kind")],
            Self::Query => vec![ColumnHead::new("query")],
            Self::QueryId => vec![ColumnHead::new("query_id"), ColumnHead::new("query")],
            Self::Access => vec![ColumnHead::new("access")],
            Self::Origin => vec![ColumnHead::new("origin")],
            Self::Cpu => vec![ColumnHead::new("cpu")],
            Self::Retries => vec![ColumnHead::new("retries")],
            Self::Failed => vec![ColumnHead::new("failed")],
            Self::Stack => vec![ColumnHead::new("stack_id"), ColumnHead::new("stack")],
        }
    }

    /// The key of every row.
    ///
    /// # Errors
    /// When the frame lacks a column.
    pub fn keys(self, frame: &DataFrame, queries: &QueryNames) -> Result<Vec<u64>, AnalyzeError> {
        let ids = |column| Ok(u32s(frame, column)?.iter().map(|&id| u64::from(id)).collect());
        let codes = |code: &dyn Fn(ClassBits) -> u64| {
            let bits = u8s(frame, Column::ClassBits)?.iter();
            Ok(bits.map(|&bits| code(ClassBits(bits))).collect())
        };
        match self {
            Self::Class => codes(&|bits| bits.class() as u64),
            Self::Access => codes(&|bits| bits.access().map_or(0, |access| access as u64)),
            Self::Origin => codes(&|bits| bits.origin() as u64),
            Self::Failed => codes(&|bits| u64::from(bits.is_failed())),
            Self::Cause => {
                let codes = frame.column(Column::CauseCode.name())?.u8()?.iter();
                Ok(codes.map(|code| code.map_or(UNSEEN, u64::from)).collect())
            }
            Self::Pid => ids(Column::Pid),
            Self::Comm => ids(Column::CommId),
            Self::File | Self::Kind => ids(Column::ObjectId),
            Self::Tid => {
                let pids = u32s(frame, Column::Pid)?.iter();
                let pairs = pids.zip(u32s(frame, Column::Tid)?);
                Ok(pairs
                    .map(|(&pid, &tid)| u64::from(pid) << 32 | u64::from(tid))
                    .collect())
            }
            Self::Retries => {
                let Some(retries) = optional_u8s(frame, Column::Retries)? else {
                    return Ok(vec![UNSEEN; frame.height()]);
                };
                Ok(retries.iter().map(|&count| u64::from(count)).collect())
            }
            Self::Cpu => {
                let cpus = frame.column(Column::Cpu.name())?.u16()?.cont_slice()?.iter();
                Ok(cpus.map(|&cpu| u64::from(cpu)).collect())
            }
            Self::Stack => {
                let stacks = frame.column(Column::StackId.name())?.u32()?.iter();
                Ok(stacks.map(|id| u64::from(id.unwrap_or(0))).collect())
            }
            Self::QueryId => {
                let ids = frame.column(Column::QueryId.name())?.u64()?.iter();
                Ok(ids.map(Option::unwrap_or_default).collect())
            }
            Self::Query => {
                let ids = frame.column(Column::QueryId.name())?.u64()?.iter();
                let mut last = (0, queries.group_of(0));
                let groups = ids.map(|id| {
                    let id = id.unwrap_or(0);
                    if id != last.0 {
                        last = (id, queries.group_of(id));
                    }
                    last.1
                });
                Ok(groups.collect())
            }
        }
    }

    /// What a key is called; several keys may have one name, such as two files that had one path.
    #[must_use]
    pub fn name(self, key: u64, session: &Session, queries: &QueryNames) -> Vec<Name> {
        let id = u32::try_from(key).unwrap_or(u32::MAX);
        let code = u8::try_from(key).unwrap_or(u8::MAX);
        let text = |text: &str| vec![Name::Text(text.to_owned())];
        match self {
            Self::Class => {
                let class = crate::trace::class::Class::ALL
                    .into_iter()
                    .find(|&class| class as u64 == key);
                text(class.map_or("unknown", crate::trace::class::Class::name))
            }
            Self::Retries | Self::Cause if key == UNSEEN => vec![Name::None],
            Self::Cause => text(Cause::from_code(code).name()),
            Self::Pid | Self::Cpu | Self::Retries => vec![Name::Id(key)],
            Self::Tid => vec![Name::Id(key >> 32), Name::Id(key & u64::from(u32::MAX))],
            Self::Comm => text(&session.dicts.comm(id)),
            Self::File => text(&session.dicts.label(id)),
            Self::Kind => text(session.dicts.kind(id).name()),
            Self::Access => text(Access::from_code(code).map_or("unknown", Access::name)),
            Self::Origin => text(Origin::from_code(code).name()),
            Self::Failed => text(if key == 0 { "false" } else { "true" }),
            Self::Query => vec![Name::Prose(queries.name(key).to_owned())],
            Self::QueryId => {
                let name = queries.name(queries.group_of(key));
                let id = if key == 0 { Name::None } else { Name::Id(key) };
                vec![id, Name::Prose(name.to_owned())]
            }
            Self::Stack => {
                let number = if key == 0 { Name::None } else { Name::Id(key) };
                vec![number, Name::Prose(describe_stack(id, &session.dicts))]
            }
        }
    }
}
