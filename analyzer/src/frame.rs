//! One block of events as a polars frame with exactly the columns asked for. It resolves names; it does not filter.

use crate::error::AnalyzeError;
use crate::schema::Column;
use crate::session::Session;
use pf_formats::{Access, Columns, Origin, Projection};
use polars::prelude::{
    BooleanChunked, Column as PolarsColumn, DataFrame, IntoColumn, NamedFrom, NewChunkedArray, PlHashMap,
    Series, StringChunked, UInt8Chunked, UInt16Chunked, UInt32Chunked, UInt64Chunked,
};
use std::borrow::Cow;
use std::mem::take;

/// The stored columns that `wanted` are made of.
#[must_use]
pub fn projection_of(wanted: &[Column]) -> Projection {
    // THREAD is the cheapest column: a frame always has a height.
    let needed = wanted.iter().filter_map(|column| column.projection());
    needed.fold(Projection::THREAD, Projection::union)
}

/// Builds the frame; `columns` gives its vectors away and is left empty.
///
/// # Errors
/// When the columns have different lengths, which the reader rules out.
pub fn build(columns: &mut Columns, wanted: &[Column], session: &Session) -> Result<DataFrame, AnalyzeError> {
    let height = columns.len();
    let mut out: Vec<PolarsColumn> = Vec::with_capacity(wanted.len());
    // Names are looked up while the ids are still here; whole vectors are moved out afterwards.
    for &column in wanted {
        out.push(derived(columns, column, session, height));
    }
    for (slot, &column) in out.iter_mut().zip(wanted) {
        if let Some(stored) = stored(columns, column) {
            *slot = stored;
        }
    }
    columns.clear();
    Ok(DataFrame::new(height, out)?)
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
        Column::ObjectId => UInt32Chunked::from_vec(name, take(&mut columns.object)).into_column(),
        Column::ObjectPage => UInt64Chunked::from_vec(name, take(&mut columns.object_page)).into_column(),
        _ => return None,
    })
}

/// Columns that are computed; all-null stands in for those that `stored` will put in.
fn derived(columns: &Columns, column: Column, session: &Session, height: usize) -> PolarsColumn {
    let name = column.name();
    let dicts = &session.dicts;
    match column {
        Column::Major => flags(name, &columns.class, 1),
        Column::Failed => flags(name, &columns.class, 2),
        Column::Access => {
            let codes = columns
                .class
                .iter()
                .map(|class| Access::from_code(class >> 2 & 3).map(Access::name));
            strings(name, codes)
        }
        Column::Origin => strings(
            name,
            columns
                .class
                .iter()
                .map(|class| Some(Origin::from_code(class >> 4 & 3).name())),
        ),
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
        _ if height == 0 || column.projection().is_none() => {
            Series::full_null(name.into(), height, &column.dtype()).into_column()
        }
        // Replaced by `stored`.
        _ => Series::new(name.into(), [false]).into_column(),
    }
}

fn flags(name: &str, class: &[u8], bit: u8) -> PolarsColumn {
    BooleanChunked::from_iter_values(name.into(), class.iter().map(|class| class & bit != 0)).into_column()
}

fn strings<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> PolarsColumn {
    values
        .collect::<StringChunked>()
        .with_name(name.into())
        .into_column()
}

/// Looks every distinct id up once per block.
fn named<'a>(name: &str, ids: &[u32], look_up: impl Fn(u32) -> Option<Cow<'a, str>>) -> PolarsColumn {
    let mut known: PlHashMap<u32, Option<Cow<'a, str>>> = PlHashMap::default();
    for &id in ids {
        known.entry(id).or_insert_with(|| look_up(id));
    }
    strings(
        name,
        ids.iter().map(|id| known.get(id).and_then(Option::as_deref)),
    )
}

/// The values of a column without nulls.
///
/// # Errors
/// When the frame lacks the column: a query did not declare it.
pub fn u64s(frame: &DataFrame, column: Column) -> Result<&[u64], AnalyzeError> {
    Ok(frame.column(column.name())?.u64()?.cont_slice()?)
}

/// As [`u64s`], for 32-bit columns.
///
/// # Errors
/// As [`u64s`].
pub fn u32s(frame: &DataFrame, column: Column) -> Result<&[u32], AnalyzeError> {
    Ok(frame.column(column.name())?.u32()?.cont_slice()?)
}

/// As [`u64s`], for flags.
///
/// # Errors
/// As [`u64s`].
pub fn bools(frame: &DataFrame, column: Column) -> Result<impl Iterator<Item = bool>, AnalyzeError> {
    let chunked = frame.column(column.name())?.bool()?;
    Ok(chunked.downcast_iter().flat_map(|chunk| chunk.values_iter()))
}
