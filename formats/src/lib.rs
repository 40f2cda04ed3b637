//! The `.pfz` page-fault trace: what is in the file and how to read and write it.
//!
//! `SPEC.md` in this crate's folder gives the exact bytes. Data flows one way: [`Event`]s, dictionary
//! entries and timeline entries go into a [`TraceWriter`]; a [`TraceReader`] gives them back as
//! [`Item`]s, also from a pipe, from a file still being written, and from a damaged one. [`DecodeAhead`] does so with
//! the columns of the blocks, decoded on several threads, and a [`Predicate`] tells which blocks to skip.
//!
//! This crate knows neither BPF nor polars.

mod block;
mod block_index;
mod bytes;
mod column;
mod columns;
mod dict;
mod digest;
mod error;
mod event;
mod footer;
mod frame;
mod header;
mod item;
mod known;
mod limits;
mod look;
mod loss;
mod mapped;
mod meta;
mod metadata;
mod packed;
mod parallel;
mod payload;
mod places;
mod predicate;
mod query;
mod query_record;
mod reader;
mod references;
mod repair;
mod source;
mod stack;
mod tables;
mod timeline;
mod toll;
mod verify;
mod window;
mod writer;

pub use block::{BlockDecoder, BlockInfo, EventsBlock};
pub use columns::{Columns, Projection};
pub use dict::{Dict, Object};
pub use error::FormatError;
pub use event::{Access, Breakdown, CommId, Event, ObjectId, ObjectKind, Origin};
pub use footer::{Accounting, Check, Footer, Totals};
pub use header::{CLOCK_MONOTONIC, Header, MAJOR, MINOR};
pub use item::{Damage, Item, Summary};
pub use loss::{Loss, LossReason};
pub use meta::{Host, Meta};
pub use parallel::{DecodeAhead, DecodedBlock, Step, Wanted};
pub use places::{Place, Places};
pub use predicate::{FaultClass, Predicate};
pub use query::{Query, QueryEnd, QueryFaults, QueryId};
pub use reader::TraceReader;
pub use references::{Undefined, UndefinedNames};
pub use repair::{Repair, repair};
pub use source::{AnyStream, Via};
pub use stack::{BuildId, Frame, FrameId, Inlined, StackId, StackNode, Symbol};
pub use timeline::{Happening, TimelineEntry};
pub use toll::BooksDropped;
pub use verify::{Contradiction, Counts, Verification, verify};
pub use writer::TraceWriter;
