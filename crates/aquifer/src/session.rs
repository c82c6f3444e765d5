//! All query methods, written once for whatever runs statements: [`Db`](crate::Db),
//! [`Transaction`](crate::Transaction), [`Dedicated`](crate::Dedicated).

mod insert_many;

use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use aquifer_core::scan::Class;
use aquifer_wire::types::{Decode, Params};
use aquifer_wire::{FromRow, Reply, Row, SqlState};

pub use self::insert_many::InsertMany;
use crate::bulk::{CopyIn, CopyOut, CopyWriter, Need, RowStream, Seat, Target, may_begin_again};
use crate::execute::{check, may_help_transaction};
use crate::statement::{Batch, Call, SqlText, TableName};
use crate::{Error, ErrorKind, clock};

/// Results from so many rows on have their reading timed: of fewer it takes no longer than two looks
/// at the clock.
const TIMED_ROWS: usize = 16;

pub(crate) mod sealed {
    use std::sync::Arc;

    use aquifer_wire::Reply;

    use crate::Error;
    use crate::bulk::{Need, Seat};
    use crate::statement::{Batch, Call, Keepable};

    #[expect(unnameable_types, reason = "that is how a trait is sealed")]
    /// What differs between those that run statements.
    pub trait Run: Sync {
        /// Runs one statement.
        fn run<'a>(&'a self, call: Call<'a>) -> impl Future<Output = Result<Reply, Error>> + Send;

        /// The result of a query that says how it is kept; where nothing is kept, that of the database.
        fn run_kept(
            &self,
            query: Arc<dyn Keepable>,
            location: &'static std::panic::Location<'static>,
        ) -> impl Future<Output = Result<Reply, Error>> + Send {
            async move { self.run(query.call(location)).await }
        }

        /// Runs several statements in one round trip.
        fn run_batch(
            &self,
            batch: Batch<'_>,
            location: &'static std::panic::Location<'static>,
        ) -> impl Future<Output = Result<Vec<Reply>, Error>> + Send;

        /// Runs a script by the simple protocol.
        fn run_script(
            &self,
            sql: &str,
            location: &'static std::panic::Location<'static>,
        ) -> impl Future<Output = Result<(), Error>> + Send;

        /// A place for an operation on many rows.
        fn seat(
            &self,
            need: Need,
            location: &'static std::panic::Location<'static>,
        ) -> impl Future<Output = Result<Seat, Error>> + Send;

        /// Refuses what is known to write where only reads are meant.
        ///
        /// # Errors
        /// On a handle for reads.
        fn check_write(&self) -> Result<(), Error> {
            Ok(())
        }

