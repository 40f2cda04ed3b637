//! The payload of a QUERIES record: a column directory and columns as in a block, then the names and texts.
//!
//! A record stands for itself: it refers to no dictionary, so the texts of millions of queries make none grow.

use std::collections::HashMap;

use crate::bytes::Cursor;
use crate::column::{ColumnReader, ColumnWriter, Entry, Storage, Transform, directory, transform};
use crate::error::{FormatError, Result};
use crate::records::frame::Kind;
use crate::records::meta::{cut, shorten_to};
use crate::records::metadata;
use crate::records::packed;
use crate::{Query, QueryEnd, QueryFaults, QueryId, limits};

/// Bytes before the directory: rows and number of columns.
const HEAD_LEN: usize = 8;

const ENDED_BITS: u8 = 3;
const BEGUN_BEFORE: u8 = 1 << 2;
const TEXT_CUT: u8 = 1 << 3;
const HAS_KEY: u8 = 1 << 4;

/// The columns; the codes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Field {
    Id = 1,
    Parent = 2,
    Pid = 3,
    Tid = 4,
    Name = 5,
    Text = 6,
    Key = 7,
    Begin = 8,
    Duration = 9,
    Flags = 10,
    OwnMajors = 11,
    OwnMinors = 12,
    OwnWait = 13,
    NestedMajors = 14,
    NestedMinors = 15,
    NestedWait = 16,
}

impl Field {
    const ALL: [Self; 16] = [
        Self::Id,
        Self::Parent,
        Self::Pid,
        Self::Tid,
        Self::Name,
        Self::Text,
        Self::Key,
        Self::Begin,
        Self::Duration,
        Self::Flags,
        Self::OwnMajors,
        Self::OwnMinors,
        Self::OwnWait,
        Self::NestedMajors,
        Self::NestedMinors,
        Self::NestedWait,
    ];

    fn width(self) -> usize {
        match self {
            Self::Flags => 1,
            Self::Pid | Self::Tid | Self::Name | Self::Text => 4,
            _ => 8,
        }
    }

    fn transform(self) -> Transform {
        match self {
            Self::Id | Self::Pid | Self::Tid | Self::Key | Self::Begin => Transform::Delta,
            _ => Transform::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Id => "column id",
            Self::Parent => "column parent",
            Self::Pid => "column pid",
            Self::Tid => "column tid",
            Self::Name => "column name",
            Self::Text => "column text",
            Self::Key => "column key",
            Self::Begin => "column begin",
            Self::Duration => "column duration",
            Self::Flags => "column flags",
            Self::OwnMajors => "column own_majors",
            Self::OwnMinors => "column own_minors",
            Self::OwnWait => "column own_wait",
            Self::NestedMajors => "column nested_majors",
            Self::NestedMinors => "column nested_minors",
            Self::NestedWait => "column nested_wait",
        }
    }

    /// The number to store, before its encoding.
    fn of(self, row: &Row<'_>) -> u64 {
        let query = row.query;
        match self {
            Self::Id => query.id.0,
            Self::Parent if query.parent == QueryId(0) => 0,
            Self::Parent => query.id.0.wrapping_sub(query.parent.0),
            Self::Pid => query.pid.into(),
            Self::Tid => query.tid.into(),
            Self::Name => row.name.into(),
            Self::Text => row.text.into(),
            Self::Key => query.key.unwrap_or(0),
            Self::Begin => query.begin_ns,
            Self::Duration => query.end_ns.wrapping_sub(query.begin_ns),
            Self::Flags => flags(query).into(),
            Self::OwnMajors => query.own.majors,
            Self::OwnMinors => query.own.minors,
            Self::OwnWait => query.own.wait_ns,
            Self::NestedMajors => query.nested.majors,
            Self::NestedMinors => query.nested.minors,
            Self::NestedWait => query.nested.wait_ns,
        }
    }
}

fn flags(query: &Query) -> u8 {
    query.end as u8
        | if query.begun_before { BEGUN_BEFORE } else { 0 }
        | if query.text_cut { TEXT_CUT } else { 0 }
        | if query.key.is_some() { HAS_KEY } else { 0 }
}

/// A query with its places in the table of strings: of the name from 0, of the text from 1, 0 for none.
struct Row<'a> {
    query: &'a Query,
    name: u32,
    text: u32,
}

