//! What the name of `-o FILE` says of the format, where `--format` does not: `x.csv` is CSV, and `x.jpg` is a mistake.

use crate::output::render::Format;
use std::path::Path;

/// An ending of a file's name and the format that it stands for.
pub(crate) type Ending<T> = (&'static str, T);

/// What any verb may be asked to write.
const TABLES: [Ending<Format>; 6] = [
    ("txt", Format::Table),
    ("csv", Format::Csv),
    ("json", Format::Json),
    ("jsonl", Format::Jsonl),
    ("md", Format::Markdown),
    ("markdown", Format::Markdown),
];

/// `--format` as given, or what the output's name ends in, or a table. Of a verb that writes `formats`.
///
/// # Errors
/// An ending that the verb does not write.
pub(crate) fn format(
    given: Option<Format>,
    output: Option<&Path>,
    formats: &[Format],
) -> Result<Format, String> {
    let known: Vec<Ending<Format>> = TABLES
        .into_iter()
        .filter(|(_, format)| formats.contains(format))
        .collect();
    match given {
        Some(format) => Ok(format),
        None => Ok(of_name(output, &known)?.unwrap_or_default()),
    }
}

/// What the output's name ends in; `None` without an ending.
///
/// # Errors
/// An ending that is not `known`.
pub(crate) fn of_name<T: Copy>(output: Option<&Path>, known: &[Ending<T>]) -> Result<Option<T>, String> {
    let Some((path, ending)) = output.and_then(|path| Some((path, path.extension()?.to_str()?))) else {
        return Ok(None);
    };
    let found = known.iter().find(|(name, _)| ending.eq_ignore_ascii_case(name));
    if let Some((_, format)) = found {
        return Ok(Some(*format));
    }
    // Devices and pipes have names of their own, and a trace is refused when it is opened.
    if path.exists() && (!path.is_file() || ending == "pfz") {
        return Ok(None);
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!(".{name}")).collect();
    Err(format!(
        "-o {}: nothing here is written as .{ending}: end the name in {}, or give --format",
        path.display(),
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_ending_decides_unless_a_format_is_given() {
        let all = [
            Format::Table,
            Format::Csv,
            Format::Json,
            Format::Jsonl,
            Format::Markdown,
        ];
        let of = |given, name: &str, formats: &[Format]| format(given, Some(Path::new(name)), formats);
        for (name, expected) in [
            ("a.CSV", Format::Csv),
            ("a.jsonl", Format::Jsonl),
            ("a.md", Format::Markdown),
            ("a.txt", Format::Table),
            ("a", Format::Table),
            ("/dev/stdout", Format::Table),
            ("-", Format::Table),
            (".csv", Format::Table),
        ] {
            assert_eq!(of(None, name, &all).unwrap(), expected, "{name}");
        }
        assert_eq!(of(Some(Format::Json), "a.csv", &all).unwrap(), Format::Json);
        assert_eq!(of(Some(Format::Json), "a.jpg", &all).unwrap(), Format::Json);
        assert!(of(None, "a.jpg", &all).unwrap_err().contains(".csv, .json"));
        assert!(of(None, "a.csv", &[Format::Table, Format::Json]).is_err());
        assert_eq!(format(None, None, &all).unwrap(), Format::Table);
    }
}
