//! As much of a `Cargo.toml` as the rules need.

use crate::tidy::tree::{Tree, below};

/// A package of the main workspace.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    /// The directory of the package, relative to the project.
    pub(super) directory: String,
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
    /// Files that a target names with `path = "…"`.
    pub(super) targets: Vec<String>,
    /// Whether the lints of the workspace hold for it.
    pub(super) has_lints: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) line: usize,
    /// Whether only tests, examples and benches see it.
    pub(super) for_tests: bool,
}

/// All packages below `crates/`, and xtask.
pub(super) fn manifests(tree: &Tree) -> Vec<Manifest> {
    tree.files
        .iter()
        .filter(|file| is_member(&file.path))
        .map(|file| Manifest::read(&file.path, &file.text))
        .collect()
}

fn is_member(path: &str) -> bool {
    path == "xtask/Cargo.toml"
        || below(path, "crates")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, rest)| rest == "Cargo.toml")
}

impl Manifest {
    pub(super) fn read(path: &str, text: &str) -> Self {
        let directory = path.strip_suffix("/Cargo.toml").unwrap_or_default();
        let mut manifest = Self {
            path: path.to_owned(),
            directory: directory.to_owned(),
            name: String::new(),
            dependencies: Vec::new(),
            targets: Vec::new(),
            has_lints: false,
        };
        let mut section = String::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_matches(['[', ']']).to_owned();
                // `[dependencies.name]` is a section of its own for one dependency.
                if let Some((kind, name)) = section.rsplit_once('.') {
                    manifest.add_dependency(kind, name, number);
                }
            } else if let Some((key, value)) = line.split_once('=') {
                manifest.read_value(&section, key.trim(), value.trim(), number);
            }
        }
        manifest
    }

    fn read_value(&mut self, section: &str, key: &str, value: &str, line: usize) {
        let text = value.trim_matches('"');
        match (section, key) {
            ("package", "name") => text.clone_into(&mut self.name),
            ("lints", "workspace") => self.has_lints = value == "true",
            ("lib" | "bin" | "test" | "example" | "bench", "path") | ("package", "build") => {
                self.targets.push(format!("{}/{text}", self.directory));
            }
            _ => {
                let key = key.split('.').next().unwrap_or(key);
                // A rename hides which crate it is; the rules are about the crate.
                let name = quoted_after(value, "package").unwrap_or(key);
                self.add_dependency(section, name, line);
            }
        }
    }

    fn add_dependency(&mut self, section: &str, name: &str, line: usize) {
        // `target.'cfg(…)'.dependencies` counts like `dependencies`.
        let kind = section.rsplit('.').next().unwrap_or(section);
        let for_tests = match kind {
            "dependencies" | "build-dependencies" => false,
            "dev-dependencies" => true,
            _ => return,
        };
        self.dependencies.push(Dependency {
            name: name.to_owned(),
            line,
            for_tests,
        });
    }
}

fn quoted_after<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = value.split_once(key)?;
    let rest = rest
        .trim_start()
        .strip_prefix('=')?
        .trim_start()
        .strip_prefix('"')?;
    rest.split_once('"').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_in_every_form() {
        let text = "[package]\nname = \"aquifer\"\n[dependencies]\nbytes.workspace = true\n\
                    renamed = { package = \"redis\", version = \"1\" }\n[dependencies.tokio]\n\
                    version = \"1\"\n[target.'cfg(unix)'.dependencies]\nrustix = \"1\"\n\
                    [dev-dependencies]\nproptest = \"1\"\n[features]\nuuid = [\"dep:uuid\"]\n";
        let manifest = Manifest::read("crates/aquifer/Cargo.toml", text);
        assert_eq!(manifest.name, "aquifer");
        assert_eq!(manifest.directory, "crates/aquifer");
        let names = manifest
            .dependencies
            .iter()
            .map(|d| (d.name.as_str(), d.for_tests));
        let expected = [
            ("bytes", false),
            ("redis", false),
            ("tokio", false),
            ("rustix", false),
            ("proptest", true),
        ];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn targets_with_a_path_are_read() {
        let text = "[package]\nname = \"a\"\n[[bench]]\nname = \"b\"\npath = \"measure/b.rs\"\n";
        let manifest = Manifest::read("crates/a/Cargo.toml", text);
        assert_eq!(manifest.targets, ["crates/a/measure/b.rs"]);
    }
}
