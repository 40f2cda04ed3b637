//! Attaches single programs, with an error that names them.

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
