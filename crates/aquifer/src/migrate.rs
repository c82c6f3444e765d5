//! Migrations: the files that make a schema step by step, and the table that says which were
//! applied.
//!
//! Directory and table are those of sqlx, so that a team can come and go: files named
//! `<VERSION>_<DESCRIPTION>.sql`, or `….up.sql` and `….down.sql`; the table `_sqlx_migrations` with
//! a SHA-384 of each file. Its runner and this one keep each other out.
//!
//! ```no_run
//! use aquifer::migrate::Migrator;
//! use aquifer::{Db, Error};
//!
//! async fn prepare(db: &Db) -> Result<(), Error> {
//!     let migrator = Migrator::from_files([
//!         ("0001_users.sql", "create table users (id bigint primary key)"),
//!         // As a rule: ("0002_names.sql", include_str!("../migrations/0002_names.sql")),
//!         ("0002_names.sql", "alter table users add name text"),
//!     ])?;
//!     for applied in migrator.up(db).await? {
//!         println!("{} {} took {:?}", applied.version, applied.description, applied.elapsed);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What holds
//! - A file is run in a transaction that also notes it in the table: both or nothing take effect,
//!   wherever the run is interrupted. Several runners at once apply each file once; behind PgBouncer,
//!   too, for the lock lasts as long as a transaction, not a session.
//! - A file that begins with `-- no-transaction` is for what can't be in one, such as `CREATE INDEX
//!   CONCURRENTLY`. Its statements are sent one by one, each takes effect by itself, on one connection
//!   beside another one that holds the lock. Its row says `success = false` until the last one is
//!   done: what is interrupted is told to the next runner, as [`MigrationProblem::Dirty`], and by sqlx
//!   likewise. Nobody runs it a second time meanwhile.
//! - A statement that waits for a lock longer than [`lock_timeout`](Migrator::lock_timeout) fails, for
//!   all that comes behind it would wait, too.
//!
//! [`MigrationProblem::Dirty`]: crate::MigrationProblem::Dirty

mod alone;
mod goal;
mod lock;
mod progress;
mod run;
mod script;
mod source;
mod status;
mod table;

use std::fmt;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::goal::{Files, Goal};
pub use self::progress::{Applied, MigrationProgress};
use self::run::Run;
pub use self::source::Migration;
pub use self::status::{MigrationState, MigrationStatus, Planned};
use self::table::{Row, Table};
use crate::db::Db;
use crate::deadline::Deadline;
use crate::statement::TableName;
use crate::{Error, ErrorKind};

/// The table of sqlx.
const TABLE: &str = "_sqlx_migrations";

/// Applies migrations, and says how they stand.
///
/// Cheap to make, kept for as long as it is useful; each call reads the table anew. Errors name the
/// file and the line: see [`Error::migration`].
#[derive(Clone)]
pub struct Migrator {
    migrations: Vec<Migration>,
    table: TableName,
    /// The table's name as SQL has it.
    quoted: String,
    ignore_missing: bool,
    patience: Patience,
    progress: Option<Told>,
}

type Told = Arc<dyn Fn(&MigrationProgress) + Send + Sync>;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    deadline: Duration,
    lock_timeout: Duration,
}

impl Migrator {
    /// The files of a directory; others than `<VERSION>_<DESCRIPTION>.sql` are passed over.
    ///
    /// It reads the files at once, and blocks for that time.
    ///
    /// # Errors
    /// [`ErrorKind::Migration`] with [`MigrationProblem::Source`](crate::MigrationProblem::Source) for
    /// a file that can't be read, a version that is no number or is there twice, and a `.down.sql`
    /// without the file that leads up.
    pub fn from_dir(directory: impl AsRef<Path>) -> Result<Self, Error> {
        Self::of(source::read_directory(directory.as_ref())?)
    }

