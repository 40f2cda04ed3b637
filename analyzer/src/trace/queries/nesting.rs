//! Which query ran inside which, for all queries of a trace: 24 bytes each.

/// Queries around a query that are looked at; a forged trace can make circles of parents.
const DEPTH: usize = 256;

/// Queries that are linked: a small forged record can claim many, and they cost memory until the end.
pub(crate) const KEPT: usize = 20_000_000;

#[derive(Clone, Copy, Debug)]
struct Link {
    id: u64,
    parent: u64,
    tag: u32,
}

/// Queries by id, with their parent and a number that the user of the links gives them.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: Vec<Link>,
    left_out: u64,
}

impl Links {
    /// Adds a query, as long as there are not too many.
    pub fn add(&mut self, id: u64, parent: u64, tag: u32) {
        if self.links.len() < KEPT {
            self.links.push(Link { id, parent, tag });
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// Queries that were too many.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// To be called after the last `add` and before the first question. The first row of an id stands.
    pub fn settle(&mut self) {
        self.links.sort_by_key(|link| link.id);
        self.links.dedup_by_key(|link| link.id);
    }

    /// The query and those around it, innermost first, with their tags. One without a row has none, and ends the chain.
    pub fn chain(&self, id: u64) -> impl Iterator<Item = (u64, Option<u32>)> + '_ {
        let mut next = id;
        std::iter::from_fn(move || {
            if next == 0 {
                return None;
            }
            let this = next;
            let link = self.find(this);
            next = link.map_or(0, |link| link.parent);
            Some((this, link.map(|link| link.tag)))
        })
        .take(DEPTH)
    }

    fn find(&self, id: u64) -> Option<Link> {
        // Ids mostly follow each other without gaps.
        let first = self.links.first()?.id;
        let guess = usize::try_from(id.checked_sub(first)?).ok();
        if let Some(link) = guess.and_then(|at| self.links.get(at))
            && link.id == id
        {
            return Some(*link);
        }
        let at = self.links.binary_search_by_key(&id, |link| link.id).ok()?;
        self.links.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(rows: &[(u64, u64)]) -> Links {
        let mut links = Links::default();
        for (tag, &(id, parent)) in rows.iter().enumerate() {
            links.add(id, parent, tag as u32);
        }
        links.settle();
        links
    }

    #[test]
    fn a_chain_leads_from_the_innermost_query_outwards() {
        let links = links(&[(9, 4), (4, 2), (2, 0), (700, 3), (9, 1)]);
        let chain = |id| links.chain(id).collect::<Vec<_>>();
        assert_eq!(chain(9), [(9, Some(0)), (4, Some(1)), (2, Some(2))]);
        assert_eq!(chain(700), [(700, Some(3)), (3, None)]);
        assert_eq!(chain(5), [(5, None)]);
        assert_eq!(chain(0), []);
    }

    #[test]
    fn circles_end() {
        let links = links(&[(1, 2), (2, 1), (3, 3)]);
        assert_eq!(links.chain(1).count(), DEPTH);
        assert_eq!(links.chain(3).count(), DEPTH);
    }
}
