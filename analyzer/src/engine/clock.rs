//! Where times by the clock are in a recording, which only its beginning tells.

use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::output::units::local;
use crate::trace::session::Session;
use pf_formats::{Item, Predicate, TraceReader};
use std::io::Read;

/// Sets the times since the start that are meant by the filter's times by the clock.
///
/// # Errors
/// I/O errors of the input; a time that the clock did not have, or at which no fault can have begun.
pub fn place<R: Read>(filter: &mut Filter, reader: TraceReader<R>) -> Result<(), AnalyzeError> {
    let (start_ns, end_ns) = bounds(reader)?;
    let since_start = |clock: pf_notation::moment::Clock, option: &str| {
        let unix_ns = clock.unix_ns(start_ns, end_ns);
        let unix_ns = unix_ns.map_err(|wrong| AnalyzeError::Usage(format!("{option}: {wrong}")))?;
        Ok::<i128, AnalyzeError>(i128::from(unix_ns) - i128::from(start_ns))
    };
    let when = |since_ns: i128| local(i64::try_from(i128::from(start_ns) + since_ns).unwrap_or(i64::MAX));
    if let Some(clock) = filter.from_clock {
        let since_ns = since_start(clock, "--from")?;
        if let Some(end_ns) = end_ns
            && since_ns > i128::from(end_ns) - i128::from(start_ns)
        {
            return Err(AnalyzeError::Usage(format!(
                "--from is {}, and the recording ended before, at {}",
                when(since_ns),
                local(end_ns)
            )));
        }
        filter.from_ns = Some(u64::try_from(since_ns).unwrap_or(0));
    }
    if let Some(clock) = filter.to_clock {
        let since_ns = since_start(clock, "--to")?;
        filter.to_ns = match u64::try_from(since_ns) {
            Ok(to) if to > 0 => Some(to),
            _ => {
                return Err(AnalyzeError::Usage(format!(
                    "--to is {}, and the recording began no earlier, at {}",
                    when(since_ns),
                    local(start_ns)
                )));
            }
        };
    }
    match (filter.from_ns, filter.to_ns) {
        (Some(from), Some(to)) if from >= to => {
            Err(AnalyzeError::Usage("--from must be before --to".to_owned()))
        }
        _ => Ok(()),
    }
}

/// When the recording began, and when it ended where it says so, in nanoseconds since 1970.
fn bounds<R: Read>(mut reader: TraceReader<R>) -> Result<(i64, Option<i64>), AnalyzeError> {
    let header = reader.header().clone();
    let end_ns = reader.totals_ahead().map(|totals| header.utc_of(totals.end_ns));
    let mut session = Session::new(header.clone());
    let no_blocks = Predicate::nothing();
    while session.known_start_ns().is_none() {
        match reader.next_where(&no_blocks)? {
            Some(Item::Meta(meta)) => session.see_meta(*meta),
            Some(Item::Skipped(info)) => session.announce_block(&info),
            Some(_) => {}
            None => break,
        }
    }
    Ok((header.utc_of(session.start_ns()), end_ns))
}
