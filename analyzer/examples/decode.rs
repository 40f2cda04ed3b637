//! Decodes the columns that the default report needs, and does nothing with them: what the report cannot be faster than.
//! `decode TRACE`; scripts/bench.sh analyze measures it.

use pf_formats::{DecodeAhead, Predicate, Projection, Step, TraceReader, Wanted};
use pfanalyze::engine::frame::projection_of;
use pfanalyze::verbs::report::Report;
use std::fs::File;
use std::hint::black_box;

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or_else(|| anyhow::anyhow!("usage: decode TRACE"))?;
    let mut report = Report::new(true);
    let columns: Vec<_> = report.passes().iter().flat_map(|query| query.columns()).collect();
    let wanted = Wanted {
        predicate: Predicate::default(),
        columns: projection_of(&columns).union(Projection::CLASS),
    };
    let mut steps = DecodeAhead::new(TraceReader::open(File::open(path)?)?);
    let mut events = 0;
    while let Some(step) = steps.next(&wanted)? {
        if let Step::Block(block) = step {
            events += black_box(&block.columns).len();
        }
    }
    println!("{events}");
    Ok(())
}
