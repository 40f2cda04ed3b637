//! `--sort` and `--top`, and `--format markdown`, of tables that were recomputed.

use super::Checks;
use crate::table::{Cell, Expected};

/// By a few columns both ways, cut; and all of it as Markdown.
pub fn check(arguments: &[&str], table: &Expected, checks: &mut Checks) {
    for (column, top) in [
        ("max_ms", 1000),
        ("total_ms:asc", 3),
        ("major", 2),
        ("comm", 5),
        ("file:desc", 4),
        ("minor:asc", 1),
    ] {
        let (name, direction) = column.split_once(':').unwrap_or((column, ""));
        let Some(index) = table.heads.iter().position(|&head| head == name) else {
            continue;
        };
        let mut rows = table.rows.clone();
        let is_text = matches!(rows.first().map(|row| &row[index]), Some(Cell::Text(_)));
        let rises = direction == "asc" || direction.is_empty() && is_text;
        // Stable: equals stay in their order.
        rows.sort_by(|a, b| {
            let order = match (&a[index], &b[index]) {
                (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
                (Cell::Int(a), Cell::Int(b)) | (Cell::Ms(a), Cell::Ms(b)) => a.cmp(b),
                other => panic!("no order for {other:?}"),
            };
            if rises { order } else { order.reverse() }
        });
        rows.truncate(top);
        let heads = table.heads.clone();
        let top = top.to_string();
        let asked = [arguments, &["--sort", column, "--top", &top]].concat();
        checks.csv(&asked, &Expected { heads, rows });
    }
    let asked = [arguments, &["--format", "markdown"]].concat();
    let written = checks.output(&asked);
    checks.note(&asked, compare_markdown(table, &written));
}

/// The same rows, a total below them. Numbers are rounded, so they agree as far as they are written.
fn compare_markdown(table: &Expected, written: &str) -> Result<(), String> {
    let lines: Vec<&str> = written.lines().filter(|line| line.starts_with('|')).collect();
    let rows: Vec<Vec<String>> = lines.iter().map(|line| cells(line)).collect();
    let has_total = usize::from(!table.rows.is_empty());
    if rows.len() != 2 + table.rows.len() + has_total {
        return Err(format!("{} lines for {} rows", rows.len(), table.rows.len()));
    }
    for (row, expected) in rows.iter().skip(2).zip(&table.rows) {
        if row.len() != expected.len() {
            return Err(format!("{row:?} has not {} cells", expected.len()));
        }
        let wrong = row
            .iter()
            .zip(expected)
            .find(|(cell, exact)| !agrees(cell, exact));
        if let Some((cell, exact)) = wrong {
            return Err(format!("{cell} instead of {exact:?} in {row:?}"));
        }
    }
    Ok(())
}

/// Without the backslashes before what would be markup.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut chars = line.trim_matches('|').chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => cells.last_mut().unwrap().extend(chars.next()),
            '|' => cells.push(String::new()),
            other => cells.last_mut().unwrap().push(other),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn agrees(cell: &str, exact: &Cell) -> bool {
    let rounded = |value: u128, unit: u128| {
        let plain = cell.replace(',', "");
        let digits = plain.split_once('.').map_or(0, |(_, digits)| digits.len() as u32);
        let number: u128 = plain.replace('.', "").parse().unwrap();
        number == (value * 10_u128.pow(digits) + unit / 2) / unit
    };
    match exact {
        Cell::Null => cell.is_empty() || cell == "-",
        Cell::Text(name) => cell == pfanalyze::output::text::escape(name).trim(),
        // Bytes have a unit, for people.
        Cell::Int(_) if cell.ends_with('B') => true,
        Cell::Int(number) => rounded(*number, 1),
        Cell::Ms(ns) => rounded(*ns, 1_000_000),
        Cell::Us(ns) => rounded(*ns, 1_000),
        Cell::Decimal(thousandths) => rounded(*thousandths, 1_000),
        Cell::AboutMs(_) | Cell::AboutUs(_) => !cell.is_empty(),
        Cell::Percent(part, whole) => rounded(part * 100, (*whole).max(1)),
        other => panic!("{other:?} has no form"),
    }
}
