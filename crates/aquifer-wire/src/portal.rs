//! Results that are fetched piece by piece, so that other statements run in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;

use crate::parameters::encode;
use crate::queue::Sharing;
use crate::reply::{End, Reply, read_fetch};
use crate::request::{Bound, Request};
use crate::shared::Shared;
use crate::statement::{Columns, Statement};
use crate::types::Params;
use crate::{Client, Error};

/// A statement that is being run piece by piece: a named portal, which lives as long as its
/// transaction.
///
/// Dropping it closes the portal, without waiting.
#[derive(Debug)]
pub struct Portal {
    shared: Arc<Shared>,
    number: u64,
    columns: Arc<Columns>,
    /// It may be there on the server.
    open: bool,
}

/// Some rows of a portal.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The rows.
    pub reply: Reply,
    /// Whether there may be more.
    pub more: bool,
    /// Why the server stopped behind these rows; then there are no more.
    pub failure: Option<Error>,
}

impl Client {
    /// Binds a statement to a portal of its own and fetches at most `rows_max` rows.
    ///
    /// Only within a transaction, since the portal ends with it.
    ///
    /// # Errors
    /// As [`query`](Self::query); an error behind the first row is in [`Fetched::failure`]. A stale
    /// plan is not healed here, since it has the transaction fail.
    ///
    /// # Cancel safety
    /// As [`query`](Self::query); the portal is closed.
    pub async fn open_portal(
        &self,
        statement: &Arc<Statement>,
        params: &(dyn Params + Sync),
        rows_max: u32,
        sharing: Sharing,
    ) -> Result<(Portal, Fetched), Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut parameters = BytesMut::new();
        encode(statement, params, &mut parameters)?;
        let mut portal = Portal {
            shared: Arc::clone(self.shared()),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            columns: Arc::clone(statement.columns()),
            open: false,
        };
        let bound = Bound {
            statement,
            parameters: &parameters,
        };
        let fetched = portal.execute(self, Some(bound), rows_max, sharing).await;
        if let Err(error) = &fetched {
            self.drop_if_stale(statement, error);
        }
        let mut fetched = fetched?;
        if let Some(fields) = fetched.reply.changed_fields.take() {
            let columns = Box::pin(self.columns_anew(&fields, statement)).await?;
            portal.columns = Arc::clone(&columns);
            fetched.reply.columns = columns;
        }
        Ok((portal, fetched))
    }

    /// Fetches at most `rows_max` further rows of a portal of this connection.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    /// The rows that were asked for are lost.
    pub async fn fetch(
        &self,
        portal: &mut Portal,
        rows_max: u32,
        sharing: Sharing,
    ) -> Result<Fetched, Error> {
        portal.execute(self, None, rows_max, sharing).await
    }
}

impl Portal {
    /// The columns of its rows.
    #[must_use]
    pub fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    /// Its transaction is about to end, and the portal with it: there is nothing to be closed.
    pub fn forget(&mut self) {
        self.open = false;
    }

    async fn execute(
        &mut self,
        client: &Client,
        bound: Option<Bound<'_>>,
        rows_max: u32,
        sharing: Sharing,
    ) -> Result<Fetched, Error> {
        let request = Request::Portal {
            number: self.number,
            bound,
            rows_max,
        };
        let answer = self.shared.push(&request, sharing.alone())?;
        self.open = true;
        // A request with a Sync of its own is never skipped.
        let frames = answer.await?.unwrap_or_default();
        let (reply, end) = client.judge(read_fetch(frames, &self.columns))?;
        let (more, failure) = match end {
            End::Suspended => (true, None),
            End::Complete => (false, None),
            End::Failed(error) => (false, Some(error)),
        };
        Ok(Fetched {
            reply,
            more,
            failure,
        })
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        // Outside a transaction there is none any more.
        let idle = self.shared.status.load(Ordering::Acquire) == b'I';
        if self.open && !idle {
            let request = Request::ClosePortal {
                number: self.number,
            };
            // Refused only where the connection has ended or is busy with a COPY; the portal ends
            // with its transaction in any case.
            drop(self.shared.push(&request, Sharing::Own));
        }
    }
}
