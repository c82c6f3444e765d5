//! Which module of `aquifer` may use which: the arrows of ARCHITECTURE.md, none of which points up.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, UseTree};

use crate::tidy::finding::Finding;
use crate::tidy::paths::{Mention, mentions};
use crate::tidy::tree::{RustFile, Tree, below};

const SOURCES: &str = "crates/aquifer/src";
const ROOT: &str = "lib.rs";

/// The modules, lowest first; a module uses only modules before it. The leaves come first, in an
/// order of their own: nearly everything can fail, so `error` is the lowest.
const ORDER: [&str; 29] = [
    "error",
    "clock",
    "deadline",
    "wait",
    "observe",
    "metrics",
    "config",
    "credentials",
    "tasks",
    "statement",
    "settings",
    "redis",
    "topology",
    "pool",
    "execute",
    "bulk",
    "session",
    "transaction",
    "dedicated",
    "listener",
    "coalesce",
    "query",
    "cache",
    "repository",
    "monitor",
    "db",
    "migrate",
    "manager",
    "testing",
];

/// Forbidden although the order would allow it: the cache reaches the database only through a port
/// that `db` hands in.
const FORBIDDEN: [(&str, &str); 2] = [("cache", "pool"), ("cache", "execute")];

const REMEDY: &str = "Move what both need into a module below, or hand it in from above as a \
                      closure or a trait.";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let files: Vec<&RustFile> = tree.rust_below(SOURCES).collect();
    let modules: BTreeSet<String> = files
        .iter()
        .filter_map(|file| module_path(&file.path).first().cloned())
        .collect();
    let names = Names::read(&files, &modules);
    files
        .iter()
        .filter(|file| !file.is_for_tests())
        .flat_map(|file| check_file(file, &names))
        .collect()
}

fn check_file(file: &RustFile, names: &Names<'_>) -> Vec<Finding> {
    let path = module_path(&file.path);
    // The root file declares and re-exports everything.
    let Some(own) = path.first() else {
        return Vec::new();
    };
    if position(own).is_none() {
        return vec![Finding::new(
            &file.path,
            1,
            format!("module `{own}` has no place in the order of the layers"),
            "Add it to ORDER in xtask/src/tidy/layers.rs and to ARCHITECTURE.md.",
        )];
    }
    mentions(&file.tokens)
        .iter()
        .filter_map(|mention| {
            let what = complaint(own, &names.target(&path, mention)?)?;
            Some(Finding::new(&file.path, mention.line, what, REMEDY))
        })
        .collect()
}

/// What a path leads to, seen from the root of the crate.
enum Target {
    Module(String),
    /// `crate::*`, or a name that the root does not export by name.
    Unclear(String),
}

fn complaint(own: &str, target: &Target) -> Option<String> {
    match target {
        Target::Module(other) if other == own => None,
        Target::Module(other) if FORBIDDEN.contains(&(own, other)) => {
            Some(format!("`{own}` must not use `{other}`"))
        }
        Target::Module(other) => (position(other)? >= position(own)?)
            .then(|| format!("`{own}` uses `{other}`, which is not below it")),
        Target::Unclear(name) => Some(format!(
            "`crate::{name}` hides which module is used; name the module"
        )),
    }
}

fn position(module: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == module)
}

/// `pool/lane.rs` is `pool::lane`; `lib.rs` is the root, an empty path.
fn module_path(path: &str) -> Vec<String> {
    let Some(rest) = below(path, SOURCES) else {
        return Vec::new();
    };
    if rest == ROOT {
        return Vec::new();
    }
    let rest = rest.strip_suffix(".rs").unwrap_or(rest);
    let rest = rest.strip_suffix("/mod").unwrap_or(rest);
    rest.split('/').map(str::to_owned).collect()
}

/// What names mean at the root of the crate.
struct Names<'a> {
    modules: &'a BTreeSet<String>,
    /// Where a re-exported name or a macro comes from; `None` if from another crate or the root.
    exports: BTreeMap<String, Option<String>>,
}

impl<'a> Names<'a> {
    fn read(files: &[&RustFile], modules: &'a BTreeSet<String>) -> Self {
        let mut names = Self {
            modules,
            exports: BTreeMap::new(),
        };
        for file in files {
            let path = module_path(&file.path);
            for item in &file.syntax.items {
                match (item, path.first()) {
                    // An exported macro is named at the root wherever it is written.
                    (Item::Macro(item), own) => {
                        if let Some(name) = &item.ident {
                            names.exports.insert(name.to_string(), own.cloned());
                        }
                    }
                    (Item::Use(item), None) => names.read_use(&item.tree, &mut Vec::new()),
                    (item, None) => {
                        if let Some(name) = name_of(item) {
                            names.exports.insert(name, None);
                        }
                    }
                    _ => {}
                }
            }
        }
        names
    }

