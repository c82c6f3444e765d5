use std::panic::Location;

use aquifer_wire::types::Params;
use bytes::BufMut;

use super::copy_in::BUFFER;
use super::{CopyIn, Progress, Seat, Target};
use crate::Error;

/// What a COPY in binary format begins with: signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
const TRAILER: &[u8] = &[0xff, 0xff];

/// Rows into a table by COPY in binary format; made by
/// [`Session::copy_into`](crate::Session::copy_into).
///
/// Values are converted to the columns' types as parameters are. Nothing is inserted before
/// [`finish`](Self::finish); dropping it inserts nothing. As [`CopyIn`] it has its connection to
/// itself.
///
/// ```no_run
/// # use aquifer::{Db, Error, Session};
/// # async fn example(db: &Db, users: &[(i64, String)]) -> Result<(), Error> {
/// let mut rows = db.copy_into("users", ["id", "name"]).await?;
/// for (id, name) in users {
///     rows.write((id, name)).await?;
/// }
/// let inserted = rows.finish().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is inserted before `finish`"]
pub struct CopyWriter {
    copy: CopyIn,
    target: Target,
}

impl CopyWriter {
    pub(crate) async fn open(
        seat: Seat,
        mut target: Target,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        target.describe(&seat).await?;
        let mut copy = CopyIn::begin(seat, target.copy(), location).await?;
        copy.buffer.put_slice(HEADER);
        Ok(Self { copy, target })
    }

    /// Reports how many rows and bytes were sent, at most every 100 ms and at the end.
    pub fn on_progress(mut self, report: impl FnMut(Progress) + Send + 'static) -> Self {
        self.copy = self.copy.on_progress(report);
        self
    }

    /// Adds a row, with one value for each column.
    ///
    /// Rows are gathered; every 64 KiB it waits until the socket takes them.
    ///
    /// # Errors
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode) when a value does not fit its column: then
    /// the row is left out, and others may follow. Else as [`CopyIn::send`].
    ///
    /// # Cancel safety
    /// As [`CopyIn::send`].
    pub async fn write(&mut self, row: impl Params + Send) -> Result<(), Error> {
        self.copy.check()?;
        let buffer = &mut self.copy.buffer;
        let start = buffer.len();
        if let Err(error) = self.target.encode(&row, buffer) {
            self.target.forget(&self.copy);
            self.copy.buffer.truncate(start);
            return Err(error);
        }
        let full = buffer.len() >= BUFFER;
        self.copy.meter.now.rows += 1;
        self.copy.meter.now.bytes += (buffer.len() - start) as u64;
        if full {
            self.copy.flush().await?;
        }
        Ok(())
    }

    /// Inserts the rows; returns how many there were.
    ///
    /// # Errors
    /// As [`CopyIn::finish`].
    ///
    /// # Cancel safety
    /// As [`CopyIn::finish`].
    pub async fn finish(mut self) -> Result<u64, Error> {
        self.copy.buffer.put_slice(TRAILER);
        self.copy.finish().await
    }

    /// Gives the COPY up: nothing is inserted. A transaction around it has failed then, as after
    /// any statement that fails.
    ///
    /// # Errors
    /// As [`CopyIn::abort`].
    ///
    /// # Cancel safety
    /// As [`CopyIn::abort`].
    pub async fn abort(self) -> Result<(), Error> {
        self.copy.abort().await
    }
}
