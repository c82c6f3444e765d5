//! The end of a transaction, and what is known about it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use aquifer_wire::{Sharing, SqlState, TransactionStatus};

use super::hooks::{self, Hook};
use super::outcome::{Resolved, resolve, unknown_of};
use super::{Transaction, opening};
use crate::deadline::Deadline;
use crate::execute::Engine;
use crate::pool::{Checkout, XID};
use crate::{Error, ErrorKind, Retry};

pub(super) async fn commit(transaction: &Transaction) -> Result<(), Error> {
    let inner = &transaction.0;
    let checkout = inner.link.end("committed")?;
    if inner.parent.is_some() {
        return release(transaction, &checkout).await;
    }
    let work = {
        let transaction = transaction.clone();
        async move {
            let outcome = conclude(&transaction, checkout).await;
            let unknown = transaction.0.root.may_be_committed.load(Ordering::Acquire);
            let committed = (outcome.is_ok() || !unknown).then_some(outcome.is_ok());
            transaction.0.finished(committed);
            if unknown {
                let root = &transaction.0.root;
                // Before the hooks, which may read what was changed.
                root.engine
                    .tell(root.changes.take(), outcome.is_err())
                    .await;
            }
            let hooks: Vec<Hook> = transaction.0.hooks.take();
            if outcome.is_ok() {
                hooks::run(&transaction.0.root.engine, hooks).await;
            }
            outcome
        }
    };
    Outliving::new(&inner.root.engine, work).await
}

/// Work that is done where its caller waits for it, and by a task from when the caller goes: so it
/// costs no task as a rule, and is carried out in any case.
struct Outliving<T, F: Future<Output = T> + Send + 'static> {
    engine: Arc<Engine>,
    work: Option<Pin<Box<F>>>,
}

impl<T, F: Future<Output = T> + Send + 'static> Outliving<T, F> {
    fn new(engine: &Arc<Engine>, work: F) -> Self {
        Self {
            engine: Arc::clone(engine),
            work: Some(Box::pin(work)),
        }
    }
}

impl<T, F: Future<Output = T> + Send + 'static> Future for Outliving<T, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T, F: Future<Output = T> + Send + 'static> Drop for Outliving<T, F> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let rest = async move { drop(work.await) };
            drop(self.engine.tasks.spawn(rest));
        }
    }
}

/// A savepoint becomes part of what is around it, its hooks too.
async fn release(transaction: &Transaction, checkout: &Checkout) -> Result<(), Error> {
    let inner = &transaction.0;
    let _resume = inner.parent.as_ref().map(Resume);
    let hooks = inner.hooks.take();
    let release = format!("release savepoint s{}", inner.depth);
    let request = checkout.client().control(&release);
    let done = transaction.on_connection(&release, checkout, request).await;
    match (&done, &inner.parent) {
        (Ok(_), Some(parent)) => parent.0.hooks.append(hooks),
        _ => drop(hooks),
    }
    if done.is_err() && checkout.client().status() == TransactionStatus::Failed {
        undo(transaction, checkout).await?;
    }
    done.map(drop).map_err(|error| match error.sqlstate() {
        Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => failed_before(transaction),
        _ => error,
    })
}

/// Commits, and finds out what became of it when the answer is lost.
async fn conclude(transaction: &Transaction, checkout: Arc<Checkout>) -> Result<(), Error> {
    let root = &transaction.0.root;
    let deadline = Deadline::after(root.engine.commit_timeout);
    match deadline.run(opening::is_open(root, &checkout)).await {
        Ok(true) => {}
        // What was asked for timed out before anything was sent.
        Ok(false) if transaction.failure().is_some() => return Err(failed_before(transaction)),
        Ok(false) => return Ok(()),
        Err(_) => return Err(still_busy()),
    }
    if root.asks_before_commit(&checkout) {
        // A script has run, with which the question could not travel.
        let number = checkout.client().batch(&[(XID, &())], Sharing::Own);
        if let Ok(Ok(mut replies)) = deadline.run(Box::pin(number)).await {
            root.take_xid(&mut replies);
        }
    }
    let lost = match commit_on(transaction, &checkout, deadline).await {
        Ended::Committed => {
            if root.engine.pools.topology().guards_writes() && root.xid().is_some() {
                root.engine.pools.topology().wrote();
            }
            return Ok(());
        }
        Ended::Refused(error) => {
            root.may_be_committed.store(false, Ordering::Release);
            return Err(error);
        }
        Ended::Lost(error) => error,
    };
    if root.only_reads() {
        return Err(rolled_back(transaction, lost));
    }
    let unknown = unknown_of(root, &checkout);
    checkout.discard();
    drop(checkout);
    // Boxed: it is rare, and would be most of each commit's future.
    let resolved = Box::pin(resolve(&root.engine, &unknown, deadline)).await;
    match resolved {
        Ok(Resolved::Committed) => Ok(()),
        Ok(Resolved::RolledBack) => Err(rolled_back(transaction, lost)),
        Ok(_) | Err(_) => Err(lost.with_unknown(unknown)),
    }
}

enum Ended {
    Committed,
    /// It took no effect.
    Refused(Error),
    /// It may have taken effect.
    Lost(Error),
}

