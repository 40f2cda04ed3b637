//! One block of events as a polars frame with exactly the columns asked for. It resolves names; it does not filter.

use crate::engine::columns::Column;
use crate::engine::witnesses;
use crate::error::AnalyzeError;
use crate::trace::cause::Cause;
use crate::trace::class::ClassBits;
use crate::trace::session::Session;
use pf_formats::{Access, Columns, Projection, Witnesses};
use polars::prelude::{
    BooleanChunked, ChunkTakeUnchecked, ChunkedArray, Column as PolarsColumn, DataFrame, IdxCa, IdxSize,
    IntoColumn, NewChunkedArray, PlHashMap, PlSmallStr, PolarsNumericType, PolarsResult, StringChunked,
    UInt8Chunked, UInt16Chunked, UInt32Chunked, UInt64Chunked,
};
use std::borrow::Cow;
use std::mem::take;

/// Columns that are moved into a frame as they are.
macro_rules! stored_columns {
    () => {
        Column::TsNs
            | Column::LatencyNs
            | Column::Pid
            | Column::Tid
            | Column::CommId
            | Column::Cpu
            | Column::Address
            | Column::Ip
            | Column::Retries
            | Column::ClassBits
            | Column::BlockedNs
            | Column::RunqueueNs
            | Column::ReclaimNs
            | Column::LockNs
            | Column::ObjectId
            | Column::ObjectPage
    };
}

/// All others: a new column is in one of the two, or `match` does not compile.
macro_rules! computed_columns {
    () => {
        Column::Comm
            | Column::Major
            | Column::Access
            | Column::Origin
            | Column::Failed
            | Column::Kind
            | Column::File
            | Column::FileOffset
            | Column::QueryId
            | Column::StackId
            | Column::Interruptions
            | Column::Signal
            | Column::Abandoned
            | Column::Cause
            | Column::CauseCode
            | Column::PagesRead
            | Column::SleepStackId
            | Column::ReadOffset
            | Column::Weight
    };
}

/// The stored columns that `wanted` are made of.
#[must_use]
pub fn projection_of(wanted: &[Column]) -> Projection {
    // THREAD is the cheapest column: a frame always has a height.
    let needed = wanted.iter().map(|column| column.projection());
    needed.fold(Projection::THREAD, Projection::union)
}

/// Builds the frame; `columns` gives its vectors away and is left empty.
///
/// # Errors
/// When the columns have different lengths, which the reader rules out.
pub fn build(columns: &mut Columns, wanted: &[Column], session: &Session) -> Result<DataFrame, AnalyzeError> {
    let height = columns.len();
    // Names are looked up while the ids are still here; whole vectors are moved out afterwards.
    let computed: Vec<Option<PolarsColumn>> = wanted
        .iter()
        .map(|&column| computed(columns, column, session))
        .collect();
    let sight = session.sight();
    let mut out: Vec<PolarsColumn> = Vec::with_capacity(wanted.len());
    for (computed, &column) in computed.into_iter().zip(wanted) {
        let moved = || sight.has(column).then(|| stored(columns, column)).flatten();
        // A null takes no memory per row.
        let null = || PolarsColumn::full_null(column.name().into(), height, &column.dtype());
        out.push(computed.or_else(moved).unwrap_or_else(null));
    }
    columns.clear();
    Ok(DataFrame::new(height, out)?)
}

