//! The environment: the only place that reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use aquifer_wire::Secret;

use super::text::nearest;
use super::{Config, Origin, knob};
use crate::{Error, ErrorKind};

const CONFIG_FILE: &str = "AQUIFER_CONFIG";

/// Where the statements of a test run are collected; see `testing`.
const COLLECT: &str = "AQUIFER_COLLECT";

/// Variables that begin with `AQUIFER_` and set no knob.
const OTHERS: [&str; 3] = [CONFIG_FILE, "AQUIFER_PG_BIN", COLLECT];

/// The variables of one moment.
pub(super) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Those of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads them"
    )]
    pub(super) fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// Those of `variables` that concern us.
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let named = variables.into_iter().filter_map(|(name, value)| {
            // What is not UTF-8 is no name of ours.
            Some((name.into_string().ok()?, value))
        });
        Self(
            named
                .filter(|(name, _)| is_ours(name) || is_libpq(name))
                .collect(),
        )
    }

    /// The file to read, if a variable names one.
    pub(super) fn config_file(&self) -> Result<Option<PathBuf>, Error> {
        match self.0.get(CONFIG_FILE) {
            Some(path) if path.is_empty() => Err(Error::new(
                ErrorKind::Config,
                "the variable AQUIFER_CONFIG is empty; name a TOML file, or unset it",
            )),
            path => Ok(path.map(PathBuf::from)),
        }
    }

    /// Sets in `config` what the variables say.
    pub(super) fn apply(&self, config: &mut Config) -> Result<(), Error> {
        let known: Vec<_> = variables().collect();
        if let Some(name) = self
            .0
            .keys()
            .find(|name| is_ours(name) && !known.contains(name))
        {
            return Err(unknown(name));
        }
        for knob in knob::ALL {
            let variable = knob.variable();
            if let Some(text) = self.text(&variable)? {
                config.set(knob, text, Origin::variable(variable))?;
            }
        }
        self.apply_libpq(config)
    }

    /// Keeps in `config` what the variables of libpq say, for what nothing else sets.
    pub(super) fn apply_libpq(&self, config: &mut Config) -> Result<(), Error> {
        for name in self.0.keys().filter(|name| is_libpq(name)) {
            if let Some(text) = self.text(name)? {
                config.libpq.insert(name.clone(), Secret::from(text));
            }
        }
        Ok(())
    }

    fn text(&self, variable: &str) -> Result<Option<&str>, Error> {
        let Some(value) = self.0.get(variable) else {
            return Ok(None);
        };
        value.to_str().map(Some).ok_or_else(|| {
            let problem =
                format!("the variable {variable} is not UTF-8; set it again, or unset it");
            Error::new(ErrorKind::Config, problem)
        })
    }
}

/// The file in which the statements of this process are collected, if the environment names one.
#[cfg(feature = "testing")]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads them"
)]
pub(super) fn collected_into() -> Option<PathBuf> {
    std::env::var_os(COLLECT)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

fn is_ours(name: &str) -> bool {
    name.starts_with("AQUIFER_") || matches!(name, "DATABASE_URL" | "REDIS_URL")
}

fn is_libpq(name: &str) -> bool {
    name.starts_with("PG") || matches!(name, "HOME" | "LOGNAME" | "USER")
}

/// Every variable of ours that is known.
fn variables() -> impl Iterator<Item = String> {
    let others = OTHERS.into_iter().map(str::to_owned);
    knob::ALL
        .into_iter()
        .map(knob::AnyKnob::variable)
        .chain(others)
}

fn unknown(name: &str) -> Error {
    let meant = nearest(name, variables(), stem);
    let meant = meant.map_or_else(String::new, |meant| format!(" did you mean {meant}?"));
    let known: Vec<_> = variables().collect();
    Error::new(
        ErrorKind::Config,
        format!(
            "the variable {name} is unknown;{meant} known are: {}",
            known.join(", ")
        ),
    )
}

/// What of a variable's name is the knob's, so that a missing `ADVANCED_` counts for nothing.
fn stem(name: &str) -> &str {
    let advanced = name.strip_prefix("AQUIFER_ADVANCED_");
    advanced
        .or_else(|| name.strip_prefix("AQUIFER_"))
        .unwrap_or(name)
}
