use std::time::{Duration, SystemTime};

use super::goal::Files;
use super::table::Row;

/// How one migration stands, by its file and its row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationStatus {
    /// Its number.
    pub version: i64,
    /// Its description: of the file, else of the row.
    pub description: String,
    /// The file; `None` where there is none.
    pub file: Option<String>,
    /// How it stands.
    pub state: MigrationState,
    /// When it was applied.
    pub installed_on: Option<SystemTime>,
    /// How long it took, where that is known.
    pub execution_time: Option<Duration>,
}

/// How one migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MigrationState {
    /// It was applied, and its file is as it was then.
    Applied,
    /// It was applied, and its file has changed since.
    Changed,
    /// It was begun outside of a transaction and has not come to its end.
    Dirty,
    /// It was applied, and there is no file of it.
    Missing,
    /// It was not applied yet.
    Pending,
}

/// A file that a run would execute; see [`Migrator::dry_run`](super::Migrator::dry_run).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// The migration's number.
    pub version: i64,
    /// Its description, from the name of its file.
    pub description: String,
    /// The file.
    pub file: String,
    /// Whether it is run in a transaction of its own, which also notes it as applied.
    pub in_transaction: bool,
    /// Its statements, as they would be sent.
    pub statements: Vec<String>,
}

pub(super) fn status(files: Files<'_>, rows: &[Row]) -> Vec<MigrationStatus> {
    let applied = rows.iter().map(|row| of_row(files, row));
    let pending = files.pending(rows).map(|migration| MigrationStatus {
        version: migration.version,
        description: migration.description.clone(),
        file: Some(migration.file().to_owned()),
        state: MigrationState::Pending,
        installed_on: None,
        execution_time: None,
    });
    let mut all: Vec<_> = applied.chain(pending).collect();
    all.sort_by_key(|one| one.version);
    all
}

fn of_row(files: Files<'_>, row: &Row) -> MigrationStatus {
    let migration = files.of(row.version);
    let state = match migration {
        _ if !row.success => MigrationState::Dirty,
        None => MigrationState::Missing,
        Some(migration) if migration.checksum() != row.checksum => MigrationState::Changed,
        Some(_) => MigrationState::Applied,
    };
    let known = u64::try_from(row.execution_time).ok();
    MigrationStatus {
        version: row.version,
        description: migration
            .map_or_else(|| row.description.clone(), |one| one.description.clone()),
        file: migration.map(|one| one.file().to_owned()),
        state,
        installed_on: Some(row.installed_on),
        execution_time: known.map(Duration::from_nanos),
    }
}
