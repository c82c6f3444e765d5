use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The directory that holds the project.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the project at run time: a path from compile time would be wrong in a second worktree
    /// that shares the target directory.
    pub(crate) fn find() -> Result<Self, Failure> {
        let start = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => PathBuf::from(manifest),
            None => env::current_dir()
                .map_err(|error| Failure::io("the current directory can't be read", &error))?,
        };
        start
            .ancestors()
            .find(|directory| directory.join("xtask/Cargo.toml").is_file())
            .map(|root| Self {
                root: root.to_owned(),
            })
            .ok_or_else(|| Failure::new("run this inside the project: cargo xtask help"))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn has(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }

    pub(crate) fn read(&self, relative: &str) -> Result<String, Failure> {
        fs::read_to_string(self.path(relative)).map_err(|error| Failure::io(relative, &error))
    }

    /// A cargo that sees the environment as if it had been called from a shell.
    ///
    /// `cargo run` describes xtask in `CARGO_PKG_NAME` and its like. Build scripts that watch
    /// these variables (that of ring does) would otherwise run again after each change between
    /// `cargo` and `cargo xtask`.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            if describes_a_package(&name) {
                cargo.env_remove(name);
            }
        }
        cargo
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> Result<PathBuf, Failure> {
        let output = self
            .cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .map_err(|error| Failure::io("cargo metadata can't be run", &error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.split_once("\"target_directory\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(path, _)| PathBuf::from(path))
            .ok_or_else(|| Failure::new("cargo metadata does not name the target directory"))
    }

    /// Whether `aquifer` has its handle; before that nothing can use it from outside.
    pub(crate) fn library_is_there(&self) -> Result<bool, Failure> {
        let exports = self.read("crates/aquifer/src/lib.rs")?;
        Ok(exports
            .lines()
            .any(|line| line.trim_start().starts_with("pub use")))
    }
}

fn describes_a_package(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_PRIMARY_",
            "CARGO_CRATE_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_variables_that_describe_a_package_are_hidden_from_cargo() {
        assert!(describes_a_package(OsStr::new("CARGO_PKG_NAME")));
        assert!(describes_a_package(OsStr::new("CARGO_MANIFEST_DIR")));
        assert!(!describes_a_package(OsStr::new("CARGO_TARGET_DIR")));
        assert!(!describes_a_package(OsStr::new("CARGO_HOME")));
    }
}
