//! Attaching to the probes in user code between which a query is.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use libbpf_rs::{Link, MapCore, MapFlags, ProgramMut, UprobeOpts};

use crate::{
    ProbeError,
    argument::{self, Argument},
    skel::PfrecSkel,
};

/// Every process.
const ANY_PROCESS: i32 = -1;

/// Different places of USDT probes in one recording.
pub(crate) const SITES: u32 = 4096;

/// Places of one USDT probe in a file: it is in every function that it was inlined into.
pub const MAX_SITES: usize = 512;

/// One pair of probes in one file. It is met in every process that runs the file.
#[derive(Clone, Debug)]
pub struct QueryProbe {
    /// Comes back as [`crate::Query::probe`].
    pub number: u32,
    /// The very file: it may be a handle that cannot be read (`O_PATH`), as nothing is read here. No name is looked up
    /// again, which could lead elsewhere meanwhile.
    pub file: Arc<File>,
    /// How messages name it.
    pub shown: PathBuf,
    /// Where in it.
    pub point: QueryPoint,
}

/// What begins and ends a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryPoint {
    /// Two USDT probes.
    Usdt {
        /// The one that begins.
        begin: UsdtPoint,
        /// What its arguments mean.
        begin_args: QueryArgs,
        /// The one that ends.
        end: UsdtPoint,
        /// Which argument of it is the id, counted from 0; `None`: the innermost one ends.
        end_key: Option<u8>,
    },
    /// A call of a function.
    Function {
        /// Its name, for errors.
        name: String,
        /// Where it is in the file, bytes.
        offset: u64,
        /// What its arguments mean.
        args: QueryArgs,
    },
}

/// A USDT probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsdtPoint {
    /// `PROVIDER:NAME`.
    pub name: String,
    /// Where it is; at most [`MAX_SITES`].
    pub sites: Vec<UsdtSite>,
}

/// One of its places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsdtSite {
    /// Where its instruction is in the file, bytes.
    pub offset: u64,
    /// Where its semaphore is in the file, bytes; 0: it has none.
    pub semaphore: u64,
    /// Its arguments as the file describes them.
    pub arguments: String,
}

/// Which arguments matter, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryArgs {
    /// A number that names the query.
    pub key: Option<u8>,
    /// A pointer to its text, which ends with a NUL.
    pub text: Option<u8>,
}

/// `struct pf_site` of `pf_site.h`.
const SITE_BYTES: usize = 8 + 2 * argument::BYTES;

/// What the probes know of places so far: those that are alike are one.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    known: HashMap<[u8; SITE_BYTES], u32>,
}

impl Sites {
    /// The number by which a probe finds what is to be read at its place.
    fn number_of(
        &mut self,
        skel: &PfrecSkel<'_>,
        cookie: u64,
        args: QueryArgs,
        site: &UsdtSite,
    ) -> libbpf_rs::Result<u32> {
        let mut bytes = [0; SITE_BYTES];
        let (own, arguments) = bytes.split_at_mut(8);
        own.copy_from_slice(&cookie.to_ne_bytes());
        for (number, place) in [args.key, args.text]
            .into_iter()
            .zip(arguments.chunks_exact_mut(argument::BYTES))
        {
            if let Some(argument) = number.and_then(|number| Argument::of(&site.arguments, number)) {
                place.copy_from_slice(&argument.to_bytes());
            }
        }
        if let Some(&number) = self.known.get(&bytes) {
            return Ok(number);
        }
        let number = self.known.len() as u32;
        if number >= SITES {
            return Err(libbpf_rs::Error::from(io::Error::other(format!(
                "more than {SITES} different places of probes"
            ))));
        }
        skel.maps
            .pf_sites
            .update(&number.to_ne_bytes(), &bytes, MapFlags::ANY)?;
        self.known.insert(bytes, number);
        Ok(number)
    }
}

impl QueryProbe {
    /// The end first: a query that begins is seen to end.
    pub(crate) fn attach(&self, skel: &PfrecSkel<'_>, sites: &mut Sites) -> Result<Vec<Link>, ProbeError> {
        let progs = &skel.progs;
        match &self.point {
            QueryPoint::Usdt {
                begin,
                begin_args,
                end,
                end_key,
            } => {
                let end_args = QueryArgs {
                    key: *end_key,
                    text: None,
                };
                let mut links = self.usdt(skel, sites, &progs.pf_query_end, end, end_args)?;
                links.extend(self.usdt(skel, sites, &progs.pf_query_begin, begin, *begin_args)?);
                Ok(links)
            }
            QueryPoint::Function { name, offset, args } => {
                let cookie = self.cookie(*args);
                let attach = |program, retprobe| {
                    let opts = UprobeOpts {
                        cookie,
                        retprobe,
                        ..UprobeOpts::default()
                    };
                    self.uprobe(program, name, *offset, opts)
                };
                Ok(vec![
                    attach(&progs.pf_call_end, true)?,
                    attach(&progs.pf_call_begin, false)?,
                ])
            }
        }
    }

    fn usdt(
        &self,
        skel: &PfrecSkel<'_>,
        sites: &mut Sites,
        program: &ProgramMut<'_>,
        point: &UsdtPoint,
        args: QueryArgs,
    ) -> Result<Vec<Link>, ProbeError> {
        let attach = |site: &UsdtSite| {
            // Without the argument that would be the id, as if none had been asked for.
            let has = |number: &u8| Argument::of(&site.arguments, *number).is_some();
            let args = QueryArgs {
                key: args.key.filter(has),
                text: args.text.filter(has),
            };
            let number = sites
                .number_of(skel, self.cookie(args), args, site)
                .map_err(|source| self.failed(&point.name, source))?;
            let opts = UprobeOpts {
                cookie: u64::from(number),
                ref_ctr_offset: site.semaphore as usize,
                ..UprobeOpts::default()
            };
            self.uprobe(program, &point.name, site.offset, opts)
        };
        point.sites.iter().take(MAX_SITES).map(attach).collect()
    }

    fn uprobe(
        &self,
        program: &ProgramMut<'_>,
        point: &str,
        offset: u64,
        opts: UprobeOpts,
    ) -> Result<Link, ProbeError> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        program
            .attach_uprobe_with_opts(ANY_PROCESS, Path::new(&path), offset as usize, opts)
            .map_err(|source| self.failed(point, source))
    }

    /// As `pf_point_of` in `pf_query.h` takes it apart.
    fn cookie(&self, args: QueryArgs) -> u64 {
        let counted_from_1 = |arg: Option<u8>| arg.map_or(0, |arg| u64::from(arg) + 1);
        u64::from(self.number) | counted_from_1(args.key) << 32 | counted_from_1(args.text) << 40
    }

    fn failed(&self, point: &str, source: libbpf_rs::Error) -> ProbeError {
        ProbeError::Query {
            point: point.to_owned(),
            path: self.shown.clone(),
            source,
        }
    }
}
