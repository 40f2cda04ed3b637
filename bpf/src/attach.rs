//! Attaches single programs, with an error that names them, and lets go of all of them at once.

use std::thread;

use libbpf_rs::{Link, ProgramMut, skel::Skel};

use crate::{ProbeError, skel::PfrecSkel};

/// Attaches one program; `name` is for the error.
pub(crate) fn attach(program: &ProgramMut<'_>, name: &'static str) -> Result<Link, ProbeError> {
    program.attach().map_err(|source| ProbeError::Attach {
        program: name,
        source,
    })
}

/// Attaches the programs of these names.
pub(crate) fn attach_loaded(
    skel: &mut PfrecSkel<'_>,
    names: &[&'static str],
) -> Result<Vec<Link>, ProbeError> {
    let programs = skel.object_mut().progs_mut();
    let wanted = programs.filter_map(|program| {
        let name = names.iter().find(|name| program.name() == **name)?;
        Some(attach(&program, name))
    });
    wanted.collect()
}

/// What programs are attached to. To let go of one, the kernel waits until every CPU has come by, up to 0.1 s: the
/// waits of many are one where they are let go of at the same time.
#[derive(Default)]
pub(crate) struct Links(pub(crate) Vec<Link>);

/// Threads that let go.
const LETTING_GO: usize = 64;

impl Drop for Links {
    fn drop(&mut self) {
        let mut shares: Vec<Vec<Link>> = (0..LETTING_GO.min(self.0.len())).map(|_| Vec::new()).collect();
        for (index, link) in self.0.drain(..).enumerate() {
            shares[index % LETTING_GO].push(link);
        }
        thread::scope(|scope| {
            for share in shares {
                // Without a thread it is dropped here.
                let _ = thread::Builder::new().spawn_scoped(scope, move || drop(share));
            }
        });
    }
}
