//! The tables that SQL sees: names, columns, types and units. Faults come from [`Column`]; the others are small and come from
//! what a trace says besides its events.

use crate::engine::columns::{Column, FAULTS};
use polars::prelude::{DataType, Field as PolarsField, Schema};

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in SQL; about() says what a row is")]
pub enum TableName {
    Faults,
    Threads,
    Processes,
    Files,
    Mappings,
    Queries,
    Losses,
    Host,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub dtype: DataType,
    /// What it says, with its unit.
    pub meaning: &'static str,
}

impl TableName {
    /// All tables, in the order in which they are listed.
    pub const ALL: [Self; 8] = [
        Self::Faults,
        Self::Threads,
        Self::Processes,
        Self::Files,
        Self::Mappings,
        Self::Queries,
        Self::Losses,
        Self::Host,
    ];

    /// The name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Faults => "faults",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::Files => "files",
            Self::Mappings => "mappings",
            Self::Queries => "queries",
            Self::Losses => "losses",
            Self::Host => "host",
        }
    }

    /// What a row is.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Faults => "a page fault that passes the filters",
            Self::Threads => "a thread that faulted, began or ended while recording",
            Self::Processes => {
                "a process that ran a program from a time on; several rows where it executed others"
            }
            Self::Files => "a file of which memory was mapped; one path may have had several",
            Self::Mappings => "a mapping that was there or came into being",
            Self::Queries => "a query (pfrec --query)",
            Self::Losses => "something that the recording knows it does not have",
            Self::Host => "the recording: one row",
        }
    }

    /// Its columns, in order.
    #[must_use]
    pub fn fields(self) -> Vec<Field> {
        match self {
            Self::Faults => faults(),
            Self::Threads => THREADS.to_vec(),
            Self::Processes => PROCESSES.to_vec(),
            Self::Files => FILES.to_vec(),
            Self::Mappings => MAPPINGS.to_vec(),
            Self::Queries => QUERIES.to_vec(),
            Self::Losses => LOSSES.to_vec(),
            Self::Host => HOST.to_vec(),
        }
    }

    /// Its columns for polars.
    #[must_use]
    pub fn schema(self) -> Schema {
        self.fields()
            .into_iter()
            .map(|field| PolarsField::new(field.name.into(), field.dtype))
            .collect()
    }
}

/// The columns of `faults` in SQL.
pub fn faults_columns() -> impl Iterator<Item = Column> {
    FAULTS.into_iter().chain([Column::Weight])
}

fn faults() -> Vec<Field> {
    faults_columns()
        .map(|column| field(column.name(), column.dtype(), meaning(column)))
        .collect()
}

fn meaning(column: Column) -> &'static str {
    match column {
        Column::TsNs => "entry, ns of CLOCK_MONOTONIC; host.start_ns is the start of the recording",
        Column::LatencyNs => {
            "entry to completion, ns; without the time between the attempts of one that a signal interrupted"
        }
        Column::Pid => "process",
        Column::Tid => "thread",
        Column::Comm => "thread name at that time",
        Column::Cpu => "where it entered",
        Column::Address => "faulting address",
        Column::Major => "the kernel's class, as getrusage counts it",
        Column::Access => "read, write, exec; null where the backend cannot tell",
        Column::Origin => "user, kernel, gup, gup_remote",
        Column::Retries => "extra attempts; null where the backend cannot tell",
        Column::Failed => {
            "got no page: a bad address, behind the end of a file, out of memory; or was abandoned"
        }
        Column::Ip => "instruction that faulted",
        Column::Kind => "file, anon, heap, stack, shm, unknown",
        Column::File => "path, null unless file-backed",
        Column::FileOffset => "of the page in the file, bytes",
        Column::BlockedNs => "asleep within it, ns (pfrec --breakdown)",
        Column::RunqueueNs => "runnable without a CPU within it, ns (pfrec --breakdown)",
        Column::ReclaimNs => "in direct reclaim within it, ns (pfrec --breakdown)",
        Column::LockNs => {
            "in the fault, outside handle_mm_fault: mostly waiting for mmap_lock, ns (pfrec --breakdown); null where the backend \
             cannot tell"
        }
        Column::QueryId => "innermost query of the thread (pfrec --query)",
        Column::StackId => "user stack (pfrec --stacks)",
        Column::Interruptions => {
            "attempts before the last one, ended by a signal or restarted by the kernel; null for none"
        }
        Column::Signal => "number of the signal that interrupted it last, or that it ended in; null for none",
        Column::Abandoned => "interrupted, and completed by no later attempt",
        Column::Weight => "faults that the row stands for: sum it to count a sampled trace",
        Column::ClassBits | Column::CommId | Column::ObjectId | Column::ObjectPage => "",
    }
}

const fn field(name: &'static str, dtype: DataType, meaning: &'static str) -> Field {
    Field { name, dtype, meaning }
}

const THREADS: [Field; 6] = [
    field("pid", DataType::UInt32, "process"),
    field("tid", DataType::UInt32, "thread"),
    field("comm", DataType::String, "last name that is known"),
    field(
        "begin_ns",
        DataType::UInt64,
        "its creation, ns, if that was recorded",
    ),
    field("end_ns", DataType::UInt64, "its end, ns, if that was recorded"),
    field(
        "kernel_faults",
        DataType::UInt64,
        "the kernel's own count for its whole life, if its end told",
    ),
];

