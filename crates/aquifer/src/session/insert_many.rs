use std::fmt;
use std::future::IntoFuture;
use std::panic::Location;

use aquifer_wire::types::Params;

use super::{Session, SessionFuture};
use crate::bulk::{Arrays, Meter, Need, Progress, Seat, Target, Watched, may_begin_again};
use crate::statement::TableName;
use crate::{Error, clock};

/// Most rows of one statement.
const ROWS_MAX: u64 = 32_768;
/// Bytes of values from which on a statement takes no more rows.
const BYTES_MAX: usize = 8 * 1024 * 1024;

const CONNECTION: Need = Need::Connection {
    again: false,
    writes: true,
};
const ANSWERING: Need = Need::Connection {
    again: true,
    writes: true,
};

/// Rows to be inserted; made by [`Session::insert_many`]. Await it.
#[must_use = "nothing is inserted before it is awaited"]
pub struct InsertMany<'a, S: ?Sized, I> {
    session: &'a S,
    target: Result<Target, Error>,
    rows: I,
    meter: Meter,
    location: &'static Location<'static>,
}

impl<'a, S: Session + ?Sized, I> InsertMany<'a, S, I> {
    pub(super) fn new(
        session: &'a S,
        table: &TableName,
        columns: impl IntoIterator<Item = impl AsRef<str>>,
        rows: I,
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            session,
            target: Target::new(table, columns),
            rows,
            meter: Meter::default(),
            location,
        }
    }

    /// Reports how many rows were inserted, at most every 100 ms and at the end.
    pub fn on_progress(mut self, report: impl FnMut(Progress) + Send + 'static) -> Self {
        self.meter.on_progress(Box::new(report));
        self
    }
}

impl<'a, S, I> IntoFuture for InsertMany<'a, S, I>
where
    S: Session + ?Sized,
    I: IntoIterator + Send + 'a,
    I::IntoIter: Send + 'a,
    I::Item: Params + Send,
{
    type Output = Result<u64, Error>;
    type IntoFuture = SessionFuture<'a, u64>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            session,
            target,
            rows,
            meter,
            location,
        } = self;
        Box::pin(async move {
            let insert = Insert {
                session,
                target: target?,
                meter,
                location,
            };
            insert.all(rows.into_iter()).await
        })
    }
}

struct Insert<'a, S: ?Sized> {
    session: &'a S,
    target: Target,
    meter: Meter,
    location: &'static Location<'static>,
}

impl<S: Session + ?Sized> Insert<'_, S> {
    async fn all<I>(mut self, mut rows: I) -> Result<u64, Error>
    where
        I: Iterator + Send,
        I::Item: Params + Send,
    {
        let begun = clock::now();
        let seat = self.session.seat(CONNECTION, self.location).await?;
        let engine = std::sync::Arc::clone(seat.engine());
        let select = self.target.select();
        let mut watched =
            Watched::begin(&seat, self.target.insert_text(), self.location).since(begun);
        let outcome = watched.within(self.run(seat, &mut rows)).await;
        if outcome.is_err() {
            // The columns may have been altered since they were described.
            engine.pools.catalog().forget_text(&select);
        }
        let rows = outcome.as_ref().copied().unwrap_or(0);
        watched.ended(rows, outcome.as_ref().err());
        outcome
    }

    async fn run<I>(&mut self, mut seat: Seat, rows: &mut I) -> Result<u64, Error>
    where
        I: Iterator + Send,
        I::Item: Params + Send,
    {
        if let Err(error) = self.target.describe(&seat).await {
            if !seat.is_alone() || !may_begin_again(&error) {
                return Err(error);
            }
            drop(seat);
            seat = self.session.seat(ANSWERING, self.location).await?;
            self.target.describe(&seat).await?;
        }
        let sql = self.target.insert()?;
        let mut arrays = Arrays::new(&self.target);
        let mut more = self.fill(&mut arrays, rows)?;
        if more {
            // All or nothing, though it takes several statements.
            drop(seat);
            seat = self.session.seat(Need::AllOrNone, self.location).await?;
        }
        let mut inserted = 0;
        while arrays.rows() > 0 {
            let (checkout, sharing) = seat.connection()?;
            let request = Box::pin(checkout.client().query(&sql, &arrays, sharing));
            let reply = seat.run(&sql, true, request).await;
            drop(checkout);
            match reply {
                Ok(reply) => inserted += reply.affected(),
                // It had ended unnoticed, and nothing was sent.
                Err(error) if seat.is_alone() && unsent(&error) => {
                    drop(seat);
                    seat = self.session.seat(ANSWERING, self.location).await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.meter.now.rows += arrays.rows();
            self.meter.now.bytes += arrays.bytes() as u64;
            self.meter.tick();
            arrays.clear();
            if more {
                more = self.fill(&mut arrays, rows)?;
            }
        }
        seat.end().await?;
        self.meter.done();
        Ok(inserted)
    }

    /// Takes rows until there is enough for one statement; whether there are more.
    fn fill<I>(&self, arrays: &mut Arrays, rows: &mut I) -> Result<bool, Error>
    where
        I: Iterator,
        I::Item: Params,
    {
        while arrays.rows() < ROWS_MAX && arrays.bytes() < BYTES_MAX {
            match rows.next() {
                Some(row) => arrays.push(&self.target, &row)?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

fn unsent(error: &Error) -> bool {
    error.wire().is_some_and(|wire| !wire.sent()) && may_begin_again(error)
}

impl<S: ?Sized, I> fmt::Debug for InsertMany<'_, S, I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("InsertMany")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
