//! The one module that runs bincode: encodes and decodes the small records, always under a limit.
//!
//! Little-endian, integers at their full width, lengths as u64, enum variants as u32, `Option` and
//! `bool` as one byte; SPEC.md spells out the resulting bytes, so a reader in another language needs no
//! bincode. Records are flat: no type contains itself, and none has size zero, so the claim on the
//! limit bounds both memory and time.

use bincode::de::{Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};

use crate::error::{FormatError, Result};
use crate::records::frame::Kind;
use crate::records::{condition, hidden_wait, process};
use crate::{
    Condition, Dict, Happening, HiddenWait, Loss, LossReason, Meta, ObjectKind, ProcessEntry, TimelineEntry,
    Totals, limits,
};

type Config = bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
    bincode::config::Limit<{ limits::METADATA }>,
>;

fn config() -> Config {
    bincode::config::standard()
        .with_fixed_int_encoding()
        .with_limit::<{ limits::METADATA }>()
}

/// A record that goes through bincode.
pub(crate) trait Record: Encode + Decode<()> {
    const KIND: Kind;

    /// Later versions may append fields, which are ignored here.
    const MAY_GROW: bool = false;

    /// Where in its bytes the number of entries stands, for a record that is one list.
    fn count_at(_payload: &[u8]) -> Option<usize> {
        None
    }

    /// Refuses what decodes and is out of range all the same.
    fn check(&self) -> Result<()>;
}

/// Appends the bytes of a record.
pub(crate) fn encode<T: Encode>(record: &T, out: &mut Vec<u8>) -> Result<()> {
    bincode::encode_into_std_write(record, out, config())
        .map(|_| ())
        .map_err(|error| FormatError::Io(std::io::Error::other(error)))
}

/// Decodes a record that must fill `payload` exactly, unless it may grow; `offset` is that of its frame.
pub(crate) fn decode<T: Record>(payload: &[u8], offset: u64) -> Result<T> {
    let what = T::KIND.name();
    // Before anything is allocated for it.
    let count = T::count_at(payload).and_then(|at| payload.get(at..)?.first_chunk());
    limits::check_list(count.map_or(0, |count| u64::from_le_bytes(*count)))?;
    let (record, used) =
        bincode::decode_from_slice::<T, _>(payload, config()).map_err(|error| FormatError::Undecodable {
            offset,
            what,
            detail: error.to_string(),
        })?;
    if used != payload.len() && !T::MAY_GROW {
        let (expected, actual) = (payload.len() as u64, used as u64);
        return Err(FormatError::Corrupt {
            offset,
            what: "bytes used of the record",
            expected,
            actual,
        });
    }
    record.check()?;
    Ok(record)
}

impl Record for Meta {
    const KIND: Kind = Kind::Meta;
    const MAY_GROW: bool = true;

    fn check(&self) -> Result<()> {
        if self.sample == 0 {
            return Err(FormatError::Limit {
                what: "minor faults for each one recorded, counted from 1",
                limit: u32::MAX.into(),
                actual: 0,
            });
        }
        let host = &self.host;
        let texts = [
            &self.recorder,
            &host.hostname,
            &host.kernel,
            &host.arch,
            &self.target,
            &self.backend,
            &self.entry,
        ];
        let lists = [&self.command, &self.options, &self.blind, &self.filters];
        lists
            .iter()
            .try_for_each(|list| limits::check_list(list.len() as u64))?;
        texts
            .into_iter()
            .chain(lists.into_iter().flatten())
            .try_for_each(|text| limits::check_string(text.len()))
    }
}

impl Record for Dict {
    const KIND: Kind = Kind::Dict;

    /// Behind the table, and the first id where the entries are numbered.
    fn count_at(payload: &[u8]) -> Option<usize> {
        let table = u32::from_le_bytes(*payload.first_chunk()?);
        Some(if table < 4 { 8 } else { 4 })
    }

    fn check(&self) -> Result<()> {
        Dict::check(self)
    }
}

impl Record for Vec<TimelineEntry> {
    const KIND: Kind = Kind::Timeline;

    fn count_at(_payload: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn check(&self) -> Result<()> {
        let ids = self.iter().filter_map(|entry| match entry.what {
            Happening::Map { object, .. } => Some(object.0),
            Happening::Comm { comm, .. } => Some(comm.0),
            Happening::Fork { .. } | Happening::Exit { .. } => None,
        });
        ids.map(u64::from).try_for_each(limits::check_id)
    }
}

impl Record for Vec<ProcessEntry> {
    const KIND: Kind = Kind::Processes;

    fn count_at(_payload: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn check(&self) -> Result<()> {
        process::check(self)
    }
}

impl Record for Vec<HiddenWait> {
    const KIND: Kind = Kind::HiddenWaits;

    fn count_at(_payload: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn check(&self) -> Result<()> {
        hidden_wait::check(self)
    }
}

impl Record for Vec<Condition> {
    const KIND: Kind = Kind::Conditions;

    fn count_at(_payload: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn check(&self) -> Result<()> {
        condition::check(self)
    }
}

impl Record for Vec<Loss> {
    const KIND: Kind = Kind::Loss;

    fn count_at(_payload: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// The names and texts of queries.
impl Record for Vec<String> {
    const KIND: Kind = Kind::Queries;

    fn count_at(_payload: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn check(&self) -> Result<()> {
        self.iter().try_for_each(|text| limits::check_string(text.len()))
    }
}

impl Record for (bool, Totals) {
    const KIND: Kind = Kind::Footer;
    const MAY_GROW: bool = true;

    fn check(&self) -> Result<()> {
        let accounting = self.1.accounting.as_ref().map(|accounting| &accounting.source);
        let check = self.1.check.as_ref();
        accounting
            .into_iter()
            .chain(
                check
                    .into_iter()
                    .flat_map(|check| [&check.source].into_iter().chain(&check.notes)),
            )
            .try_for_each(|text| limits::check_string(text.len()))
    }
}

impl Encode for ObjectKind {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> std::result::Result<(), EncodeError> {
        (*self as u8).encode(encoder)
    }
}

impl<C> Decode<C> for ObjectKind {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> std::result::Result<Self, DecodeError> {
        u8::decode(decoder).map(Self::from_code)
    }
}

bincode::impl_borrow_decode!(ObjectKind);

impl Encode for Loss {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> std::result::Result<(), EncodeError> {
        (self.from_ns, self.to_ns, self.cpu, self.reason as u8, self.count).encode(encoder)
    }
}

impl<C> Decode<C> for Loss {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> std::result::Result<Self, DecodeError> {
        let (from_ns, to_ns, cpu, reason, count) = <(u64, u64, Option<u16>, u8, u64)>::decode(decoder)?;
        Ok(Self {
            from_ns,
            to_ns,
            cpu,
            reason: LossReason::from_code(reason),
            count,
        })
    }
}

bincode::impl_borrow_decode!(Loss);
