use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire::Reply;

use crate::Error;
use crate::bulk::{Need, Seat};
use crate::query::Runner;
use crate::session::{Session, sealed};
use crate::statement::{Batch, Call, Keepable};

/// Any session, behind a pointer: so a repository has one type wherever it works.
#[derive(Clone)]
pub(crate) struct AnySession(Arc<dyn Runner + Send + Sync>);

impl AnySession {
    pub(super) fn new(session: impl Session + Send + 'static) -> Self {
        Self(Arc::new(session))
    }
}

impl Session for AnySession {}

impl sealed::Run for AnySession {
    fn run<'a>(&'a self, call: Call<'a>) -> impl Future<Output = Result<Reply, Error>> + Send {
        self.0.run(call)
    }

    fn run_kept(
        &self,
        query: Arc<dyn Keepable>,
        location: &'static Location<'static>,
    ) -> impl Future<Output = Result<Reply, Error>> + Send {
        self.0.run_kept(query, location)
    }

    async fn run_batch(
        &self,
        batch: Batch<'_>,
        location: &'static Location<'static>,
    ) -> Result<Vec<Reply>, Error> {
        self.0.run_batch(batch, location).await
    }

    async fn run_script(
        &self,
        sql: &str,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        self.0.run_script(sql, location).await
    }

    async fn seat(&self, need: Need, location: &'static Location<'static>) -> Result<Seat, Error> {
        self.0.seat(need, location).await
    }

    fn check_write(&self) -> Result<(), Error> {
        self.0.check_write()
    }

    fn rows_decoded(&self, call: Call<'_>, rows: usize, elapsed: Duration) {
        self.0.rows_decoded(call, rows, elapsed);
    }
}