/// A copy within the limits.
pub(crate) fn bounded(query: &Query) -> Query {
    let mut query = query.clone();
    shorten_to(&mut query.name, limits::QUERY_NAME);
    if let Some(text) = &mut query.text
        && text.len() > limits::QUERY_TEXT
    {
        cut(text, limits::QUERY_TEXT);
        query.text_cut = true;
    }
    query
}

/// Bytes of a query's strings.
pub(crate) fn text_bytes(query: &Query) -> usize {
    query.name.len() + query.text.as_ref().map_or(0, String::len)
}

/// Encodes records one after another.
pub(crate) struct QueryEncoder(ColumnWriter);

impl QueryEncoder {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(ColumnWriter::new()?))
    }

    /// Appends the payload of a record of these queries to `out`: at least one, within the limits.
    pub(crate) fn encode(&mut self, queries: &[Query], out: &mut Vec<u8>) -> Result<()> {
        if let Some(query) = queries.iter().find(|query| query.id == QueryId(0)) {
            return Err(bad_id(query.id.0));
        }
        let mut strings = Strings::default();
        let rows: Vec<Row<'_>> = queries
            .iter()
            .map(|query| Row {
                query,
                name: strings.place(&query.name),
                text: query.text.as_ref().map_or(0, |text| strings.place(text) + 1),
            })
            .collect();
        let mut entries = Vec::new();
        let mut bodies = Vec::new();
        for field in Field::ALL {
            let mut values: Vec<u64> = rows.iter().map(|row| field.of(row)).collect();
            if values.iter().all(|value| *value == 0) {
                continue;
            }
            if field.transform() == Transform::Delta {
                transform::delta(&mut values, field.width());
            }
            let start = bodies.len();
            let storage = self.0.write(&values, field.width(), &mut bodies)?;
            let stored = bodies.len() - start;
            entries.push(Entry::new(field as u8, field.transform(), storage, stored));
        }
        out.extend_from_slice(&(queries.len() as u32).to_le_bytes());
        directory::put(&entries, out);
        out.extend_from_slice(&bodies);
        let mut raw = Vec::new();
        metadata::encode(&strings.list, &mut raw)?;
        packed::pack(&raw, out)
    }
}

/// Each string once, in the order of first use.
#[derive(Default)]
struct Strings<'a> {
    list: Vec<&'a str>,
    places: HashMap<&'a str, u32>,
}

impl<'a> Strings<'a> {
    fn place(&mut self, text: &'a str) -> u32 {
        *self.places.entry(text).or_insert_with(|| {
            self.list.push(text);
            self.list.len() as u32 - 1
        })
    }
}

/// The queries of a record; `offset` is that of its frame. `claim` is asked before its texts are unpacked.
pub(crate) fn decode(
    payload: &[u8],
    offset: u64,
    claim: impl FnOnce(&[u8]) -> Result<()>,
) -> Result<Vec<Query>> {
    let short = || undecodable(offset, Kind::Queries.name(), "its directory is cut short".into());
    let mut cursor = Cursor(payload);
    let rows = cursor.u32().ok_or_else(short)?;
    if !(1..=limits::QUERIES as u32).contains(&rows) {
        return Err(FormatError::Limit {
            what: "queries in a record, counted from 1",
            limit: limits::QUERIES as u64,
            actual: rows.into(),
        });
    }
    let (entries, end) = directory::take(&mut cursor, HEAD_LEN, offset, short)?;
    let rest = payload.get(end..).ok_or_else(short)?;
    claim(rest)?;
    let raw = packed::unpack(rest, offset, Kind::Queries.name())?;
    let strings: Vec<String> = metadata::decode(&raw, offset)?;
    let mut decoder = Decoder {
        payload,
        offset,
        rows: rows as usize,
        entries,
        columns: ColumnReader::new()?,
    };
    decoder.queries(&strings)
}

struct Decoder<'a> {
    payload: &'a [u8],
    offset: u64,
    rows: usize,
    entries: Vec<Entry>,
    columns: ColumnReader,
}

