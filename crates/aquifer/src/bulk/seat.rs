use std::fmt;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire::{Kind, Sharing};

use crate::deadline::Deadline;
use crate::execute::Engine;
use crate::pool::Checkout;
use crate::statement::Prepared;
use crate::{Error, ErrorKind, Retry};

/// How long a cancel request and its barrier may take.
const CANCEL: Duration = Duration::from_secs(2);

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an operation on many rows needs.
#[expect(unnameable_types, reason = "part of the sealed half of `Session`")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// A connection to itself; one that answers, since another was just seen to end.
    Connection {
        /// Whether it is asked for again.
        again: bool,
        /// Whether something is to be written.
        writes: bool,
    },
    /// A transaction: the one that is open, or one of its own.
    Transaction {
        /// Whether its own may not write.
        read_only: bool,
    },
    /// A transaction of its own, or a savepoint in the one that is open: several statements, of
    /// which all or none take effect.
    AllOrNone,
}

impl Need {
    /// Whether something is to be written; of a transaction its options tell.
    pub(crate) fn writes(self) -> bool {
        match self {
            Self::Connection { writes, .. } => writes,
            Self::Transaction { .. } => false,
            Self::AllOrNone => true,
        }
    }
}

impl Engine {
    /// Refuses to write many rows on a handle for reads.
    pub(crate) fn refuse_many_rows(&self, need: Need) -> Result<(), Error> {
        if need.writes() {
            self.refuse_on_replica("COPY into a table, `insert_many` or a migration")?;
        }
        Ok(())
    }
}

/// A connection held for longer than one call, and what stands around it.
#[expect(unnameable_types, reason = "part of the sealed half of `Session`")]
pub struct Seat {
    engine: Arc<Engine>,
    around: Box<dyn Around>,
}

/// Whose connection it is.
pub(crate) trait Around: fmt::Debug + Send + Sync {
    /// The connection, and what a request of this moment belongs to.
    fn connection(&self) -> Result<(Arc<Checkout>, Sharing), Error>;

    /// What a failure means there.
    fn failed(&self, error: aquifer_wire::Error, writes: bool) -> Error;

    /// The time of a call was over.
    fn timed_out(&self, error: Error) -> Error {
        error
    }

    /// Whether the transaction was begun for this operation, and ends with it.
    fn is_own(&self) -> bool {
        false
    }

    /// Whether it is a part of somebody's transaction.
    fn is_in_transaction(&self) -> bool {
        false
    }

    /// Notes statements that are about to write, if what they change is committed later.
    fn note(&self, _list: &[Prepared<'_>]) -> bool {
        false
    }

    /// Whether another connection would do as well.
    fn is_alone(&self) -> bool {
        false
    }

    /// Commits a transaction that was begun for this operation.
    fn end(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// A connection of its own, outside of transactions.
#[derive(Debug)]
struct Alone(Arc<Checkout>);

impl Around for Alone {
    fn connection(&self) -> Result<(Arc<Checkout>, Sharing), Error> {
        Ok((Arc::clone(&self.0), Sharing::Own))
    }

    fn failed(&self, error: aquifer_wire::Error, writes: bool) -> Error {
        Error::from_wire(error, writes)
    }

    fn is_alone(&self) -> bool {
        true
    }
}

impl Seat {
    pub(crate) fn new(engine: &Arc<Engine>, around: Box<dyn Around>) -> Self {
        Self {
            engine: Arc::clone(engine),
            around,
        }
    }

    /// On a connection of its own.
    pub(crate) async fn alone(
        engine: &Arc<Engine>,
        again: bool,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        let deadline = Deadline::after(engine.query_timeout);
        let checkout = engine.checkout(deadline, location, again).await?;
        Ok(Self::new(engine, Box::new(Alone(Arc::new(checkout)))))
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn connection(&self) -> Result<(Arc<Checkout>, Sharing), Error> {
        self.around.connection()
    }

    pub(crate) fn is_own(&self) -> bool {
        self.around.is_own()
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.around.is_in_transaction()
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.around.is_alone()
    }

    pub(crate) fn failed(&self, error: aquifer_wire::Error, writes: bool) -> Error {
        // It ended, or a savepoint was opened, while the statement was being described.
        if error.kind() == Kind::Overtaken
            && let Err(why) = self.connection()
        {
            return why;
        }
        let error = self.around.failed(error, writes);
        // What was not to be done in any case has not been done.
        if !writes && error.kind() == ErrorKind::Connection {
            return error.with_retry(Retry::Safe);
        }
        error
    }

    /// Runs one request within the time of one call; `writes` says whether something may remain.
    pub(crate) async fn bounded<T>(
        &self,
        sql: &str,
        writes: bool,
        request: impl Future<Output = Result<T, aquifer_wire::Error>>,
    ) -> Result<T, Error> {
        let deadline = Deadline::after(self.engine.query_timeout);
        let bounded = pin!(async {
            match deadline.run(request).await {
                Ok(done) => done.map_err(|error| self.failed(error, writes)),
                Err(_) => {
                    let error = self.engine.timed_out(deadline, sql);
                    Err(self.around.timed_out(error))
                }
            }
        });
        let list: [Prepared<'_>; 1] = [(sql, &())];
        if !writes || self.around.note(&list) {
            return bounded.await;
        }
        self.engine.telling(&list, bounded).await
    }

    /// As [`bounded`](Self::bounded), and has the server stop when the time is over.
    pub(crate) async fn run<T>(
        &self,
        sql: &str,
        writes: bool,
        request: impl Future<Output = Result<T, aquifer_wire::Error>>,
    ) -> Result<T, Error> {
        let done = self.bounded(sql, writes, request).await;
        if matches!(&done, Err(error) if error.kind() == ErrorKind::Timeout) {
            self.stop().await;
        }
        done
    }

    /// After a time-out: has the server stop, so that nobody waits for it. Nobody else uses the
    /// connection.
    pub(crate) async fn stop(&self) {
        if let Ok((checkout, _)) = self.connection() {
            let cancel = Box::pin(checkout.client().cancel());
            // What could not be cancelled is closed when the connection goes back.
            drop(Deadline::after(CANCEL).run(cancel).await);
        }
    }

    /// Commits a transaction that was begun for this operation.
    pub(crate) fn end(self) -> BoxFuture<'static, Result<(), Error>> {
        self.around.end()
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.around.fmt(formatter)
    }
}
