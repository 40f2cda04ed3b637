//! The tables that SQL sees: names, columns, types and units. Faults come from [`Column`]; the others are small and come from
//! what a trace says besides its events.

use crate::engine::columns::{Column, FAULTS};
use crate::verbs::sql::types::Type;
use polars::prelude::DataType;

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
    Conditions,
    Host,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub of: Type,
    /// What it says, with its unit.
    pub meaning: &'static str,
}

impl TableName {
    /// All tables, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::Faults,
        Self::Threads,
        Self::Processes,
        Self::Files,
        Self::Mappings,
        Self::Queries,
        Self::Losses,
        Self::Conditions,
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
            Self::Conditions => "conditions",
            Self::Host => "host",
        }
    }

    /// What a row is.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Faults => "a page fault that passes the filters",
            Self::Threads => "a thread that faulted, began or ended while recording",
            Self::Processes => "a program that a process ran, from a time on",
            Self::Files => "a file of which memory was mapped; one path may have had several",
            Self::Mappings => "a mapping that was there or came into being",
            Self::Queries => "a query (pfrec --query)",
            Self::Losses => "something that the recording knows it does not have",
            Self::Conditions => "a setting or a figure, at the start and at the end",
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
            Self::Conditions => CONDITIONS.to_vec(),
            Self::Host => HOST.to_vec(),
        }
    }
}

/// The columns of `faults` in SQL, apart from [`TIME`], which is the first one.
pub fn faults_columns() -> impl Iterator<Item = Column> {
    FAULTS.into_iter().chain([Column::Weight])
}

/// The column of `faults` that says when, in UTC; it is computed from ts_ns.
pub const TIME: &str = "time";

fn faults() -> Vec<Field> {
    let time = field(
        TIME,
        Type::Time,
        "entry in UTC, as 2026-11-30T04:28:03.123456789Z; null where the trace does not know the time of day",
    );
    let others = faults_columns().map(|column| field(column.name(), type_of(column), meaning(column)));
    [time].into_iter().chain(others).collect()
}

fn type_of(column: Column) -> Type {
    match column.dtype() {
        DataType::Boolean => Type::Boolean,
        DataType::String => Type::Text,
        _ => Type::WHOLE,
    }
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
            "in the fault, outside handle_mm_fault, where the kernel takes mmap_lock, ns (pfrec --breakdown); null where the backend \
             cannot tell"
        }
        Column::QueryId => "innermost query of the thread (pfrec --query)",
        Column::StackId => "user stack (pfrec --stacks)",
        Column::Interruptions => {
            "attempts before the last one, ended by a signal or restarted by the kernel; null for none"
        }
        Column::Signal => "number of the signal that interrupted it last, or that it ended in; null for none",
        Column::Abandoned => "interrupted, and completed by no later attempt",
        Column::Cause => "why it waited, as far as was seen (pfrec --causes); null where nobody looked",
        Column::PagesRead => {
            "pages that it added to the page cache (pfrec --causes); null where nobody looked"
        }
        Column::SleepStackId => "kernel stack of its longest sleep (pfrec --causes)",
        Column::ReadOffset => {
            "where in the file the pages begin that it added to the page cache (pfrec --causes); null for none"
        }
        Column::Weight => "faults that the row stands for: sum it to count a sampled trace",
        Column::ClassBits | Column::CauseCode | Column::CommId | Column::ObjectId | Column::ObjectPage => "",
    }
}

const fn field(name: &'static str, of: Type, meaning: &'static str) -> Field {
    Field { name, of, meaning }
}

const THREADS: [Field; 6] = [
    field("pid", Type::WHOLE, "process"),
    field("tid", Type::WHOLE, "thread"),
    field("comm", Type::Text, "last name that is known"),
    field("begin_ns", Type::WHOLE, "its creation, ns, if that was recorded"),
    field("end_ns", Type::WHOLE, "its end, ns, if that was recorded"),
    field(
        "kernel_faults",
        Type::WHOLE,
        "the kernel's own count for its whole life, if its end told",
    ),
];

const FILES: [Field; 5] = [
    field("file", Type::Text, "path, as in faults.file"),
    field("kind", Type::Text, "file or shm"),
    field("dev_major", Type::WHOLE, "device of the file"),
    field("dev_minor", Type::WHOLE, "device of the file"),
    field("inode", Type::WHOLE, "inode number"),
];

