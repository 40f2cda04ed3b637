//! What the screen shows, as lines, and what its keys do. Knows no terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use indicatif::HumanCount;
use pf_printing::{escape, wrap};

use super::{
    clock::iso,
    files::Files,
    lines::others,
    table::{Column, Span, file, has_others, head_of_files, per_second, sort},
    threads::{Books, Interval, Row},
};

/// Columns for the names of files: what is beside them gives way.
const NAMES: usize = 30;

const HELP: [&str; 14] = [
    "f            files instead of threads, and back; with a recording (-o) only",
    "< >  ← →     sort by the column to the left or right",
    "r            reverse the order",
    "c            MAJOR to P99_US: since the start, or in the latest interval",
    "p  space     pause: the table stops, counting continues",
    "↑ ↓  PgUp PgDn  Home   scroll",
    "Ctrl-L       redraw the screen",
    "q            quit; COMMAND continues, and pfrec waits for it",
    "Ctrl-C       stop, as without the live view: COMMAND receives it, too",
    "",
    "WAIT_%: latency of the faults that completed in the interval, in percent of the interval; a fault that is",
    "longer makes it exceed 100. MAJOR/S, MINOR/S: rates in the interval. P99_US, and MAX_MS and MIN_US of the",
    "interval view, come from a histogram: up to 1/8 too high (MIN_US: too low).",
    "A thread that ended is shown one last time. Press any key to return.",
];

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Reverse,
}

/// A line of the screen.
pub type Line = Vec<(Style, String)>;

/// What a key asks of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// Another picture.
    Draw,
    /// The same picture on a clean screen.
    Redraw,
    /// The end.
    Quit,
    /// What Ctrl-C is elsewhere.
    Interrupt,
}

/// The state of the screen.
pub struct Frame {
    /// What is watched, and how: for the first line.
    about: String,
    /// What is left out, in words.
    filters: String,
    interval: Option<Interval>,
    /// What is recorded, where something is.
    files: Option<Files>,
    file_rows: Vec<Row>,
    shows_files: bool,
    sorted_by: Column,
    files_sorted_by: Column,
    reverse: bool,
    span: Span,
    paused: bool,
    help: bool,
    first_row: usize,
    /// Rows that there was room for.
    page: usize,
}

impl Frame {
    /// An empty one.
    #[must_use]
    pub fn new(about: String, filters: String, files: Option<Files>) -> Self {
        Self {
            about,
            filters,
            interval: None,
            files,
            file_rows: Vec::new(),
            shows_files: false,
            sorted_by: Column::Wait,
            files_sorted_by: Column::Wait,
            reverse: false,
            span: Span::Start,
            paused: false,
            help: false,
            first_row: 0,
            page: 1,
        }
    }

