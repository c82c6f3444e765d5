use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire::{FromRow, Reply, Row};

use super::plan::Plan;
use crate::Error;
use crate::bulk::{Need, RowStream, Seat};
use crate::session::{Session, SessionFuture, open_stream, sealed};
use crate::statement::{Batch, Call, Keepable, Sql};

/// The session that a query was begun on.
#[derive(Clone, Copy)]
pub struct Attached<'a> {
    runner: &'a (dyn Runner + 'a),
}

/// No session: the query is a part of another one, or a scope.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Loose;

/// A [`Session`] behind a pointer, so that builders don't have its type.
pub(crate) trait Runner: Sync {
    fn run<'s>(&'s self, call: Call<'s>) -> SessionFuture<'s, Reply>;

    /// The result of a query that says how it is kept.
    fn run_kept<'s>(
        &'s self,
        query: Arc<dyn Keepable>,
        location: &'static Location<'static>,
    ) -> SessionFuture<'s, Reply>;

    fn run_batch<'s>(
        &'s self,
        batch: Batch<'s>,
        location: &'static Location<'static>,
    ) -> SessionFuture<'s, Vec<Reply>>;

    fn run_script<'s>(
        &'s self,
        sql: &'s str,
        location: &'static Location<'static>,
    ) -> SessionFuture<'s, ()>;

    fn seat(&self, need: Need, location: &'static Location<'static>) -> SessionFuture<'_, Seat>;

    fn check_write(&self) -> Result<(), Error>;

    fn rows_decoded(&self, call: Call<'_>, rows: usize, elapsed: Duration);
}

impl<S: Session> Runner for S {
    fn run<'s>(&'s self, call: Call<'s>) -> SessionFuture<'s, Reply> {
        Box::pin(sealed::Run::run(self, call))
    }

    fn run_kept<'s>(
        &'s self,
        query: Arc<dyn Keepable>,
        location: &'static Location<'static>,
    ) -> SessionFuture<'s, Reply> {
        Box::pin(sealed::Run::run_kept(self, query, location))
    }

    fn run_batch<'s>(
        &'s self,
        batch: Batch<'s>,
        location: &'static Location<'static>,
    ) -> SessionFuture<'s, Vec<Reply>> {
        Box::pin(sealed::Run::run_batch(self, batch, location))
    }

    fn run_script<'s>(
        &'s self,
        sql: &'s str,
        location: &'static Location<'static>,
    ) -> SessionFuture<'s, ()> {
        Box::pin(sealed::Run::run_script(self, sql, location))
    }

    fn seat(&self, need: Need, location: &'static Location<'static>) -> SessionFuture<'_, Seat> {
        Box::pin(sealed::Run::seat(self, need, location))
    }

    fn check_write(&self) -> Result<(), Error> {
        sealed::Run::check_write(self)
    }

    fn rows_decoded(&self, call: Call<'_>, rows: usize, elapsed: Duration) {
        sealed::Run::rows_decoded(self, call, rows, elapsed);
    }
}

impl<'a> Attached<'a> {
    pub(crate) fn to(session: &'a impl Session) -> Self {
        Self { runner: session }
    }

    /// A plan that may run here: the text of a write may begin as that of a read, but the plan knows.
    fn admit(self, plan: Result<Plan, Error>) -> Result<Plan, Error> {
        let plan = plan?;
        if plan.tables_written().next().is_some() {
            self.runner.check_write()?;
        }
        Ok(plan)
    }