const MAPPINGS: [Field; 10] = [
    field("ts_ns", Type::WHOLE, "when, ns"),
    field("pid", Type::WHOLE, "process"),
    field("tid", Type::WHOLE, "thread that made it"),
    field("start_address", Type::WHOLE, "first address"),
    field("end_address", Type::WHOLE, "first address behind it"),
    field("file_offset", Type::WHOLE, "of its start in the file, bytes"),
    field("perms", Type::Text, "as in /proc/PID/maps: r-xp, rw-s"),
    field("map_flags", Type::WHOLE, "MAP_* bits of mmap(2)"),
    field("kind", Type::Text, "file, anon, heap, stack, shm, unknown"),
    field("file", Type::Text, "path, null unless file-backed"),
];

const QUERIES: [Field; 18] = [
    field("query_id", Type::WHOLE, "as in faults.query_id"),
    field("parent_id", Type::WHOLE, "the query around it, if any"),
    field("pid", Type::WHOLE, "process"),
    field("tid", Type::WHOLE, "thread"),
    field("name", Type::Text, "of its probes or function"),
    field(
        "text",
        Type::Text,
        "what the program said of it, such as a statement",
    ),
    field(
        "label",
        Type::Text,
        "its text without literals, else its name: what to group by",
    ),
    field("key", Type::WHOLE, "the program's own number for it"),
    field(
        "begin_ns",
        Type::WHOLE,
        "ns; null when it began before the recording",
    ),
    field("end_ns", Type::WHOLE, "ns"),
    field("outcome", Type::Text, "ended, open, abandoned"),
    field(
        "major",
        Type::WHOLE,
        "its own major faults, by the probes' count; the verb queries adds nested_major",
    ),
    field(
        "minor",
        Type::WHOLE,
        "its own minor faults, by the probes' count; the verb queries adds nested_minor",
    ),
    field(
        "wait_ns",
        Type::WHOLE,
        "wait in its own, ns; the verb queries adds nested_wait_ns",
    ),
    field("nested_major", Type::WHOLE, "those of queries inside it"),
    field("nested_minor", Type::WHOLE, "those of queries inside it"),
    field("nested_wait_ns", Type::WHOLE, "wait in them, ns"),
    field("text_cut", Type::Boolean, "whether the text went on"),
];

const PROCESSES: [Field; 4] = [
    field("pid", Type::WHOLE, "process"),
    field(
        "since_ns",
        Type::WHOLE,
        "from when on it ran the program, ns; before host.start_ns for one that was there",
    ),
    field(
        "executable",
        Type::Text,
        "path of the program; null when it is not known",
    ),
    field(
        "command",
        Type::Text,
        "its command line, quoted for a shell; null when it is not known",
    ),
];

const LOSSES: [Field; 5] = [
    field("from_ns", Type::WHOLE, "start of the interval, ns"),
    field("to_ns", Type::WHOLE, "end of the interval, ns"),
    field("lost", Type::WHOLE, "how many"),
    field("reason", Type::Text, "why"),
    field("cpu", Type::WHOLE, "where, if that is known"),
];

const CONDITIONS: [Field; 4] = [
    field(
        "subject",
        Type::Text,
        "machine, process, or cgroup, device, mount with its path, number or place",
    ),
    field("name", Type::Text, "as the kernel calls it"),
    field("start_value", Type::Text, "what was read first"),
    field("end_value", Type::Text, "what was read last"),
];

const HOST: [Field; 18] = [
    field("hostname", Type::Text, "uname -n"),
    field("kernel", Type::Text, "uname -r"),
    field("arch", Type::Text, "uname -m"),
    field("page_size", Type::WHOLE, "bytes"),
    field("cpus", Type::WHOLE, "online"),
    field("memory_bytes", Type::WHOLE, "physical memory"),
    field(
        "start_ns",
        Type::WHOLE,
        "start of the recording, ns of CLOCK_MONOTONIC",
    ),
    field("end_ns", Type::WHOLE, "its end, ns of CLOCK_MONOTONIC"),
    field("utc_offset_ns", Type::WHOLE, "what to add for ns since 1970"),
    field("recorder", Type::Text, "name and version"),
    field("backend", Type::Text, "fentry, perf or kprobe"),
    field("command", Type::Text, "the recorded command"),
    field("options", Type::Text, "the recorder's own arguments"),
    field("target", Type::Text, "what was recorded"),
    field("filters", Type::Text, "what the recorder was told to leave out"),
    field("sample", Type::WHOLE, "one minor fault in this many was recorded"),
    field("events", Type::WHOLE, "faults in the trace, before any filter"),
    field("events_lost", Type::WHOLE, "faults known to be lost"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_unique_and_all_are_explained() {
        for table in TableName::ALL {
            let fields = table.fields();
            let names: std::collections::BTreeSet<_> = fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), fields.len(), "{table:?}");
            assert!(fields.iter().all(|field| !field.meaning.is_empty()), "{table:?}");
        }
    }
}
