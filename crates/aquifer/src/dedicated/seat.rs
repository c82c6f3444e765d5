use std::sync::Arc;

use aquifer_wire::{Sharing, TransactionStatus};

use super::Dedicated;
use crate::bulk::{Around, BoxFuture, Need, Seat};
use crate::deadline::Deadline;
use crate::execute::{Changes, Engine};
use crate::pool::Checkout;
use crate::statement::Prepared;
use crate::{Error, ErrorKind};

/// A connection that somebody has for session state.
struct OnSession {
    engine: Arc<Engine>,
    checkout: Arc<Checkout>,
    /// What was begun for the operation, and not ended.
    own: Option<Own>,
    changes: Arc<Changes>,
}

/// What an operation begins in a session, by its texts.
#[derive(Clone, Copy, Debug)]
struct Own {
    begin: &'static str,
    /// What keeps its work, and the tag of the server's answer then.
    keep: (&'static str, &'static str),
    undo: &'static str,
}

const TRANSACTION: Own = Own {
    begin: "begin",
    keep: ("commit", "COMMIT"),
    undo: "rollback",
};

const READ_ONLY: Own = Own {
    begin: "begin read only",
    ..TRANSACTION
};

const SAVEPOINT: Own = Own {
    begin: "savepoint aquifer_all_or_none",
    keep: ("release savepoint aquifer_all_or_none", "RELEASE"),
    undo: "rollback to savepoint aquifer_all_or_none; release savepoint aquifer_all_or_none",
};

impl Dedicated {
    pub(super) async fn take_seat(&self, need: Need) -> Result<Seat, Error> {
        let client = self.checkout.client();
        let idle = client.status() == TransactionStatus::Idle;
        let own = match need {
            Need::Transaction { read_only: true } if idle => Some(READ_ONLY),
            Need::Transaction { read_only: false } | Need::AllOrNone if idle => Some(TRANSACTION),
            Need::AllOrNone => Some(SAVEPOINT),
            Need::Transaction { .. } | Need::Connection { .. } => None,
        };
        let session = OnSession {
            engine: Arc::clone(&self.engine),
            checkout: Arc::clone(&self.checkout),
            // Said before the await: a future dropped meanwhile takes it back.
            own,
            changes: Arc::clone(&self.changes),
        };
        let seat = Seat::new(&self.engine, Box::new(session));
        if let Some(Own { begin, .. }) = own {
            seat.bounded(begin, false, client.control(begin)).await?;
        }
        Ok(seat)
    }
}

impl Around for OnSession {
    fn connection(&self) -> Result<(Arc<Checkout>, Sharing), Error> {
        Ok((Arc::clone(&self.checkout), Sharing::Own))
    }

    fn failed(&self, error: aquifer_wire::Error, writes: bool) -> Error {
        Error::from_wire(error, writes && self.own.is_none())
    }

    fn note(&self, list: &[Prepared<'_>]) -> bool {
        let within =
            self.own.is_some() || self.checkout.client().status() == TransactionStatus::Open;
        if within {
            self.changes.note(&self.engine, list);
        }
        within
    }

    fn is_own(&self) -> bool {
        self.own.is_some()
    }

    fn is_in_transaction(&self) -> bool {
        self.own.is_none() && self.checkout.client().status() != TransactionStatus::Idle
    }

    fn end(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            let Some(Own { keep, .. }) = self.own.take() else {
                return Ok(());
            };
            let (text, kept) = keep;
            let deadline = Deadline::after(self.engine.commit_timeout);
            let ended = deadline.run(self.checkout.client().control(text)).await;
            if self.checkout.client().status() == TransactionStatus::Idle {
                let in_doubt = !matches!(ended, Ok(Ok(_)));
                self.engine.tell(self.changes.take(), in_doubt).await;
            }
            match ended {
                Ok(Ok(tags)) if tags.iter().any(|tag| tag == kept) => Ok(()),
                // The server answers ROLLBACK where a statement had failed before.
                Ok(Ok(_)) => Err(rolled_back()),
                Ok(Err(error)) => Err(Error::from_wire(error, true)),
                Err(_) => {
                    self.checkout.discard();
                    Err(unanswered())
                }
            }
        })
    }
}

impl Drop for OnSession {
    fn drop(&mut self) {
        if let Some(own) = self.own {
            self.checkout.client().control_detached(own.undo);
        }
    }
}

impl std::fmt::Debug for OnSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OnSession")
            .field("checkout", &self.checkout)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

fn rolled_back() -> Error {
    let text = "the transaction was rolled back instead of committed, since a statement of the \
         session had failed before";
    Error::new(ErrorKind::Transaction, text)
}

fn unanswered() -> Error {
    let text = "the server did not answer COMMIT within commit_timeout; whether the transaction \
         took effect is unknown, and the session was closed";
    Error::new(ErrorKind::Unknown, text)
}