/// Gives the memory of columns that were moved into a frame of `wanted` back, for the next block; what is in it does not
/// matter.
pub(crate) fn give_back(frame: DataFrame, wanted: &[Column], columns: &mut Columns) {
    for (values, column) in frame.into_columns().into_iter().zip(wanted) {
        match column {
            Column::TsNs => restore(values, PolarsColumn::u64, &mut columns.ts_ns),
            Column::LatencyNs => restore(values, PolarsColumn::u64, &mut columns.latency_ns),
            Column::Pid => restore(values, PolarsColumn::u32, &mut columns.pid),
            Column::Tid => restore(values, PolarsColumn::u32, &mut columns.tid),
            Column::CommId => restore(values, PolarsColumn::u32, &mut columns.comm),
            Column::Cpu => restore(values, PolarsColumn::u16, &mut columns.cpu),
            Column::Address => restore(values, PolarsColumn::u64, &mut columns.address),
            Column::Ip => restore(values, PolarsColumn::u64, &mut columns.ip),
            Column::Retries => restore(values, PolarsColumn::u8, &mut columns.retries),
            Column::ClassBits => restore(values, PolarsColumn::u8, &mut columns.class),
            Column::ObjectId => restore(values, PolarsColumn::u32, &mut columns.object),
            Column::ObjectPage => restore(values, PolarsColumn::u64, &mut columns.object_page),
            Column::BlockedNs => restore(values, PolarsColumn::u64, &mut columns.blocked_ns),
            Column::RunqueueNs => restore(values, PolarsColumn::u64, &mut columns.runqueue_ns),
            Column::ReclaimNs => restore(values, PolarsColumn::u64, &mut columns.reclaim_ns),
            Column::LockNs => restore(values, PolarsColumn::u64, &mut columns.lock_ns),
            computed_columns!() => {}
        }
    }
}

/// The memory of a column, if nobody else has it, and if it has any.
fn restore<T: PolarsNumericType>(
    column: PolarsColumn,
    of: impl Fn(&PolarsColumn) -> PolarsResult<&ChunkedArray<T>>,
    to: &mut Vec<T::Native>,
) {
    if column.null_count() > 0 {
        return;
    }
    let Ok(values) = of(&column).cloned() else {
        return;
    };
    drop(column);
    let array = values.downcast_into_iter().next();
    if let Some(values) = array.and_then(|array| array.into_inner().1.into_mut().right()) {
        *to = values;
    }
}

/// Columns that are moved into the frame as they are.
fn stored(columns: &mut Columns, column: Column) -> Option<PolarsColumn> {
    let name = column.name().into();
    Some(match column {
        Column::TsNs => UInt64Chunked::from_vec(name, take(&mut columns.ts_ns)).into_column(),
        Column::LatencyNs => UInt64Chunked::from_vec(name, take(&mut columns.latency_ns)).into_column(),
        Column::Pid => UInt32Chunked::from_vec(name, take(&mut columns.pid)).into_column(),
        Column::Tid => UInt32Chunked::from_vec(name, take(&mut columns.tid)).into_column(),
        Column::CommId => UInt32Chunked::from_vec(name, take(&mut columns.comm)).into_column(),
        Column::Cpu => UInt16Chunked::from_vec(name, take(&mut columns.cpu)).into_column(),
        Column::Address => UInt64Chunked::from_vec(name, take(&mut columns.address)).into_column(),
        Column::Ip => UInt64Chunked::from_vec(name, take(&mut columns.ip)).into_column(),
        Column::Retries => UInt8Chunked::from_vec(name, take(&mut columns.retries)).into_column(),
        Column::ClassBits => UInt8Chunked::from_vec(name, take(&mut columns.class)).into_column(),
        Column::BlockedNs => return optional(name, &mut columns.blocked_ns),
        Column::RunqueueNs => return optional(name, &mut columns.runqueue_ns),
        Column::ReclaimNs => return optional(name, &mut columns.reclaim_ns),
        Column::LockNs => return optional(name, &mut columns.lock_ns),
        Column::ObjectId => UInt32Chunked::from_vec(name, take(&mut columns.object)).into_column(),
        Column::ObjectPage => UInt64Chunked::from_vec(name, take(&mut columns.object_page)).into_column(),
        computed_columns!() => return None,
    })
}

/// A column that a block may not hold; its values are null then.
fn optional(name: PlSmallStr, values: &mut Vec<u64>) -> Option<PolarsColumn> {
    let is_there = !values.is_empty();
    is_there.then(|| UInt64Chunked::from_vec(name, take(values)).into_column())
}

