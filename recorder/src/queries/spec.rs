//! What `--query` says: which probes begin and end a unit of work, and what their arguments mean.

use std::{fmt, path::PathBuf, str::FromStr};

use pf_bpf::QueryArgs;

/// One `--query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuerySpec {
    /// Two USDT probes.
    Usdt(UsdtSpec),
    /// A call of a function.
    Function(FunctionSpec),
    /// Nothing, not even what is looked for by default.
    None,
}

/// `usdt:[PATH:]PROVIDER:BEGIN..END`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsdtSpec {
    /// The file they are in; `None`: whatever the target runs.
    pub path: Option<PathBuf>,
    /// Their provider.
    pub provider: String,
    /// The one that begins.
    pub begin: String,
    /// What its arguments mean.
    pub args: QueryArgs,
    /// The one that ends.
    pub end: String,
    /// Which of its arguments is the id.
    pub end_key: Option<u8>,
}

/// `func:PATH:SYMBOL`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSpec {
    /// The file it is in: a path, or the name of a library.
    pub path: PathBuf,
    /// Its name, mangled or not, or a glob.
    pub symbol: String,
    /// What its arguments mean.
    pub args: QueryArgs,
}

const SYNTAX: &str = "expected usdt:[PATH:]PROVIDER:BEGIN..END or func:PATH:SYMBOL, optionally followed by ,id=argN and ,text=argN";

/// Arguments that are known: provider, begin, end, what the arguments of the begin mean, the id of the end.
type Known = (&'static str, &'static str, &'static str, QueryArgs, Option<u8>);
const KNOWN: [Known; 3] = [
    (
        "postgresql",
        "query__start",
        "query__done",
        QueryArgs {
            key: None,
            text: Some(0),
        },
        None,
    ),
    (
        "mysql",
        "query__start",
        "query__done",
        QueryArgs {
            key: None,
            text: Some(0),
        },
        None,
    ),
    (
        "pf",
        "query_begin",
        "query_end",
        QueryArgs {
            key: Some(0),
            text: Some(1),
        },
        Some(0),
    ),
];

impl UsdtSpec {
    /// The probes of mmap-workload, and of whoever uses the same names.
    #[must_use]
    pub fn own() -> Self {
        let mut spec = Self {
            path: None,
            provider: "pf".to_owned(),
            begin: "query_begin".to_owned(),
            args: QueryArgs::default(),
            end: "query_end".to_owned(),
            end_key: None,
        };
        spec.fill_in_known();
        spec
    }

    /// How its queries are called: the begin without what says that it is one.
    #[must_use]
    pub fn name(&self) -> String {
        let begin = self.begin.replace("__", "-");
        let bare = ["-start", "-begin", "_start", "_begin", "-entry", "_entry"]
            .iter()
            .find_map(|suffix| begin.strip_suffix(suffix));
        format!("{}:{}", self.provider, bare.unwrap_or(&begin))
    }

    fn fill_in_known(&mut self) {
        let known = KNOWN.iter().find(|(provider, begin, end, ..)| {
            (*provider, *begin, *end) == (&self.provider, &self.begin, &self.end)
        });
        if let Some((.., args, end_key)) = known {
            self.args = *args;
            self.end_key = *end_key;
        }
    }
}

impl QuerySpec {
    /// Whether it may be in any file.
    #[must_use]
    pub fn is_anywhere(&self) -> bool {
        matches!(self, Self::Usdt(UsdtSpec { path: None, .. }))
    }
}

impl FromStr for QuerySpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let (kind, rest) = text.split_once(':').ok_or(SYNTAX)?;
        let (place, options) = match rest.split_once(',') {
            Some((place, options)) => (place, Some(options)),
            None => (rest, None),
        };
        let args = options.map(arguments).transpose()?;
        match kind {
            "usdt" => usdt(place, args),
            "func" => function(place, args),
            _ => Err(SYNTAX.to_owned()),
        }
    }
}

