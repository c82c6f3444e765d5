use std::fmt;
use std::panic::Location;
use std::vec;

use aquifer_wire::types::Params;
use aquifer_wire::{Fetched, FromRow, Portal, Row};

use super::{BoxFuture, Meter, Progress, Seat, Watched};
use crate::Error;
use crate::execute::announce;

/// How many rows the first fetch asks for, as long as nobody knows how large they are.
const FIRST: u32 = 64;
/// Most rows of one fetch.
const ROWS_MAX: u32 = 10_000;
/// Bytes that one fetch aims at.
const BYTES: usize = 256 * 1024;

/// The rows of a statement, one after another; made by
/// [`Session::stream`](crate::Session::stream).
///
/// Rows are fetched in pieces, the next one when the last was taken: about 256 KiB at a time,
/// 10,000 rows at most, the first time 64. The server holds a portal meanwhile, and nothing else
/// waits: other statements of the same transaction may run in between. Outside a transaction the
/// stream has one of its own, which is committed before `None` is returned, and rolled back when
/// the stream is dropped before.
///
/// ```no_run
/// # use aquifer::{Db, Error, Session};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let mut orders = db.stream_as::<(i64, String)>("select id, state from orders", ()).await?;
/// while let Some((id, state)) = orders.next().await? {
///     println!("{id}: {state}");
/// }
/// # Ok(()) }
/// ```
#[must_use = "rows come only when they are asked for"]
pub struct RowStream<T = Row> {
    rows: vec::IntoIter<T>,
    /// What came behind these rows.
    failure: Option<Error>,
    step: Step,
    watched: Watched,
    /// How many rows the next fetch asks for.
    pace: u32,
    fixed: bool,
    meter: Meter,
}

