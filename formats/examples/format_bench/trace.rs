//! Traces as the bench writes and reads them: in memory, and without damage.

use std::error::Error;
use std::io::Write;

use pf_formats::{Dict, Header, Host, Meta, Projection, Totals, TraceWriter};

use crate::mix::START_NS;
use crate::source::Source;

/// What a table of threads needs.
pub(crate) const FEW: Projection = Projection::THREAD
    .union(Projection::LATENCY)
    .union(Projection::CLASS);

/// A writer into the memory of `buffer`, whose contents are dropped.
pub(crate) fn writer(mut buffer: Vec<u8>, dicts: &[Dict]) -> Result<TraceWriter<Vec<u8>>, Box<dyn Error>> {
    buffer.clear();
    writer_to(buffer, dicts)
}

fn writer_to<W: Write>(output: W, dicts: &[Dict]) -> Result<TraceWriter<W>, Box<dyn Error>> {
    let meta = Meta {
        recorder: "format_bench".into(),
        start_ns: START_NS,
        host: Host {
            page_size: 4096,
            ..Host::default()
        },
        ..Meta::default()
    };
    let mut writer = TraceWriter::create(output, &Header::new([7; 16], 0), &meta)?;
    dicts.iter().try_for_each(|dict| writer.dict(dict))?;
    Ok(writer)
}

/// Writes all events of `source`.
pub(crate) fn write<W: Write>(output: W, source: &Source) -> Result<(), Box<dyn Error>> {
    let mut writer = writer_to(output, &source.dicts())?;
    let (mut blocks, mut events) = (source.blocks(), Vec::new());
    let mut totals = Totals::default();
    while blocks.next(&mut events) {
        for event in &events {
            writer.push(event)?;
            totals.events += 1;
            totals.majors += u64::from(event.major && !event.failed);
            totals.failed += u64::from(event.failed);
            totals.end_ns = totals.end_ns.max(event.ts_ns + event.latency_ns);
        }
    }
    totals.minors = totals.events - totals.majors - totals.failed;
    writer.finish(totals)?.flush()?;
    Ok(())
}
