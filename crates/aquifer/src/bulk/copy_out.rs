use std::panic::Location;
use std::sync::Arc;

use aquifer_core::scan::Copy;
use bytes::Bytes;

use super::copy_in::check;
use super::{Meter, Progress, Seat, Watched};
use crate::pool::Checkout;
use crate::statement::Sql;
use crate::{Error, ErrorKind};

/// `COPY … TO STDOUT`, as bytes in the format that the statement names; made by
/// [`Session::copy_out`](crate::Session::copy_out).
///
/// At most about 256 KiB wait here; beyond, the server waits. It has its connection to itself:
/// other statements of the same transaction are refused until the end. Dropped before, what the
/// server still sends is thrown away, in a transaction before its next statement is answered.
///
/// ```no_run
/// # use aquifer::{Db, Error, Session};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let mut file = Vec::new();
/// let mut copy = db.copy_out("copy (select id, name from users) to stdout (format csv)").await?;
/// while let Some(bytes) = copy.next().await? {
///     file.extend_from_slice(&bytes);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct CopyOut {
    /// In front of the seat: it is ended before its connection goes back.
    copy: Option<aquifer_wire::CopyOut>,
    /// Held to the end, whatever becomes of the transaction meanwhile.
    seat: Option<(Arc<Checkout>, Seat)>,
    watched: Watched,
    meter: Meter,
}

impl CopyOut {
    pub(crate) async fn open(
        seat: Seat,
        sql: &Sql,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        check(sql, Copy::Out, "copy_out takes COPY … TO STDOUT")?;
        let mut watched = Watched::begin(&seat, sql.text().to_owned(), location);
        let (checkout, sharing) = seat.connection()?;
        let request = checkout.client().copy_out(watched.sql(), sharing);
        let opened = seat.run(watched.sql(), false, request);
        let opened = watched.within(opened).await;
        if let Err(error) = &opened {
            watched.ended(0, Some(error));
        }
        Ok(Self {
            copy: Some(opened?),
            seat: Some((checkout, seat)),
            watched,
            meter: Meter::default(),
        })
    }

    /// Reports how many bytes came, at most every 100 ms and at the end.
    #[must_use]
    pub fn on_progress(mut self, report: impl FnMut(Progress) + Send + 'static) -> Self {
        self.meter.on_progress(Box::new(report));
        self
    }

    /// The next bytes, which hold whole rows; `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Database`] when the server breaks off, after all that it sent before;
    /// [`ErrorKind::Timeout`] when nothing comes within `query_timeout`; [`ErrorKind::Connection`].
    /// Nothing comes after an error.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let (Some(copy), Some((_, seat))) = (&mut self.copy, &self.seat) else {
            return Ok(None);
        };
        let next = seat.bounded(self.watched.sql(), false, copy.next());
        let next = self.watched.within(next).await;
        match &next {
            Ok(Some(bytes)) => {
                self.meter.now.bytes += bytes.len() as u64;
                self.meter.tick();
            }
            Ok(None) => {
                self.meter.now.rows = copy.rows().unwrap_or_default();
                self.end(None).await;
                self.meter.done();
            }
            Err(error) => self.end(Some(error)).await,
        }
        next
    }

    /// Gives the connection back.
    async fn end(&mut self, error: Option<&Error>) {
        self.copy = None;
        if let Some((_checkout, seat)) = self.seat.take() {
            self.watched.ended(self.meter.now.rows, error);
            if error.is_some_and(|error| error.kind() == ErrorKind::Timeout) {
                seat.stop().await;
            }
        }
    }
}