    /// Shows an interval, unless the picture is to stand still.
    pub fn take(&mut self, interval: Interval) {
        let file_rows = self.files.as_ref().map(Files::take).unwrap_or_default();
        if !self.paused {
            self.interval = Some(interval);
            self.file_rows = file_rows;
        }
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) -> Wish {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Wish::Interrupt,
            KeyCode::Char('l') if control => return Wish::Redraw,
            _ if std::mem::take(&mut self.help) => {}
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Char('h' | '?') => self.help = true,
            KeyCode::Char('f') => {
                self.shows_files = !self.shows_files;
                self.first_row = 0;
            }
            KeyCode::Char('<') | KeyCode::Left => self.sort_by(self.columns().len() - 1),
            KeyCode::Char('>') | KeyCode::Right => self.sort_by(1),
            KeyCode::Char('r') => self.reverse = !self.reverse,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('c') => {
                self.span = match self.span {
                    Span::Start => Span::Interval,
                    Span::Interval => Span::Start,
                }
            }
            KeyCode::Up => self.first_row = self.first_row.saturating_sub(1),
            KeyCode::Down => self.first_row += 1,
            KeyCode::PageUp => self.first_row = self.first_row.saturating_sub(self.page),
            KeyCode::PageDown => self.first_row += self.page,
            KeyCode::Home => self.first_row = 0,
            _ => return Wish::None,
        }
        Wish::Draw
    }

    /// The picture for a screen of this size. `output` is what COMMAND printed last.
    pub fn lines(&mut self, (width, height): (usize, usize), output: Option<&str>) -> Vec<Line> {
        let all = self.columns();
        let room = if self.shows_files {
            width.saturating_sub(NAMES)
        } else {
            width
        };
        let columns = Column::fitting(all, room, self.sorted_by());
        let mut lines = self.summary(width, all.len() - columns.len());
        let mut below = Vec::new();
        if let Some(output) = output.filter(|output| !output.is_empty()) {
            below.push(plain(format!("output: {}", escape(output))));
        }
        below.push(self.keys());
        let room = height.saturating_sub(lines.len() + below.len());
        let mut body = if self.help {
            HELP.iter().map(|text| plain((*text).to_owned())).collect()
        } else if self.shows_files {
            self.table_of_files(&columns, room, width)
        } else {
            self.table(&columns, room)
        };
        body.resize(room, Vec::new());
        lines.append(&mut body);
        lines.append(&mut below);
        lines.truncate(height);
        lines
    }

    /// `left_out` is the number of columns that there is no room for.
    fn summary(&self, width: usize, left_out: usize) -> Vec<Line> {
        let paused = if self.paused { " PAUSED " } else { "" };
        let Some(interval) = &self.interval else {
            return vec![vec![
                (Style::Reverse, paused.to_owned()),
                (Style::Bold, format!("pfrec  {}", self.about)),
            ]];
        };
        let Books {
            majors,
            minors,
            failed,
            kernel_majors,
            kernel_minors,
            lost,
            hidden,
            filtered,
            ..
        } = interval.books;
        let change = &interval.change;
        let time = iso(interval.utc_ns, 1);
        let time = time.get(11..19).unwrap_or_default();
        let failed = match failed {
            0 => String::new(),
            _ => format!(", {} failed or abandoned", HumanCount(failed)),
        };
        let mut threads = format!(
            "{}, {} of {} slots in use",
            interval.rows.len(),
            HumanCount(interval.slots_used.into()),
            HumanCount(interval.slots.into()),
        );
        if left_out > 0 {
            let columns = if left_out == 1 { "column" } else { "columns" };
            threads.push_str(&format!("; {left_out} {columns} hidden: widen the terminal"));
        }
        if has_others(interval) {
            threads.push_str(&format!(
                "; {} more share the row \"other threads\" (no free slot, or too many ended at once): raise --live-threads",
                HumanCount(others(interval))
            ));
        }
        let seconds = interval.elapsed_ns / 1_000_000_000;
        let faults = format!(
            "{} major, {} minor{failed}; {:.1} and {:.1} per second; in faults {:.1} % of the interval, summed over threads",
            HumanCount(majors),
            HumanCount(minors),
            per_second(change.majors, interval.length_ns),
            per_second(change.minors, interval.length_ns),
            change.total_ns as f64 * 100.0 / interval.length_ns.max(1) as f64,
        );
        let kernel = format!(
            "{} = {} counted + {} lost + {} hidden + {} filtered",
            HumanCount(kernel_majors + kernel_minors),
            HumanCount(majors + minors),
            HumanCount(lost),
            HumanCount(hidden),
            HumanCount(filtered),
        );
        let mut lines = vec![vec![
            (Style::Reverse, paused.to_owned()),
            (
                Style::Bold,
                format!("pfrec  {time} UTC  {seconds} s  {}", self.about),
            ),
        ]];
        for (label, text) in [("faults", faults), ("kernel", kernel), ("threads", threads)] {
            lines.extend(labeled(label, &text, width));
        }
        if !self.filters.is_empty() {
            lines.extend(labeled("only", &escape(&self.filters), width));
        }
        lines
    }

    fn table(&mut self, columns: &[Column], room: usize) -> Vec<Line> {
        let mut lines = vec![self.head(columns)];
        let Some(interval) = &self.interval else {
            return lines;
        };
        let length_ns = interval.length_ns;
        let mut rows = interval.rows.clone();
        if has_others(interval) {
            rows.push(interval.others.clone());
        }
        sort(&mut rows, self.sorted_by, self.span, self.reverse);
        self.scroll(room, rows.len());
        for row in rows.iter().skip(self.first_row).take(self.page) {
            lines.push(body(columns, row, self.span, length_ns));
        }
        lines
    }

    fn table_of_files(&mut self, columns: &[Column], room: usize, width: usize) -> Vec<Line> {
        if self.files.is_none() {
            return vec![plain(
                "Files are shown only beside a recording (pfrec -i -o FILE). f: back to the threads"
                    .to_owned(),
            )];
        }
        let mut lines = vec![vec![(Style::Bold, head_of_files(columns))]];
        let length_ns = self.interval.as_ref().map_or(0, |interval| interval.length_ns);
        let mut rows = self.file_rows.clone();
        sort(&mut rows, self.files_sorted_by, self.span, self.reverse);
        self.scroll(room, rows.len());
        for row in rows.iter().skip(self.first_row).take(self.page) {
            lines.push(plain(file(columns, row, self.span, length_ns, width)));
        }
        lines
    }

    /// Leaves the place in the table where there are rows, of which `room` are seen with the head.
    fn scroll(&mut self, room: usize, rows: usize) {
        self.page = room.saturating_sub(1).max(1);
        self.first_row = self.first_row.min(rows.saturating_sub(self.page));
    }

    fn head(&self, columns: &[Column]) -> Line {
        let mut line: Line = Vec::new();
        for &column in columns {
            let (name, width) = column.head();
            let name = match column {
                Column::Comm => format!("{name:<width$}"),
                _ => format!("{name:>width$}"),
            };
            if !line.is_empty() {
                line.push((Style::Reverse, " ".to_owned()));
            }
            let style = if column == self.sorted_by {
                Style::Bold
            } else {
                Style::Reverse
            };
            line.push((style, name));
        }
        line
    }

    fn keys(&self) -> Line {
        let span = match self.span {
            Span::Start => "since the start",
            Span::Interval => "in the interval",
        };
        let order = if self.reverse { ", reversed" } else { "" };
        vec![(
            Style::Dim,
            format!(
                "q quit  ? help  f {}  < > sort: {}{order}  r reverse  c {span}  p {}",
                if self.shows_files { "threads" } else { "files" },
                self.sorted_by().head().0,
                if self.paused { "go on" } else { "pause" },
            ),
        )]
    }

    fn columns(&self) -> &'static [Column] {
        if self.shows_files {
            &Column::OF_FILES
        } else {
            &Column::ALL
        }
    }

    fn sorted_by(&self) -> Column {
        if self.shows_files {
            self.files_sorted_by
        } else {
            self.sorted_by
        }
    }

    fn sort_by(&mut self, step: usize) {
        let columns = self.columns();
        let at = columns.iter().position(|column| *column == self.sorted_by());
        let next = columns[(at.unwrap_or(0) + step) % columns.len()];
        match self.shows_files {
            true => self.files_sorted_by = next,
            false => self.sorted_by = next,
        }
        self.reverse = false;
    }
}