    /// Runs a plan, and reads its result by `read`.
    pub(crate) fn run<T: Send + 'a>(
        self,
        plan: Result<Plan, Error>,
        location: &'static Location<'static>,
        read: impl FnOnce(Reply) -> Result<T, Error> + Send + 'a,
    ) -> SessionFuture<'a, T> {
        Box::pin(async move {
            let plan = self.admit(plan)?;
            if plan.kept().is_some() {
                return read(self.kept(plan, location).await?);
            }
            let call = Call::built(plan.sql(), plan.params(), location);
            let reply = self.runner.run(call).await;
            read(reply.map_err(|error| located(error, plan.sql()))?)
        })
    }

    /// As [`run`](Self::run), for rows, of which reading many is timed.
    pub(crate) fn rows<T: FromRow + Send>(
        self,
        plan: Result<Plan, Error>,
        location: &'static Location<'static>,
    ) -> SessionFuture<'a, Vec<T>> {
        Box::pin(async move {
            let plan = self.admit(plan)?;
            if plan.kept().is_some() {
                return Ok(self.kept(plan, location).await?.decode()?);
            }
            let call = Call::built(plan.sql(), plan.params(), location);
            let reply = self.runner.run(call).await;
            let reply = reply.map_err(|error| located(error, plan.sql()))?;
            let told = |rows, elapsed| self.runner.rows_decoded(call, rows, elapsed);
            crate::session::decoded_by(told, &reply, Reply::decode)
        })
    }

    fn kept(self, plan: Plan, location: &'static Location<'static>) -> SessionFuture<'a, Reply> {
        let plan = Arc::new(plan);
        let query = Arc::<Plan>::clone(&plan);
        let reply = self.runner.run_kept(query, location);
        Box::pin(async move { reply.await.map_err(|error| located(error, plan.sql())) })
    }

    /// Runs a plan; how many rows it has changed.
    pub(crate) fn affected(
        self,
        plan: Result<Plan, Error>,
        location: &'static Location<'static>,
    ) -> SessionFuture<'a, u64> {
        self.run(plan, location, |reply| Ok(reply.affected()))
    }

    /// Runs a statement that is no plan.
    pub(super) fn call<'s>(self, call: Call<'s>) -> SessionFuture<'s, Reply>
    where
        'a: 's,
    {
        self.runner.run(call)
    }

    /// A place for several statements.
    pub(super) fn seat(
        self,
        need: Need,
        location: &'static Location<'static>,
    ) -> SessionFuture<'a, Seat> {
        self.runner.seat(need, location)
    }

    /// Refuses where only reads are meant.
    pub(super) fn check_write(self) -> Result<(), Error> {
        self.runner.check_write()
    }

    /// Runs SQL text.
    pub(super) fn text(
        self,
        sql: Sql,
        location: &'static Location<'static>,
    ) -> SessionFuture<'a, Vec<Row>> {
        Box::pin(async move {
            let reply = self.runner.run(Call::new(&sql, &(), location)?).await?;
            Ok(reply.rows().collect())
        })
    }

    pub(super) fn stream<T: FromRow + Send>(
        self,
        plan: Result<Plan, Error>,
        location: &'static Location<'static>,
    ) -> SessionFuture<'a, RowStream<T>> {
        Box::pin(async move {
            let plan = self.admit(plan)?;
            let call = Call::built(plan.sql(), plan.params(), location);
            let opened = open_stream(|need| self.runner.seat(need, location), call).await;
            opened.map_err(|error| located(error, plan.sql()))
        })
    }
}

/// Bytes of a statement that are shown in front of a parameter.
const SHOWN: usize = 48;

/// Of a parameter that can't be sent, shows what stands in front of it: nobody who put a query together
/// knows what `$3` is.
fn located(error: Error, sql: &str) -> Error {
    let Some(number) = error.wire().and_then(aquifer_wire::Error::parameter) else {
        return error;
    };
    let name = format!("${number}");
    let at = sql.match_indices(&name).map(|(at, _)| at + name.len());
    let whole = |end: &usize| {
        let next = sql.get(*end..).and_then(|rest| rest.chars().next());
        next.is_none_or(|next| !next.is_ascii_digit())
    };
    let Some(before) = at.into_iter().find(whole).and_then(|end| sql.get(..end)) else {
        return error;
    };
    let start = before.len().saturating_sub(SHOWN);
    let start = (start..=before.len()).find(|start| before.is_char_boundary(*start));
    let shown = start
        .and_then(|start| before.get(start..))
        .unwrap_or(before);
    let text = format!("{error} (at …{shown})");
    error.with_message(text)
}

impl fmt::Debug for Attached<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Attached")
    }
}
