//! Migrations without a transaction: noted before and after, under a lock that another connection
//! holds.

use super::Patience;
use std::time::Duration;

use aquifer_wire::TransactionStatus;

use super::goal::Task;
use super::lock;
use super::run::{Run, Step, applied, options};
use super::table::Table;
use crate::bulk::{Need, Seat};
use crate::error::MigrationProblem;
use crate::session::{Session, sealed::Run as _};
use crate::transaction::Transaction;
use crate::{Error, ErrorKind, clock};

impl Run<'_> {
    /// Runs the file of this version, if it is still the next one.
    ///
    /// The lock is held by a transaction that does nothing else, so that its connection has no
    /// snapshot and no other lock, for which `CREATE INDEX CONCURRENTLY` would wait. The row says
    /// `success = false` meanwhile: what is interrupted, by whatever, is seen by the next runner.
    pub(super) async fn alone(&self, version: i64) -> Result<Step, Error> {
        let guard = self.db.begin_with(options()).await?;
        if !self.lock(&guard).await? {
            guard.rollback().await?;
            return Ok(Step::Busy);
        }
        // The portal of the last statement keeps its snapshot until another one takes its place, and the
        // one of a script goes with it.
        guard.execute_script("select").await?;
        let outcome = Box::pin(self.guarded(version)).await;
        end(guard).await;
        outcome
    }

    async fn guarded(&self, version: i64) -> Result<Step, Error> {
        let Some(table) = Table::find(&self.db, &self.migrator.table).await? else {
            return Ok(Step::Alone(version));
        };
        let rows = table.rows(&self.db).await?;
        let task = match self.next(&rows, false)? {
            Some(task) if task.migration.version == version => task,
            // Another runner was faster.
            _ => return Ok(Step::Alone(version)),
        };
        // What can be known before is said before anything is noted.
        task.script.statements()?;
        if task.reverts {
            table.set_begun(&self.db, version).await?;
        } else {
            table.insert(&self.db, task.migration, None).await?;
        }
        let begun = clock::now();
        self.on_session(task)
            .await
            .map_err(|error| left_over(task, error))?;
        let elapsed = clock::now() - begun;
        if task.reverts {
            table.delete(&self.db, version).await?;
        } else {
            table.set_done(&self.db, version, elapsed).await?;
        }
        Ok(Step::Done(applied(task, elapsed)))
    }

    /// Runs the file on one connection, statement by statement.
    async fn on_session(&self, task: Task<'_>) -> Result<(), Error> {
        let need = Need::Connection {
            again: false,
            writes: true,
        };
        let seat = self.db.seat(need, self.location).await?;
        if !seat.is_alone() {
            return Err(Error::new(
                ErrorKind::Usage,
                "the settings of `with_settings` need a transaction, which this file does without; \
                 use a handle that has none",
            ));
        }
        let (checkout, _) = seat.connection()?;
        if !seat.engine().pools.is_pooled() {
            checkout.mark_dirty();
            let settings = self.settings();
            let request = checkout.client().script(&settings);
            seat.bounded(&settings, false, request).await?;
        }
        self.perform(&seat, task.script, false).await?;
        if checkout.client().status() == TransactionStatus::Idle {
            return Ok(());
        }
        roll_back(&seat).await;
        Err(Error::new(
            ErrorKind::Migration,
            "the file begins a transaction and does not end it, so that it was rolled back",
        ))
    }

    fn settings(&self) -> String {
        let Patience { lock_timeout, .. } = self.migrator.patience;
        let left = self.deadline.left().max(Duration::from_millis(1));
        format!(
            "set lock_timeout = {}; set statement_timeout = {}",
            lock::milliseconds(lock_timeout),
            lock::milliseconds(left)
        )
    }
}

/// The lock goes with its transaction, however that ends.
async fn end(guard: Transaction) {
    drop(guard.rollback().await);
}

async fn roll_back(seat: &Seat) {
    if let Ok((checkout, _)) = seat.connection() {
        let request = checkout.client().control("rollback");
        // One that fails closes the session, which rolls back as well.
        drop(seat.bounded("rollback", false, request).await);
    }
}

fn left_over(task: Task<'_>, error: Error) -> Error {
    let error = if error.migration().is_some() {
        error
    } else {
        error.with_migration(task.script.fault(MigrationProblem::Failed, None))
    };
    error.add(
        "what it had done by then stays, since it has no transaction; its row now says that it did \
         not come to its end",
    )
}
