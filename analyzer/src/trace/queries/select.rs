//! `--query NAME|ID`: which queries are meant, those inside them included.

use crate::error::AnalyzeError;
use crate::trace::queries::nesting::{KEPT, Links};
use crate::trace::queries::{each_row, label};
use pf_formats::{Query, TraceReader};
use pf_notation::names::glob;
use polars::prelude::PlHashSet;
use std::collections::BTreeSet;
use std::io::Read;

/// Names told when none fits.
const NAMES_TOLD: usize = 8;

/// Ids of queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSet(PlHashSet<u64>);

impl IdSet {
    /// Whether this query is one of them; 0 is none.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.0.contains(&id)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value of `--query`.
enum Wanted {
    Id(u64),
    /// In part, or with `*` or `?` in whole: texts are long, and commas are letters of theirs.
    Named(String),
}

impl Wanted {
    fn new(text: &str) -> Self {
        match text.parse() {
            Ok(id) => Self::Id(id),
            Err(_) => Self::Named(text.to_owned()),
        }
    }

    /// By its id, its name, its text, or its text as the table shows it, which may hold `?` as a letter.
    fn fits(&self, query: &Query) -> bool {
        match self {
            Self::Id(id) => query.id.0 == *id,
            Self::Named(pattern) => {
                let is_glob = pattern.contains(['*', '?']);
                let fits = |name: &str| {
                    if is_glob {
                        glob(pattern, name)
                    } else {
                        name.contains(pattern)
                    }
                };
                let text = query.text.as_deref();
                fits(&query.name)
                    || text.is_some_and(fits)
                    || text.is_some() && {
                        let label = label(query);
                        label.contains(pattern) || fits(&label)
                    }
            }
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Selection {
    /// The queries that fit, and those inside them.
    pub ids: IdSet,
    /// What to say when nothing fits.
    pub hint: Option<String>,
}

/// Looks for the queries that fit one of `patterns`.
///
/// # Errors
/// I/O errors of the input, or a trace without queries.
pub fn select<R: Read>(reader: TraceReader<R>, patterns: &[String]) -> Result<Selection, AnalyzeError> {
    let wanted: Vec<Wanted> = patterns.iter().map(|text| Wanted::new(text)).collect();
    let mut ids: PlHashSet<u64> = PlHashSet::default();
    // Faults may name a query whose row is missing.
    ids.extend(wanted.iter().filter_map(|wanted| match wanted {
        Wanted::Id(id) if *id != 0 => Some(*id),
        _ => None,
    }));
    let mut fitting = 0u64;
    let mut inside: Vec<u64> = Vec::new();
    let mut links = Links::default();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut has_rows = false;
    each_row(reader, |query, _| {
        has_rows = true;
        if wanted.iter().any(|wanted| wanted.fits(query)) {
            fitting += 1;
            // More cannot be asked for; see below.
            if ids.len() <= KEPT {
                ids.insert(query.id.0);
            }
        } else if query.parent.0 != 0 && inside.len() <= KEPT {
            inside.push(query.id.0);
        }
        if query.parent.0 != 0 {
            links.add(query.id.0, query.parent.0, 0);
        }
        if fitting == 0 && names.len() <= NAMES_TOLD {
            names.insert(label(query).into_owned());
        }
    })?;
    if !has_rows {
        return Err(without_queries());
    }
    if ids.len() > KEPT || links.left_out() > 0 {
        return Err(AnalyzeError::Unanswerable(
            "the trace has too many queries to find those that --query means".to_owned(),
        ));
    }
    links.settle();
    let around = |id: &u64| links.chain(*id).any(|(outer, _)| ids.contains(&outer));
    let inside: Vec<u64> = inside.into_iter().filter(around).collect();
    ids.extend(inside);
    let has_names = wanted.iter().any(|wanted| matches!(wanted, Wanted::Named(_)));
    let hint = (fitting == 0).then(|| {
        if !has_names {
            return format!("the trace has no record of query {}", patterns.join(", "));
        }
        let more = if names.len() > NAMES_TOLD {
            ", and others"
        } else {
            ""
        };
        let shown: Vec<String> = names.into_iter().take(NAMES_TOLD).collect();
        format!("no query fits; the trace has: {}{more}", shown.join(", "))
    });
    Ok(Selection {
        ids: IdSet(ids),
        hint,
    })
}

/// The trace has no row of a query.
#[must_use]
pub(crate) fn without_queries() -> AnalyzeError {
    AnalyzeError::Unanswerable(
        "the trace has no queries: none ran, or none was looked for; 'pfrec --query SPEC' says what begins and ends one".to_owned(),
    )
}