fn body(columns: &[Column], row: &Row, span: Span, length_ns: u64) -> Line {
    let style = if row.ended { Style::Dim } else { Style::Plain };
    vec![(style, super::table::body(columns, row, span, length_ns))]
}

/// Text behind a label, in as many lines as it needs.
fn labeled(label: &str, text: &str, width: usize) -> Vec<Line> {
    const LABEL: usize = 9;
    let mut label = label;
    wrap(text, width.saturating_sub(LABEL))
        .into_iter()
        .map(|part| plain(format!("{:<LABEL$}{part}", std::mem::take(&mut label))))
        .collect()
}

fn plain(text: String) -> Line {
    vec![(Style::Plain, text)]
}

#[cfg(test)]
mod tests {
    use super::{super::threads::Sums, *};
    use pf_formats::{Dict, Event, Object, ObjectId};

    fn frame() -> Frame {
        let row = |tid: u32, majors: u64, waited: u64| Row {
            pid: 1,
            tid,
            comm: format!("t{tid}"),
            ended: false,
            total: Sums {
                majors,
                total_ns: 1,
                ..Sums::default()
            },
            interval: Sums {
                majors: 1,
                total_ns: waited,
                ..Sums::default()
            },
        };
        let mut frame = Frame::new("perf backend".to_owned(), String::new(), None);
        frame.take(Interval {
            rows: vec![row(1, 9, 5), row(2, 8, 6), row(3, 7, 7)],
            length_ns: 1_000_000_000,
            slots: 8192,
            ..Interval::default()
        });
        frame
    }

