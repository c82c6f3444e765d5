use std::sync::Arc;

use aquifer_wire::{Sharing, TransactionStatus};

use super::Dedicated;
use crate::Error;
use crate::bulk::{Around, BoxFuture, Need, Seat};
use crate::pool::Checkout;

/// A connection that somebody has for session state.
#[derive(Debug)]
struct OnSession {
    checkout: Arc<Checkout>,
    /// A transaction was begun for the operation, and not ended.
    own: bool,
}

impl Dedicated {
    pub(super) async fn take_seat(&self, need: Need) -> Result<Seat, Error> {
        let mut session = OnSession {
            checkout: Arc::clone(&self.checkout),
            own: false,
        };
        let begin = match need {
            Need::Transaction { read_only: true } => "begin read only",
            Need::Transaction { read_only: false } => "begin",
            Need::Connection { .. } => "",
        };
        let client = self.checkout.client();
        if !begin.is_empty() && client.status() == TransactionStatus::Idle {
            // Said before the await: a future dropped meanwhile rolls back.
            session.own = true;
            let seat = Seat::new(&self.engine, Box::new(session));
            seat.bounded(begin, false, client.control(begin)).await?;
            return Ok(seat);
        }
        Ok(Seat::new(&self.engine, Box::new(session)))
    }
}

impl Around for OnSession {
    fn connection(&self) -> Result<(Arc<Checkout>, Sharing), Error> {
        Ok((Arc::clone(&self.checkout), Sharing::Own))
    }

    fn failed(&self, error: aquifer_wire::Error, writes: bool) -> Error {
        Error::from_wire(error, writes && !self.own)
    }

    fn is_own(&self) -> bool {
        self.own
    }

    fn end(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            if !std::mem::take(&mut self.own) {
                return Ok(());
            }
            let commit = self.checkout.client().control("commit");
            commit
                .await
                .map(drop)
                .map_err(|error| Error::from_wire(error, true))
        })
    }
}

impl Drop for OnSession {
    fn drop(&mut self) {
        if self.own {
            self.checkout.client().control_detached("rollback");
        }
    }
}
