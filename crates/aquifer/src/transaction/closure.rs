//! `with_transaction`: the closure form, which is run again when the server asks for it.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Terms, Transaction, ambient};
use crate::deadline::Deadline;
use crate::execute::{Engine, delay, may_help_transaction};
use crate::{Error, clock};

/// Runs `f` in a transaction, or in a savepoint of the one that this task is in.
///
/// The whole closure is run again on 40001, 40P01, a stale plan and when the connection is lost
/// before COMMIT; never once a COMMIT was sent that was not refused.
pub(crate) async fn run<T, E, F, Fut>(
    engine: &Arc<Engine>,
    outer: Option<Transaction>,
    terms: &Terms,
    location: &'static Location<'static>,
    mut f: F,
) -> Result<T, E>
where
    F: FnMut(Transaction) -> Fut + Send,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Send,
    E: From<Error> + Send,
{
    if let Some(outer) = outer {
        let savepoint = outer.nested(terms, location).await?;
        return attempt(&savepoint, f).await;
    }
    let mut attempts = 1;
    engine.first_attempt(clock::now());
    loop {
        let transaction = match Transaction::start(engine, terms, location).await {
            Ok(transaction) => transaction,
            Err(error) if attempts < engine.attempts_max && may_start_again(engine, &error) => {
                wait(&mut attempts).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let outcome = attempt(&transaction, &mut f).await;
        if outcome.is_ok()
            || !transaction.may_run_again()
            || attempts >= engine.attempts_max
            || !engine.can_afford_another()
        {
            return outcome;
        }
        let met_standby = transaction.0.root.met_standby.load(Ordering::Relaxed);
        drop(transaction);
        if met_standby {
            let deadline = Deadline::after(engine.query_timeout);
            Box::pin(engine.pools.topology().confirm(deadline)).await;
        }
        wait(&mut attempts).await;
    }
}

async fn wait(attempts: &mut u32) {
    let delay = delay(*attempts);
    *attempts += 1;
    tokio::time::sleep(delay).await;
}

/// The claim of a key may meet a conflict.
fn may_start_again(engine: &Engine, error: &Error) -> bool {
    let several = engine.pools.are_several();
    error
        .wire()
        .is_some_and(|error| may_help_transaction(several, error))
        && engine.can_afford_another()
}

/// Runs `f` once and ends the transaction by what it returns.
pub(super) async fn attempt<T, E, F, Fut>(transaction: &Transaction, f: F) -> Result<T, E>
where
    F: FnOnce(Transaction) -> Fut + Send,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Send,
    E: From<Error> + Send,
{
    let handle = transaction.clone();
    let _end = End(transaction);
    match ambient::within(transaction.clone(), f(handle)).await {
        Ok(value) => {
            transaction.clone().commit().await?;
            Ok(value)
        }
        Err(error) => {
            // The closure's error is the one that counts; a rollback that fails closes the
            // connection, which rolls back as well.
            drop(transaction.clone().rollback().await);
            Err(error)
        }
    }
}

/// The closure's future was dropped, or has panicked: that ends the transaction, also where somebody
/// still has a handle, as a hook may.
struct End<'a>(&'a Transaction);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.0.abandon();
    }
}
