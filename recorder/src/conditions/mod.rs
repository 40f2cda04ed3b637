//! What was set, and how things stood, when the recording began and when it ended: of the machine, of the first recorded
//! process, of its memory cgroups, and of the devices and mounts of the files that faulted.
//!
//! All of it is read from files of the kernel's in `/proc` and `/sys`, whose names are fixed, or numbers, or the path of a
//! cgroup as the kernel shows it. What cannot be read is not there: nothing here ends a recording.

mod cgroup;
mod devices;
mod list;
mod machine;
mod mounts;
mod process;
mod root;

use pf_formats::Condition;

use crate::{
    cli::Scope,
    target::{self, launch::Held},
};
use cgroup::Group;
use list::List;
use process::Process;
use root::Root;

/// Devices that are told of, and mounts.
pub const DEVICES: usize = 64;

/// Where to look. It is found at the beginning: at the end the process may be gone.
pub struct Conditions {
    root: Root,
    process: Option<Process>,
    groups: Vec<Group>,
    /// As they were at the beginning, until somebody writes them.
    first: Vec<Condition>,
}

impl Conditions {
    /// Of the command, which is held, or of what runs already, and how they are now.
    #[must_use]
    pub fn of(scope: &Scope, held: Option<&Held>) -> Self {
        let root = Root::of_machine();
        let (process, groups) = match scope {
            Scope::Command => held.map_or((None, Vec::new()), |held| {
                let most = held.variable(process::MOST_THREADS);
                let process = Process::held(&root, held.pid(), most);
                (Some(process), cgroup::of_process(&root, held.pid()))
            }),
            Scope::Pids { pids, .. } => pids.first().map_or((None, Vec::new()), |&pid| {
                let process = Process::running(&root, pid);
                (Some(process), cgroup::of_process(&root, pid))
            }),
            Scope::Cgroup(path) => {
                let found = target::cgroup::find(path).ok();
                (
                    None,
                    found.map_or(Vec::new(), |found| cgroup::of_folder(&root, &found.folder)),
                )
            }
            Scope::All => (None, Vec::new()),
        };
        let mut conditions = Self {
            root,
            process,
            groups,
            first: Vec::new(),
        };
        conditions.first = conditions.list().entries;
        conditions
    }

    /// As things stood when this was made; once.
    pub fn take_first(&mut self) -> Vec<Condition> {
        std::mem::take(&mut self.first)
    }

    /// As things stand at the end, when the devices of the files that faulted are known.
    pub fn read_last(&mut self, devices: &[(u32, u32)]) -> Vec<Condition> {
        let mut list = self.list();
        let devices = devices.get(..DEVICES).unwrap_or(devices);
        devices::read(&self.root, devices, &mut list);
        mounts::read(&self.root, devices, &mut list);
        list.entries
    }

    fn list(&mut self) -> List {
        let mut list = List::default();
        machine::read(&self.root, &mut list);
        if let Some(process) = &mut self.process {
            process.read(&self.root, &mut list);
        }
        self.groups.iter().for_each(|group| group.read(&mut list));
        list
    }
}

#[cfg(test)]
mod tests;
