use std::fmt;

/// Which migration an [`Error`](crate::Error) is about, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationFault {
    pub(crate) version: Option<i64>,
    pub(crate) problem: MigrationProblem,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

/// What is wrong with a migration.
///
/// Where sqlx reports the same, its name stands in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MigrationProblem {
    /// It was applied, and its file has changed since (`VersionMismatch`).
    Changed,
    /// It was begun outside of a transaction and did not come to its end (`Dirty`).
    Dirty,
    /// It failed: a statement of its file, or the connection under it (`ExecuteMigration`).
    Failed,
    /// It is to be reverted and has no `.down.sql` file.
    Irreversible,
    /// It was applied, and there is no file of it (`VersionMissing`).
    Missing,
    /// A version was asked for of which there is no file (`VersionNotPresent`).
    NotPresent,
    /// The file itself: its name, its text, or a second one of the same version (`Source`).
    Source,
    /// The database is newer than the version that was to be reached by going up
    /// (`VersionTooOld`).
    TooOld,
    /// The database is older than the version that was to be reached by going down
    /// (`VersionTooNew`).
    TooNew,
}

impl MigrationFault {
    pub(crate) fn new(version: Option<i64>, problem: MigrationProblem) -> Self {
        Self {
            version,
            problem,
            file: None,
            line: None,
        }
    }

    pub(crate) fn at(mut self, file: &str, line: Option<u32>) -> Self {
        self.file = Some(file.to_owned());
        self.line = line;
        self
    }

    /// The number that the file's name begins with; `None` where it begins with none.
    #[must_use]
    pub fn version(&self) -> Option<i64> {
        self.version
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> MigrationProblem {
        self.problem
    }

    /// The file, by the path that it was read from.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The line in the file, from 1: where the server points to, else where the statement begins.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        self.line
    }
}

/// The version and the place, as the error texts begin: `migration 3, migrations/0003_x.sql:12`.
impl fmt::Display for MigrationFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(formatter, "migration {version}")?,
            None => formatter.write_str("migrations")?,
        }
        if let Some(file) = &self.file {
            write!(formatter, ", {file}")?;
        }
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        Ok(())
    }
}