fn usdt(place: &str, args: Option<QueryArgs>) -> Result<QuerySpec, String> {
    let (front, names) = place.rsplit_once(':').ok_or(SYNTAX)?;
    let (begin, end) = names
        .split_once("..")
        .ok_or_else(|| format!("{names}: expected BEGIN..END, the probes that begin and end a query"))?;
    let (path, provider) = match front.rsplit_once(':') {
        Some((path, provider)) => (Some(PathBuf::from(path)), provider),
        None => (None, front),
    };
    if provider.is_empty()
        || begin.is_empty()
        || end.is_empty()
        || path.as_ref().is_some_and(|p| p.as_os_str().is_empty())
    {
        return Err(SYNTAX.to_owned());
    }
    let mut spec = UsdtSpec {
        path,
        provider: provider.to_owned(),
        begin: begin.to_owned(),
        args: QueryArgs::default(),
        end: end.to_owned(),
        end_key: None,
    };
    match args {
        None => spec.fill_in_known(),
        Some(args) => {
            spec.args = args;
            // The id is the first thing that an end has to say.
            spec.end_key = args.key.map(|_| 0);
        }
    }
    Ok(QuerySpec::Usdt(spec))
}

fn function(place: &str, args: Option<QueryArgs>) -> Result<QuerySpec, String> {
    // Names of C++ and Rust have colons themselves; paths rarely do.
    let (path, symbol) = place.split_once(':').ok_or(SYNTAX)?;
    if path.is_empty() || symbol.is_empty() {
        return Err(SYNTAX.to_owned());
    }
    let args = args.unwrap_or_default();
    if args.key.max(args.text) > Some(5) {
        return Err(
            "arguments of a function are arg0 to arg5: those that are passed in registers".to_owned(),
        );
    }
    Ok(QuerySpec::Function(FunctionSpec {
        path: PathBuf::from(path),
        symbol: symbol.to_owned(),
        args,
    }))
}

fn arguments(text: &str) -> Result<QueryArgs, String> {
    let mut args = QueryArgs::default();
    for option in text.split(',') {
        let wrong = || format!("{option}: expected id=argN or text=argN, N from 0 to 11");
        let (name, value) = option.split_once('=').ok_or_else(wrong)?;
        let number = value
            .strip_prefix("arg")
            .and_then(|number| number.parse::<u8>().ok());
        let number = number.filter(|&number| number < 12).ok_or_else(wrong)?;
        match name {
            "id" => args.key = Some(number),
            "text" => args.text = Some(number),
            _ => return Err(wrong()),
        }
    }
    Ok(args)
}

impl fmt::Display for UsdtSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "usdt:")?;
        if let Some(path) = &self.path {
            write!(f, "{}:", path.display())?;
        }
        write!(f, "{}:{}..{}", self.provider, self.begin, self.end)
    }
}

impl fmt::Display for FunctionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "func:{}:{}", self.path.display(), self.symbol)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn usdt(text: &str) -> UsdtSpec {
        match text.parse() {
            Ok(QuerySpec::Usdt(spec)) => spec,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_text_of_a_known_probe_need_not_be_told() {
        let spec = usdt("usdt:/usr/lib/postgresql/15/bin/postgres:postgresql:query__start..query__done");
        assert_eq!(spec.args.text, Some(0));
        assert_eq!(spec.path, Some("/usr/lib/postgresql/15/bin/postgres".into()));
        assert_eq!(spec.name(), "postgresql:query");
        assert_eq!(UsdtSpec::own(), usdt("usdt:pf:query_begin..query_end"));
        assert_eq!(UsdtSpec::own().name(), "pf:query");
    }

    #[test]
    fn arguments_are_counted_from_0() {
        let spec = usdt("usdt:app:work_begin..work_end,id=arg1,text=arg2");
        assert_eq!(
            spec.args,
            QueryArgs {
                key: Some(1),
                text: Some(2)
            }
        );
        assert_eq!(spec.end_key, Some(0));
        for bad in ["id=1", "id=arg12", "key=arg1", "id", ""] {
            assert!(
                format!("usdt:a:b..c,{bad}").parse::<QuerySpec>().is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_function_may_have_colons_in_its_name() {
        let Ok(QuerySpec::Function(spec)) = "func:./app:engine::Query::run".parse() else {
            panic!("not a function");
        };
        assert_eq!(
            (spec.path, spec.symbol.as_str()),
            ("./app".into(), "engine::Query::run")
        );
    }

    #[test]
    fn what_is_missing_is_told() {
        for bad in [
            "",
            "usdt",
            "usdt:",
            "usdt:a",
            "usdt:a:b",
            "usdt::b..c",
            "usdt:a:..",
            "func:x",
            "func::y",
            "perf:x:y",
        ] {
            assert!(bad.parse::<QuerySpec>().is_err(), "{bad}");
        }
    }
}
