//! What of a heatmap is worth showing, what it is called, and what is left out: the heaviest files and regions, each cut to
//! where its weight is. Text, data and pictures are made of the same panels.

use crate::engine::filter::Filter;
use crate::engine::tally::Cell;
use crate::error::AnalyzeError;
use crate::output::text::shell_words;
use crate::output::text::{escape, width as text_width, wrap};
use crate::output::units::{bytes, duration, fixed, percent, quantity};
use crate::request::weight::Weight;
use crate::trace::session::Session;
use crate::verbs::heatmap::grid::{Grid, Region};
use crate::verbs::heatmap::grids::Key;
use crate::verbs::heatmap::pass::{Axis, Heat};
use crate::verbs::heatmap::text::{MARGIN_COLUMNS, Style, draw};
use crate::verbs::heatmap::view::{Ask, Unit, View, Zoom};
use pf_notation::address;
use pf_notation::names::quoted;
use std::cmp::Reverse;
use std::io::Write;

/// Parts below one in this many are not worth a line.
const WORTH_A_LINE: u128 = 1000;

/// How much of the result to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Rows and columns of cells.
    pub size: (usize, usize),
    /// Regions of the address space.
    pub regions: usize,
}

/// One region or file, cut out and named. Names are safe for a terminal.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What is shown.
    pub view: View,
    /// Which axes, of what.
    pub title: String,
    /// Extent and share; then what is left out, if anything.
    pub facts: Vec<String>,
    /// Whether rows are addresses, not offsets.
    pub is_address: bool,
}

/// One region or file, ready to be shown.
pub(crate) struct Part<'a> {
    pub(crate) key: &'a Key,
    comm_id: u32,
    grid: &'a Grid,
    region: &'a Region,
    total: Cell,
}

impl Heat {
    /// Files and regions, heaviest first.
    pub(crate) fn parts(&self, weight: Weight) -> Vec<Part<'_>> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        for place in self.places.all() {
            parts.extend(place.grid.regions().iter().map(|region| Part {
                key: &place.key,
                comm_id: place.comm_id,
                grid: &place.grid,
                region,
                total: region.total(),
            }));
        }
        parts.sort_by(|a, b| {
            let key = |part: &Part<'_>| (Reverse(weight.of(part.total)), Reverse(part.total.count));
            key(a)
                .cmp(&key(b))
                .then(a.key.cmp(b.key))
                .then(a.region.first_page.cmp(&b.region.first_page))
        });
        parts
    }

    /// What is shown of a part; `by` is the weight to zoom by.
    pub(crate) fn view(
        &self,
        part: &Part<'_>,
        size: (usize, usize),
        by: Option<Weight>,
        session: &Session,
        filter: &Filter,
    ) -> View {
        let (begin, end) = filter.window_ns(session);
        let since_begin_ns = |time_ns: u64| time_ns.saturating_sub(self.begin_ns(session));
        let page_size = session.page_size();
        let range = match self.axis {
            Axis::Address(range) => range,
            Axis::File | Axis::Latency => None,
        };
        let zoom = match by.filter(|_| self.zoom) {
            // What the user has chosen stays as it is, and the rare long faults are why one looks at latencies.
            Some(by) => Zoom {
                time: filter.from_ns.is_none() && filter.to_ns.is_none(),
                pages: self.axis != Axis::Latency,
                by,
            },
            None => Zoom::OFF,
        };
        let ask = Ask {
            window_ns: (since_begin_ns(begin), since_begin_ns(end)),
            pages: range.map(|(low, high)| (low / page_size, high / page_size)),
            size,
            unit: if self.axis == Axis::Latency {
                Unit::Latency
            } else {
                Unit::Pages(page_size)
            },
            zoom,
        };
        let view = View::new(part.grid, part.region, &ask);
        View {
            begin_ns: view.begin_ns.saturating_add(self.from_ns),
            ..view
        }
    }

    /// The heaviest parts, and one line for each of those that are left out and weigh something.
    #[must_use]
    pub fn panels(
        &self,
        session: &Session,
        filter: &Filter,
        extent: Extent,
        weight: Weight,
    ) -> (Vec<Panel>, Vec<String>) {
        let parts = self.parts(weight);
        let mut all = self.places.forgotten();
        parts.iter().for_each(|part| all.merge(part.total));
        let (shown, rest) = parts.split_at(extent.regions.min(parts.len()));
        let panels = shown.iter().map(|part| {
            let view = self.view(part, extent.size, Some(weight), session, filter);
            Panel {
                title: format!("{}: {}", self.title(part, session), weight.title()),
                facts: facts(part, &view, all, weight, session, filter),
                is_address: matches!(part.key, Key::Process(_)),
                view,
            }
        });
        let (value, what) = share_of(weight);
        let whole = u128::from(value(all));
        let is_worth = |part: &&Part<'_>| u128::from(value(part.total)) * WORTH_A_LINE >= whole;
        let worth: Vec<&Part<'_>> = rest.iter().filter(is_worth).collect();
        let told = worth.iter().take(5).map(|part| {
            let share = percent(u128::from(value(part.total)), whole);
            let how = how_to_see(part, session);
            format!("not shown: {how} with {share} of the {what}")
        });
        let more = worth.len().saturating_sub(5) as u64;
        let more = (more > 0).then(|| format!("not shown: {}", quantity(more, "more place")));
        (panels.collect(), told.chain(more).collect())
    }

    /// Draws the heaviest parts and names the others.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_text(
        &self,
        session: &Session,
        filter: &Filter,
        extent: Extent,
        style: Style,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        let (panels, not_shown) = self.panels(session, filter, extent, style.weight);
        if panels.is_empty() {
            writeln!(out, "no faults to draw")?;
            return Ok(());
        }
        let width = extent.size.1.saturating_add(MARGIN_COLUMNS).max(60);
        for (index, panel) in panels.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "{}", panel.title)?;
            for line in panel.facts.iter().flat_map(|fact| wrap(fact, width)) {
                writeln!(out, "{line}")?;
            }
            draw(&panel.view, style, width, out)?;
        }
        for line in not_shown {
            // A path that is broken could not be copied.
            let is_breakable = line.split(' ').all(|word| text_width(word) <= width);
            let room = if is_breakable { width } else { usize::MAX };
            for line in wrap(&line, room) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    pub(crate) fn title(&self, part: &Part<'_>, session: &Session) -> String {
        match part.key {
            Key::File(name) => format!("time x offset in {}", escape(name)),
            Key::Process(pid) => {
                let comm = session.dicts.comm(part.comm_id);
                let which = if self.axis == Axis::File {
                    ", memory without a file"
                } else {
                    ""
                };
                format!("time x address of pid {pid} {}{which}", escape(&comm))
            }
            Key::Latency => "time x latency".to_owned(),
        }
    }
}

