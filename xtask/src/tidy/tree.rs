use std::fs;
use std::path::Path;

use proc_macro2::TokenStream;

use crate::failure::Failure;
use crate::tidy::finding::Finding;

/// Everything that tidy looks at, read once.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<TextFile>,
    pub(super) rust: Vec<RustFile>,
    pub(super) large: Vec<(String, u64)>,
    unparsed: Vec<Finding>,
}

/// A file that is text; the path is relative to the project, with `/` between its parts.
pub(super) struct TextFile {
    pub(super) path: String,
    pub(super) text: String,
}

/// A file of Rust that parses.
pub(super) struct RustFile {
    pub(super) path: String,
    pub(super) tokens: TokenStream,
    pub(super) syntax: syn::File,
}

/// More than this belongs into a release page or is generated, not into the repository.
const BYTES_MAX: u64 = 1_000_000;

/// Hidden entries that belong to the project; all others belong to tools.
const HIDDEN: [&str; 5] = [".cargo", ".ci", ".config", ".github", ".gitignore"];

/// Programs that must not compile, for tests of the derives.
const MISTAKES: &str = "/tests/ui/";

impl Tree {
    /// Reads the project. Directories called `target` hold what is built and are left out.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let mut tree = Self::default();
        tree.read_directory(root, "")?;
        Ok(tree)
    }

    fn read_directory(&mut self, root: &Path, relative: &str) -> Result<(), Failure> {
        let failed = |error: &std::io::Error| Failure::io(format!("./{relative}"), error);
        let entries = fs::read_dir(root.join(relative)).map_err(|error| failed(&error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed(&error))?;
            let kind = entry.file_type().map_err(|error| failed(&error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "target" || (name.starts_with('.') && !HIDDEN.contains(&name.as_str())) {
                continue;
            }
            let path = match relative {
                "" => name,
                _ => format!("{relative}/{name}"),
            };
            if kind.is_dir() {
                self.read_directory(root, &path)?;
            } else if kind.is_file() {
                self.read_file(root, path)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, root: &Path, path: String) -> Result<(), Failure> {
        let bytes =
            fs::read(root.join(&path)).map_err(|error| Failure::io(format!("./{path}"), &error))?;
        let size = bytes.len().try_into().unwrap_or(u64::MAX);
        if size > BYTES_MAX {
            self.large.push((path, size));
        } else if let Ok(text) = String::from_utf8(bytes) {
            self.add(path, text);
        }
        Ok(())
    }

    fn add(&mut self, path: String, text: String) {
        if path.ends_with(".rs") && !path.contains(MISTAKES) {
            match parse(&path, &text) {
                Ok(file) => self.rust.push(file),
                Err(finding) => self.unparsed.push(finding),
            }
        }
        self.files.push(TextFile { path, text });
    }

    /// What no other check can look at.
    pub(super) fn unparsed(&self) -> Vec<Finding> {
        self.unparsed.clone()
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    }

    /// The Rust files below a directory.
    pub(super) fn rust_below<'a>(
        &'a self,
        directory: &'a str,
    ) -> impl Iterator<Item = &'a RustFile> {
        self.rust
            .iter()
            .filter(move |file| below(&file.path, directory).is_some())
    }

    /// A tree of files that a test makes up.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add((*path).to_owned(), (*text).to_owned());
        }
        tree
    }
}

impl RustFile {
    /// Whether it is a file of tests beside the code: `pool/tests.rs`, `pool/tests/opener.rs`. What
    /// holds for `#[cfg(test)] mod tests { … }` holds for them.
    pub(super) fn is_for_tests(&self) -> bool {
        self.path.split(['/', '.']).any(|part| part == "tests")
    }
}

/// The rest of a path below a directory.
pub(super) fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    path.strip_prefix(directory)?.strip_prefix('/')
}

fn parse(path: &str, text: &str) -> Result<RustFile, Finding> {
    let failed = |error: &syn::Error| {
        let line = error.span().start().line;
        Finding::new(
            path,
            line,
            format!("this is no Rust: {error}"),
            "Correct it or remove it.",
        )
    };
    let syntax = syn::parse_file(text).map_err(|error| failed(&error))?;
    // A shebang or a byte order mark is no token; parse_file takes both away.
    let text = match text.lines().next() {
        Some(first) if first.starts_with("#!") && !first.starts_with("#![") => {
            text.replacen("#!", "//", 1)
        }
        _ => text.trim_start_matches('\u{feff}').to_owned(),
    };
    let tokens = text.parse().map_err(|error: proc_macro2::LexError| {
        failed(&syn::Error::new(error.span(), error.to_string()))
    })?;
    Ok(RustFile {
        path: path.to_owned(),
        tokens,
        syntax,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_rust_is_a_finding_with_its_line() {
        let tree = Tree::of(&[("crates/a/src/lib.rs", "fn good() {}\nfn bad( {}\n")]);
        let findings = tree.unparsed();
        assert!(
            findings.first().is_some_and(|finding| finding.line == 2),
            "{findings:?}"
        );
    }

    #[test]
    fn files_of_tests_are_told_by_their_name() {
        let paths = [
            "a/src/pool/tests.rs",
            "a/src/pool/tests/opener.rs",
            "a/src/contests.rs",
        ];
        let tree = Tree::of(&paths.map(|path| (path, "")));
        let told: Vec<bool> = tree.rust.iter().map(RustFile::is_for_tests).collect();
        assert_eq!(told, [true, true, false]);
    }

    #[test]
    fn programs_that_must_not_compile_are_not_looked_at() {
        let tree = Tree::of(&[("crates/a/tests/ui/bad.rs", "fn bad( {}")]);
        assert!(tree.unparsed().is_empty());
        assert!(tree.rust.is_empty());
    }
}