/// Columns that are made of stored ones; `None` for those that are moved, and where a block does not hold what they are made of.
fn computed(columns: &Columns, column: Column, session: &Session) -> Option<PolarsColumn> {
    let name = column.name();
    let dicts = &session.dicts;
    Some(match column {
        Column::Major => flags(name, &columns.class, ClassBits::is_major),
        Column::Failed => flags(name, &columns.class, ClassBits::is_failed),
        Column::Abandoned => flags(name, &columns.class, ClassBits::is_abandoned),
        Column::Interruptions if !columns.interruptions.is_empty() => {
            bytes_or_null(name, &columns.interruptions)
        }
        Column::Signal if !columns.signal.is_empty() => bytes_or_null(name, &columns.signal),
        Column::Access => strings(name, bits(columns).map(|bits| bits.access().map(Access::name))),
        Column::Origin => strings(name, bits(columns).map(|bits| Some(bits.origin().name()))),
        Column::Weight => {
            let sampling = session.sampling();
            let weights = bits(columns).map(|bits| sampling.weight(bits.class()));
            UInt64Chunked::from_iter_values(name.into(), weights).into_column()
        }
        Column::StackId if !columns.stack.is_empty() => {
            let ids = columns.stack.iter().map(|&id| (id != 0).then_some(id));
            ids.collect::<UInt32Chunked>()
                .with_name(name.into())
                .into_column()
        }
        Column::QueryId if !columns.query.is_empty() => {
            let ids = columns.query.iter().map(|&id| (id != 0).then_some(id));
            ids.collect::<UInt64Chunked>()
                .with_name(name.into())
                .into_column()
        }
        Column::Cause if !columns.witnesses.is_empty() => strings(
            name,
            witnesses::causes(columns, session).map(|cause| cause.map(Cause::name)),
        ),
        Column::CauseCode if !columns.witnesses.is_empty() => {
            let codes = witnesses::causes(columns, session).map(|cause| cause.map(Cause::code));
            let codes: UInt8Chunked = codes.collect();
            codes.with_name(name.into()).into_column()
        }
        Column::PagesRead if !columns.witnesses.is_empty() => {
            let pages = seen(columns).map(|seen| seen.pages_read);
            let pages: UInt32Chunked = pages.collect();
            pages.with_name(name.into()).into_column()
        }
        Column::SleepStackId if !columns.witnesses.is_empty() => {
            let ids = seen(columns).map(|seen| seen.sleep.map(|stack| stack.0).filter(|&id| id != 0));
            let ids: UInt32Chunked = ids.collect();
            ids.with_name(name.into()).into_column()
        }
        Column::ReadOffset if !columns.witnesses.is_empty() => {
            let offsets = seen(columns).enumerate();
            let offsets = offsets.map(|(row, seen)| read_offset(columns, row, &seen, session));
            offsets
                .collect::<UInt64Chunked>()
                .with_name(name.into())
                .into_column()
        }
        Column::Comm => named(name, &columns.comm, |id| Some(dicts.comm(id))),
        Column::Kind => named(name, &columns.object, |id| {
            Some(Cow::Borrowed(dicts.kind(id).name()))
        }),
        Column::File => named(name, &columns.object, |id| dicts.file(id)),
        Column::FileOffset => {
            let page_size = session.page_size();
            let offsets = columns
                .object
                .iter()
                .zip(&columns.object_page)
                .map(|(&object, &page)| {
                    dicts
                        .is_file_backed(object)
                        .then(|| page.saturating_mul(page_size))
                });
            offsets
                .collect::<UInt64Chunked>()
                .with_name(name.into())
                .into_column()
        }
        Column::Interruptions
        | Column::Signal
        | Column::StackId
        | Column::QueryId
        | Column::Cause
        | Column::CauseCode
        | Column::PagesRead
        | Column::ReadOffset
        | Column::SleepStackId => return None,
        stored_columns!() => return None,
    })
}

/// Where the read of a fault begins.
fn read_offset(columns: &Columns, row: usize, seen: &Witnesses, session: &Session) -> Option<u64> {
    let before = seen.pages_before.filter(|_| seen.pages_read > Some(0))?;
    let (&object, &page) = (columns.object.get(row)?, columns.object_page.get(row)?);
    let first = page.checked_sub_signed(before.into())?;
    let is_in_file = session.dicts.is_file_backed(object);
    is_in_file.then(|| first.saturating_mul(session.page_size()))
}

