//! How values are written, in all our programs: one parser and one printer for each kind, and what a
//! printer writes its parser reads back. It knows no traces and no options, only their texts.
//!
//! | kind | what is read | a bare number is | what is printed |
//! |---|---|---|---|
//! | time span ([`duration`]) | `1.5ms`, `100µs`, `1e3us`, `2 min`; units ns, us (µs), ms, s, min, h | the unit that `--help` names: `-d` seconds; `--interval` and `--delay` milliseconds; latencies microseconds | `734 ns`, `12.3 us`, `4.56 ms`, `1.23 s` |
//! | point in time ([`moment`]) | a time span since the start of the recording, or the clock: `14:03`, `14:03:05.5`, `2026-11-29 01:58:58`, `2026-11-29T01:58:58Z`, `… +01:00`, `… UTC`; without a zone the local one | seconds since the start | `2026-11-29 01:58:58 UTC`, `2026-11-29 02:58:58 +01:00` |
//! | size ([`size`]) | `16M`, `1.5GiB`, `4k`, `1 MB`; K, M, G, T and KiB, MiB, GiB, TiB are powers of 1024; KB, MB, GB, TB powers of 1000 | bytes; `--size` of the workloads MiB | `512 B`, `1.2 MiB` |
//! | count ([`count`]) | `12345`, `12,345`, `12k`, `3.4M`, `1e6`; k, M, G are powers of 1000 | one | `12,345`, `12k`, `3.4M` |
//! | share ([`percent`]) | `0.5`, `0.5%`, `50 %` | percent | `33.3 %` |
//! | address, range ([`address`]) | `0x7f00`, `7f00`, `0x1000-0x2000` (END excluded); digits alone could be either and are refused | refused | `0x7f00`, `0x1000-0x2000` |
//! | names ([`names`]) | lists with commas; `*` any text, `?` any character, else exact; `\` takes the meaning off `*`, `?`, `,` | a name | the name |
//!
//! Letters after a size or a time may follow a space. Digits below the smallest unit are cut off.

pub mod address;
pub mod automaton;
pub mod count;
mod decimal;
pub mod duration;
pub mod moment;
pub mod names;
pub mod percent;
pub mod shell;
pub mod size;
pub mod usage;
