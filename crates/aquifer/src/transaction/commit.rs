//! The end of a transaction, and what is known about it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aquifer_wire::{SqlState, TransactionStatus};
use tokio::sync::oneshot;

use super::Transaction;
use crate::deadline::Deadline;
use crate::pool::Checkout;
use crate::{Error, ErrorKind, Retry};

pub(super) async fn commit(transaction: &Transaction) -> Result<(), Error> {
    let inner = &transaction.0;
    let checkout = inner.end("committed")?;
    if let Some(parent) = &inner.parent {
        let _resume = Resume(parent);
        let release = format!("release savepoint s{}", inner.depth);
        let done = transaction
            .on_connection(&release, &checkout, checkout.client().control(&release))
            .await;
        if done.is_err() && checkout.client().status() == TransactionStatus::Failed {
            undo(transaction, &checkout).await?;
        }
        return done.map(drop).map_err(|error| match error.sqlstate() {
            Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => failed_before(transaction),
            _ => error,
        });
    }
    let (sender, receiver) = oneshot::channel();
    let task = {
        let transaction = transaction.clone();
        async move {
            let outcome = commit_on(&transaction, checkout).await;
            let unknown = transaction.0.may_be_committed.load(Ordering::Acquire);
            let committed = (outcome.is_ok() || !unknown).then_some(outcome.is_ok());
            transaction.0.finished(committed);
            // The caller may have gone; the commit was carried out all the same.
            drop(sender.send(outcome));
        }
    };
    inner.engine.tasks.spawn(task);
    receiver.await.unwrap_or_else(|_aborted| {
        if inner.may_be_committed.load(Ordering::Acquire) {
            return Err(unknown(
                "the layer was shut down before the server answered COMMIT",
            ));
        }
        inner.finished(Some(false));
        Err(Error::new(
            ErrorKind::Closed,
            "the layer was shut down before COMMIT was sent; the transaction was rolled back",
        ))
    })
}

async fn commit_on(transaction: &Transaction, checkout: Arc<Checkout>) -> Result<(), Error> {
    let may_be_committed = &transaction.0.may_be_committed;
    let deadline = Deadline::after(transaction.0.engine.commit_timeout);
    may_be_committed.store(true, Ordering::Release);
    let refused = match deadline.run(checkout.client().control("commit")).await {
        Ok(Ok(tags)) if tags.iter().any(|tag| tag == "COMMIT") => return Ok(()),
        // The server answers ROLLBACK where a statement had failed before.
        Ok(Ok(tags)) if tags.iter().any(|tag| tag == "ROLLBACK") => failed_before(transaction),
        Ok(Ok(_)) => return Err(unknown("the server answered COMMIT with something else")),
        Ok(Err(error)) if refuses(&error) => transaction.note(Error::from_wire(error, false)),
        Ok(Err(error)) => return Err(Error::from_wire(error, true)),
        Err(_) => {
            return Err(unknown(
                "the server did not answer COMMIT within commit_timeout",
            ));
        }
    };
    may_be_committed.store(false, Ordering::Release);
    Err(refused)
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
    let checkout = inner.end("rolled back")?;
    let _resume = inner.parent.as_ref().map(Resume);
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
        self.0.0.resume();
    }
}

async fn undo(transaction: &Transaction, checkout: &Checkout) -> Result<(), Error> {
    let sql = match transaction.0.depth {
        0 => "rollback".to_owned(),
        depth => format!("rollback to savepoint s{depth}; release savepoint s{depth}"),
    };
    let control = checkout.client().control(&sql);
    if transaction.0.depth > 0 {
        return transaction
            .on_connection(&sql, checkout, control)
            .await
            .map(drop);
    }
    match transaction.bounded(&sql, checkout, control).await {
        // The server rolls back by itself when the connection ends.
        Err(error) if error.kind() == ErrorKind::Connection => Ok(()),
        Err(_) if checkout.client().ended().is_some() => Ok(()),
        other => other.map(drop),
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

fn unknown(what: &str) -> Error {
    Error::new(
        ErrorKind::Unknown,
        format!("{what}; whether the transaction took effect is unknown"),
    )
}
