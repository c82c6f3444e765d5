//! One run: migration by migration, each under the lock, until the goal is reached.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::scan;
use aquifer_wire::Sharing;

use super::goal::{Goal, Task};
use super::lock;
use super::progress::{Applied, MigrationProgress};
use super::script::{Script, Statement};
use super::table::{Row, Table};
use super::{Migrator, Patience};
use crate::bulk::{Need, Seat};
use crate::db::Db;
use crate::deadline::Deadline;
use crate::execute::{Told, announce_text, no_session};
use crate::session::{Session, sealed::Run as _};
use crate::transaction::{Isolation, Transaction, TransactionOptions};
use crate::{Error, ErrorKind, clock};

/// How often the answer to a COMMIT may be lost in one run.
const UNKNOWN_MAX: u32 = 3;

/// What one look at the table under the lock led to.
pub(super) enum Step {
    /// Another runner has the lock.
    Busy,
    /// One file took effect.
    Done(Applied),
    /// The goal is reached.
    Reached,
    /// This version is next, and wants no transaction.
    Alone(i64),
}

/// A run that is under way.
pub(super) struct Run<'a> {
    pub(super) migrator: &'a Migrator,
    pub(super) db: Db,
    pub(super) goal: Goal,
    pub(super) lock: i64,
    pub(super) deadline: Deadline,
    pub(super) location: &'static Location<'static>,
}

impl<'a> Run<'a> {
    pub(super) async fn start(
        migrator: &'a Migrator,
        db: &Db,
        goal: Goal,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        let Patience { deadline, .. } = migrator.patience;
        let (limit, deadline) = (deadline, Deadline::after(deadline));
        // Not part of a transaction that its caller may be in, which would hold the lock.
        let db = db.detached().with_query_timeout(limit);
        let name: String = db
            .query_value("select current_database()::text", ())
            .await?;
        Ok(Self {
            migrator,
            db,
            goal,
            lock: lock::number(&name),
            deadline,
            location,
        })
    }

    pub(super) async fn finish(self) -> Result<Vec<Applied>, Error> {
        let mut done = Vec::new();
        let (mut waits, mut unknown) = (false, 0);
        loop {
            let step = match self.step(done.is_empty()).await {
                Ok(Step::Alone(version)) => Box::pin(self.alone(version)).await?,
                // Under the lock the table tells what became of it: it is free when that is over.
                Err(error) if error.kind() == ErrorKind::Unknown && unknown < UNKNOWN_MAX => {
                    unknown += 1;
                    continue;
                }
                step => step?,
            };
            let applied = match step {
                Step::Reached => return Ok(done),
                Step::Done(applied) => applied,
                Step::Busy if waits => {
                    pause().await;
                    continue;
                }
                Step::Busy => {
                    waits = true;
                    self.tell(MigrationProgress::Waiting);
                    continue;
                }
                Step::Alone(_) => continue,
            };
            waits = false;
            self.tell(MigrationProgress::Done(applied.clone()));
            done.push(applied);
            if matches!(self.goal, Goal::Back) {
                return Ok(done);
            }
        }
    }

    /// Looks and acts in one transaction, which has the lock.
    async fn step(&self, first: bool) -> Result<Step, Error> {
        let act = |transaction| Box::pin(self.act(transaction, first));
        self.db.with_transaction_options(options(), act).await
    }

    async fn act(&self, transaction: Transaction, first: bool) -> Result<Step, Error> {
        if !self.lock(&transaction).await? {
            return Ok(Step::Busy);
        }
        let name = &self.migrator.table;
        let table = match Table::find(&transaction, name).await? {
            Some(table) => table,
            None => Table::create(&transaction, name).await?,
        };
        let rows = table.rows(&transaction).await?;
        let Some(task) = self.next(&rows, first)? else {
            return Ok(Step::Reached);
        };
        if !task.script.in_transaction {
            // Its table is to be there for other connections.
            return Ok(Step::Alone(task.migration.version));
        }
        let begun = clock::now();
        let seat = transaction
            .seat(
                Need::Connection {
                    again: false,
                    writes: true,
                },
                self.location,
            )
            .await?;
        self.perform(&seat, task.script, true).await?;
        drop(seat);
        let elapsed = clock::now() - begun;
        if task.reverts {
            table.delete(&transaction, task.migration.version).await?;
        } else {
            let migration = task.migration;
            table.insert(&transaction, migration, Some(elapsed)).await?;
        }
        Ok(Step::Done(applied(task, elapsed)))
    }

    pub(super) fn next(&self, rows: &[Row], first: bool) -> Result<Option<Task<'a>>, Error> {
        let files = self.migrator.files();
        let task = self.goal.next(files, rows)?;
        if first {
            self.goal.check(files, rows)?;
        }
        Ok(task)
    }

    pub(super) async fn lock(&self, transaction: &Transaction) -> Result<bool, Error> {
        let Patience { lock_timeout, .. } = self.migrator.patience;
        let left = self.deadline.left();
        lock::take(transaction, self.lock, lock_timeout, left).await
    }

    /// Sends the statements of a file, one after the other on one connection.
    pub(super) async fn perform(
        &self,
        seat: &Seat,
        script: &Script,
        in_transaction: bool,
    ) -> Result<(), Error> {
        let statements = script.statements()?;
        self.tell(MigrationProgress::Begun {
            version: script.version,
            file: script.file.clone(),
            statements: statements.len(),
        });
        for statement in &statements {
            self.tell(MigrationProgress::Statement {
                version: script.version,
                line: statement.line,
            });
            let sent = self.send(seat, statement, in_transaction).await;
            sent.map_err(|error| script.failed(statement, error))?;
        }
        Ok(())
    }

    async fn send(
        &self,
        seat: &Seat,
        statement: &Statement<'_>,
        in_transaction: bool,
    ) -> Result<(), Error> {
        let (engine, sql) = (seat.engine(), statement.text);
        let scan = scan::scan(sql);
        // DO may change the session, but hardly ever does; a migration without it would be poor.
        if engine.pools.is_pooled() && scan.changes_session && !begins_with_do(sql) {
            return Err(no_session("this statement"));
        }
        let (checkout, sharing) = seat.connection()?;
        announce_text(&scan, &checkout);
        let client = Arc::clone(&checkout);
        let request = async move {
            match sharing {
                Sharing::Within(turn) => client.client().script_within(sql, turn).await,
                _ => client.client().script(sql).await,
            }
        };
        let told = if in_transaction {
            Told::in_transaction(sql, self.location)
        } else {
            Told::alone(sql, self.location)
        };
        let call = seat.run(sql, !in_transaction, request);
        engine.observed(told, call).await.map(drop)
    }

    pub(super) fn tell(&self, progress: MigrationProgress) {
        if let Some(told) = &self.migrator.progress {
            told(&progress);
        }
    }
}

/// Between two looks whether the lock is free; not the same for all who wait.
async fn pause() {
    let jitter = clock::random() % 50;
    tokio::time::sleep(Duration::from_millis(25 + jitter)).await;
}

/// Each statement sees what was committed before it: so whoever waited for the lock sees what the
/// one before has applied, whatever the server's default is.
pub(super) fn options() -> TransactionOptions {
    TransactionOptions::new().isolation(Isolation::ReadCommitted)
}

pub(super) fn applied(task: Task<'_>, elapsed: Duration) -> Applied {
    Applied {
        version: task.migration.version,
        description: task.migration.description.clone(),
        reverted: task.reverts,
        elapsed,
    }
}

fn begins_with_do(sql: &str) -> bool {
    sql.split_whitespace()
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("do"))
}
