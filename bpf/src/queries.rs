//! Attaching to the probes in user code between which a query is.

use std::path::PathBuf;

use libbpf_rs::{Link, ProgramMut, UprobeOpts, UsdtOpts};

use crate::{ProbeError, skel::PfrecSkel};

/// Every process.
const ANY_PROCESS: i32 = -1;

/// One pair of probes in one file. It is met in every process that runs the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryProbe {
    /// Comes back as [`crate::Query::probe`].
    pub number: u32,
    /// The file, as this process can open it.
    pub path: PathBuf,
    /// Where in it.
    pub point: QueryPoint,
}

/// What begins and ends a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryPoint {
    /// Two USDT probes.
    Usdt {
        /// Their provider.
        provider: String,
        /// Name of the one that begins.
        begin: String,
        /// What its arguments mean.
        begin_args: QueryArgs,
        /// Name of the one that ends.
        end: String,
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

/// Which arguments matter, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryArgs {
    /// A number that names the query.
    pub key: Option<u8>,
    /// A pointer to its text, which ends with a NUL.
    pub text: Option<u8>,
}

impl QueryProbe {
    /// The end first: a query that begins is seen to end.
    pub(crate) fn attach(&self, skel: &PfrecSkel<'_>) -> Result<[Link; 2], ProbeError> {
        let progs = &skel.progs;
        match &self.point {
            QueryPoint::Usdt {
                provider,
                begin,
                begin_args,
                end,
                end_key,
            } => {
                let end_args = QueryArgs {
                    key: *end_key,
                    text: None,
                };
                let end = self.usdt(&progs.pf_query_end, provider, end, end_args)?;
                let begin = self.usdt(&progs.pf_query_begin, provider, begin, *begin_args)?;
                Ok([end, begin])
            }
            QueryPoint::Function { name, offset, args } => {
                let end = self.function(&progs.pf_call_end, name, *offset, *args, true)?;
                let begin = self.function(&progs.pf_call_begin, name, *offset, *args, false)?;
                Ok([end, begin])
            }
        }
    }

    fn usdt(
        &self,
        program: &ProgramMut<'_>,
        provider: &str,
        name: &str,
        args: QueryArgs,
    ) -> Result<Link, ProbeError> {
        let opts = UsdtOpts {
            cookie: self.cookie(args),
            ..UsdtOpts::default()
        };
        program
            .attach_usdt_with_opts(ANY_PROCESS, &self.path, provider, name, opts)
            .map_err(|source| self.failed(format!("{provider}:{name}"), source))
    }

    fn function(
        &self,
        program: &ProgramMut<'_>,
        name: &str,
        offset: u64,
        args: QueryArgs,
        retprobe: bool,
    ) -> Result<Link, ProbeError> {
        let opts = UprobeOpts {
            cookie: self.cookie(args),
            retprobe,
            ..UprobeOpts::default()
        };
        program
            .attach_uprobe_with_opts(ANY_PROCESS, &self.path, offset as usize, opts)
            .map_err(|source| self.failed(name.to_owned(), source))
    }

    /// As `pf_point_of` in `pf_query.h` takes it apart.
    fn cookie(&self, args: QueryArgs) -> u64 {
        let counted_from_1 = |arg: Option<u8>| arg.map_or(0, |arg| u64::from(arg) + 1);
        u64::from(self.number) | counted_from_1(args.key) << 32 | counted_from_1(args.text) << 40
    }

    fn failed(&self, point: String, source: libbpf_rs::Error) -> ProbeError {
        ProbeError::Query {
            point,
            path: self.path.clone(),
            source,
        }
    }
}
