//! The `.pfz` page-fault trace: what is in the file and how to read and write it.
//!
//! `SPEC.md` in this crate's folder gives the exact bytes. Data flows one way: [`Event`]s, dictionary
//! entries and timeline entries go into a [`TraceWriter`]; a [`TraceReader`] gives them back as
//! [`Item`]s, also from a pipe, from a file still being written, and from a damaged one. [`DecodeAhead`] does so with
//! the columns of the blocks, decoded on several threads, and a [`Predicate`] tells which blocks to skip.
//!
//! This crate knows neither BPF nor polars.

mod block;
mod byte_count;
mod bytes;
mod check;
mod class;
mod column;
mod columns;
mod error;
mod limits;
mod read;
mod records;
mod write;

pub use block::{BlockDecoder, BlockInfo, EventsBlock};
pub use byte_count::count as count_bytes;
pub use check::claims::{Claimant, Contradiction};
pub use check::damage::{Place, Places};
pub use check::references::{Undefined, UndefinedNames};
pub use check::repair::{Repair, repair};
pub use check::repaired_totals::BooksDropped;
pub use check::verify::{Counts, Verification, verify};
pub use class::{ClassBits, FaultClass};
pub use columns::{Columns, Projection};
pub use error::FormatError;
pub use read::item::{Damage, Item, Summary};
pub use read::parallel::{DecodeAhead, DecodedBlock, Step, Wanted};
pub use read::predicate::Predicate;
pub use read::reader::TraceReader;
pub use read::source::{AnyStream, Via};
pub use records::condition::Condition;
pub use records::dict::{Dict, Object};
pub use records::event::{
    Access, Breakdown, CommId, Event, ObjectId, ObjectKind, Origin, StackId, Witnesses,
};
pub use records::footer::{Accounting, Check, CommandEnd, Footer, Totals};
pub use records::header::{CLOCK_MONOTONIC, Header, MAJOR, MINOR};
pub use records::hidden_wait::HiddenWait;
pub use records::loss::{Loss, LossReason};
pub use records::meta::{Host, Meta};
pub use records::process::ProcessEntry;
pub use records::query::{Query, QueryEnd, QueryFaults, QueryId};
pub use records::stack::{BuildId, Frame, FrameId, Inlined, StackNode, Symbol};
pub use records::timeline::{Happening, TimelineEntry};
pub use write::writer::TraceWriter;
