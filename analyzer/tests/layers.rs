//! How the source is laid out: layers that import only what is above them, no circles, a name for one file only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From the top: each may import what stands before it.
const LAYERS: [&str; 9] = [
    "error",
    "output",
    "trace",
    "engine",
    "stats",
    "integrity",
    "request",
    "verbs",
    "cli",
];
/// Names that say what a file is for its folder.
const SHARED: [&str; 6] = ["mod", "text", "tables", "pass", "options", "tests"];

/// Modules by their paths, with what they are made of: code alone, without comments and tests.
struct Tree(BTreeMap<String, String>);

impl Tree {
    fn of(root: &Path) -> Self {
        let mut modules = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let relative = path.strip_prefix(root).unwrap().with_extension("");
                let parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).collect();
                let parts = parts.strip_suffix(&["mod"]).unwrap_or(&parts);
                if !matches!(parts, ["lib" | "main"] | [.., "tests"]) {
                    modules.insert(parts.join("::"), code(&fs::read_to_string(&path).unwrap()));
                }
            }
        }
        Self(modules)
    }

    /// The modules that one imports.
    fn imports(&self, module: &str) -> BTreeSet<String> {
        let uses = self.0[module].split("crate::").skip(1);
        let mut found = BTreeSet::new();
        for path in uses.flat_map(paths) {
            let mut path = path.as_str();
            while !self.0.contains_key(path) {
                match path.rsplit_once("::") {
                    Some((above, _)) => path = above,
                    None => break,
                }
            }
            if self.0.contains_key(path) && path != module {
                found.insert(path.to_owned());
            }
        }
        found
    }

    fn upward(&self) -> Vec<String> {
        let layer = |module: &str| {
            let top = module.split("::").next().unwrap();
            let found = LAYERS.iter().position(|layer| *layer == top);
            found.unwrap_or_else(|| panic!("{module} is in no layer"))
        };
        let edges = self.0.keys().flat_map(|module| {
            let imports = self.imports(module).into_iter();
            imports.map(move |import| (module.clone(), import))
        });
        edges
            .filter(|(module, import)| layer(import) > layer(module))
            .map(|(module, import)| format!("{module} imports {import}"))
            .collect()
    }

    /// Modules that import themselves by way of others.
    fn in_circles(&self) -> Vec<String> {
        let imports: BTreeMap<&String, BTreeSet<String>> = self
            .0
            .keys()
            .map(|module| (module, self.imports(module)))
            .collect();
        let reaches = |from: &String| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&String> = imports[from].iter().collect();
            while let Some(module) = next.pop() {
                if seen.insert(module) {
                    next.extend(&imports[module]);
                }
            }
            seen.contains(from)
        };
        self.0.keys().filter(|module| reaches(module)).cloned().collect()
    }

    fn names_used_twice(&self) -> Vec<String> {
        let mut by_name: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for module in self.0.keys() {
            by_name
                .entry(module.rsplit("::").next().unwrap())
                .or_default()
                .push(module);
        }
        let is_file = |module: &String| {
            !self
                .0
                .keys()
                .any(|other| other.starts_with(&format!("{module}::")))
        };
        by_name.retain(|name, _| !SHARED.contains(name));
        by_name
            .values_mut()
            .for_each(|modules| modules.retain(|module| is_file(module)));
        let twice = by_name.values().filter(|modules| modules.len() > 1);
        twice.map(|modules| format!("{modules:?}")).collect()
    }
}

/// Without comments and tests.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What `a::{b, c::D}` names, up to the first character that no path has: `a::b` and `a::c::D`.
fn paths(text: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
    let (head, rest) = text.split_at(end);
    match rest.strip_prefix('{').and_then(|group| group.split_once('}')) {
        Some((group, _)) => group
            .split(',')
            .map(|item| format!("{head}{}", item.trim()))
            .collect(),
        None => vec![head.trim_end_matches(':').to_owned()],
    }
}

fn analyzer() -> Tree {
    Tree::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn every_layer_imports_only_those_above_it() {
    assert_eq!(analyzer().upward(), [] as [String; 0]);
}

#[test]
fn nothing_imports_itself_by_way_of_others() {
    assert_eq!(analyzer().in_circles(), [] as [String; 0]);
}

#[test]
fn no_two_files_have_one_name() {
    assert_eq!(analyzer().names_used_twice(), [] as [String; 0]);
}

#[test]
fn at_the_root_are_layers_and_few_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = fs::read_dir(root)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().is_file());
    assert!(files.count() <= 4);
}

/// What the tests above look for is found.
#[test]
fn circles_upward_imports_and_names_used_twice_are_found() {
    let modules = [
        ("trace", "pub mod input;"),
        ("trace::input", "use crate::verbs::{info, files::Files};"),
        ("verbs", ""),
        ("verbs::info", "use crate::trace::input::Input;"),
        (
            "verbs::files",
            "// use crate::verbs::info;\nfn x() { crate::cli::run() }",
        ),
        ("verbs::diff::files", ""),
        ("cli", ""),
    ];
    let tree = Tree(
        modules
            .map(|(module, source)| (module.to_owned(), code(source)))
            .into(),
    );
    assert_eq!(
        tree.upward(),
        [
            "trace::input imports verbs::files",
            "trace::input imports verbs::info",
            "verbs::files imports cli"
        ]
    );
    assert_eq!(tree.in_circles(), ["trace::input", "verbs::info"]);
    assert_eq!(
        tree.names_used_twice(),
        [r#"["verbs::diff::files", "verbs::files"]"#]
    );
}
