//! Text for a terminal: aligned tables, broken sentences.

use crate::error::AnalyzeError;
use crate::output::document::{Document, FactLayout, Part};
use crate::output::table::{ColumnHead, Table, Value, hundredfold, rounded, signed};
use crate::output::text::{escape, keep_end, keep_start, width, wrap};
use crate::output::units::{bytes, fixed, grouped};
use std::borrow::Cow;
use std::io::{self, Write};

/// Writes the parts; sentences are broken at `width`.
///
/// # Errors
/// When `out` cannot be written.
pub fn document(document: &Document, width: usize, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    for part in &document.parts {
        match part {
            Part::Warning(text) => writeln!(out, "! {text}")?,
            Part::Fact(name, text) => fact(name, text, document.facts, width, out)?,
            Part::Heading(title) => writeln!(out, "\n{title}")?,
            Part::Numbered(sentences) => {
                for (number, sentence) in (1..).zip(sentences) {
                    hanging(&format!("{number}. "), sentence, width, out)?;
                }
            }
            Part::Item(sentence) => {
                let lines = wrap(sentence, width.saturating_sub(2));
                indented("", "  ", &lines, out)?;
            }
            Part::List(sentences) => {
                writeln!(out)?;
                for sentence in sentences {
                    hanging("- ", sentence, width, out)?;
                }
            }
            Part::Paragraph(text) => indented("", "", &wrap(text, width), out)?,
            Part::Line(text) => writeln!(out, "{text}")?,
            Part::Table(content, width) => table(content, *width, out)?,
            Part::Drawing(drawn) => out.write_all(drawn.as_bytes())?,
        }
    }
    Ok(())
}

/// The name once, and the lines beside it.
fn fact(name: &str, text: &str, layout: FactLayout, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let FactLayout { margin, lines } = layout;
    let room = width.saturating_sub(margin).max(20);
    let text = lines.map_or(Cow::Borrowed(text), |lines| keep_start(text, lines * room).into());
    let lines = wrap(&text, room);
    indented(&format!("{name:<margin$}"), &" ".repeat(margin), &lines, out)
}

/// Lines that follow the first one stand below its text, not below its mark.
fn hanging(mark: &str, sentence: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let lines = wrap(sentence, width.saturating_sub(mark.len()));
    indented(mark, &" ".repeat(mark.len()), &lines, out)
}

fn indented(first: &str, others: &str, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    for (index, line) in lines.iter().enumerate() {
        let before = if index == 0 { first } else { others };
        writeln!(out, "{before}{line}")?;
    }
    Ok(())
}

/// Writes a table; where `room` is given, text columns are cut so that a line fits into it, and columns for which that is
/// not enough are left out, the last first, and named.
///
/// # Errors
/// When `out` cannot be written.
pub fn table(table: &Table, room: Option<usize>, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let Some(room) = room.filter(|&room| line_width(&least_widths(table)) > room) else {
        return rows(table, room, out);
    };
    let mut table = table.clone();
    let left_out = keep_fitting(&mut table, room);
    rows(&table, Some(room), out)?;
    if let Some(words) = describe_left_out(&left_out) {
        indented("", "", &wrap(&words, room), out)?;
    }
    Ok(())
}

fn rows(table: &Table, room: Option<usize>, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let render = |row: &Vec<Value>| row.iter().map(cell).collect::<Vec<String>>();
    let mut lines: Vec<Vec<String>> = vec![table.heads.iter().map(|head| escape(&head.title())).collect()];
    lines.extend(table.rows.iter().map(render));
    lines.extend(table.total.iter().map(render));
    let text_column: Vec<bool> = (0..table.heads.len())
        .map(|column| table.is_text(column))
        .collect();
    if let Some(room) = room {
        fit(&mut lines, &text_column, room, |column| table.is_prose(column));
    }
    let widths = widths(&lines, table.heads.len());
    for line in &lines {
        let mut text = String::new();
        for ((cell, &room), &is_text) in line.iter().zip(&widths).zip(&text_column) {
            let padding = " ".repeat(room.saturating_sub(width(cell)));
            let (before, after) = if is_text {
                ("", padding.as_str())
            } else {
                (padding.as_str(), "")
            };
            text.push_str(&format!("{before}{cell}{after}  "));
        }
        let text = text.trim_end();
        // A line that is broken by the terminal would be two rows.
        match room {
            Some(room) => writeln!(out, "{}", keep_start(text, room))?,
            None => writeln!(out, "{text}")?,
        }
    }
    Ok(())
}

/// Leaves out columns until a line of the table fits into `width`, text columns at their shortest: of `names`, the first
/// first. Returns their titles.
pub fn narrow(table: &mut Table, width: usize, names: &[&str]) -> Vec<Cow<'static, str>> {
    let mut left_out = Vec::new();
    for name in names {
        if line_width(&least_widths(table)) <= width {
            break;
        }
        if let Some(column) = table.column(name) {
            left_out.push(table.remove_column(column).title());
        }
    }
    left_out
}

/// Leaves out columns until a line of the table fits into `width`, the last first; the first one stays. Returns their titles,
/// in the order of the table.
pub(crate) fn keep_fitting(table: &mut Table, width: usize) -> Vec<Cow<'static, str>> {
    let mut left_out = Vec::new();
    while table.heads.len() > 1 && line_width(&least_widths(table)) > width {
        let head = table.remove_column(table.heads.len() - 1);
        left_out.insert(0, head.title());
    }
    left_out
}