        /// Tells how long reading the rows of a result took.
        fn rows_decoded(&self, call: Call<'_>, rows: usize, elapsed: std::time::Duration);
    }
}

/// What the query methods return: a boxed future, so that its type names neither the text nor the
/// parameters.
///
/// The box costs one allocation per call. Without it the compiler can't prove that a generic
/// service's future is `Send` (rust-lang/rust issue 110338), and its type grows with every layer.
pub type SessionFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Runs statements; sealed, so that methods can be added.
///
/// SQL text is `&'static str`, [`raw!`](crate::raw) or [`AssertSafe`](crate::AssertSafe), so that values can't slip
/// into it. Parameters are a tuple, an array, a slice or a [`ParamList`](crate::types::ParamList).
///
/// # Errors
/// Every method fails with [`ErrorKind::Acquire`] (nothing was sent; a retry is safe),
/// [`ErrorKind::Encode`], [`ErrorKind::Limit`] and [`ErrorKind::Usage`] (nothing was sent; the call
/// must change), [`ErrorKind::Database`] (the server's answer; see [`Error::retry`]),
/// [`ErrorKind::Timeout`] and [`ErrorKind::Unknown`] (a retry is safe only if the statement is
/// idempotent), and [`ErrorKind::Decode`] when rows can't be read as asked.
///
/// # Cancel safety
/// A future dropped before its statement was sent has no effect. Afterwards a read is abandoned; a
/// write may or may not take effect, unless it is part of a transaction, which is then rolled back
/// when its handle is dropped. The connection is put in order or closed; nobody else gets the reply.
/// In a transaction or a dedicated session the abandoned statement runs on, and the next call waits
/// for it; a rollback cancels it.
pub trait Session: sealed::Run {
    /// All rows.
    ///
    /// # Errors
    /// As described at [`Session`].
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// for row in db.query("select id, name from users where active = $1", (true,)).await? {
    ///     let id: i64 = row.get("id")?;
    ///     println!("{id}");
    /// }
    /// # Ok(()) }
    /// ```
    #[track_caller]
    fn query<'a>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, Vec<Row>> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move {
            let reply = self.run(Call::new(&sql, &params, location)?).await?;
            Ok(reply.rows().collect())
        })
    }

    /// All rows, each read into a `T`.
    ///
    /// # Errors
    /// As described at [`Session`].
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    fn query_as<'a, T: FromRow + Send>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, Vec<T>> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move {
            let call = Call::new(&sql, &params, location)?;
            let reply = self.run(call).await?;
            decoded(self, call, &reply, Reply::decode)
        })
    }

    /// The only row, read into a `T`.
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::NotFound`] when there is no row,
    /// [`ErrorKind::TooManyRows`] when there are several.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    fn query_one<'a, T: FromRow + Send>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, T> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move {
            let reply = self.run(Call::new(&sql, &params, location)?).await?;
            only_row(&reply)?.ok_or_else(not_found)
        })
    }

    /// The only row, read into a `T`, or `None` when there is none.
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::TooManyRows`] when there are several.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    fn query_opt<'a, T: FromRow + Send>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, Option<T>> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move {
            let reply = self.run(Call::new(&sql, &params, location)?).await?;
            only_row(&reply)
        })
    }

    /// The first column of the only row.
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::NotFound`] when there is no row,
    /// [`ErrorKind::TooManyRows`] when there are several.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let users: i64 = db.query_value("select count(*) from users", ()).await?;
    /// let known: bool = db
    ///     .query_value("select exists (select from users where email = $1)", ("a@b.c",))
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[doc(alias(
        "queryCount",
        "query_count",
        "queryBoolean",
        "query_boolean",
        "query_scalar"
    ))]
    #[track_caller]
    fn query_value<'a, T: for<'r> Decode<'r> + Send>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, T> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move {
            let reply = self.run(Call::new(&sql, &params, location)?).await?;
            at_most_one(&reply)?;
            reply.decode_column()?.pop().ok_or_else(not_found)
        })
    }

    /// The first column of all rows.
    ///
    /// # Errors
    /// As described at [`Session`].
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    fn query_column<'a, T: for<'r> Decode<'r> + Send>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, Vec<T>> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move {
            let call = Call::new(&sql, &params, location)?;
            let reply = self.run(call).await?;
            decoded(self, call, &reply, Reply::decode_column)
        })
    }

    /// How many rows the statement inserted, changed or deleted.
    ///
    /// # Errors
    /// As described at [`Session`].
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    fn execute<'a>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, u64> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move {
            let reply = self.run(Call::new(&sql, &params, location)?).await?;
            Ok(reply.affected())
        })
    }

    /// Runs several statements in one round trip, all or none; returns for each how many rows it
    /// affected or returned.
    ///
    /// # Errors
    /// As described at [`Session`]; the first statement that fails ends the batch.
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    ///
    /// ```no_run
    /// # use aquifer::{Batch, Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let transfer = Batch::new()
    ///     .add("update accounts set balance = balance - $1 where id = $2", (10_i64, 1))
    ///     .add("update accounts set balance = balance + $1 where id = $2", (10_i64, 2));
    /// assert_eq!(db.batch(transfer).await?, [1, 1]);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    fn batch<'a>(&'a self, batch: Batch<'a>) -> SessionFuture<'a, Vec<u64>> {
        let location = Location::caller();
        Box::pin(async move {
            let replies = self.run_batch(batch, location).await?;
            Ok(replies.iter().map(Reply::affected).collect())
        })
    }

    /// Runs a script of several statements without parameters, for example a schema.
    ///
    /// Statements without BEGIN of their own take effect together or not at all.
    ///
    /// # Errors
    /// As described at [`Session`].
    ///
    /// # Cancel safety
    /// As described at [`Session`].
    #[track_caller]
    fn execute_script(&self, sql: impl SqlText) -> SessionFuture<'_, ()> {
        let location = Location::caller();
        let sql = sql.into_sql();
        Box::pin(async move { self.run_script(sql.text_alone()?, location).await })
    }

    /// The rows one after another, without ever holding them all; see [`RowStream`].
    ///
    /// # Errors
    /// As described at [`Session`]; those behind the first rows come from [`RowStream::next`].
    ///
    /// # Cancel safety
    /// As described at [`Session`]; what a statement has written is rolled back.
    #[track_caller]
    fn stream<'a>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, RowStream> {
        self.stream_as(sql, params)
    }

    /// As [`stream`](Self::stream), each row read into a `T`.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    ///
    /// # Cancel safety
    /// As [`stream`](Self::stream).
    #[track_caller]
    fn stream_as<'a, T: FromRow + Send>(
        &'a self,
        sql: impl SqlText,
        params: impl Params + Send + Sync + 'a,
    ) -> SessionFuture<'a, RowStream<T>> {
        let location = Location::caller();
        let sql = sql.into_sql();
        Box::pin(async move {
            let seat = |need| self.seat(need, location);
            open_stream(seat, Call::new(&sql, &params, location)?).await
        })
    }

    /// Begins `COPY … FROM STDIN`, for bytes in the format that the statement names; for rows of
    /// values see [`copy_into`](Self::copy_into).
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::Usage`] for another statement, and for a COPY of a
    /// file or program of the server.
    ///
    /// # Cancel safety
    /// Nothing is inserted.
    #[track_caller]
    fn copy_in(&self, sql: impl SqlText) -> SessionFuture<'_, CopyIn> {
        let location = Location::caller();
        let sql = sql.into_sql();
        Box::pin(async move {
            begin_copy(self, true, location, |seat| {
                Box::pin(CopyIn::open(seat, &sql, location))
            })
            .await
        })
    }

    /// Begins a COPY of rows into these columns of a table: the fastest way to insert many.
    ///
    /// Names are taken literally, case and all. COPY knows no ON CONFLICT, no RETURNING, no rules
    /// and no row-level security; where these matter, use [`insert_many`](Self::insert_many).
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::Usage`] for a name that PostgreSQL would not take
    /// whole, and without any column.
    ///
    /// # Cancel safety
    /// Nothing is inserted.
    #[track_caller]
    fn copy_into<'a, C: AsRef<str>>(
        &'a self,
        table: impl Into<TableName>,
        columns: impl IntoIterator<Item = C>,
    ) -> SessionFuture<'a, CopyWriter> {
        let location = Location::caller();
        let target = Target::new(&table.into(), columns);
        Box::pin(async move {
            let target = target?;
            begin_copy(self, true, location, |seat| {
                Box::pin(CopyWriter::open(seat, target.clone(), location))
            })
            .await
        })
    }

    /// Begins `COPY … TO STDOUT`; rows of values come from [`stream_as`](Self::stream_as).
    ///
    /// # Errors
    /// As [`copy_in`](Self::copy_in).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[track_caller]
    fn copy_out(&self, sql: impl SqlText) -> SessionFuture<'_, CopyOut> {
        let location = Location::caller();
        let sql = sql.into_sql();
        Box::pin(async move {
            begin_copy(self, false, location, |seat| {
                Box::pin(CopyOut::open(seat, &sql, location))
            })
            .await
        })
    }

    /// Inserts rows, each with one value for each of these columns, all or none; returns how many
    /// were inserted.
    ///
    /// One statement takes up to 32,768 rows or 8 MiB of values, as one array for each column, so
    /// that one prepared statement serves any number of rows; more take several statements in one
    /// transaction; in the transaction that is open already they are in a savepoint, so that its
    /// handle can't be used meanwhile. Values are converted to the columns' types as parameters are; other columns get
    /// their defaults. Names are taken literally, case and all. Columns of array or composite type
    /// are refused, since UNNEST takes such values apart: use [`copy_into`](Self::copy_into).
    ///
    /// # Errors
    /// As described at [`Session`]; [`ErrorKind::Usage`] for a column as said, for a name that
    /// PostgreSQL would not take whole, and without any column.
    ///
    /// # Cancel safety
    /// As described at [`Session`]; all rows or none take effect.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let rows = [(1_i64, "John"), (2, "Jane")];
    /// let inserted = db.insert_many("users", ["id", "name"], rows).await?;
    /// assert_eq!(inserted, 2);
    /// # Ok(()) }
    /// ```
    #[doc(alias("bulkInsert", "bulk_insert", "createMany", "batchInsert"))]
    #[track_caller]
    fn insert_many<'a, C: AsRef<str>, R>(
        &'a self,
        table: impl Into<TableName>,
        columns: impl IntoIterator<Item = C>,
        rows: R,
    ) -> InsertMany<'a, Self, R>
    where
        R: IntoIterator + 'a,
        R::Item: Params + Send,
    {
        InsertMany::new(self, &table.into(), columns, rows, Location::caller())
    }
}