const FILES: [Field; 5] = [
    field("file", DataType::String, "path, as in faults.file"),
    field("kind", DataType::String, "file or shm"),
    field("dev_major", DataType::UInt32, "device of the file"),
    field("dev_minor", DataType::UInt32, "device of the file"),
    field("inode", DataType::UInt64, "inode number"),
];

const MAPPINGS: [Field; 10] = [
    field("ts_ns", DataType::UInt64, "when, ns"),
    field("pid", DataType::UInt32, "process"),
    field("tid", DataType::UInt32, "thread that made it"),
    field("start_address", DataType::UInt64, "first address"),
    field("end_address", DataType::UInt64, "first address behind it"),
    field("file_offset", DataType::UInt64, "of its start in the file, bytes"),
    field("perms", DataType::String, "as in /proc/PID/maps: r-xp, rw-s"),
    field("map_flags", DataType::UInt32, "MAP_* bits of mmap(2)"),
    field("kind", DataType::String, "file, anon, heap, stack, shm, unknown"),
    field("file", DataType::String, "path, null unless file-backed"),
];

const QUERIES: [Field; 18] = [
    field("query_id", DataType::UInt64, "as in faults.query_id"),
    field("parent_id", DataType::UInt64, "the query around it, if any"),
    field("pid", DataType::UInt32, "process"),
    field("tid", DataType::UInt32, "thread"),
    field("name", DataType::String, "of its probes or function"),
    field(
        "text",
        DataType::String,
        "what the program said of it, such as a statement",
    ),
    field(
        "label",
        DataType::String,
        "its text without literals, else its name: what to group by",
    ),
    field("key", DataType::UInt64, "the program's own number for it"),
    field(
        "begin_ns",
        DataType::UInt64,
        "ns; null when it began before the recording",
    ),
    field("end_ns", DataType::UInt64, "ns"),
    field("outcome", DataType::String, "ended, open, abandoned"),
    field(
        "major",
        DataType::UInt64,
        "its own major faults, by the probes' count",
    ),
    field(
        "minor",
        DataType::UInt64,
        "its own minor faults, by the probes' count",
    ),
    field("wait_ns", DataType::UInt64, "wait in them, ns"),
    field("nested_major", DataType::UInt64, "those of queries inside it"),
    field("nested_minor", DataType::UInt64, "those of queries inside it"),
    field("nested_wait_ns", DataType::UInt64, "wait in them, ns"),
    field("text_cut", DataType::Boolean, "whether the text went on"),
];

const PROCESSES: [Field; 4] = [
    field("pid", DataType::UInt32, "process"),
    field(
        "since_ns",
        DataType::UInt64,
        "from when on it ran the program, ns; before host.start_ns for one that was there",
    ),
    field(
        "executable",
        DataType::String,
        "path of the program; null when it is not known",
    ),
    field(
        "command",
        DataType::String,
        "its command line, quoted for a shell; null when it is not known",
    ),
];

const LOSSES: [Field; 5] = [
    field("from_ns", DataType::UInt64, "start of the interval, ns"),
    field("to_ns", DataType::UInt64, "end of the interval, ns"),
    field("lost", DataType::UInt64, "how many"),
    field("reason", DataType::String, "why"),
    field("cpu", DataType::UInt16, "where, if that is known"),
];

const HOST: [Field; 18] = [
    field("hostname", DataType::String, "uname -n"),
    field("kernel", DataType::String, "uname -r"),
    field("arch", DataType::String, "uname -m"),
    field("page_size", DataType::UInt64, "bytes"),
    field("cpus", DataType::UInt32, "online"),
    field("memory_bytes", DataType::UInt64, "physical memory"),
    field(
        "start_ns",
        DataType::UInt64,
        "start of the recording, ns of CLOCK_MONOTONIC",
    ),
    field("end_ns", DataType::UInt64, "its end, ns of CLOCK_MONOTONIC"),
    field("utc_offset_ns", DataType::Int64, "what to add for ns since 1970"),
    field("recorder", DataType::String, "name and version"),
    field("backend", DataType::String, "fentry, perf or kprobe"),
    field("command", DataType::String, "the recorded command"),
    field("options", DataType::String, "the recorder's own arguments"),
    field("target", DataType::String, "what was recorded"),
    field(
        "filters",
        DataType::String,
        "what the recorder was told to leave out",
    ),
    field(
        "sample",
        DataType::UInt32,
        "one minor fault in this many was recorded",
    ),
    field(
        "events",
        DataType::UInt64,
        "faults in the trace, before any filter",
    ),
    field("events_lost", DataType::UInt64, "faults known to be lost"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_unique_and_all_are_explained() {
        for table in TableName::ALL {
            let fields = table.fields();
            assert_eq!(table.schema().len(), fields.len(), "{table:?}");
            assert!(fields.iter().all(|field| !field.meaning.is_empty()), "{table:?}");
        }
    }
}
