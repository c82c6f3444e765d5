//! Operations on many rows within a transaction, or with one of their own.

use std::sync::Arc;

use aquifer_wire::Sharing;

use super::Transaction;
use super::opening::First;
use crate::Error;
use crate::bulk::{Around, BoxFuture, Seat};
use crate::pool::Checkout;
use crate::statement::Prepared;

/// The transaction that an operation runs in.
#[derive(Debug)]
struct Within {
    transaction: Transaction,
    own: bool,
}

impl Transaction {
    /// A place in this transaction, which is begun on the server; with `own` it is committed when the
    /// operation is at its end.
    pub(crate) async fn into_seat(self, own: bool) -> Result<Seat, Error> {
        let root = &self.0.root;
        drop(Box::pin(self.open("BEGIN", First::Apart)).await?);
        // Refused here rather than at the first use.
        self.checkout()?;
        // Also for a stream of what looks like a read: a function in it may write.
        if !root.options.is_read_only() {
            root.set_unasked();
        }
        let engine = Arc::clone(&root.engine);
        let transaction = self;
        Ok(Seat::new(&engine, Box::new(Within { transaction, own })))
    }
}

impl Around for Within {
    fn connection(&self) -> Result<(Arc<Checkout>, Sharing), Error> {
        let (checkout, turn) = self.transaction.checkout()?;
        Ok((checkout, Sharing::Within(turn)))
    }

    fn failed(&self, error: aquifer_wire::Error, _writes: bool) -> Error {
        // Before COMMIT nothing takes effect: the server rolls back.
        self.transaction.note(Error::from_wire(error, false))
    }

    fn timed_out(&self, error: Error) -> Error {
        self.transaction.note(error)
    }

    fn note(&self, list: &[Prepared<'_>]) -> bool {
        let root = &self.transaction.0.root;
        root.changes.note(&root.engine, list);
        true
    }

    fn is_own(&self) -> bool {
        self.own
    }

    fn is_in_transaction(&self) -> bool {
        !self.own
    }

    fn end(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            if self.own {
                self.transaction.commit().await?;
            }
            Ok(())
        })
    }
}