    /// Files that are part of the program: names, and texts by `include_str!`.
    ///
    /// # Errors
    /// As [`from_dir`](Self::from_dir).
    pub fn from_files<N: Into<String>, T: Into<String>>(
        files: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, Error> {
        let files = files.into_iter();
        Self::of(files.map(|(name, text)| (name.into(), text.into())))
    }

    fn of(files: impl IntoIterator<Item = source::File>) -> Result<Self, Error> {
        let table = TableName::from(TABLE);
        Ok(Self {
            migrations: source::migrations(files)?,
            quoted: table.quoted()?,
            table,
            ignore_missing: false,
            patience: Patience {
                deadline: Duration::from_secs(15 * 60),
                lock_timeout: Duration::from_secs(10),
            },
            progress: None,
        })
    }

    /// How long a run may take, the wait for other runners included. Default: 15 min.
    ///
    /// It takes the place of `query_timeout`, and of the server's `statement_timeout` where that can be
    /// set. What runs at the deadline is cancelled and rolled back.
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.patience.deadline = limit;
        self
    }

    /// How long a statement may wait for a lock of the server. Default: 10 s; zero: for ever.
    ///
    /// Queries that come later wait behind one that waits for a table, so a long time here may be an
    /// outage. Behind a pooler it does not hold for `-- no-transaction` files.
    #[must_use]
    pub fn lock_timeout(mut self, limit: Duration) -> Self {
        self.patience.lock_timeout = limit;
        self
    }

    /// Another table than `_sqlx_migrations`; one that is named without schema is found by the search
    /// path.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a name that PostgreSQL would not take whole.
    pub fn table(mut self, name: impl Into<TableName>) -> Result<Self, Error> {
        self.table = name.into();
        self.quoted = self.table.quoted()?;
        Ok(self)
    }

    /// Whether versions may have been applied of which there is no file, as by a newer release of the
    /// same service. Default: no.
    #[must_use]
    pub fn ignore_missing(mut self, ignore: bool) -> Self {
        self.ignore_missing = ignore;
        self
    }

    /// Calls `told` at each step of a run; it should return soon.
    #[must_use]
    pub fn on_progress(
        mut self,
        told: impl Fn(&MigrationProgress) + Send + Sync + 'static,
    ) -> Self {
        self.progress = Some(Arc::new(told));
        self
    }

    /// The migrations, the lowest version first.
    #[must_use]
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// Applies all that were not applied yet, the lowest version first; returns those of this run.
    ///
    /// A COMMIT whose answer is lost is looked up in the table; that file may not be among those returned.
    /// It never takes part in a transaction of its caller. The handle's login needs the right to create
    /// the table, where it is not there yet.
    ///
    /// # Errors
    /// [`ErrorKind::Migration`] when files and table don't fit (nothing was done then): a file that has
    /// [changed](crate::MigrationProblem::Changed), is [missing](crate::MigrationProblem::Missing), or
    /// was [interrupted](crate::MigrationProblem::Dirty). That of the statement that failed, with file
    /// and line in [`Error::migration`]; files before it are applied. [`ErrorKind::Timeout`] at the
    /// deadline. As [`Session`](crate::Session) besides. It may be called again after any of them.
    ///
    /// # Cancel safety
    /// The file under way is rolled back, unless its COMMIT was begun, which is carried out; one without
    /// a transaction is left as [dirty](crate::MigrationProblem::Dirty).
    #[doc(alias("run", "migrate"))]
    #[track_caller]
    pub fn up(&self, db: &Db) -> impl Future<Output = Result<Vec<Applied>, Error>> + Send {
        self.run(db, Goal::Up(None), Location::caller())
    }

    /// As [`up`](Self::up), of versions up to this one.
    ///
    /// # Errors
    /// As [`up`](Self::up); [`MigrationProblem::NotPresent`](crate::MigrationProblem::NotPresent)
    /// without a file of that version, and [`MigrationProblem::TooOld`](crate::MigrationProblem::TooOld)
    /// when a newer one was applied.
    ///
    /// # Cancel safety
    /// As [`up`](Self::up).
    #[track_caller]
    pub fn up_to(
        &self,
        db: &Db,
        version: i64,
    ) -> impl Future<Output = Result<Vec<Applied>, Error>> + Send {
        self.run(db, Goal::Up(Some(version)), Location::caller())
    }

