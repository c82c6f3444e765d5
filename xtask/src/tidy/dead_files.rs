//! Every Rust file belongs to a program or a library; one that no `mod` reaches is not compiled.

use std::collections::BTreeSet;

use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta};

use crate::tidy::finding::Finding;
use crate::tidy::manifest::manifests;
use crate::tidy::tree::{Tree, below};

/// Packages outside the main workspace.
const OTHER_PACKAGES: [&str; 5] = [
    "bench",
    "bench/ten-lines/deadpool",
    "bench/ten-lines/sqlx",
    "fuzz",
    "tests/outside",
];

/// Programs that must not compile; a test hands each to the compiler.
const REFUSED: &str = "crates/aquifer/tests/refused";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = manifests(tree);
    let mut reached = Reached {
        tree,
        paths: BTreeSet::new(),
    };
    for manifest in &manifests {
        for target in &manifest.targets {
            reached.follow_root(target);
        }
    }
    let directories = manifests
        .iter()
        .map(|manifest| manifest.directory.as_str())
        .chain(OTHER_PACKAGES);
    for directory in directories {
        for file in tree.rust_below(directory) {
            if below(&file.path, directory).is_some_and(is_root) {
                reached.follow_root(&file.path);
            }
        }
    }
    tree.rust
        .iter()
        .filter(|file| !reached.paths.contains(&file.path))
        .filter(|file| below(&file.path, REFUSED).is_none())
        .map(|file| {
            Finding::new(
                &file.path,
                1,
                "no `mod` reaches this file, so nothing compiles it",
                "Declare it in its parent module, or remove it.",
            )
        })
        .collect()
}

/// Whether cargo takes the file for a target by its place.
fn is_root(path: &str) -> bool {
    if ["build.rs", "src/lib.rs", "src/main.rs"].contains(&path) {
        return true;
    }
    let directories = ["src/bin", "examples", "tests", "benches", "fuzz_targets"];
    directories
        .iter()
        .filter_map(|directory| below(path, directory))
        .any(|rest| match rest.split_once('/') {
            None => true,
            Some((_, file)) => file == "main.rs",
        })
}

struct Reached<'a> {
    tree: &'a Tree,
    paths: BTreeSet<String>,
}

impl Reached<'_> {
    /// The modules of a root file lie beside it, whatever its name is.
    fn follow_root(&mut self, path: &str) {
        self.follow(path, parent(path));
    }

    fn follow(&mut self, path: &str, directory: &str) {
        if !self.paths.insert(path.to_owned()) {
            return;
        }
        let tree = self.tree;
        if let Some(file) = tree.rust.iter().find(|file| file.path == path) {
            self.follow_items(&file.syntax.items, parent(path), directory);
        }
    }

    /// `beside` is where `#[path]` starts from, `directory` where the modules' files lie.
    fn follow_items(&mut self, items: &[Item], beside: &str, directory: &str) {
        for item in items {
            let Item::Mod(module) = item else {
                continue;
            };
            let name = module.ident.to_string();
            let name = name.strip_prefix("r#").unwrap_or(&name);
            let inner = format!("{directory}/{name}");
            if let Some((_, items)) = &module.content {
                self.follow_items(items, &inner, &inner);
            } else if let Some(named) = path_attribute(&module.attrs) {
                let path = join(beside, &named);
                self.follow(&path, parent(&path));
            } else if self.exists(&format!("{inner}/mod.rs")) {
                self.follow(&format!("{inner}/mod.rs"), &inner);
            } else {
                self.follow(&format!("{inner}.rs"), &inner);
            }
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.tree.rust.iter().any(|file| file.path == path)
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Resolves `..` by hand: the path need not exist.
fn join(directory: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').collect();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: (&str, &str) = ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n");

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().copied().chain([MANIFEST]).collect();
        check(&Tree::of(&files))
            .into_iter()
            .map(|finding| finding.path)
            .collect()
    }

    #[test]
    fn a_file_that_no_module_declares_is_dead() {
        let files = [
            ("crates/a/src/lib.rs", "mod b; // mod codel;"),
            ("crates/a/src/b.rs", "mod c;"),
            ("crates/a/src/b/c.rs", ""),
            ("crates/a/src/codel.rs", ""),
        ];
        assert_eq!(dead(&files), ["crates/a/src/codel.rs"]);
    }

    #[test]
    fn tests_examples_and_programs_are_reached_by_their_place() {
        let files = [
            ("crates/a/tests/one.rs", ""),
            ("crates/a/tests/it/main.rs", "mod rows;"),
            ("crates/a/tests/it/rows.rs", ""),
            ("crates/a/tests/it/lost.rs", ""),
            ("crates/a/tests/main.rs", "mod main { mod pool; }"),
            ("crates/a/tests/main/pool.rs", ""),
            ("crates/a/examples/service/main.rs", ""),
            ("crates/a/src/bin/tool.rs", ""),
            ("tests/outside/src/main.rs", ""),
        ];
        assert_eq!(dead(&files), ["crates/a/tests/it/lost.rs"]);
    }

    #[test]
    fn a_path_attribute_leads_to_its_file() {
        let files = [
            ("crates/a/src/lib.rs", "#[path = \"../shared/x.rs\"] mod x;"),
            ("crates/a/shared/x.rs", ""),
            ("crates/a/shared/y.rs", ""),
        ];
        assert_eq!(dead(&files), ["crates/a/shared/y.rs"]);
    }
}
