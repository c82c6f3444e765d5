use std::collections::VecDeque;
use std::fmt;

use crate::clock;
use crate::entity::{Entity, Query};
use crate::query::{CursorKey, CursorPage};
use crate::session::SessionFuture;
use crate::{Error, ErrorKind};

type Page<'a, E> = Box<
    dyn Fn(Query<E>, &CursorKey, Option<&str>) -> SessionFuture<'a, CursorPage<E>>
        + Send
        + Sync
        + 'a,
>;

/// All rows of a query, some at a time; made by [`Repository::chunks`](super::Repository::chunks).
#[must_use = "nothing is read before `next` is awaited"]
pub struct Chunks<'a, E: Entity> {
    query: Query<E>,
    page: Page<'a, E>,
    /// Cursors don't leave this value, and are no secret.
    key: Result<CursorKey, Error>,
    at: At,
    /// Rows of a part of which some were handed out.
    rest: VecDeque<E>,
}

/// Where the next part begins.
enum At {
    Start,
    Behind(String),
    End,
}

impl<'a, E: Entity> Chunks<'a, E> {
    pub(super) fn new(query: Query<E>, page: Page<'a, E>) -> Self {
        Self {
            query,
            page,
            key: CursorKey::new(&[clock::random().to_ne_bytes(); 2].concat()),
            at: At::Start,
            rest: VecDeque::new(),
        }
    }

    /// The next part, which has at least one row; `None` at the end.
    ///
    /// # Errors
    /// As [`page`](super::Repository::page), and the same part may be asked for again.
    ///
    /// # Cancel safety
    /// Nothing is lost: the same part comes next time.
    pub async fn next(&mut self) -> Result<Option<Vec<E>>, Error> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest).into()));
        }
        let after = match &self.at {
            At::Start => None,
            At::Behind(cursor) => Some(cursor.as_str()),
            At::End => return Ok(None),
        };
        let key = self.key.as_ref().map_err(again)?;
        let part = (self.page)(self.query.clone(), key, after).await?;
        self.at = part.next.map_or(At::End, At::Behind);
        Ok((!part.rows.is_empty()).then_some(part.rows))
    }

    /// The next row; `None` at the end. Parts are read as they are needed.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// As [`next`](Self::next).
    #[doc(alias("each", "for_each"))]
    pub async fn next_row(&mut self) -> Result<Option<E>, Error> {
        if self.rest.is_empty() {
            self.rest = self.next().await?.unwrap_or_default().into();
        }
        Ok(self.rest.pop_front())
    }
}

#[cold]
fn again(error: &Error) -> Error {
    Error::new(ErrorKind::Usage, error.to_string())
}

impl<E: Entity> fmt::Debug for Chunks<'_, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rows and cursors stay out.
        formatter
            .debug_struct("Chunks")
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}
