//! The transaction that calls on the same `Db` join while its closure runs.
//!
//! It is bound to the task: `tokio::spawn` does not inherit it, and hooks, coalescers and loaders
//! never do.

use std::sync::Arc;

use super::Transaction;
use crate::Error;
use crate::execute::{self, BoxedRun, Engine};
use crate::session::sealed::Run;
use crate::statement::Call;

tokio::task_local! {
    static AMBIENT: Option<Arc<Ambient>>;
}

/// A transaction whose closure runs, and those around it, which may be of other databases.
struct Ambient {
    transaction: Transaction,
    outer: Option<Arc<Self>>,
}

/// Runs `future` with `transaction` as the one to join.
pub(super) async fn within<F: Future>(transaction: Transaction, future: F) -> F::Output {
    let outer = innermost();
    let ambient = Arc::new(Ambient { transaction, outer });
    AMBIENT.scope(Some(ambient), future).await
}

/// Runs `future` with none to join.
pub(super) async fn without<F: Future>(future: F) -> F::Output {
    AMBIENT.scope(None, future).await
}

/// The innermost transaction of this `Db` that the running task is in, for a call to join; an error
/// when it has other settings than the handle that is called.
#[inline]
pub(crate) fn current(engine: &Engine) -> Result<Option<Transaction>, Error> {
    match innermost() {
        Some(innermost) if !engine.detached => innermost.to_join(engine),
        _ => Ok(None),
    }
}

/// That of whatever database, if the running task is in any.
#[inline]
fn innermost() -> Option<Arc<Ambient>> {
    AMBIENT.try_with(Option::clone).ok().flatten()
}

impl Ambient {
    /// See [`current`].
    fn to_join(&self, engine: &Engine) -> Result<Option<Transaction>, Error> {
        let mut next = Some(self);
        while let Some(ambient) = next {
            if ambient.transaction.is_of(engine) {
                ambient.transaction.check_settings(engine)?;
                return Ok(Some(ambient.transaction.clone()));
            }
            next = ambient.outer.as_deref();
        }
        Ok(None)
    }
}

/// A call that joins the transaction around it, or is made in a span.
pub(crate) fn run_elsewhere<'a>(engine: &'a Engine, call: Call<'a>) -> Option<BoxedRun<'a>> {
    match current(engine) {
        Ok(None) if !engine.observers.wants_spans() => None,
        Ok(None) => Some(Box::pin(execute::run_in_span(engine, call))),
        Ok(Some(ambient)) => Some(Box::pin(async move { ambient.run(call).await })),
        Err(error) => Some(Box::pin(std::future::ready(Err(error)))),
    }
}
