use std::collections::HashMap;
use std::hash::Hash;
use std::panic::Location;

use aquifer_wire::types::{Decode, DecodeOwned};
use aquifer_wire::{FromRow, Reply, Row};

use super::attached::Attached;
use super::builder::QueryBuilder;
use super::draft::rows;
use super::input::{IntoExpression, Items};
use crate::bulk::RowStream;
use crate::session::{SessionFuture, only_row};
use crate::statement::SqlText;
use crate::{Error, ErrorKind};

/// One page of rows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T = Row> {
    /// The rows of this page.
    pub rows: Vec<T>,
    /// How many rows there are on all pages.
    pub total: u64,
    /// The number of this page, from 1.
    pub page: u64,
    /// Most rows of a page.
    pub per_page: u64,
    /// How many pages there are.
    pub pages: u64,
}

/// Final verbs that read.
///
/// # Errors
/// All as [`Session`](crate::Session), and [`ErrorKind::Usage`] for the first part of the query that
/// was wrong; then nothing was sent.
///
/// # Cancel safety
/// All as [`Session`](crate::Session).
impl<'a> QueryBuilder<Attached<'a>> {
    /// All rows.
    ///
    /// # Errors
    /// As [`Session`](crate::Session), and [`ErrorKind::Usage`] for a query that can't be.
    ///
    /// # Cancel safety
    /// As [`Session`](crate::Session).
    #[track_caller]
    pub fn get(self) -> SessionFuture<'a, Vec<Row>> {
        let location = Location::caller();
        let plan = self.draft.into_plan();
        self.session
            .run(plan, location, |reply| Ok(reply.rows().collect()))
    }

    /// All rows, each read into a `T`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn get_as<T: FromRow + Send>(self) -> SessionFuture<'a, Vec<T>> {
        let location = Location::caller();
        let plan = self.draft.into_plan();
        self.session.rows(plan, location)
    }

    /// The first row, or `None`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn first(self) -> SessionFuture<'a, Option<Row>> {
        self.first_as()
    }

    /// The first row, read into a `T`, or `None`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn first_as<T: FromRow + Send>(self) -> SessionFuture<'a, Option<T>> {
        let location = Location::caller();
        let session = self.session;
        let plan = self.limit_of_one().draft.into_plan();
        // With ties there may be more than one.
        session.run(plan, location, |reply| match reply.len() {
            0 | 1 => only_row(&reply),
            _ => Ok(reply.decode_first()?),
        })
    }

    fn limit_of_one(mut self) -> Self {
        if self
            .draft
            .select
            .extra
            .as_ref()
            .is_none_or(|extra| !extra.with_ties)
        {
            self.draft.select.limit = Some(rows(1));
        }
        self
    }

    /// That column of the first row, or `None` when there is no row; read an `Option` where it may be
    /// NULL.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn value<T: for<'r> Decode<'r> + Send + 'a>(
        self,
        column: impl Items,
    ) -> SessionFuture<'a, Option<T>> {
        let location = Location::caller();
        let plan = self.select(column).limit_of_one();
        let session = plan.session;
        session.run(plan.draft.into_plan(), location, |reply| {
            first_value(&reply)
        })
    }

    /// That column of all rows.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn pluck<T: for<'r> Decode<'r> + Send + 'a>(
        self,
        column: impl Items,
    ) -> SessionFuture<'a, Vec<T>> {
        let location = Location::caller();
        let query = self.select(column);
        let session = query.session;
        session.run(query.draft.into_plan(), location, |reply| {
            Ok(reply.decode_column()?)
        })
    }

    /// All rows by the value of a column of the result; of rows that have the same one, the last.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[doc(alias = "keyBy")]
    #[track_caller]
    pub fn key_by<K: DecodeOwned + Eq + Hash + Send + 'a>(
        self,
        column: &'static str,
    ) -> SessionFuture<'a, HashMap<K, Row>> {
        let location = Location::caller();
        let plan = self.draft.into_plan();
        self.session.run(plan, location, move |reply| {
            let keyed = reply.rows().map(|row| Ok((key(&row, column)?, row)));
            keyed.collect()
        })
    }

    /// How many rows there are, those beyond the limit left out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn count(self) -> SessionFuture<'a, u64> {
        let location = Location::caller();
        let plan = self.draft.into_count();
        self.session.run(plan, location, |reply| {
            Ok(first_value(&reply)?.unwrap_or_default())
        })
    }

    /// Whether there is any row; the server stops at the first.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn exists(self) -> SessionFuture<'a, bool> {
        let location = Location::caller();
        let plan = self.draft.into_exists();
        self.session.run(plan, location, |reply| {
            Ok(first_value(&reply)?.unwrap_or_default())
        })
    }

    /// An aggregate of a column: `sum`, `avg`, `min`, `max`; `None` where there is nothing to take it of.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn aggregate<T: for<'r> Decode<'r> + Send + 'a>(
        self,
        function: &'static str,
        column: impl IntoExpression,
    ) -> SessionFuture<'a, Option<T>> {
        let location = Location::caller();
        let plan = self
            .draft
            .into_aggregate(function, column.into_expression().tree);
        self.session.run(plan, location, |reply| {
            Ok(first_value::<Option<T>>(&reply)?.flatten())
        })
    }

    /// Page `page`, from 1, of `per_page` rows, and how many there are in all; two statements, which
    /// agree within a transaction of repeatable reads only.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`ErrorKind::Usage`] for page 0 and pages without rows.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn paginate(self, page: u64, per_page: u64) -> SessionFuture<'a, Page> {
        self.paginate_as(page, per_page)
    }

    /// As [`paginate`](Self::paginate), each row read into a `T`.
    ///
    /// # Errors
    /// As [`paginate`](Self::paginate).
    ///
    /// # Cancel safety
    /// As [`paginate`](Self::paginate).
    #[track_caller]
    pub fn paginate_as<T: FromRow + Send>(
        mut self,
        page: u64,
        per_page: u64,
    ) -> SessionFuture<'a, Page<T>> {
        let location = Location::caller();
        (self.draft.select.limit, self.draft.select.offset) = (None, None);
        let total = self.clone();
        let session = self.session;
        Box::pin(async move {
            if page == 0 || per_page == 0 {
                let text = "pages are counted from 1 and have at least one row; give other numbers";
                return Err(Error::new(ErrorKind::Usage, text));
            }
            let mut total = total.draft;
            total.keeping = total.keeping.map(|keeping| keeping.beside("total").into());
            let count = session.run(total.into_count(), location, |reply| {
                Ok(first_value(&reply)?.unwrap_or_default())
            });
            let total: u64 = count.await?;
            let offset = (page - 1).saturating_mul(per_page);
            let plan = self.limit(per_page).offset(offset).draft.into_plan();
            Ok(Page {
                rows: session.rows(plan, location).await?,
                total,
                page,
                per_page,
                pages: total.div_ceil(per_page),
            })
        })
    }

    /// The rows one after another, without ever holding them all; see [`RowStream`].
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn stream(self) -> SessionFuture<'a, RowStream> {
        self.stream_as()
    }

    /// As [`stream`](Self::stream), each row read into a `T`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn stream_as<T: FromRow + Send>(self) -> SessionFuture<'a, RowStream<T>> {
        let location = Location::caller();
        let plan = self.draft.into_plan();
        self.session.stream(plan, location)
    }

    /// Runs SQL text on the session of this query, of which nothing else is used.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn raw(self, sql: impl SqlText) -> SessionFuture<'a, Vec<Row>> {
        self.session.text(sql.into_sql(), Location::caller())
    }
}

/// The first column of the first row.
pub(super) fn first_value<T: for<'r> Decode<'r>>(reply: &Reply) -> Result<Option<T>, Error> {
    let first = reply.decode_column()?.into_iter().next();
    Ok(first)
}

fn key<K: DecodeOwned>(row: &Row, column: &'static str) -> Result<K, Error> {
    Ok(row.get(column)?)
}
