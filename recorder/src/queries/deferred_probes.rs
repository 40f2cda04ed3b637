//! Query probes in files that are run only later: each new one is looked into, apart from the draining.

use std::{collections::HashSet, thread::Builder};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use pf_bpf::{Probes, QueryProbe};

use super::{
    patience::Patience,
    resolve::{Candidate, Wanted, place, wanted_in},
};
use crate::{
    messages::say,
    pipeline::sideband::{Map, Sideband, What},
    session::FileIdentity,
};

/// Files that may wait. A program that maps more at once is looked at when it maps them again.
const WAITING: usize = 1024;
/// Files that are looked into at once.
const BATCH: usize = 64;

/// Files that are looked into, and places that get a probe. Later ones are not, which is said once.
const FILES: usize = 1 << 16;
const PLACES: usize = 1 << 12;

/// The drain's end of the search.
pub struct Later {
    seen: HashSet<FileIdentity>,
    give: Sender<(u32, Map)>,
    found: Receiver<QueryProbe>,
}

impl Later {
    /// Looks for `wanted` in every file that is mapped from now on, but for those that are `attached` already;
    /// `None` where nothing is wanted.
    pub fn start<'a>(
        wanted: Vec<Wanted>,
        attached: impl Iterator<Item = &'a QueryProbe>,
    ) -> Result<Option<Self>> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let (give, files) = bounded(WAITING);
        let (tell, found) = unbounded();
        let mut attached: HashSet<_> = attached.map(place).collect();
        let search = move || {
            while let Ok(first) = files.recv() {
                let batch: Vec<(u32, Map)> = [first]
                    .into_iter()
                    .chain(files.try_iter().take(BATCH - 1))
                    .collect();
                let files: Vec<Candidate> = batch
                    .iter()
                    .filter_map(|(pid, map)| Candidate::behind(*pid, map))
                    .collect();
                for probe in wanted_in(Patience::new(), &files, &wanted) {
                    if attached.len() >= PLACES {
                        say(format!(
                            "--query: more than {PLACES} places have such probes: later ones are not probed"
                        ));
                        return;
                    }
                    if attached.insert(place(&probe)) {
                        tell.send(probe).ok();
                    }
                }
            }
        };
        Builder::new()
            .name("pfrec-find".to_owned())
            .spawn(search)
            .context("cannot start pfrec-find")?;
        Ok(Some(Self {
            seen: HashSet::new(),
            give,
            found,
        }))
    }

    /// Passes new executable mappings on.
    pub fn look_at(&mut self, records: &[Sideband]) {
        for record in records {
            let What::Map(map) = &record.what else { continue };
            if map.inode == 0 || map.prot & libc::PROT_EXEC.cast_unsigned() == 0 {
                continue;
            }
            let file = FileIdentity {
                device: map.device,
                inode: map.inode,
            };
            if self.seen.contains(&file) || self.seen.len() >= FILES {
                continue;
            }
            let is_given = self.give.try_send((record.pid, map.clone())).is_ok();
            if is_given && self.seen.insert(file) && self.seen.len() == FILES {
                say(format!(
                    "--query: more than {FILES} files were executed: later ones are not searched for probes"
                ));
            }
        }
    }

    /// Attaches what was found; returns how many could not be.
    pub fn attach_found(&mut self, probes: &mut Probes) -> u64 {
        let mut failed = 0;
        for probe in self.found.try_iter() {
            if let Err(e) = probes.attach_query(&probe) {
                say(format!("{:#}", anyhow::Error::from(e)));
                failed += 1;
            }
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_run_are_remembered_up_to_a_bound_and_no_more_are_looked_into() {
        let (give, files) = bounded(WAITING);
        let file = |inode| FileIdentity {
            device: (254, 0),
            inode,
        };
        let mut later = Later {
            seen: (2..=FILES as u64).map(file).collect(),
            give,
            found: unbounded().1,
        };
        let mapped = |inode| Sideband {
            ts_ns: 0,
            pid: 0x7000_0000,
            tid: 0x7000_0000,
            what: What::Map(Map {
                device: (254, 0),
                inode,
                prot: libc::PROT_EXEC.cast_unsigned(),
                path: "/no/such/program".to_owned(),
                ..Map::default()
            }),
        };
        for inode in FILES as u64 + 1..FILES as u64 + 5 {
            later.look_at(&[mapped(inode)]);
        }
        assert_eq!((later.seen.len(), files.len()), (FILES, 1));
    }
}