/// Begins on another connection where the first had ended unnoticed.
async fn begin_copy<'a, T>(
    session: &(impl Session + ?Sized),
    writes: bool,
    location: &'static Location<'static>,
    open: impl Fn(Seat) -> SessionFuture<'a, T> + Send,
) -> Result<T, Error> {
    let need = |again| Need::Connection { again, writes };
    let seat = session.seat(need(false), location).await?;
    let alone = seat.is_alone();
    match open(seat).await {
        Err(error) if alone && may_begin_again(&error) => {
            open(session.seat(need(true), location).await?).await
        }
        other => other,
    }
}

/// Opens a stream in a transaction that may only read, where the statement looks like a read.
pub(crate) async fn open_stream<T, F>(
    take_seat: impl Fn(Need) -> F + Send,
    call: Call<'_>,
) -> Result<RowStream<T>, Error>
where
    T: FromRow + Send,
    F: Future<Output = Result<Seat, Error>> + Send,
{
    let mut read_only = check(call.sql)?.class == Class::Read;
    let mut again = false;
    loop {
        let seat = take_seat(Need::Transaction { read_only }).await?;
        let own = seat.is_own();
        match RowStream::open(seat, call.sql, call.params, call.location).await {
            // A write that the text does not show; nothing has happened yet.
            Err(error)
                if own
                    && read_only
                    && error.sqlstate() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) =>
            {
                read_only = false;
            }
            // A stale plan, a connection that ended: its own transaction has changed nothing.
            Err(error)
                if own
                    && !again
                    && error
                        .wire()
                        .is_some_and(|error| may_help_transaction(false, error)) =>
            {
                again = true;
            }
            other => return other,
        }
    }
}