/// Open → Fetching → Open → … → Ending → Done.
enum Step {
    Open(Open, bool),
    Fetching(BoxFuture<'static, Outcome>),
    Ending(BoxFuture<'static, Result<(), Error>>),
    Done,
}

/// What a fetch leaves.
type Outcome = (Open, Result<Fetched, Error>);

struct Open {
    /// In front of the seat: it is closed before its connection goes back.
    portal: Portal,
    seat: Seat,
}

impl<T: FromRow + Send> RowStream<T> {
    pub(crate) async fn open(
        seat: Seat,
        sql: &str,
        params: &(dyn Params + Sync),
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        let mut watched = Watched::begin(&seat, sql.to_owned(), location);
        let (checkout, sharing) = seat.connection()?;
        let client = checkout.client();
        let request = async {
            let statement = client.statement(sql, sharing).await?;
            announce(&statement, &checkout);
            client.open_portal(&statement, params, FIRST, sharing).await
        };
        let opened = seat.run(sql, true, Box::pin(request));
        let opened = watched.within(opened).await;
        drop(checkout);
        if let Err(error) = &opened {
            watched.ended(0, Some(error));
        }
        let (mut portal, fetched) = opened?;
        if seat.is_own() {
            // Its transaction ends with it.
            portal.forget();
        }
        let mut stream = Self {
            rows: Vec::new().into_iter(),
            failure: None,
            step: Step::Done,
            watched,
            pace: FIRST,
            fixed: false,
            meter: Meter::default(),
        };
        stream.take(Open { portal, seat }, fetched);
        Ok(stream)
    }

    /// Fetches so many rows at a time from the second fetch on. Default: as many as take about
    /// 256 KiB, at most 10,000. Range: from 1.
    pub fn fetch_rows(mut self, rows: u32) -> Self {
        self.pace = rows.max(1);
        self.fixed = true;
        self
    }

    /// Reports how many rows and bytes were fetched, at most every 100 ms and at the end.
    pub fn on_progress(mut self, report: impl FnMut(Progress) + Send + 'static) -> Self {
        self.meter.on_progress(Box::new(report));
        self.meter.tick();
        self
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Database`](crate::ErrorKind::Database) when the server fails in the midst, after all rows before;
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) for a row that can't be read, [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) when a fetch takes
    /// longer than `query_timeout`, [`ErrorKind::Connection`](crate::ErrorKind::Connection), [`ErrorKind::Transaction`](crate::ErrorKind::Transaction) when the
    /// transaction has ended or a savepoint of it is open, [`ErrorKind::Unknown`](crate::ErrorKind::Unknown) when the COMMIT of
    /// its own transaction was not answered. Nothing comes after an error, save that one of a
    /// savepoint.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(row) = self.rows.next() {
                return Ok(Some(row));
            }
            if let Some(error) = self.failure.take() {
                return Err(self.failed(error));
            }
            match &mut self.step {
                Step::Done => return Ok(None),
                Step::Open(..) => self.go_on()?,
                Step::Fetching(fetching) => {
                    let (open, outcome) = self.watched.within(fetching).await;
                    self.step = Step::Done;
                    let fetched = outcome.map_err(|error| self.failed(error))?;
                    self.take(open, fetched);
                    self.meter.tick();
                }
                Step::Ending(ending) => {
                    let ended = self.watched.within(ending).await;
                    self.step = Step::Done;
                    ended.map_err(|error| self.failed(error))?;
                    self.watched.ended(self.meter.now.rows, None);
                    self.meter.done();
                }
            }
        }
    }

    /// Tells of the failure that ends it.
    fn failed(&mut self, error: Error) -> Error {
        self.watched.ended(self.meter.now.rows, Some(&error));
        error
    }

    /// Open → Fetching or Ending.
    fn go_on(&mut self) -> Result<(), Error> {
        let (open, more) = match std::mem::replace(&mut self.step, Step::Done) {
            Step::Open(open, more) => (open, more),
            other => {
                self.step = other;
                return Ok(());
            }
        };
        if !more {
            let Open { portal, seat } = open;
            drop(portal);
            self.step = Step::Ending(seat.end());
            return Ok(());
        }
        let connection = match open.seat.connection() {
            Ok(connection) => connection,
            Err(error) => {
                // When the savepoint has ended it goes on.
                self.step = Step::Open(open, more);
                return Err(error);
            }
        };
        let (pace, sql) = (self.pace, self.watched.sql().to_owned());
        self.step = Step::Fetching(Box::pin(async move {
            let Open { mut portal, seat } = open;
            let (checkout, sharing) = connection;
            let request = checkout.client().fetch(&mut portal, pace, sharing);
            let outcome = seat.run(&sql, true, request).await;
            (Open { portal, seat }, outcome)
        }));
        Ok(())
    }

    /// Takes rows in.
    fn take(&mut self, open: Open, fetched: Fetched) {
        let Fetched {
            reply,
            more,
            failure,
            ..
        } = fetched;
        let (rows, unreadable) = reply.decode_until_error();
        self.meter.now.rows += rows.len() as u64;
        self.meter.now.bytes += reply.bytes() as u64;
        if !self.fixed && !reply.is_empty() {
            let fitting = BYTES * reply.len() / reply.bytes().max(1);
            let fitting = u32::try_from(fitting).unwrap_or(ROWS_MAX);
            self.pace = fitting.clamp(1, ROWS_MAX);
        }
        self.rows = rows.into_iter();
        self.failure = unreadable
            .map(Error::from)
            .or_else(|| failure.map(|error| open.seat.failed(error, true)));
        if self.failure.is_none() {
            self.step = Step::Open(open, more);
        }
    }
}

/// Whoever takes the first rows and leaves has what was asked for.
impl<T> Drop for RowStream<T> {
    fn drop(&mut self) {
        self.watched.ended(self.meter.now.rows, None);
    }
}

impl<T> fmt::Debug for RowStream<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match &self.step {
            Step::Open(..) => "open",
            Step::Fetching(_) => "fetching",
            Step::Ending(_) => "ending",
            Step::Done => "done",
        };
        formatter
            .debug_struct("RowStream")
            .field("sql", &self.watched.sql())
            .field("step", &step)
            .field("progress", &self.meter)
            .finish_non_exhaustive()
    }
}
