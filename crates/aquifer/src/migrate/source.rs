use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::ParseIntError;
use std::path::Path;

use super::script::Script;
use crate::error::{MigrationFault, MigrationProblem};
use crate::{Error, ErrorKind};

/// One version of the schema: the file that leads to it, and perhaps the one that leads back.
#[derive(Clone, Debug)]
pub struct Migration {
    pub(super) version: i64,
    pub(super) description: String,
    pub(super) up: Script,
    pub(super) down: Option<Script>,
}

impl Migration {
    /// The number that the file's name begins with.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The rest of the file's name, with spaces for its underscores.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The path of the file, or the name under which it was embedded.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.up.file
    }

    /// SHA-384 of the file, which the table keeps.
    #[must_use]
    pub fn checksum(&self) -> Vec<u8> {
        self.up.checksum()
    }

    /// Whether it is run in a transaction: unless the file begins with `-- no-transaction`.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.up.in_transaction
    }

    /// Whether there is a `.down.sql` file.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        self.down.is_some()
    }
}

/// A file by its path, and its text.
pub(super) type File = (String, String);

/// The files of a directory that are named as migrations, with their texts.
pub(super) fn read_directory(directory: &Path) -> Result<Vec<File>, Error> {
    let unreadable = |path: &Path, error: io::Error| {
        let text = format!("{} can't be read", path.display());
        source_error(None, None, text).with_source(error)
    };
    let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, error))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if parts(&name).is_none() || !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        files.push((path.display().to_string(), text));
    }
    Ok(files)
}

/// The migrations that these files are, the lowest version first.
pub(super) fn migrations(files: impl IntoIterator<Item = File>) -> Result<Vec<Migration>, Error> {
    let mut ups: BTreeMap<i64, (String, Script)> = BTreeMap::new();
    let mut downs: BTreeMap<i64, Script> = BTreeMap::new();
    for (file, text) in files {
        let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
        let Some((version, rest)) = parts(name) else {
            continue;
        };
        let version = version.parse().map_err(|error: ParseIntError| {
            let text = "the name must begin with a whole number, as in `0001_users.sql`";
            source_error(None, Some(&file), text).with_source(error)
        })?;
        let (suffix, leads_back) = if rest.ends_with(".down.sql") {
            (".down.sql", true)
        } else if rest.ends_with(".up.sql") {
            (".up.sql", false)
        } else {
            (".sql", false)
        };
        let description = rest.trim_end_matches(suffix).replace('_', " ");
        let script = Script::new(version, file.clone(), text);
        let twin = if leads_back {
            downs.insert(version, script).map(|twin| twin.file)
        } else {
            let replaced = ups.insert(version, (description, script));
            replaced.map(|(_, twin)| twin.file)
        };
        if let Some(twin) = twin {
            let text = format!("{twin} has the same version; give one of them another number");
            return Err(source_error(Some(version), Some(&file), text));
        }
    }
    let migrations = ups
        .into_iter()
        .map(|(version, (description, up))| Migration {
            version,
            description,
            up,
            down: downs.remove(&version),
        })
        .collect();
    match downs.into_values().next() {
        None => Ok(migrations),
        Some(lonely) => Err(source_error(
            Some(lonely.version),
            Some(&lonely.file),
            "there is no file that leads to this version; add its `.up.sql`",
        )),
    }
}

/// `<VERSION>` and what follows the first underscore, of a name that is one of a migration.
fn parts(name: &str) -> Option<(&str, &str)> {
    name.split_once('_')
        .filter(|(_, rest)| rest.ends_with(".sql"))
}

pub(super) fn source_error(
    version: Option<i64>,
    file: Option<&str>,
    text: impl Into<std::borrow::Cow<'static, str>>,
) -> Error {
    let mut fault = MigrationFault::new(version, MigrationProblem::Source);
    if let Some(file) = file {
        fault = fault.at(file, None);
    }
    Error::new(ErrorKind::Migration, text).with_migration(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<Vec<Migration>, Error> {
        migrations(
            names
                .iter()
                .map(|name| ((*name).to_owned(), "select 1".to_owned())),
        )
    }

    #[test]
    fn names_are_read_as_sqlx_reads_them() {
        let names = [
            "m/20_b_c.up.sql",
            "m/20_b_c.down.sql",
            "0003_a_b.sql",
            "readme.md",
            "x.sql",
            "4_no.txt",
        ];
        let found = of(&names).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.version(), one.description(), one.is_reversible()))
            .collect();
        assert_eq!(told, [(3, "a b", false), (20, "b c", true)]);
    }

    #[test]
    fn names_that_lead_nowhere_are_refused() {
        for (names, version, part) in [
            (&["x_a.sql"][..], None, "whole number"),
            (&["1_a.sql", "01_b.sql"], Some(1), "same version"),
            (&["1_a.sql", "1_b.up.sql"], Some(1), "same version"),
            (&["2_a.down.sql"], Some(2), "`.up.sql`"),
        ] {
            let error = of(names).unwrap_err();
            let fault = error.migration().unwrap();
            assert_eq!(fault.problem(), MigrationProblem::Source);
            assert_eq!(fault.version(), version);
            assert!(fault.file().is_some());
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
