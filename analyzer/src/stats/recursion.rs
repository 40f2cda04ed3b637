//! What the queries of a name have all together where they run inside each other: a query that calls itself ten deep has each
//! fault of the innermost call in ten rows, and it is one fault. Rows come in the order of their ends, inner ones first, so what a row
//! has is kept until the row around it comes; if that has the same name, it has the same faults, and they are taken back.
//! It needs memory for queries that have not ended, and not for those that have.

use pf_formats::{Query, QueryFaults};
use polars::prelude::PlHashMap;

/// Queries around a query that are looked at; a forged trace can make circles of parents.
const DEPTH: usize = 256;

/// Rows that are remembered in case one inside them comes later, and rows around others that are waited for.
const REMEMBERED: usize = 1 << 16;
const AWAITED: usize = 1 << 20;

/// What queries have that do not run inside each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Faults, those of queries inside them included.
    pub faults: QueryFaults,
    /// How long those took of which that is known, nanoseconds.
    pub wall_ns: u64,
    /// What these waited.
    pub wait_in_wall_ns: u64,
}

impl Share {
    /// Of one query.
    #[must_use]
    pub fn of(row: &Query) -> Self {
        let faults = row.total();
        let wall_ns = row.wall_ns();
        Self {
            faults,
            wall_ns: wall_ns.unwrap_or(0),
            wait_in_wall_ns: wall_ns.map_or(0, |_| faults.wait_ns),
        }
    }

    fn each(&mut self, other: &Self, change: impl Fn(u64, u64) -> u64) {
        for (own, other) in [
            (&mut self.faults.majors, other.faults.majors),
            (&mut self.faults.minors, other.faults.minors),
            (&mut self.faults.wait_ns, other.faults.wait_ns),
            (&mut self.wall_ns, other.wall_ns),
            (&mut self.wait_in_wall_ns, other.wait_in_wall_ns),
        ] {
            *own = change(*own, other);
        }
    }

    /// Adds what `other` has.
    pub fn add(&mut self, other: &Self) {
        self.each(other, u64::saturating_add);
    }

    /// Takes away what was added before.
    pub(crate) fn take_away(&mut self, other: &Self) {
        self.each(other, u64::saturating_sub);
    }
}

/// What was counted inside a query, by group.
type Inside = Vec<(u32, Share)>;

#[derive(Clone, Copy, Debug)]
struct Row {
    parent: u64,
    group: u32,
    has_wall: bool,
}

/// Tells what was counted twice.
#[derive(Debug, Default)]
pub(crate) struct Nesting {
    /// By the query around, whose row has not come.
    awaited: PlHashMap<u64, Inside>,
    recent: PlHashMap<u64, Row>,
    older: PlHashMap<u64, Row>,
}

impl Nesting {
    /// Takes in a row that was counted in a group, and tells what of the groups is in two rows now.
    pub fn add(&mut self, query: &Query, group: u32, mut twice: impl FnMut(u32, &Share)) {
        let row = Row {
            parent: query.parent.0,
            group,
            has_wall: query.wall_ns().is_some(),
        };
        let mut inside = self.awaited.remove(&query.id.0).unwrap_or_default();
        cover(&mut inside, row, &mut twice);
        merge(&mut inside, group, &Share::of(query));
        let mut outer = row.parent;
        for _ in 0..DEPTH {
            if outer == 0 || inside.is_empty() {
                break;
            }
            let Some(&around) = self.recent.get(&outer).or_else(|| self.older.get(&outer)) else {
                self.keep(outer, inside);
                break;
            };
            cover(&mut inside, around, &mut twice);
            outer = around.parent;
        }
        if self.recent.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.entry(query.id.0).or_insert(row);
    }

    fn keep(&mut self, outer: u64, inside: Inside) {
        if self.awaited.len() >= AWAITED && !self.awaited.contains_key(&outer) {
            return;
        }
        let known = self.awaited.entry(outer).or_default();
        for (group, share) in &inside {
            merge(known, *group, share);
        }
    }
}

