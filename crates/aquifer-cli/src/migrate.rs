//! `aquifer migrate`: applies migrations, and says how they stand.

mod new;
mod shown;

use std::io::{self, Write};
use std::path::PathBuf;

use aquifer::migrate::{MigrationProgress, MigrationState, Migrator};
use aquifer::{Config, Db, ErrorKind, MigrationProblem};
use clap::{Args, Subcommand};

use crate::Failure;

/// What `check` exits with when migrations are to be applied yet.
const PENDING: u8 = 3;
/// What all exit with when files and table don't fit.
const UNFIT: u8 = 4;

/// Applies migrations of a directory as sqlx has them
///
/// Files are named VERSION_DESCRIPTION.sql, or ….up.sql and ….down.sql; one that begins with
/// `-- no-transaction` is run without a transaction. The table is _sqlx_migrations. The database is
/// the one that a service here would use: see `aquifer config print`.
///
/// Exits with 0 when all is well, 1 when something failed, 2 for wrong use or configuration, 3 when
/// `check` finds migrations that are not applied yet, 4 when files and table don't fit (a file that
/// changed, is missing, can't be run, or a migration that was interrupted).
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Applies all migrations that are not applied yet
    Up(Up),
    /// Shows how each migration stands
    Status(Common),
    /// Reverts the newest migration by its .down.sql file
    Down(Down),
    /// Makes an empty file for the next migration
    New(New),
    /// Exits with 0 only if the files can be run, fit the table, and are all applied; for CI
    Check(Check),
}

#[derive(Args)]
pub(crate) struct Common {
    /// The directory of the files
    #[arg(long, value_name = "PATH", default_value = "migrations")]
    dir: PathBuf,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Up {
    #[command(flatten)]
    common: Common,
    /// Goes no further than this version
    #[arg(long, value_name = "VERSION")]
    to: Option<i64>,
    /// Shows what would be run, and in which transaction; changes nothing
    #[arg(long, conflicts_with = "to")]
    dry_run: bool,
}

#[derive(Args)]
pub(crate) struct Down {
    #[command(flatten)]
    common: Common,
    /// Reverts all that are newer than this version; 0 reverts all
    #[arg(long, value_name = "VERSION")]
    to: Option<i64>,
}

#[derive(Args)]
pub(crate) struct New {
    #[command(flatten)]
    common: Common,
    /// What it does, as in `add_users`
    name: String,
    /// Makes files for both ways; without it, as the newest file is
    #[arg(long)]
    reversible: bool,
}

#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    common: Common,
    /// Looks at the files only, without a database
    #[arg(long)]
    offline: bool,
}

#[tokio::main]
pub(crate) async fn run(command: &Command, output: &mut impl Write) -> Result<(), Failure> {
    match command {
        Command::Up(arguments) if arguments.dry_run => plan(&arguments.common, output).await,
        Command::Up(arguments) => up(arguments, output).await,
        Command::Status(common) => status(common, output).await,
        Command::Down(arguments) => down(arguments, output).await,
        Command::New(arguments) => new::make(arguments, output),
        Command::Check(arguments) => check(arguments, output).await,
    }
}

async fn up(arguments: &Up, output: &mut impl Write) -> Result<(), Failure> {
    let migrator = read(&arguments.common)?;
    let db = connect().await?;
    let applied = match arguments.to {
        None => migrator.up(&db).await,
        Some(version) => migrator.up_to(&db, version).await,
    };
    db.close().await?;
    shown::applied(&applied?, arguments.common.json, output)
}

async fn down(arguments: &Down, output: &mut impl Write) -> Result<(), Failure> {
    let migrator = read(&arguments.common)?;
    let db = connect().await?;
    let reverted = match arguments.to {
        None => migrator.down(&db).await.map(Vec::from_iter),
        Some(version) => migrator.down_to(&db, version).await,
    };
    db.close().await?;
    shown::applied(&reverted?, arguments.common.json, output)
}

async fn plan(common: &Common, output: &mut impl Write) -> Result<(), Failure> {
    let migrator = read(common)?;
    let db = connect().await?;
    let planned = migrator.dry_run(&db).await;
    db.close().await?;
    shown::planned(&planned?, common.json, output)
}

async fn status(common: &Common, output: &mut impl Write) -> Result<(), Failure> {
    let migrator = read(common)?;
    let db = connect().await?;
    let status = migrator.status(&db).await;
    db.close().await?;
    shown::status(&status?, common.json, output)
}

async fn check(arguments: &Check, output: &mut impl Write) -> Result<(), Failure> {
    let common = &arguments.common;
    let migrator = read(common)?;
    migrator.check_files()?;
    if arguments.offline {
        return Ok(());
    }
    let db = connect().await?;
    let (status, planned) = (migrator.status(&db).await, migrator.dry_run(&db).await);
    db.close().await?;
    let status = status?;
    shown::status(&status, common.json, output)?;
    // Says what does not fit, with the remedy.
    planned?;
    let pending = status
        .iter()
        .filter(|one| one.state == MigrationState::Pending);
    match pending.count() {
        0 => Ok(()),
        count => Err(Failure {
            code: PENDING,
            cause: format!("migrations to be applied: {count}; run `aquifer migrate up`").into(),
        }),
    }
}

fn read(common: &Common) -> Result<Migrator, Failure> {
    Ok(Migrator::from_dir(&common.dir)?.on_progress(|progress| {
        let line = match progress {
            MigrationProgress::Waiting => "another runner is at work; waiting for it".to_owned(),
            MigrationProgress::Begun { file, .. } => format!("running {file}"),
            _ => return,
        };
        // Nobody is left to tell if stderr is closed.
        let _unheard = writeln!(io::stderr(), "aquifer: {line}");
    }))
}

async fn connect() -> Result<Db, Failure> {
    let config = Config::load()?.application_name("aquifer migrate");
    Ok(Db::connect_with(&config).await?)
}

/// The code to exit with.
pub(crate) fn code_of(error: &aquifer::Error) -> u8 {
    let problem = error.migration().map(aquifer::MigrationFault::problem);
    match (error.kind(), problem) {
        (ErrorKind::Config, _) => 2,
        (
            _,
            Some(
                MigrationProblem::NotPresent | MigrationProblem::TooNew | MigrationProblem::TooOld,
            ),
        ) => 2,
        (ErrorKind::Migration, _) => UNFIT,
        _ => 1,
    }
}