async fn commit_on(transaction: &Transaction, checkout: &Checkout, deadline: Deadline) -> Ended {
    let may_be_committed = &transaction.0.root.may_be_committed;
    may_be_committed.store(true, Ordering::Release);
    match deadline.run(checkout.client().control("commit")).await {
        Ok(Ok(tags)) if tags.iter().any(|tag| tag == "COMMIT") => Ended::Committed,
        // The server answers ROLLBACK where a statement had failed before.
        Ok(Ok(tags)) if tags.iter().any(|tag| tag == "ROLLBACK") => {
            Ended::Refused(failed_before(transaction))
        }
        Ok(Ok(_)) => Ended::Lost(unknown("the server answered COMMIT with something else")),
        Ok(Err(error)) if refuses(&error) => {
            Ended::Refused(transaction.note(Error::from_wire(error, false)))
        }
        Ok(Err(error)) => {
            let text = "the connection ended before the server answered COMMIT";
            Ended::Lost(unknown(text).with_source(error))
        }
        Err(_) => Ended::Lost(unknown(
            "the server did not answer COMMIT within commit_timeout",
        )),
    }
}

/// Whether it is certain that COMMIT had no effect: it was never sent, or the server says so.
fn refuses(error: &aquifer_wire::Error) -> bool {
    if error.kind() != aquifer_wire::Kind::Database {
        return !error.sent();
    }
    // 40003, 08007 and their like come from a server or pooler that does not know itself.
    error.sqlstate().is_none_or(|state| {
        state.class() != "08" && *state != SqlState::STATEMENT_COMPLETION_UNKNOWN
    })
}

pub(super) async fn rollback(transaction: &Transaction) -> Result<(), Error> {
    let inner = &transaction.0;
    let checkout = inner.link.end("rolled back")?;
    let _resume = inner.parent.as_ref().map(Resume);
    drop(inner.hooks.take());
    // What somebody began who went away meanwhile is put in order when the connection goes back.
    if !inner.root.is_begun() {
        if inner.parent.is_none() {
            inner.finished(Some(false));
        }
        return Ok(());
    }
    if checkout.client().in_flight() > 0 {
        // Nobody wants what a dropped call left running. An empty statement ends the turn first, so
        // that what is still being described is not run at all. Whether what runs could be stopped,
        // the rollback behind it will show.
        checkout.client().control_detached("");
        checkout.stop().await;
    }
    let done = undo(transaction, &checkout).await;
    if inner.parent.is_none() {
        inner.finished(Some(false));
    }
    done
}

/// Frees the transaction around a savepoint, also when the future is dropped half-way: by then the
/// savepoint's last word stands in the connection's queue.
struct Resume<'a>(&'a Transaction);

impl Drop for Resume<'_> {
    fn drop(&mut self) {
        self.0.0.link.resume();
    }
}

async fn undo(transaction: &Transaction, checkout: &Checkout) -> Result<(), Error> {
    let client = checkout.client();
    let depth = transaction.0.depth;
    if depth > 0 {
        let sql = format!("rollback to savepoint s{depth}; release savepoint s{depth}");
        let done = transaction.on_connection(&sql, checkout, client.control(&sql));
        return done.await.map(drop);
    }
    // What fails here is not noted: it is no reason to run anything again.
    let engine = &transaction.0.root.engine;
    let deadline = Deadline::after(engine.query_timeout);
    match deadline.run(client.control("rollback")).await {
        Ok(Ok(_)) => Ok(()),
        // The server rolls back by itself when the connection ends.
        Ok(Err(error)) if error.kind() == aquifer_wire::Kind::Closed => Ok(()),
        Ok(Err(_)) if client.ended().is_some() => Ok(()),
        Ok(Err(error)) => Err(Error::from_wire(error, false)),
        Err(_) => Err(engine.timed_out(deadline, "ROLLBACK")),
    }
}

fn failed_before(transaction: &Transaction) -> Error {
    let failure = transaction.failure();
    let retry = match failure.as_ref().and_then(|failure| failure.state) {
        Some(state) if state.class() == "40" => Retry::Safe,
        _ => Retry::Never,
    };
    let cause = failure
        .map(|failure| format!(": {}", failure.text))
        .unwrap_or_default();
    let what = match transaction.0.depth {
        0 => "the transaction was rolled back instead of committed",
        _ => "the savepoint was taken back instead of kept",
    };
    let text = format!("{what}, since a statement had failed before{cause}");
    Error::new(ErrorKind::Transaction, text).with_retry(retry)
}

/// The connection ended over COMMIT, and the server has told that it took no effect.
fn rolled_back(transaction: &Transaction, lost: Error) -> Error {
    let root = &transaction.0.root;
    root.may_be_committed.store(false, Ordering::Release);
    transaction.0.may_run_again.store(true, Ordering::Relaxed);
    Error::new(
        ErrorKind::Connection,
        "the connection ended before COMMIT took effect; the transaction was rolled back",
    )
    .with_retry(Retry::Safe)
    .with_source(lost)
}

fn still_busy() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "a statement of the transaction did not end within commit_timeout; COMMIT was not sent, and \
         the transaction is rolled back",
    )
    .with_retry(Retry::Safe)
}

fn unknown(what: &str) -> Error {
    Error::new(
        ErrorKind::Unknown,
        format!("{what}; whether the transaction took effect is unknown"),
    )
}
