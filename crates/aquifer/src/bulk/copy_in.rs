use std::panic::Location;
use std::sync::Arc;

use aquifer_core::scan::{self, Copy};
use bytes::BytesMut;

use super::{Meter, Progress, Seat, Watched};
use crate::pool::Checkout;
use crate::statement::Sql;
use crate::{Error, ErrorKind};

/// So many bytes are gathered before they are sent.
pub(super) const BUFFER: usize = 64 * 1024;

/// `COPY … FROM STDIN` with bytes in the format that the statement names; made by
/// [`Session::copy_in`](crate::Session::copy_in).
///
/// Nothing is inserted before [`finish`](Self::finish); dropping it inserts nothing. It has its
/// connection to itself: other statements of the same transaction are refused meanwhile
/// ([`ErrorKind::Usage`]). Each call has `query_timeout` for itself.
///
/// ```no_run
/// # use aquifer::{Db, Error, Session};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let mut copy = db.copy_in("copy users (id, name) from stdin (format csv)").await?;
/// copy.send(b"1,John\n2,\"Doe, Jane\"\n").await?;
/// assert_eq!(copy.finish().await?, 2);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is inserted before `finish`"]
pub struct CopyIn {
    /// In front of the seat: it is ended before its connection goes back.
    copy: Option<aquifer_wire::CopyIn>,
    /// Held to the end, whatever becomes of the transaction meanwhile.
    _checkout: Arc<Checkout>,
    seat: Seat,
    watched: Watched,
    pub(super) buffer: BytesMut,
    pub(super) meter: Meter,
    midway: bool,
}

impl CopyIn {
    pub(crate) async fn open(
        seat: Seat,
        sql: &Sql,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        check(sql, Copy::In, "copy_in takes COPY … FROM STDIN")?;
        Self::begin(seat, sql.text().to_owned(), location).await
    }

    pub(super) async fn begin(
        seat: Seat,
        sql: String,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        let mut watched = Watched::begin(&seat, sql, location);
        let (checkout, sharing) = seat.connection()?;
        let request = checkout.client().copy_in(watched.sql(), sharing);
        let opened = seat.run(watched.sql(), false, request);
        let opened = watched.within(opened).await;
        if let Err(error) = &opened {
            watched.ended(0, Some(error));
        }
        let copy = opened?;
        Ok(Self {
            copy: Some(copy),
            _checkout: checkout,
            seat,
            watched,
            buffer: BytesMut::new(),
            meter: Meter::default(),
            midway: false,
        })
    }

    /// Reports how many bytes were sent, at most every 100 ms and at the end.
    pub fn on_progress(mut self, report: impl FnMut(Progress) + Send + 'static) -> Self {
        self.meter.on_progress(Box::new(report));
        self
    }

    /// Sends bytes; where they are cut does not matter.
    ///
    /// Small pieces are gathered. It waits while the server does not keep up.
    ///
    /// # Errors
    /// [`ErrorKind::Database`] when the server has refused what came before, [`ErrorKind::Timeout`]
    /// when it takes nothing within `query_timeout`, [`ErrorKind::Connection`]. Nothing is inserted
    /// then, and further calls fail.
    ///
    /// # Cancel safety
    /// A part may have been sent, so that the COPY can only be given up: further calls fail.
    pub async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.check()?;
        self.meter.now.bytes += data.len() as u64;
        if self.buffer.len() + data.len() < BUFFER {
            self.buffer.extend_from_slice(data);
            return Ok(());
        }
        self.midway = true;
        self.flush().await?;
        if data.len() < BUFFER {
            self.buffer.extend_from_slice(data);
        } else {
            self.put(data).await?;
        }
        self.midway = false;
        Ok(())
    }

    /// Inserts what was sent; returns how many rows there were.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ErrorKind::Unknown`] when the connection ends before the answer.
    ///
    /// # Cancel safety
    /// Outside a transaction the rows may be inserted all the same.
    pub async fn finish(mut self) -> Result<u64, Error> {
        let finished = self.end().await;
        let rows = finished.as_ref().copied().unwrap_or(0);
        self.watched.ended(rows, finished.as_ref().err());
        let rows = finished?;
        self.meter.now.rows = rows;
        self.meter.done();
        Ok(rows)
    }

    async fn end(&mut self) -> Result<u64, Error> {
        self.check()?;
        // The transaction may have ended meanwhile.
        self.seat.connection()?;
        self.flush().await?;
        let copy = self.copy.take().ok_or_else(given_up)?;
        let finishing = self.seat.bounded(self.watched.sql(), true, copy.finish());
        let finished = self.watched.within(finishing).await;
        if let Err(error) = &finished {
            self.give_up(error).await;
        }
        finished
    }

    /// Gives the COPY up: nothing is inserted. A transaction around it has failed then, as after
    /// any statement that fails.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`] when the connection ends first.
    ///
    /// # Cancel safety
    /// It is given up all the same.
    pub async fn abort(mut self) -> Result<(), Error> {
        match self.copy.take() {
            None => Ok(()),
            Some(copy) => {
                let aborting = self.seat.bounded(self.watched.sql(), false, copy.abort());
                let aborted = self.watched.within(aborting).await;
                self.watched.ended(0, aborted.as_ref().err());
                aborted
            }
        }
    }

    /// Sends what was gathered.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.put(&buffer).await?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    async fn put(&mut self, data: &[u8]) -> Result<(), Error> {
        let copy = self.copy.as_mut().ok_or_else(given_up)?;
        let sending = self
            .seat
            .bounded(self.watched.sql(), false, copy.send(data));
        let sent = self.watched.within(sending).await;
        if let Err(error) = &sent {
            self.give_up(error).await;
        }
        self.meter.tick();
        sent
    }

    async fn give_up(&mut self, error: &Error) {
        self.copy = None;
        self.watched.ended(0, Some(error));
        if error.kind() == ErrorKind::Timeout {
            self.seat.stop().await;
        }
    }

    /// Has a statement described anew when it is used next.
    pub(super) fn forget_description(&self, sql: &str) {
        self.seat.engine().pools.catalog().forget_text(sql);
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.copy {
            Some(_) if !self.midway => Ok(()),
            _ => Err(given_up()),
        }
    }
}

/// Refuses what is no such COPY before anything is sent.
pub(super) fn check(sql: &Sql, wanted: Copy, what: &str) -> Result<(), Error> {
    let problem = if sql.params().is_some() {
        "and it takes no parameters".to_owned()
    } else {
        match scan::copy(sql.text()) {
            Some(kind) if kind == wanted => return Ok(()),
            Some(Copy::Server) => "for a file or program of the server use `execute_script`".into(),
            _ => "for other statements there are the other methods".to_owned(),
        }
    };
    Err(Error::new(ErrorKind::Usage, format!("{what}; {problem}")))
}

fn given_up() -> Error {
    Error::new(
        ErrorKind::Usage,
        "the COPY was given up: a call failed before, or was dropped half-way; begin a new one",
    )
}