/// What is said of columns for which there is no room.
pub(crate) fn describe_left_out(titles: &[Cow<'_, str>]) -> Option<String> {
    let titles: Vec<String> = titles.iter().map(|title| escape(title)).collect();
    (!titles.is_empty()).then(|| format!("a wider terminal also shows {}", titles.join(", ")))
}

/// Characters of the longest line of a table that is not cut.
#[must_use]
pub(crate) fn table_width(table: &Table) -> usize {
    line_width(&full_widths(table))
}

fn least_widths(table: &Table) -> Vec<usize> {
    let mut widths = full_widths(table);
    for (column, width) in widths.iter_mut().enumerate() {
        if table.is_text(column) {
            *width = (*width).min(TEXT_ROOM);
        }
    }
    widths
}

fn full_widths(table: &Table) -> Vec<usize> {
    let full = |(column, head): (usize, &ColumnHead)| {
        let rows = table.rows.iter().chain(&table.total);
        let values = rows.filter_map(|row| row.get(column));
        let widest = values.map(|value| width(&cell(value))).max().unwrap_or(0);
        widest.max(width(&head.title()))
    };
    table.heads.iter().enumerate().map(full).collect()
}

/// A cell as people read it.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) | Value::Prose(text) => escape(text),
        Value::Id(id) => id.to_string(),
        Value::Count(count) => grouped(*count),
        Value::Ms(ns) => fixed(*ns, 1_000_000, 3),
        Value::Us(ns) => fixed(*ns, 1_000, 1),
        Value::Seconds(ns) => fixed(*ns, 1_000_000_000, 6),
        Value::Bytes(size) => bytes(*size),
        Value::Decimal(thousandths) => fixed(*thousandths, 1_000, 1),
        Value::Percent { part, whole } => hundredfold(*part, *whole, 1),
        Value::Address(address) => format!("{address:#x}"),
        Value::Negative(number) => format!("-{}", grouped(*number)),
        Value::Float(number) => rounded(*number),
        Value::Number(digits) => digits.clone(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(cell).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Change { is_less, by } => signed(*is_less, "+", cell(by)),
        Value::Flag(_) => value.plain(),
    }
}
fn widths(lines: &[Vec<String>], columns: usize) -> Vec<usize> {
    let widest = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| width(cell)).max()
    };
    (0..columns).map(|column| widest(column).unwrap_or(0)).collect()
}

/// Characters that a text column keeps.
const TEXT_ROOM: usize = 16;

/// Shortens text columns as far as needed, the widest first, but never below 16 characters.
fn fit(lines: &mut [Vec<String>], text_column: &[bool], width: usize, is_prose: impl Fn(usize) -> bool) {
    let widths = widths(lines, text_column.len());
    let is_text = |column: usize| text_column.get(column) == Some(&true);
    let cut = |room: usize| -> Vec<usize> {
        let each = widths.iter().enumerate();
        each.map(|(column, &width)| if is_text(column) { width.min(room) } else { width })
            .collect()
    };
    let texts = (0..widths.len()).filter(|&column| is_text(column));
    let widest = texts.clone().filter_map(|column| widths.get(column)).max();
    let mut room = widest.copied().unwrap_or(0);
    while room > TEXT_ROOM && line_width(&cut(room)) > width {
        room -= 1;
    }
    for column in texts {
        for line in lines.iter_mut() {
            if let Some(cell) = line.get_mut(column) {
                *cell = if is_prose(column) {
                    keep_start(cell, room)
                } else {
                    keep_end(cell, room)
                };
            }
        }
    }
}

fn line_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::{super::tests::sample, *};

    fn written(content: &Table, room: Option<usize>) -> String {
        let mut out = Vec::new();
        table(content, room, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_is_aligned_and_harmless() {
        let expected = concat!(
            "NAME          COUNT  MAX_US\n",
            "a\\x1b[0m,\"b\"  1,234     1.5\n",
            "c                 5\n",
            "              1,239\n"
        );
        assert_eq!(written(&sample(), None), expected);
    }

    #[test]
    fn a_share_is_written_in_percent() {
        let share = |part, whole| Value::Percent { part, whole };
        assert_eq!(cell(&share(1, 3)), "33.3");
        assert_eq!(cell(&share(0, 0)), "0.0");
        assert_eq!(cell(&share(u64::MAX, u64::MAX)), "100.0");
        assert_eq!(share(5, 1_000).plain(), "0.500");
    }

    #[test]
    fn columns_give_way_in_the_order_that_the_caller_says() {
        let names = ["max_us", "count", "absent"];
        let narrowed = |width| {
            let mut table = sample();
            let left_out = narrow(&mut table, width, &names);
            (left_out, table.heads.len(), table.rows[0].len())
        };
        assert_eq!(narrowed(27), (vec![], 3, 3));
        assert_eq!(narrowed(26), (vec!["MAX_US".into()], 2, 2));
        assert_eq!(narrowed(3), (vec!["MAX_US".into(), "COUNT".into()], 1, 1));
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_and_named() {
        let expected = concat!(
            "NAME          COUNT\n",
            "a\\x1b[0m,\"b\"  1,234\n",
            "c                 5\n",
            "              1,239\n",
            "a wider terminal\n",
            "also shows MAX_US\n",
        );
        assert_eq!(written(&sample(), Some(20)), expected);
        let narrowest = written(&sample(), Some(9));
        assert!(narrowest.starts_with("NAME\na\\x1b[0m…\nc\n"), "{narrowest}");
        assert!(narrowest.lines().all(|line| width(line) <= 9), "{narrowest}");
    }

    #[test]
    fn a_wide_text_column_gives_way_to_the_terminal() {
        let table = Table {
            heads: vec![ColumnHead::new("file"), ColumnHead::new("n")],
            rows: vec![vec![
                Value::Text("/very/long/path/to/the/segments.bin".into()),
                Value::Count(1),
            ]],
            total: None,
        };
        let text = written(&table, Some(25));
        assert!(text.contains("…h/to/the/segments.bin"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 25), "{text}");
    }
}