/// What `row` has as well is told, and not looked for again. How long a query took holds what those inside it took only where that
/// is known.
fn cover(inside: &mut Inside, row: Row, twice: &mut impl FnMut(u32, &Share)) {
    let Some(at) = inside.iter().position(|&(group, _)| group == row.group) else {
        return;
    };
    let Some((group, share)) = inside.get_mut(at) else {
        return;
    };
    let both = match row.has_wall {
        true => *share,
        false => Share {
            faults: share.faults,
            ..Share::default()
        },
    };
    twice(*group, &both);
    share.take_away(&both);
    if *share == Share::default() {
        inside.swap_remove(at);
    }
}

fn merge(inside: &mut Inside, group: u32, share: &Share) {
    match inside.iter_mut().find(|(known, _)| *known == group) {
        Some((_, known)) => known.add(share),
        None => inside.push((group, *share)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pf_formats::{QueryEnd, QueryId};

    /// Query, parent, group, own wait and wall, 0 if it is not known. A query waits for what those inside it wait for, too.
    type Given = (u64, u64, u32, u64, u64);

    fn once(rows: &[Given], group: u32) -> (u64, u64, u64) {
        let total = |id: u64| -> u64 {
            let inside = |row: &&Given| {
                let around = std::iter::successors(Some(row.0), |&id| {
                    rows.iter().find(|row| row.0 == id).map(|row| row.1)
                });
                around.take(20).any(|around| around == id)
            };
            rows.iter().filter(inside).map(|row| row.3).sum()
        };
        let mut nesting = Nesting::default();
        let mut sums = [Share::default(); 3];
        for &(id, parent, group, own, wall_ns) in rows {
            let query = Query {
                id: QueryId(id),
                parent: QueryId(parent),
                begin_ns: 1,
                end_ns: 1 + wall_ns,
                end: if wall_ns == 0 {
                    QueryEnd::Open
                } else {
                    QueryEnd::Ended
                },
                own: QueryFaults {
                    wait_ns: own,
                    ..QueryFaults::default()
                },
                nested: QueryFaults {
                    wait_ns: total(id) - own,
                    ..QueryFaults::default()
                },
                ..Query::default()
            };
            let mut change = |group: u32, change: &dyn Fn(&mut Share)| {
                sums.get_mut(group as usize).into_iter().for_each(change);
            };
            change(group, &|sum| sum.add(&Share::of(&query)));
            nesting.add(&query, group, |group, twice| {
                change(group, &|sum| sum.take_away(twice));
            });
        }
        let sum = sums.get(group as usize).copied().unwrap_or_default();
        (sum.faults.wait_ns, sum.wait_in_wall_ns, sum.wall_ns)
    }

    #[test]
    fn a_query_that_calls_itself_has_its_faults_once_in_any_order_of_the_rows() {
        // 1 ( 2 ( 1 ( 1 ) ) 1 )
        let rows = [
            (5, 4, 1, 1, 10),
            (4, 3, 1, 10, 20),
            (3, 1, 2, 100, 30),
            (2, 1, 1, 1_000, 40),
            (1, 0, 1, 7, 100),
        ];
        let mut turned = rows;
        for _ in 0..rows.len() {
            turned.rotate_left(1);
            for order in [turned, {
                let mut back = turned;
                back.reverse();
                back
            }] {
                assert_eq!(once(&order, 1), (1_118, 1_118, 100), "{order:?}");
                assert_eq!(once(&order, 2), (111, 111, 30), "{order:?}");
            }
        }
    }

    #[test]
    fn a_query_without_an_end_does_not_hide_how_long_those_inside_it_took() {
        let rows = [(3, 2, 1, 5, 50), (2, 1, 1, 3, 0), (1, 0, 1, 2, 0)];
        assert_eq!(once(&rows, 1), (10, 5, 50));
        let mut back = rows;
        back.reverse();
        assert_eq!(once(&back, 1), (10, 5, 50));
    }

    #[test]
    fn circles_of_parents_end() {
        let row = |id, parent| Query {
            id: QueryId(id),
            parent: QueryId(parent),
            ..Query::default()
        };
        let mut nesting = Nesting::default();
        for (id, parent) in [(1, 2), (2, 1), (3, 3), (3, 3), (1, 2)] {
            nesting.add(&row(id, parent), 0, |_, _| {});
        }
    }
}