/// A column of bytes in which 0 stands for none.
fn bytes_or_null(name: &str, values: &[u8]) -> PolarsColumn {
    let values = values.iter().map(|&value| (value != 0).then_some(value));
    values
        .collect::<UInt8Chunked>()
        .with_name(name.into())
        .into_column()
}

fn seen(columns: &Columns) -> impl Iterator<Item = Witnesses> + '_ {
    (0..columns.len()).map(|row| columns.witnesses_of(row).unwrap_or_default())
}

fn bits(columns: &Columns) -> impl Iterator<Item = ClassBits> + '_ {
    columns.class.iter().copied().map(ClassBits)
}

fn flags(name: &str, class: &[u8], flag: impl Fn(ClassBits) -> bool) -> PolarsColumn {
    let flags = class.iter().map(|&class| flag(ClassBits(class)));
    BooleanChunked::from_iter_values(name.into(), flags).into_column()
}

fn strings<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> PolarsColumn {
    values
        .collect::<StringChunked>()
        .with_name(name.into())
        .into_column()
}

/// Looks every distinct id up once per block; rows share the bytes of their names.
fn named<'a>(name: &str, ids: &[u32], look_up: impl Fn(u32) -> Option<Cow<'a, str>>) -> PolarsColumn {
    let mut places: PlHashMap<u32, IdxSize> = PlHashMap::default();
    let mut names: Vec<Option<Cow<'a, str>>> = Vec::new();
    let mut rows: Vec<IdxSize> = Vec::with_capacity(ids.len());
    // The row before mostly had the same.
    let mut last: Option<(u32, IdxSize)> = None;
    for &id in ids {
        let place = match last {
            Some((before, place)) if before == id => place,
            _ => *places.entry(id).or_insert_with(|| {
                names.push(look_up(id));
                names.len() as IdxSize - 1
            }),
        };
        last = Some((id, place));
        rows.push(place);
    }
    let names: StringChunked = names.iter().map(Option::as_deref).collect();
    let rows = IdxCa::from_vec(name.into(), rows);
    // SAFETY: every place is one in `names`.
    let shared = unsafe { names.take_unchecked(&rows) };
    shared.with_name(name.into()).into_column()
}

/// The values of a column without nulls.
///
/// # Errors
/// When the frame lacks the column: a query did not declare it.
pub(crate) fn u64s(frame: &DataFrame, column: Column) -> Result<&[u64], AnalyzeError> {
    Ok(frame.column(column.name())?.u64()?.cont_slice()?)
}

/// As [`u64s`], for 32-bit columns.
///
/// # Errors
/// As [`u64s`].
pub(crate) fn u32s(frame: &DataFrame, column: Column) -> Result<&[u32], AnalyzeError> {
    Ok(frame.column(column.name())?.u32()?.cont_slice()?)
}

/// As [`u64s`], for bytes.
///
/// # Errors
/// As [`u64s`].
pub(crate) fn u8s(frame: &DataFrame, column: Column) -> Result<&[u8], AnalyzeError> {
    Ok(frame.column(column.name())?.u8()?.cont_slice()?)
}

/// As [`u64s`], for a column that a block has for all of its rows or for none.
///
/// # Errors
/// As [`u64s`].
pub(crate) fn optional_u64s(frame: &DataFrame, column: Column) -> Result<Option<&[u64]>, AnalyzeError> {
    let column = frame.column(column.name())?;
    // Asked first: looking at the values would make a row for every null.
    if column.null_count() > 0 {
        return Ok(None);
    }
    Ok(Some(column.u64()?.cont_slice()?))
}

/// As [`optional_u64s`], for bytes.
///
/// # Errors
/// As [`u64s`].
pub(crate) fn optional_u8s(frame: &DataFrame, column: Column) -> Result<Option<&[u8]>, AnalyzeError> {
    if frame.column(column.name())?.null_count() > 0 {
        return Ok(None);
    }
    u8s(frame, column).map(Some)
}