/// The options of `heatmap` that show exactly this part, whole: cut, they would show nothing. In words where there are none.
fn how_to_see(part: &Part<'_>, session: &Session) -> String {
    let (begin, end) = place(part, session.page_size());
    match part.key {
        Key::File(name) => {
            let option = format!("--file {}", shell_words(&[quoted(name)]));
            // What a shell's quotes leave as it is, a terminal would be shown otherwise.
            if escape(&option) == option {
                option
            } else {
                escape(name)
            }
        }
        Key::Process(pid) => format!("--pid {pid} --address {}", address::range(&(begin..end))),
        Key::Latency => "other latencies".to_owned(),
    }
}

fn facts(
    part: &Part<'_>,
    view: &View,
    all: Cell,
    weight: Weight,
    session: &Session,
    filter: &Filter,
) -> Vec<String> {
    let (value, what) = share_of(weight);
    let share = percent(u128::from(value(part.total)), u128::from(value(all)));
    let faults = quantity(part.total.count, "fault");
    let (begin, end) = view.touched;
    let mut facts = vec![match part.key {
        Key::Latency => format!("{faults}, the longest {}", duration(part.total.max_ns)),
        Key::File(_) | Key::Process(_) => format!(
            "{begin:#x}-{end:#x} ({}), {faults} ({share} of the {what})",
            bytes(end.saturating_sub(begin))
        ),
    }];
    let mut cuts = Vec::new();
    if view.is_time_cut {
        let (from, to) = view.shown_ns();
        let (begin, end) = filter.window_ns(session);
        let whole = session.since_start_ns(end) - session.since_start_ns(begin);
        // Enough to tell the two ends apart.
        let decimals = match to.saturating_sub(from) {
            10_000_000.. => 3,
            10_000.. => 6,
            _ => 9,
        };
        let seconds = |ns: u64| fixed(ns, 1_000_000_000, decimals);
        cuts.push(format!(
            "{} s to {} s of {} s",
            seconds(from),
            seconds(to),
            seconds(whole)
        ));
    }
    if view.is_place_cut {
        let (from, to) = view.shown_places();
        cuts.push(format!("{from:#x}-{to:#x}"));
    }
    if !cuts.is_empty() {
        let left_out = match view.outside.count {
            0 => "no fault is outside".to_owned(),
            count => format!(
                "left out: {}, {} of the {what} above",
                quantity(count, "fault"),
                percent(u128::from(value(view.outside)), u128::from(value(part.total)))
            ),
        };
        facts.push(format!(
            "zoomed to {}; {left_out} (heatmap --whole shows all)",
            cuts.join(" and ")
        ));
    }
    facts
}

fn place(part: &Part<'_>, page_size: u64) -> (u64, u64) {
    let end = part.region.last_page.saturating_add(1).saturating_mul(page_size);
    (part.region.first_page.saturating_mul(page_size), end)
}

/// What shares are shares of: there is no share of a maximum.
fn share_of(weight: Weight) -> (fn(Cell) -> u64, &'static str) {
    match weight {
        Weight::Wait => (|cell| cell.wait_ns, "wait"),
        Weight::Count | Weight::Max => (|cell| cell.count, "faults"),
    }
}
