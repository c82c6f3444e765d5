//! What is to be done next, told from the files and the rows of the table.

use super::script::Script;
use super::source::Migration;
use super::table::Row;
use crate::error::{MigrationFault, MigrationProblem};
use crate::{Error, ErrorKind};

/// Where a run is to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// All files, or those up to a version, are applied.
    Up(Option<i64>),
    /// The newest one is reverted.
    Back,
    /// All that are newer than a version are reverted; 0 is before all of them.
    BackTo(i64),
}

/// What all look at who decide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files<'a> {
    pub(super) migrations: &'a [Migration],
    /// Whether rows without files are let be.
    pub(super) ignore_missing: bool,
    /// The name of the table as in SQL, for remedies.
    pub(super) table: &'a str,
}

/// One file that is to be run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    pub(super) migration: &'a Migration,
    pub(super) script: &'a Script,
    pub(super) reverts: bool,
}

impl Goal {
    /// Refuses a version that can't be reached in this direction, as the command of sqlx does.
    pub(super) fn check(self, files: Files<'_>, rows: &[Row]) -> Result<(), Error> {
        let (target, up) = match self {
            Self::Up(Some(target)) => (target, true),
            Self::BackTo(target) if target != 0 => (target, false),
            _ => return Ok(()),
        };
        let fails = |problem, text: String| {
            let fault = MigrationFault::new(Some(target), problem);
            Err(Error::new(ErrorKind::Migration, text).with_migration(fault))
        };
        if !files.migrations.iter().any(|one| one.version == target) {
            let text = "there is no file of this version".to_owned();
            return fails(MigrationProblem::NotPresent, text);
        }
        let latest = rows.last().map_or(0, |row| row.version);
        if up && target < latest {
            let text = format!(
                "it is older than the latest one that was applied, {latest}; go down to it instead"
            );
            return fails(MigrationProblem::TooOld, text);
        }
        if !up && target > latest {
            let text = format!(
                "it is newer than the latest one that was applied, {latest}; go up to it instead"
            );
            return fails(MigrationProblem::TooNew, text);
        }
        Ok(())
    }

    /// The next file to be run; `None` when the goal is reached.
    pub(super) fn next<'a>(
        self,
        files: Files<'a>,
        rows: &[Row],
    ) -> Result<Option<Task<'a>>, Error> {
        files.refuse_dirty(rows)?;
        files.refuse_missing(rows)?;
        let target = match self {
            Self::Up(target) => {
                files.refuse_changed(rows, target)?;
                return Ok(files.next_up(rows, target));
            }
            Self::Back => i64::MIN,
            Self::BackTo(target) => target,
        };
        let newest = rows
            .iter()
            .rev()
            .filter(|row| row.version > target)
            .find_map(|row| files.of(row.version));
        newest.map(reverting).transpose()
    }
}

impl<'a> Files<'a> {
    pub(super) fn of(self, version: i64) -> Option<&'a Migration> {
        self.migrations.iter().find(|one| one.version == version)
    }

    fn next_up(self, rows: &[Row], target: Option<i64>) -> Option<Task<'a>> {
        let pending = |one: &&Migration| rows.iter().all(|row| row.version != one.version);
        self.wanted(target).find(pending).map(|migration| Task {
            migration,
            script: &migration.up,
            reverts: false,
        })
    }

    /// Those that are not applied yet, in the order in which they will be.
    pub(super) fn pending(self, rows: &[Row]) -> impl Iterator<Item = &'a Migration> {
        self.wanted(None)
            .filter(move |one| rows.iter().all(|row| row.version != one.version))
    }

    fn wanted(self, target: Option<i64>) -> impl Iterator<Item = &'a Migration> {
        self.migrations
            .iter()
            .take_while(move |one| target.is_none_or(|target| one.version <= target))
    }

    fn refuse_dirty(self, rows: &[Row]) -> Result<(), Error> {
        let Some(row) = rows.iter().find(|row| !row.success) else {
            return Ok(());
        };
        let (version, table) = (row.version, self.table);
        let text = format!(
            "it was begun without a transaction and did not come to its end, or another program is \
             at it now. If none is, put in order what it has left, then tell so: to have it run \
             again, `delete from {table} where version = {version}`; if it is done, `update {table} \
             set success = true where version = {version}`"
        );
        Err(self.fault(version, MigrationProblem::Dirty, text))
    }

    fn refuse_missing(self, rows: &[Row]) -> Result<(), Error> {
        if self.ignore_missing {
            return Ok(());
        }
        let Some(row) = rows.iter().find(|row| self.of(row.version).is_none()) else {
            return Ok(());
        };
        let text = format!(
            "it was applied ({:?}) and there is no file of it: this program may be older than the \
             database, or the file was removed; bring it back, or allow this by `ignore_missing`",
            row.description
        );
        Err(self.fault(row.version, MigrationProblem::Missing, text))
    }

    fn refuse_changed(self, rows: &[Row], target: Option<i64>) -> Result<(), Error> {
        let changed = self.wanted(target).find_map(|one| {
            let row = rows.iter().find(|row| row.version == one.version)?;
            (row.checksum != one.checksum()).then_some((one, row))
        });
        let Some((migration, row)) = changed else {
            return Ok(());
        };
        let text = if migration.up.differs_in_line_ends(&row.checksum) {
            "it was applied with other line ends (LF, CR LF) than the file has now; write \
             `*.sql -text` into .gitattributes and restore the file"
        } else {
            "it was applied, and the file has changed since; restore the file, and make the change \
             in a new migration"
        };
        Err(self.fault(migration.version, MigrationProblem::Changed, text))
    }

    fn fault(
        self,
        version: i64,
        problem: MigrationProblem,
        text: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Error {
        let mut fault = MigrationFault::new(Some(version), problem);
        if let Some(migration) = self.of(version) {
            fault = fault.at(migration.file(), None);
        }
        Error::new(ErrorKind::Migration, text).with_migration(fault)
    }
}

fn reverting(migration: &Migration) -> Result<Task<'_>, Error> {
    match &migration.down {
        Some(script) => Ok(Task {
            migration,
            script,
            reverts: true,
        }),
        None => {
            let text = "it can't be reverted, since it has no `.down.sql` file; undo it by a new \
                        migration";
            let fault = migration.up.fault(MigrationProblem::Irreversible, None);
            Err(Error::new(ErrorKind::Migration, text).with_migration(fault))
        }
    }
}
