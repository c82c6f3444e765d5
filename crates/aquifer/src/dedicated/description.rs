use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use aquifer_wire::types::Type;
use aquifer_wire::{Column, Sharing, Statement};

use super::Dedicated;
use crate::Error;
use crate::execute::refuse_copy;
use crate::session::SessionFuture;
use crate::statement::SqlText;

/// What the server says about a statement without running it.
#[derive(Clone)]
pub struct Description(Arc<Statement>);

impl Dedicated {
    /// Lets the server parse a statement and say what parameters it takes and what columns it returns;
    /// nothing is run.
    ///
    /// Of statements that can't be planned, such as SET and CREATE TABLE, the server looks at the
    /// syntax only.
    ///
    /// # Errors
    /// As described at [`Session`](crate::Session);
    /// [`Error::database`] has the place in the text of what is wrong.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let session = db.dedicated().await?;
    /// let described = session.describe("select name from users where id = $1").await?;
    /// assert_eq!(described.parameters()[0].name(), "int8");
    /// assert_eq!(described.columns()[0].name(), "name");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn describe(&self, sql: impl SqlText) -> SessionFuture<'_, Description> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move { self.description_of(sql.text(), location).await })
    }

    pub(crate) async fn description_of(
        &self,
        sql: &str,
        location: &'static Location<'static>,
    ) -> Result<Description, Error> {
        refuse_copy(sql)?;
        // What is known may have changed with the schema.
        let request = Box::pin(self.client().describe(sql, Sharing::Own));
        self.bounded(sql, location, request).await.map(Description)
    }
}

impl Description {
    /// The types of its parameters, in their order.
    #[must_use]
    pub fn parameters(&self) -> &[Type] {
        self.0.parameters()
    }

    /// The columns of its rows; none where it returns none.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        self.0.columns().list()
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Description")
            .field("parameters", &self.parameters())
            .field("columns", &self.columns())
            .finish()
    }
}
