//! Measures the format against structs with zstd and against its own entropy; scripts/bench.sh format judges.
//!
//! Standard output is JSON. SOURCE is `blend` or `stress`, which `mix` describes, or the path of a trace, whose events
//! are then written anew.

mod decoding;
mod dump;
mod entropy;
mod json;
mod measure;
mod mix;
mod random;
mod raw;
mod source;
mod trace;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;

use measure::{LEVELS, Measured, Round};
use source::Source;

const USAGE: &str = "\
usage: format_bench mix (blend|stress) [EVENTS [ROUNDS]]
       format_bench file TRACE [ROUNDS]
       format_bench columns SOURCE DIRECTORY [EVENTS]
       format_bench trace SOURCE FILE [EVENTS]";

const EVENTS: u64 = 10_000_000;
const ROUNDS: u32 = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["mix", name @ ("blend" | "stress"), ref rest @ ..] if rest.len() <= 2 => mix(name, rest),
        ["file", path, ref rest @ ..] if rest.len() <= 1 => file(path, rest),
        ["columns", name, directory, ref rest @ ..] if rest.len() <= 1 => columns(name, directory, rest),
        ["trace", name, path, ref rest @ ..] if rest.len() <= 1 => write(name, path, rest),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn mix(name: &str, rest: &[&str]) -> Result<(), Box<dyn Error>> {
    let source = Source::open(name, number(rest.first(), EVENTS)?)?;
    let measured = measure::measure(&source, number(rest.get(1), ROUNDS)?)?;
    println!("{}", report(name, &measured, Vec::new()));
    Ok(())
}

fn file(path: &str, rest: &[&str]) -> Result<(), Box<dyn Error>> {
    let rounds = number(rest.first(), ROUNDS)?;
    let measured = measure::measure(&Source::open(path, 0)?, rounds)?;
    let read_back = measure::read_back(path, rounds)?;
    let more = vec![
        ("file_bytes", std::fs::metadata(path)?.len().to_string()),
        ("read_back_s", read_back.as_secs_f64().to_string()),
    ];
    println!("{}", report("recording", &measured, more));
    Ok(())
}

fn columns(name: &str, directory: &str, rest: &[&str]) -> Result<(), Box<dyn Error>> {
    let source = Source::open(name, number(rest.first(), EVENTS)?)?;
    dump::dump(&source, Path::new(directory))
}

/// For whoever measures readers: the whole trace in a file, which no memory must hold.
fn write(name: &str, path: &str, rest: &[&str]) -> Result<(), Box<dyn Error>> {
    let source = Source::open(name, number(rest.first(), EVENTS)?)?;
    let file = BufWriter::new(File::create(path)?);
    trace::write(file, &source)
}

fn number<T: std::str::FromStr>(given: Option<&&str>, default: T) -> Result<T, Box<dyn Error>> {
    match given {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("'{text}' is no number").into()),
    }
}

fn report(name: &str, measured: &Measured, more: Vec<(&str, String)>) -> String {
    let events = measured.events as f64;
    let raw = LEVELS.iter().zip(measured.raw_bytes);
    let raw = raw.map(|(level, bytes)| (format!("raw_zstd{level}"), bytes as f64 / events));
    let mut bytes = vec![
        ("ours".to_owned(), measured.trace_bytes as f64 / events),
        ("entropy".to_owned(), measured.entropy.bytes() / events),
    ];
    bytes.extend(raw);
    let columns = measured.entropy.columns.iter();
    let columns = columns.map(|(name, bits)| ((*name).to_owned(), bits / events));
    let mut members = vec![
        ("source", json::text(name)),
        ("events", measured.events.to_string()),
        ("inversions", measured.inversions.to_string()),
        ("bytes_per_event", numbers(bytes)),
        ("entropy_bits_per_event", numbers(columns)),
        ("rounds", json::array(measured.rounds.iter().map(speeds))),
    ];
    members.extend(more);
    json::object(&members)
}

/// Millions of events per second.
fn speeds(round: &Round) -> String {
    let mut encode = vec![("ours".to_owned(), round.encode)];
    let mut decode = vec![
        ("ours".to_owned(), round.decode),
        ("few".to_owned(), round.decode_few),
    ];
    for (index, level) in LEVELS.iter().enumerate() {
        encode.push((format!("raw_zstd{level}"), round.encode_raw[index]));
        decode.push((format!("raw_zstd{level}"), round.decode_raw[index]));
    }
    json::object(&[("encode", numbers(encode)), ("decode", numbers(decode))])
}

fn numbers(members: impl IntoIterator<Item = (String, f64)>) -> String {
    let members: Vec<_> = members.into_iter().collect();
    let texts: Vec<_> = members
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_string()))
        .collect();
    json::object(&texts)
}