    /// Reverts the newest one by its `.down.sql`; `None` if none is applied.
    ///
    /// # Errors
    /// As [`up`](Self::up);
    /// [`MigrationProblem::Irreversible`](crate::MigrationProblem::Irreversible) without such a file.
    ///
    /// # Cancel safety
    /// As [`up`](Self::up).
    #[doc(alias("revert", "undo"))]
    #[track_caller]
    pub fn down(&self, db: &Db) -> impl Future<Output = Result<Option<Applied>, Error>> + Send {
        let run = self.run(db, Goal::Back, Location::caller());
        async move { Ok(run.await?.pop()) }
    }

    /// Reverts all that are newer than this version, the newest first; 0 reverts all.
    ///
    /// # Errors
    /// As [`down`](Self::down); [`MigrationProblem::NotPresent`](crate::MigrationProblem::NotPresent)
    /// without a file of that version, and [`MigrationProblem::TooNew`](crate::MigrationProblem::TooNew)
    /// when the database is older.
    ///
    /// # Cancel safety
    /// As [`up`](Self::up).
    #[track_caller]
    pub fn down_to(
        &self,
        db: &Db,
        version: i64,
    ) -> impl Future<Output = Result<Vec<Applied>, Error>> + Send {
        self.run(db, Goal::BackTo(version), Location::caller())
    }

    /// How each migration stands: by files and rows together, the lowest version first.
    ///
    /// Nothing is changed; without the table all are pending.
    ///
    /// # Errors
    /// As [`Session`](crate::Session).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn status(&self, db: &Db) -> Result<Vec<MigrationStatus>, Error> {
        let rows = self.rows(db).await?;
        Ok(status::status(self.files(), &rows))
    }

    /// What [`up`](Self::up) would do now, file by file; nothing is changed, nor tried.
    ///
    /// # Errors
    /// Those by which [`up`](Self::up) would refuse to begin.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn dry_run(&self, db: &Db) -> Result<Vec<Planned>, Error> {
        let rows = self.rows(db).await?;
        let files = self.files();
        Goal::Up(None).next(files, &rows)?;
        let planned = |migration: &Migration| {
            let statements = migration.up.statements()?;
            Ok(Planned {
                version: migration.version,
                description: migration.description.clone(),
                file: migration.file().to_owned(),
                in_transaction: migration.up.in_transaction,
                statements: statements.iter().map(|one| one.text.to_owned()).collect(),
            })
        };
        files.pending(&rows).map(planned).collect()
    }

    /// Refuses files that could never be run: see the errors of [`up`](Self::up); without a database.
    ///
    /// # Errors
    /// [`ErrorKind::Migration`] with the first such file and its line.
    pub fn check_files(&self) -> Result<(), Error> {
        for migration in &self.migrations {
            migration.up.statements()?;
            if let Some(down) = &migration.down {
                down.statements()?;
            }
        }
        Ok(())
    }

    async fn rows(&self, db: &Db) -> Result<Vec<Row>, Error> {
        let db = db.detached();
        match Table::find(&db, &self.table).await? {
            Some(table) => table.rows(&db).await,
            None => Ok(Vec::new()),
        }
    }

    async fn run(
        &self,
        db: &Db,
        goal: Goal,
        location: &'static Location<'static>,
    ) -> Result<Vec<Applied>, Error> {
        let limit = self.patience.deadline;
        let run = Box::pin(async {
            let run = Run::start(self, db, goal, location).await?;
            Box::pin(run.finish()).await
        });
        match Deadline::after(limit).run(run).await {
            Ok(outcome) => outcome,
            Err(_) => Err(too_late(limit)),
        }
    }

    fn files(&self) -> Files<'_> {
        Files {
            migrations: &self.migrations,
            ignore_missing: self.ignore_missing,
            table: &self.quoted,
        }
    }
}

impl fmt::Debug for Migrator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self.migrations.iter().map(Migration::version).collect();
        formatter
            .debug_struct("Migrator")
            .field("versions", &versions)
            .field("table", &self.quoted)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

fn too_late(limit: Duration) -> Error {
    let text = format!(
        "the migrations were not done within {limit:?} (`Migrator::deadline`); what ran was cancelled. \
         See `status` for what is applied, and `Db::holders` and pg_locks for what was in the way"
    );
    Error::new(ErrorKind::Timeout, text)
}