    fn text(lines: &[Line]) -> Vec<String> {
        let join = |line: &Line| line.iter().map(|(_, text)| text.as_str()).collect::<String>();
        lines.iter().map(join).collect()
    }

    fn press(frame: &mut Frame, key: char) -> Wish {
        frame.key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE))
    }

    fn order(frame: &mut Frame) -> Vec<u32> {
        let lines = text(&frame.lines((130, 24), None));
        let tid = |line: &String| line.split_whitespace().nth(1).and_then(|tid| tid.parse().ok());
        lines[5..].iter().filter_map(tid).collect()
    }

    #[test]
    fn the_picture_fills_the_screen_and_never_more() {
        for height in [0, 1, 3, 6, 24] {
            assert_eq!(frame().lines((130, height), Some("x")).len(), height);
        }
        let lines = text(&frame().lines((130, 24), Some("\x1b[2Jdone")));
        assert!(lines[0].contains("perf backend"), "{lines:#?}");
        assert!(lines[2].contains("kernel   0 = 0 counted"), "{lines:#?}");
        assert_eq!(lines[22], "output: \\x1b[2Jdone");
        assert!(lines[23].starts_with("q quit"), "{lines:#?}");
    }

    #[test]
    fn rows_are_sorted_by_the_column_that_the_keys_choose() {
        let mut frame = frame();
        assert_eq!(order(&mut frame), [3, 2, 1]);
        press(&mut frame, 'r');
        assert_eq!(order(&mut frame), [1, 2, 3]);
        // From the last column round to the first ones.
        for _ in 0..4 {
            press(&mut frame, '>');
        }
        assert!(text(&frame.lines((130, 24), None))[23].contains("sort: MAJOR"));
        assert_eq!(order(&mut frame), [1, 2, 3]);
        press(&mut frame, '<');
        assert!(text(&frame.lines((130, 24), None))[23].contains("sort: COMM"));
    }

    #[test]
    fn a_narrow_screen_says_how_many_columns_it_hides_and_keeps_that_of_the_order() {
        let mut frame = frame();
        let shown = |frame: &mut Frame, width| text(&frame.lines((width, 24), None));
        let wide = shown(&mut frame, 130);
        assert!(!wide.iter().any(|line| line.contains("hidden: ")), "{wide:#?}");
        for width in [40, 80, 100] {
            let lines = shown(&mut frame, width);
            // The rows and the keys are cut by the terminal.
            let wrapped = lines[1..].iter().take_while(|line| !line.contains(" COMM "));
            assert!(
                wrapped.clone().all(|line| line.chars().count() <= width),
                "{lines:#?}"
            );
            assert!(
                lines.iter().any(|line| line.contains(" hidden: widen")),
                "{lines:#?}"
            );
            assert!(lines.iter().any(|line| line.ends_with(" WAIT_%")), "{lines:#?}");
            assert!(lines.join(" ").contains("summed over"), "{lines:#?}");
        }
        // From the last column round to MIN_US, which is the first to be hidden.
        for _ in 0..4 {
            press(&mut frame, '<');
        }
        let lines = shown(&mut frame, 80);
        assert!(lines.iter().any(|line| line.contains(" MIN_US")), "{lines:#?}");
    }

    #[test]
    fn files_are_shown_instead_of_threads_where_something_is_recorded() {
        let shown = |frame: &mut Frame, width| text(&frame.lines((width, 24), None));
        let mut without = frame();
        press(&mut without, 'f');
        let lines = shown(&mut without, 130);
        assert!(
            lines[4].starts_with("Files are shown only beside a recording"),
            "{lines:#?}"
        );
        press(&mut without, 'f');
        assert_eq!(order(&mut without), [3, 2, 1]);

        let files = Files::default();
        let mut counter = files.counter();
        let object = |path: &str| Object {
            path: path.to_owned(),
            ..Object::default()
        };
        let long = format!("/long/{}/end", "x".repeat(90));
        counter.learn(&Dict::Objects {
            first_id: 1,
            entries: vec![object("/a\x1b[2J"), object(&long)],
        });
        let fault = |object, major, latency_ns| Event {
            object: ObjectId(object),
            major,
            latency_ns,
            ..Event::default()
        };
        [
            fault(1, true, 1_000_000),
            fault(2, false, 2_000_000),
            fault(1, true, 0),
        ]
        .iter()
        .for_each(|fault| counter.push(fault));
        counter.flush();
        let mut frame = Frame::new("perf backend".to_owned(), String::new(), Some(files));
        let second = || Interval {
            length_ns: 1_000_000_000,
            ..Interval::default()
        };
        frame.take(second());
        press(&mut frame, 'f');
        let lines = shown(&mut frame, 130);
        assert!(
            lines[4].ends_with(" WAIT_% FILE") && lines[4].starts_with("   MAJOR "),
            "{lines:#?}"
        );
        assert!(
            lines[5].contains("    0.2 …") && lines[5].ends_with("/end"),
            "{lines:#?}"
        );
        assert!(lines[6].ends_with("    0.1 /a\\x1b[2J"), "{lines:#?}");
        assert!(lines.iter().all(|line| line.chars().count() <= 130), "{lines:#?}");
        // From the last column round to the first one.
        press(&mut frame, '>');
        let lines = shown(&mut frame, 80);
        assert!(
            lines[23].contains("f threads") && lines[23].contains("sort: MAJOR"),
            "{lines:#?}"
        );
        let row = |line: &str| lines.iter().position(|each| each.contains(line));
        assert!(row("/a").is_some() && row("/a") < row("/end"), "{lines:#?}");
        assert!(lines.join(" ").contains("columns hidden: widen"), "{lines:#?}");
        // The next interval without a fault.
        frame.take(second());
        let lines = shown(&mut frame, 130);
        assert!(
            lines.iter().filter(|line| line.contains("    0.0 ")).count() == 2,
            "{lines:#?}"
        );
    }

    #[test]
    fn a_paused_screen_stands_still() {
        let mut frame = frame();
        press(&mut frame, 'p');
        frame.take(Interval::default());
        assert_eq!(order(&mut frame).len(), 3);
        press(&mut frame, 'p');
        frame.take(Interval::default());
        assert!(order(&mut frame).is_empty());
    }

    #[test]
    fn help_is_left_with_any_key_and_the_end_is_asked_for_with_q() {
        let mut frame = frame();
        press(&mut frame, '?');
        assert!(
            text(&frame.lines((130, 24), None))
                .iter()
                .any(|line| line.contains("reverse the order"))
        );
        assert_eq!(press(&mut frame, 'q'), Wish::Draw);
        assert_eq!(press(&mut frame, 'q'), Wish::Quit);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(frame.key(interrupt), Wish::Interrupt);
    }

    #[test]
    fn scrolling_ends_at_the_last_row() {
        let mut frame = frame();
        for _ in 0..9 {
            frame.key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
        }
        // Four lines above, a head, two rows, the keys.
        let lines = text(&frame.lines((130, 8), None));
        assert!(lines[6].contains(" t1 "), "{lines:#?}");
    }
}