impl Decoder<'_> {
    fn queries(&mut self, strings: &[String]) -> Result<Vec<Query>> {
        let ids = self.column(Field::Id)?;
        if ids.contains(&0) {
            return Err(bad_id(0));
        }
        let mut bytes = 0;
        let [names, texts] = [self.column(Field::Name)?, self.column(Field::Text)?];
        for place in names
            .iter()
            .copied()
            .chain(texts.iter().filter_map(|at| at.checked_sub(1)))
        {
            let text = strings.get(place as usize).ok_or(FormatError::Corrupt {
                offset: self.offset,
                what: "strings of the record",
                expected: strings.len() as u64,
                actual: place,
            })?;
            bytes += text.len();
        }
        // Before they are copied for each query that uses them.
        limits::check_query_bytes(bytes)?;
        let mut queries: Vec<Query> = Vec::with_capacity(self.rows);
        let string = |place: u64| strings.get(place as usize).cloned();
        for ((id, name), text) in ids.iter().zip(&names).zip(&texts) {
            queries.push(Query {
                id: QueryId(*id),
                name: string(*name).unwrap_or_default(),
                text: text.checked_sub(1).and_then(string),
                ..Query::default()
            });
        }
        self.rest(&mut queries)?;
        Ok(queries)
    }

    fn rest(&mut self, queries: &mut [Query]) -> Result<()> {
        self.set(queries, Field::Parent, |query, distance| {
            if distance != 0 {
                query.parent = QueryId(query.id.0.wrapping_sub(distance));
            }
        })?;
        self.set(queries, Field::Pid, |query, pid| query.pid = pid as u32)?;
        self.set(queries, Field::Tid, |query, tid| query.tid = tid as u32)?;
        self.set(queries, Field::Begin, |query, begin| query.begin_ns = begin)?;
        self.set(queries, Field::Duration, |query, duration| {
            query.end_ns = query.begin_ns.wrapping_add(duration);
        })?;
        let keys = self.column(Field::Key)?;
        let mut keys = keys.into_iter();
        self.set(queries, Field::Flags, |query, flags| {
            let flags = flags as u8;
            query.end = QueryEnd::from_code(flags & ENDED_BITS);
            query.begun_before = flags & BEGUN_BEFORE != 0;
            query.text_cut = flags & TEXT_CUT != 0;
            query.key = keys.next().filter(|_| flags & HAS_KEY != 0);
        })?;
        self.faults(
            queries,
            [Field::OwnMajors, Field::OwnMinors, Field::OwnWait],
            |query| &mut query.own,
        )?;
        let nested = [Field::NestedMajors, Field::NestedMinors, Field::NestedWait];
        self.faults(queries, nested, |query| &mut query.nested)
    }

    fn faults(
        &mut self,
        queries: &mut [Query],
        [majors, minors, wait]: [Field; 3],
        of: fn(&mut Query) -> &mut QueryFaults,
    ) -> Result<()> {
        self.set(queries, majors, |query, count| of(query).majors = count)?;
        self.set(queries, minors, |query, count| of(query).minors = count)?;
        self.set(queries, wait, |query, sum| of(query).wait_ns = sum)
    }

    fn set(
        &mut self,
        queries: &mut [Query],
        field: Field,
        mut set: impl FnMut(&mut Query, u64),
    ) -> Result<()> {
        let values = self.column(field)?;
        queries
            .iter_mut()
            .zip(values)
            .for_each(|(query, value)| set(query, value));
        Ok(())
    }

    /// The values of a column; zeros where the record leaves it out.
    fn column(&mut self, field: Field) -> Result<Vec<u64>> {
        let what = field.name();
        let Some(entry) = self.entries.iter().find(|entry| entry.id == field as u8).copied() else {
            return Ok(vec![0; self.rows]);
        };
        let (by, storage): (Transform, Storage) = entry.encoding(self.offset, what)?;
        let body = entry.body(self.payload);
        let body = body.ok_or_else(|| undecodable(self.offset, what, "it is outside the record".into()))?;
        let mut values = Vec::new();
        self.columns
            .read(body, storage, field.width(), self.rows, &mut values)
            .map_err(|detail| undecodable(self.offset, what, detail))?;
        match by {
            Transform::Plain => Ok(values),
            Transform::Delta => {
                transform::undo_delta(&mut values, field.width());
                Ok(values)
            }
            _ => Err(entry.unknown_encoding(self.offset, what)),
        }
    }
}

fn undecodable(offset: u64, what: &'static str, detail: String) -> FormatError {
    FormatError::Undecodable { offset, what, detail }
}

fn bad_id(actual: u64) -> FormatError {
    FormatError::Limit {
        what: "query id, counted from 1",
        limit: u64::MAX,
        actual,
    }
}
