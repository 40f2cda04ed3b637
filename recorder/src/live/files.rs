//! The files that faults are in, beside the threads: summed up from what is recorded, and so only with a recording.

use std::sync::{Arc, Mutex, PoisonError};

use pf_formats::{Dict, Event, Object};

use super::threads::{Row, Sums};

/// Objects with a row of their own, by their ids; all further ones have one row together.
const MOST: usize = 1 << 16;

/// What that row is called.
const OTHERS: &str = "other files";

/// What has been counted of one object.
#[derive(Clone, Default)]
struct Counted {
    label: String,
    total: Sums,
    interval: Sums,
}

/// All rows; the screen reads them.
#[derive(Clone, Default)]
pub struct Files(Arc<Mutex<Vec<Counted>>>);

/// Takes in what is recorded, a batch at a time.
pub struct FileCounter {
    files: Files,
    labels: Vec<(usize, String)>,
    batch: Vec<(usize, Sums)>,
    /// Where in the batch an object is, plus 1.
    places: Vec<u32>,
}

impl Files {
    /// An end for events.
    #[must_use]
    pub fn counter(&self) -> FileCounter {
        FileCounter {
            files: self.clone(),
            labels: Vec::new(),
            batch: Vec::new(),
            places: Vec::new(),
        }
    }

    /// A row for each file with faults; the next interval begins.
    #[must_use]
    pub fn take(&self) -> Vec<Row> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |counted: &mut Counted| Row {
            comm: counted.label.clone(),
            total: counted.total,
            interval: std::mem::take(&mut counted.interval),
            ..Row::default()
        };
        counted
            .iter_mut()
            .filter(|counted| counted.total.count() > 0)
            .map(row)
            .collect()
    }
}

impl FileCounter {
    /// New names.
    pub fn learn(&mut self, dict: &Dict) {
        if let Dict::Objects { first_id, entries } = dict {
            let labels = entries.iter().zip(*first_id as usize..);
            let labels = labels.filter(|&(_, id)| id <= MOST);
            self.labels
                .extend(labels.map(|(object, id)| (id, label_of(object))));
        }
    }

    /// Counts a fault.
    pub fn push(&mut self, fault: &Event) {
        let object = (fault.object.0 as usize).min(MOST + 1);
        if object >= self.places.len() {
            self.places.resize(object + 1, 0);
        }
        let place = &mut self.places[object];
        if *place == 0 {
            self.batch.push((object, Sums::default()));
            *place = self.batch.len() as u32;
        }
        if let Some((_, sums)) = self.batch.get_mut(*place as usize - 1) {
            match (fault.failed, fault.major) {
                (true, _) => sums.failed += 1,
                (false, true) => sums.majors += 1,
                (false, false) => sums.minors += 1,
            }
            sums.total_ns = sums.total_ns.saturating_add(fault.latency_ns);
            sums.max_ns = sums.max_ns.max(fault.latency_ns);
        }
    }

    /// Shows what was counted.
    pub fn flush(&mut self) {
        if self.batch.is_empty() && self.labels.is_empty() {
            return;
        }
        let mut counted = self.files.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (object, label) in self.labels.drain(..) {
            entry(&mut counted, object).label = label;
        }
        for (object, sums) in self.batch.drain(..) {
            self.places[object] = 0;
            let counted = entry(&mut counted, object);
            add(&mut counted.total, &sums);
            add(&mut counted.interval, &sums);
        }
    }
}

fn entry(counted: &mut Vec<Counted>, object: usize) -> &mut Counted {
    while counted.len() <= object {
        let label = match counted.len() {
            0 => "[unknown]",
            id if id > MOST => OTHERS,
            _ => "",
        };
        counted.push(Counted {
            label: label.to_owned(),
            ..Counted::default()
        });
    }
    &mut counted[object]
}

fn add(to: &mut Sums, more: &Sums) {
    to.majors += more.majors;
    to.minors += more.minors;
    to.failed += more.failed;
    to.total_ns = to.total_ns.saturating_add(more.total_ns);
    to.max_ns = to.max_ns.max(more.max_ns);
}

/// As the analyzer calls it.
fn label_of(object: &Object) -> String {
    if object.path.is_empty() {
        format!("[{}]", object.kind.name())
    } else {
        object.path.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pf_formats::{ObjectId, ObjectKind};

    fn fault(object: usize, major: bool, latency_ns: u64) -> Event {
        Event {
            object: ObjectId(object as u32),
            major,
            latency_ns,
            ..Event::default()
        }
    }

    #[test]
    fn faults_count_for_their_file_since_the_start_and_in_the_interval() {
        let files = Files::default();
        let mut counter = files.counter();
        counter.learn(&Dict::Objects {
            first_id: 1,
            entries: vec![
                Object {
                    kind: ObjectKind::File,
                    path: "/a".to_owned(),
                    ..Object::default()
                },
                Object {
                    kind: ObjectKind::Anon,
                    ..Object::default()
                },
            ],
        });
        for (object, major, latency_ns) in [(1, true, 7), (2, false, 3), (1, false, 1), (0, false, 1)] {
            counter.push(&fault(object, major, latency_ns));
        }
        assert_eq!(files.take(), [], "not before the end of the batch");
        counter.flush();
        let of = |row: &Row| {
            (
                row.comm.clone(),
                row.total.total_ns,
                row.interval.total_ns,
                row.total.max_ns,
            )
        };
        let rows: Vec<_> = files.take().iter().map(of).collect();
        let row = |label: &str, total, interval, max| (label.to_owned(), total, interval, max);
        assert_eq!(
            rows,
            [
                row("[unknown]", 1, 1, 1),
                row("/a", 8, 8, 7),
                row("[anon]", 3, 3, 3)
            ]
        );
        counter.push(&fault(1, true, 2));
        counter.flush();
        let rows: Vec<_> = files.take().iter().map(of).collect();
        assert_eq!(rows[1], row("/a", 10, 2, 7));
    }

    #[test]
    fn files_beyond_the_bound_share_a_row() {
        let files = Files::default();
        let mut counter = files.counter();
        for object in [MOST, MOST + 1, MOST + 2, u32::MAX as usize] {
            counter.push(&fault(object, false, 1));
        }
        counter.flush();
        let rows = files.take();
        assert_eq!((rows.len(), rows[1].comm.as_str()), (2, OTHERS));
        assert_eq!(rows[1].total.minors, 3);
        assert_eq!(counter.places.len(), MOST + 2);
    }
}