    fn read_use(&mut self, tree: &UseTree, prefix: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.read_use(&path.tree, prefix);
                prefix.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(tree, prefix);
                }
            }
            UseTree::Name(name) => self.export(name.ident.to_string(), prefix),
            UseTree::Rename(rename) => self.export(rename.rename.to_string(), prefix),
            // What it brings cannot be known; the names stay unclear.
            UseTree::Glob(_) => {}
        }
    }

    fn export(&mut self, name: String, prefix: &[String]) {
        let from = prefix
            .iter()
            .find(|segment| !matches!(segment.as_str(), "crate" | "self"));
        let module = from
            .filter(|module| self.modules.contains(*module))
            .cloned();
        self.exports.insert(name, module);
    }

    /// Where a path leads within the crate; `None` if out of it, or to what the root itself has.
    fn target(&self, file: &[String], mention: &Mention) -> Option<Target> {
        let mut at: Vec<&String> = file.iter().chain(&mention.modules).collect();
        let (first, mut rest) = mention.segments.split_first()?;
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
                while let Some((next, after)) = rest.split_first() {
                    if next != "super" {
                        break;
                    }
                    at.pop();
                    rest = after;
                }
            }
            _ => return None,
        }
        let name = at.first().copied().or_else(|| rest.first())?;
        if self.modules.contains(name) {
            return Some(Target::Module(name.clone()));
        }
        match self.exports.get(name) {
            Some(Some(module)) => Some(Target::Module(module.clone())),
            Some(None) => None,
            None => Some(Target::Unclear(name.clone())),
        }
    }
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Mod(item) => &item.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "mod cache; mod db; mod error; mod pool; pub use crate::db::Db; \
                       pub use aquifer_wire::SqlState;";

    fn findings(module: &str, source: &str) -> Vec<String> {
        let path = format!("{SOURCES}/{module}.rs");
        let tree = Tree::of(&[
            ("crates/aquifer/src/lib.rs", LIB),
            ("crates/aquifer/src/cache.rs", ""),
            ("crates/aquifer/src/db.rs", ""),
            (
                "crates/aquifer/src/error.rs",
                "macro_rules! fail { () => {}; }",
            ),
            ("crates/aquifer/src/execute.rs", ""),
            ("crates/aquifer/src/pool.rs", ""),
            (&path, source),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_arrow_that_points_up_is_found_however_it_is_written() {
        for source in [
            "use crate::cache::Cache;",
            "use crate::{error::Error, cache};",
            "use super::super::cache::Cache;",
            "fn f() -> crate::cache::Cache {}",
            "fn f() { matches!(crate::cache::get(), None) }",
            "mod inner { use super::super::super::cache::Cache; }",
        ] {
            let found = findings("pool/lane", source);
            assert!(
                found.iter().any(|f| f.contains("`pool` uses `cache`")),
                "{source}: {found:?}"
            );
        }
    }

    #[test]
    fn a_name_that_the_root_exports_counts_for_its_module() {
        let found = findings("pool/lane", "use crate::Db;");
        assert!(
            found.iter().any(|f| f.contains("`pool` uses `db`")),
            "{found:?}"
        );
        assert!(findings("pool/lane", "use crate::SqlState; use crate::fail;").is_empty());
    }

    #[test]
    fn a_name_that_leads_nowhere_known_is_found() {
        assert_eq!(findings("pool/lane", "use crate::*;").len(), 1);
        assert_eq!(findings("pool/lane", "use crate::Lost;").len(), 1);
    }

    #[test]
    fn the_cache_reaches_neither_pool_nor_execute_although_they_are_below() {
        for module in ["pool", "execute"] {
            let found = findings("cache/local", &format!("use crate::{module}::A;"));
            assert!(
                found.iter().any(|f| f.contains("must not use")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn only_the_manager_uses_the_handle() {
        assert!(findings("manager", "use crate::db::Db;").is_empty());
        assert_eq!(findings("metrics", "use crate::db::Db;").len(), 1);
    }

    #[test]
    fn arrows_that_point_down_or_inside_are_fine() {
        let source = "use crate::error::Error; use super::opener::Opener; use self::a::B; \
                      use crate::pool::C; use std::fmt; #[cfg(test)] use crate::db::Db;";
        assert!(findings("pool/lane", source).is_empty());
    }

    #[test]
    fn tests_reach_anywhere() {
        assert!(findings("pool/tests/lanes", "use crate::db::Db;").is_empty());
    }

    #[test]
    fn a_module_without_a_place_is_found() {
        let found = findings("helpers", "");
        assert!(
            found.iter().any(|f| f.contains("`helpers` has no place")),
            "{found:?}"
        );
    }
}
