//! The command as its users run it.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails must end the test"
)]

mod cache;
mod check;
mod config_print;
mod demo;
mod migrate;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// An empty working directory that goes away with its owner.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("aquifer-cli-{}-{number}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn make(&self, name: &str) {
        fs::create_dir(self.0.join(name)).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// Runs `aquifer` here with these variables and no others.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_aquifer"))
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Run::from(output)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _already_gone = fs::remove_dir_all(&self.0);
    }
}

/// What a run said and how it ended.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let run = Directory::new().run(&["--version"], &[]);
    assert_eq!(
        run.stdout,
        concat!("aquifer ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn wrong_use_exits_with_2_and_shows_the_right_one() {
    for arguments in [&["confg"][..], &["config"], &["config", "print", "--yaml"]] {
        let run = Directory::new().run(arguments, &[]);
        assert_eq!(run.code, Some(2), "{arguments:?}");
        assert!(run.stderr.contains("Usage: aquifer"), "{}", run.stderr);
    }
}
