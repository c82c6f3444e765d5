mod description;
mod seat;

use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire::{Reply, Sharing, TransactionStatus};

pub use self::description::Description;

use crate::bulk::{Need, Seat};
use crate::deadline::Deadline;
use crate::execute::{
    Changes, Counted, Engine, Told, no_session, refuse_copy, refuse_copy_in_script,
};
use crate::pool::Checkout;
use crate::session::{Session, sealed};
use crate::statement::{Batch, Call, Prepared};
use crate::{Error, ErrorKind};

/// One connection for session state: settings, temporary tables, advisory locks.
///
/// It stays checked out until it is dropped, and is reset before anybody else gets it. Statements
/// run on it as they are, BEGIN and COMMIT included, and are never retried.
///
/// ```no_run
/// # use aquifer::{Db, Error, Session};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let session = db.dedicated().await?;
/// session.execute("set work_mem = '256MB'", ()).await?;
/// let total: i64 = session.query_value("select sum(amount)::bigint from sales", ()).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Dedicated {
    engine: Arc<Engine>,
    checkout: Arc<Checkout>,
    /// What was changed in the transaction that is open, if one is.
    changes: Arc<Changes>,
}

impl Dedicated {
    pub(crate) async fn open(
        engine: &Arc<Engine>,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        if engine.pools.is_pooled() {
            return Err(no_session("a dedicated session or a listener"));
        }
        if engine.settings.is_some() {
            return Err(Error::new(
                ErrorKind::Usage,
                "the settings of `with_settings` end with each transaction, and a dedicated session \
                 has none of its own; begin a transaction with this handle, or SET them yourself",
            ));
        }
        let deadline = Deadline::after(engine.query_timeout);
        let checkout = engine.checkout(deadline, location, false).await?;
        checkout.mark_dirty();
        Ok(Self {
            engine: Arc::clone(engine),
            checkout: Arc::new(checkout),
            changes: Arc::default(),
        })
    }

    /// The server process of this session, as in `pg_stat_activity`.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.checkout.client().process_id()
    }

    /// Runs LISTEN; the session does nothing else from then on.
    pub(crate) async fn listen(
        &self,
        sql: &str,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        let request = self.checkout.client().script(sql);
        self.bounded(sql, location, request).await?;
        self.checkout.only_listens();
        Ok(())
    }

    /// From now on it serves the layer only: a shutdown closes it at once.
    pub(crate) fn serves_only(&self) {
        self.checkout.only_listens();
    }

    /// Closes the connection, which nobody else gets then.
    pub(crate) fn discard(&self) {
        self.checkout.discard();
    }

    pub(crate) fn client(&self) -> &aquifer_wire::Client {
        self.checkout.client()
    }

    async fn bounded<T: Counted>(
        &self,
        sql: &str,
        location: &'static Location<'static>,
        request: impl Future<Output = Result<T, aquifer_wire::Error>>,
    ) -> Result<T, Error> {
        let call = async {
            let deadline = Deadline::after(self.engine.query_timeout);
            match deadline.run(request).await {
                Ok(done) => done.map_err(|error| Error::from_wire(error, true)),
                Err(_) => {
                    // Nobody else uses this connection, so the cancel hits this statement only.
                    self.checkout.stop().await;
                    Err(self.engine.timed_out(deadline, sql))
                }
            }
        };
        let told = Told::alone(sql, location);
        self.engine.observed(told, call).await
    }

    /// Tells what statements have changed, once no transaction is open any more.
    async fn telling<T>(
        &self,
        list: &[Prepared<'_>],
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let noted = self.changes.when_over(&self.engine, list);
        let outcome = work.await;
        drop(noted);
        if self.checkout.client().status() == TransactionStatus::Idle {
            let error = outcome.as_ref().err();
            let in_doubt = error.is_some_and(|error| error.sqlstate().is_none());
            let changed = self.changes.take();
            if self.engine.watch().is_some() {
                // Boxed: it would be a part of each call's future.
                Box::pin(self.engine.tell(changed, in_doubt)).await;
            }
        }
        outcome
    }
}

/// Whoever was dropped in a call has told nobody.
impl Drop for Dedicated {
    fn drop(&mut self) {
        self.engine.tell_apart(self.changes.take());
    }
}

impl Session for Dedicated {}

impl sealed::Run for Dedicated {
    async fn run<'a>(&'a self, call: Call<'a>) -> Result<Reply, Error> {
        refuse_copy(call.sql)?;
        let client = self.checkout.client();
        // Boxed: it holds the way of a new statement, and would be most of this future.
        let request = Box::pin(client.query(call.sql, call.params, Sharing::Own));
        let done = pin!(self.bounded(call.sql, call.location, request));
        self.telling(&[(call.sql, call.params)], done).await
    }

    fn rows_decoded(&self, call: Call<'_>, rows: usize, elapsed: Duration) {
        let observers = &self.engine.observers;
        observers.rows_decoded((call.sql, call.location), rows, elapsed);
    }

    async fn run_batch(
        &self,
        batch: Batch<'_>,
        location: &'static Location<'static>,
    ) -> Result<Vec<Reply>, Error> {
        let statements = batch.statements()?;
        for (sql, _) in &statements {
            refuse_copy(sql)?;
        }
        let request = Box::pin(self.checkout.client().batch(&statements, Sharing::Own));
        let text = batch.text();
        let done = pin!(self.bounded(&text, location, request));
        self.telling(&statements, done).await
    }

    async fn seat(&self, need: Need, _location: &'static Location<'static>) -> Result<Seat, Error> {
        self.take_seat(need).await
    }

    async fn run_script(
        &self,
        sql: &str,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        refuse_copy_in_script(sql)?;
        let request = self.checkout.client().script(sql);
        let done = pin!(self.bounded(sql, location, request));
        self.telling(&[(sql, &())], done).await.map(drop)
    }
}
