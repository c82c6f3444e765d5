mod documentation;
mod layers;
mod refusals;
mod secrets;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::environment::Environment;
use super::{Config, Origin};
use crate::{Error, ErrorKind};

/// The environment with these variables and no others.
fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(
        variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value))),
    )
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Config, Error> {
    Config::new().with_environment(&environment(variables))
}

/// A file that goes away with its owner.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(text: impl AsRef<[u8]>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("aquifer-config-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _already_gone = fs::remove_file(&self.0);
    }
}

fn from_file(text: &str) -> Result<Config, Error> {
    Config::from_file(TemporaryFile::new(text).path())
}

/// Why `config` can't be used, on reading or on checking.
fn refusal(config: Result<Config, Error>) -> String {
    let error = config.and_then(|config| config.validate()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

/// The value of one setting as it is listed, and its origin.
fn listed(config: &Config, name: &str) -> (String, Origin) {
    let found = config.values().find(|(listed, _, _)| *listed == name);
    let (_, value, origin) = found.unwrap_or_else(|| panic!("{name} is not listed"));
    (value, origin)
}

fn value(config: &Config, name: &str) -> String {
    listed(config, name).0
}

fn origin(config: &Config, name: &str) -> String {
    listed(config, name).1.to_string()
}
