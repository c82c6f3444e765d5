//! Operations on many rows within a transaction, or with one of their own.

use std::sync::Arc;

use aquifer_wire::Sharing;

use super::Transaction;
use crate::Error;
use crate::bulk::{Around, BoxFuture, Seat};
use crate::pool::Checkout;

/// The transaction that an operation runs in.
#[derive(Debug)]
struct Within {
    transaction: Transaction,
    own: bool,
}

impl Transaction {
    /// A place in this transaction; with `own` it is committed when the operation is at its end.
    pub(crate) fn into_seat(self, own: bool) -> Seat {
        let engine = Arc::clone(&self.0.engine);
        let transaction = self;
        Seat::new(&engine, Box::new(Within { transaction, own }))
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

    fn is_own(&self) -> bool {
        self.own
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
