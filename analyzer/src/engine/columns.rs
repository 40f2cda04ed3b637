//! The one place that knows the columns of the `faults` table: names, types, order, and which stored
//! columns each is made of. Frames, CSV, JSON and SQL all take them from here.

use pf_formats::Projection;
use polars::prelude::DataType;

/// A column of a faults frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(
    missing_docs,
    reason = "the names say it; name() and the table in docs/analyzing.md carry the units"
)]
pub enum Column {
    TsNs,
    LatencyNs,
    Pid,
    Tid,
    Comm,
    Cpu,
    Address,
    Major,
    Access,
    Origin,
    Retries,
    Failed,
    Ip,
    Kind,
    File,
    FileOffset,
    BlockedNs,
    RunqueueNs,
    ReclaimNs,
    LockNs,
    QueryId,
    StackId,
    /// Attempts that a signal ended; null for none.
    Interruptions,
    /// The signal that interrupted it last, or that it ended in; null for none.
    Signal,
    /// Interrupted, and completed by no later attempt.
    Abandoned,
    /// Why it waited; null where nobody looked.
    Cause,
    /// Pages that it added to the page cache; null where nobody looked.
    PagesRead,
    /// Kernel stack of its longest sleep; null for none, and where nobody looked.
    SleepStackId,
    /// Where in the file the pages begin that it added; null where it added none, and where nobody looked.
    ReadOffset,
    /// How many faults the row stands for; a column of exports only where minor faults were sampled.
    Weight,
    /// Class, access and origin in one byte; not part of the public table.
    ClassBits,
    /// The cause as a number, see [`Cause::from_code`](crate::trace::cause::Cause::from_code); not part of the public table.
    CauseCode,
    /// Key of the comm dictionary: cheap to group by; not part of the public table.
    CommId,
    /// Key of the object dictionary; not part of the public table.
    ObjectId,
    /// Page of the object; not part of the public table.
    ObjectPage,
}

/// The public `faults` table, in order.
pub const FAULTS: [Column; 29] = [
    Column::TsNs,
    Column::LatencyNs,
    Column::Pid,
    Column::Tid,
    Column::Comm,
    Column::Cpu,
    Column::Address,
    Column::Major,
    Column::Access,
    Column::Origin,
    Column::Retries,
    Column::Failed,
    Column::Ip,
    Column::Kind,
    Column::File,
    Column::FileOffset,
    Column::BlockedNs,
    Column::RunqueueNs,
    Column::ReclaimNs,
    Column::LockNs,
    Column::QueryId,
    Column::StackId,
    Column::Interruptions,
    Column::Signal,
    Column::Abandoned,
    Column::PagesRead,
    Column::SleepStackId,
    Column::ReadOffset,
    Column::Cause,
];

impl Column {
    /// The name in frames, CSV, JSON and SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TsNs => "ts_ns",
            Self::LatencyNs => "latency_ns",
            Self::Pid => "pid",
            Self::Tid => "tid",
            Self::Comm => "comm",
            Self::Cpu => "cpu",
            Self::Address => "address",
            Self::Major => "major",
            Self::Access => "access",
            Self::Origin => "origin",
            Self::Retries => "retries",
            Self::Failed => "failed",
            Self::Ip => "ip",
            Self::Kind => "kind",
            Self::File => "file",
            Self::FileOffset => "file_offset",
            Self::BlockedNs => "blocked_ns",
            Self::RunqueueNs => "runqueue_ns",
            Self::ReclaimNs => "reclaim_ns",
            Self::LockNs => "lock_ns",
            Self::QueryId => "query_id",
            Self::StackId => "stack_id",
            Self::Interruptions => "interruptions",
            Self::Signal => "signal",
            Self::Abandoned => "abandoned",
            Self::Cause => "cause",
            Self::PagesRead => "pages_read",
            Self::SleepStackId => "sleep_stack_id",
            Self::ReadOffset => "read_offset",
            Self::Weight => "weight",
            Self::ClassBits => "class_bits",
            Self::CauseCode => "cause_code",
            Self::CommId => "comm_id",
            Self::ObjectId => "object_id",
            Self::ObjectPage => "object_page",
        }
    }

    /// The polars type.
    #[must_use]
    pub fn dtype(self) -> DataType {
        match self {
            Self::Pid
            | Self::Tid
            | Self::StackId
            | Self::PagesRead
            | Self::SleepStackId
            | Self::CommId
            | Self::ObjectId => DataType::UInt32,
            Self::Cpu => DataType::UInt16,
            Self::Retries | Self::Interruptions | Self::Signal | Self::ClassBits | Self::CauseCode => {
                DataType::UInt8
            }
            Self::Major | Self::Failed | Self::Abandoned => DataType::Boolean,
            Self::Comm | Self::Access | Self::Origin | Self::Kind | Self::File | Self::Cause => {
                DataType::String
            }
            Self::TsNs
            | Self::LatencyNs
            | Self::Address
            | Self::Ip
            | Self::FileOffset
            | Self::ReadOffset
            | Self::BlockedNs
            | Self::RunqueueNs
            | Self::ReclaimNs
            | Self::LockNs
            | Self::QueryId
            | Self::Weight
            | Self::ObjectPage => DataType::UInt64,
        }
    }

    /// The stored columns it is made of.
    #[must_use]
    pub(crate) fn projection(self) -> Projection {
        match self {
            Self::TsNs => Projection::TS,
            Self::LatencyNs => Projection::LATENCY,
            Self::Pid | Self::Tid | Self::Comm | Self::CommId => Projection::THREAD,
            Self::Cpu => Projection::CPU,
            Self::Address => Projection::ADDRESS,
            Self::Major
            | Self::Access
            | Self::Origin
            | Self::Failed
            | Self::Abandoned
            | Self::Weight
            | Self::ClassBits => Projection::CLASS,
            Self::Interruptions | Self::Signal => Projection::SIGNAL,
            Self::Retries => Projection::RETRIES,
            Self::Ip => Projection::IP,
            Self::Kind | Self::File | Self::FileOffset | Self::ObjectId | Self::ObjectPage => {
                Projection::OBJECT
            }
            Self::BlockedNs | Self::RunqueueNs | Self::ReclaimNs | Self::LockNs => Projection::BREAKDOWN,
            Self::StackId => Projection::STACK,
            Self::PagesRead | Self::SleepStackId => Projection::WITNESSES,
            Self::ReadOffset => Projection::WITNESSES.union(Projection::OBJECT),
            Self::Cause | Self::CauseCode => [
                Projection::LATENCY,
                Projection::CLASS,
                Projection::SIGNAL,
                Projection::OBJECT,
                Projection::BREAKDOWN,
            ]
            .into_iter()
            .fold(Projection::WITNESSES, Projection::union),
            Self::QueryId => Projection::QUERY,
        }
    }
}