/// Reads a result; of many rows, how long that takes is told.
fn decoded<T>(
    session: &(impl Session + ?Sized),
    call: Call<'_>,
    reply: &Reply,
    decode: impl FnOnce(&Reply) -> Result<T, aquifer_wire::Error>,
) -> Result<T, Error> {
    let told = |rows, elapsed| session.rows_decoded(call, rows, elapsed);
    decoded_by(told, reply, decode)
}

pub(crate) fn decoded_by<T>(
    told: impl FnOnce(usize, Duration),
    reply: &Reply,
    decode: impl FnOnce(&Reply) -> Result<T, aquifer_wire::Error>,
) -> Result<T, Error> {
    if reply.len() < TIMED_ROWS {
        return Ok(decode(reply)?);
    }
    let begun = clock::now();
    let outcome = decode(reply);
    told(reply.len(), clock::now() - begun);
    Ok(outcome?)
}

#[inline]
pub(crate) fn only_row<T: FromRow>(reply: &Reply) -> Result<Option<T>, Error> {
    at_most_one(reply)?;
    if reply.is_empty() {
        // Columns that don't fit are an error without rows too.
        return Ok(reply.decode()?.pop());
    }
    // Not by way of a list, which would cost an allocation.
    Ok(reply.decode_first()?)
}

#[inline]
pub(crate) fn at_most_one(reply: &Reply) -> Result<(), Error> {
    match reply.len() {
        0 | 1 => Ok(()),
        rows => Err(too_many_rows(rows)),
    }
}

#[cold]
fn too_many_rows(rows: usize) -> Error {
    let text =
        format!("one row was asked for and {rows} came; add a condition or LIMIT, or use `query`");
    Error::new(ErrorKind::TooManyRows, text)
}

#[cold]
pub(crate) fn not_found() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "one row was asked for and none came; use `query_opt` where that is normal",
    )
}
