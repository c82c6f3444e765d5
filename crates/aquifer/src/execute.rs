//! The path of an autocommit statement, from the call to its result.
//!
//! deadline → loop { route → attempt → classify → record; attempts and budget decide on another lap } →
//! event. The only retry loop, the only timer of a call.

mod again;
mod lane;
mod read;
mod route;

use std::panic::Location;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer_core::budget::Budget;
use aquifer_core::retry::Intent;
use aquifer_core::scan;
use aquifer_wire::{Client, Reply, Sharing, Statement};
use tokio::time::Instant;

pub(crate) use self::again::{Attempts, delay, may_help, may_help_transaction};
use self::route::Route;
pub(crate) use self::route::{
    Placement, announce, announce_text, check, may_write, no_session, refuse_copy,
    refuse_copy_in_script, refuse_session_state,
};
use crate::deadline::Deadline;
use crate::error::fault;
use crate::observe::{Observers, QueryFinished};
use crate::pool::{Checkout, Pool};
use crate::settings::Settings;
use crate::statement::{Batch, Call, Prepared};
use crate::tasks::Tasks;
use crate::{Error, ErrorKind, Retry, clock};

/// What runs statements: the pool, and what holds for each call of one handle.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) pool: Pool,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) observers: Observers,
    pub(crate) query_timeout: Duration,
    pub(crate) commit_timeout: Duration,
    pub(crate) attempts_max: u32,
    pub(crate) placement: Placement,
    /// What each statement is run with.
    pub(crate) settings: Option<Settings>,
    /// Its calls stay out of the transaction that their task may be in.
    pub(crate) detached: bool,
    /// What all callers together can afford of further attempts.
    pub(crate) budget: Arc<Mutex<Budget>>,
}

/// One attempt that failed, and what the statement was known to be.
struct Failed {
    error: Error,
    intent: Intent,
}

/// Runs one statement, again where that is safe and may help.
pub(crate) async fn run(engine: &Engine, call: Call<'_>) -> Result<Reply, Error> {
    let attempt = |deadline, again| attempt(engine, call, deadline, again);
    laps(engine, call.sql, call.location, attempt).await
}

/// Makes attempts until one succeeds, no other is safe or may help, or the time is over.
async fn laps<T, F>(
    engine: &Engine,
    sql: &str,
    location: &'static Location<'static>,
    attempt: impl Fn(Deadline, bool) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Failed>>,
{
    let deadline = Deadline::after(engine.query_timeout);
    let mut attempts = Attempts::first(engine.attempts_max);
    engine.first_attempt(deadline.start());
    let outcome = loop {
        // Pinned here: moved along, its bytes would be copied at each hand-over.
        let attempt = pin!(attempt(deadline, attempts.made() > 1));
        let error = match deadline.run(attempt).await {
            Ok(Ok(reply)) => break Ok(reply),
            Ok(Err(failed)) if may_retry(&failed, sql, &mut attempts) => failed.error,
            Ok(Err(failed)) => break Err(say_midway(failed.error, sql)),
            Err(_) => break Err(engine.timed_out(deadline, sql)),
        };
        let delay = delay(attempts.made());
        if delay >= deadline.left() || !engine.can_afford_another() {
            break Err(error);
        }
        attempts.next();
        tokio::time::sleep(delay).await;
    };
    engine.observers.query_finished(&QueryFinished {
        sql,
        elapsed: deadline.elapsed(),
        attempts: attempts.made(),
        location,
        error: outcome.as_ref().err(),
    });
    outcome
}

/// Runs the statement once, where it belongs.
///
/// A connection that ended rarely ends alone, and its neighbours' end may not have been noticed
/// yet: an attempt that is made `again` takes only connections that still answer.
async fn attempt(
    engine: &Engine,
    call: Call<'_>,
    deadline: Deadline,
    again: bool,
) -> Result<Reply, Failed> {
    // A statement that was described and no more (its first caller was dropped, or ran it in a
    // transaction) is as good as unknown: nobody has decided where it belongs.
    let known = engine.pool.catalog().statement(call.sql);
    let known = known.filter(|statement| Route::of(statement).is_some());
    let shared = known.as_ref().filter(|statement| {
        Route::of(statement).is_some_and(|route| route.may_share(engine, statement))
    });
    let lane = shared.and_then(|_| engine.pool.lane());
    if let (Some(statement), Some(lane)) = (shared, &lane)
        && (!again || Box::pin(lane.barrier()).await.is_ok())
        && let Some(outcome) = lane::run(engine, lane, statement, call, deadline).await
    {
        return outcome;
    }
    // A read that found no lane runs on the first one that is opened, if that comes sooner.
    let shared = shared.filter(|_| lane.is_none());
    // Boxed: it would be most of the future of a read on a lane.
    Box::pin(async {
        let checked_out = checkout(engine, deadline, call.location, again);
        let checkout = match shared {
            None => checked_out.await?,
            Some(statement) => match engine.pool.checkout_unless_lane(checked_out).await {
                Some(checkout) => checkout?,
                None => {
                    if let Some(lane) = engine.pool.lane()
                        && let Some(outcome) =
                            lane::run(engine, &lane, statement, call, deadline).await
                    {
                        return outcome;
                    }
                    checkout(engine, deadline, call.location, again).await?
                }
            },
        };
        let outcome = on_checkout(engine, &checkout, known.clone(), call).await;
        give_back(checkout, &outcome);
        outcome
    })
    .await
}

/// Runs the statement once, on a connection of its own.
async fn on_checkout(
    engine: &Engine,
    checkout: &Checkout,
    known: Option<Arc<Statement>>,
    call: Call<'_>,
) -> Result<Reply, Failed> {
    let statement = match known {
        Some(statement) => statement,
        // Boxed: it happens once per statement, and would be most of each call's future.
        None => Box::pin(learn(checkout, call.sql)).await?,
    };
    let route = Route::of(&statement).unwrap_or(Route::Exclusive);
    if route == Route::Session && engine.pool.is_pooled() {
        return Err(refused(no_session("this statement"), Intent::Write));
    }
    if engine.settings.is_some() && route.may_commit() {
        route::refuse_commits(engine, &scan::scan(call.sql))
            .map_err(|error| refused(error, Intent::Write))?;
    }
    route.announce(checkout);
    if route == Route::Shared
        && let Some(outcome) = read::run(engine, checkout, &statement, call).await
    {
        return outcome;
    }
    let client = checkout.client();
    let outcome = match &engine.settings {
        None => client.run(&statement, call.params, Sharing::Own).await,
        Some(settings) => {
            let statements = [settings.statement(), (call.sql, call.params)];
            together(client, &statements).await
        }
    };
    outcome.map_err(|error| failed(error, Intent::Write))
}

/// Gives the connection back, or up where the failure says that it can't be trusted any more.
fn give_back<T>(checkout: Checkout, outcome: &Result<T, Failed>) {
    let error = outcome.as_ref().err();
    let Some(error) = error.and_then(|failed| failed.error.wire()) else {
        return;
    };
    if let Some(fault) = fault(error) {
        checkout.blame(fault);
    }
    if again::must_close(error) {
        checkout.discard();
    }
}

/// Runs statements under one Sync, where nobody else's stand, and returns the last one's reply.
async fn together(
    client: &Client,
    statements: &[Prepared<'_>],
) -> Result<Reply, aquifer_wire::Error> {
    // Boxed: it holds the way of new statements, and would be most of each call's future.
    let mut replies = Box::pin(client.batch(statements, Sharing::Own)).await?;
    Ok(replies.swap_remove(statements.len() - 1))
}

async fn checkout(
    engine: &Engine,
    deadline: Deadline,
    location: &'static Location<'static>,
    again: bool,
) -> Result<Checkout, Failed> {
    let checkout = if again {
        engine.pool.checkout_answering(deadline, location).await
    } else {
        engine.pool.checkout(deadline, location).await
    };
    checkout.map_err(|error| refused(error, Intent::Write))
}

/// Asks the server about a statement and decides where it belongs, once.
async fn learn(checkout: &Checkout, sql: &str) -> Result<Arc<Statement>, Failed> {
    let scan = check(sql).map_err(|error| refused(error, Intent::Write))?;
    let statement = checkout
        .client()
        .statement(sql, Sharing::Own)
        .await
        .map_err(describe_failed)?;
    if Route::of(&statement).is_none() {
        let route = route::decide(checkout.client(), &scan)
            .await
            .map_err(describe_failed)?;
        route.keep(&statement);
    }
    Ok(statement)
}

/// Runs several statements in one round trip on an exclusive connection, again where that is safe.
pub(crate) async fn run_batch(
    engine: &Engine,
    batch: Batch<'_>,
    location: &'static Location<'static>,
) -> Result<Vec<Reply>, Error> {
    let statements = batch.statements()?;
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    let list = (&*statements, Intent::Write);
    run_list(engine, list, &batch.text(), location).await
}

/// As [`run_batch`], of statements that can't take effect twice: also again when an answer was lost.
pub(crate) async fn run_keyed(
    engine: &Engine,
    statements: &[Prepared<'_>],
    text: &str,
    location: &'static Location<'static>,
) -> Result<Vec<Reply>, Error> {
    let list = (statements, Intent::Idempotent);
    run_list(engine, list, text, location).await
}

async fn run_list(
    engine: &Engine,
    (statements, intent): (&[Prepared<'_>], Intent),
    text: &str,
    location: &'static Location<'static>,
) -> Result<Vec<Reply>, Error> {
    let scans: Vec<_> = statements
        .iter()
        .map(|(sql, _)| {
            refuse_session_state(engine, sql)?;
            let scan = check(sql)?;
            route::refuse_commits(engine, &scan)?;
            if intent == Intent::Idempotent {
                route::refuse_commits_of_claim(&scan)?;
            }
            Ok::<_, Error>(scan)
        })
        .collect::<Result<_, _>>()?;
    let settings = engine.settings.as_ref().map(Settings::statement);
    let all: Vec<Prepared<'_>> = settings.iter().chain(statements).copied().collect();
    let attempt = async |deadline, again| {
        let checkout = checkout(engine, deadline, location, again).await?;
        let client = checkout.client();
        for (sql, _) in &all {
            let known = client.statement(sql, Sharing::Own).await;
            known.map_err(describe_failed)?;
        }
        for scan in &scans {
            announce_text(scan, &checkout);
        }
        let outcome = Box::pin(client.batch(&all, Sharing::Own)).await;
        let outcome = outcome.map_err(|error| failed(error, intent));
        give_back(checkout, &outcome);
        let mut replies = outcome?;
        replies.drain(..usize::from(settings.is_some()));
        Ok(replies)
    };
    laps(engine, text, location, attempt).await
}

/// Runs a script by the simple protocol on an exclusive connection, once.
pub(crate) async fn run_script(
    engine: &Engine,
    sql: &str,
    location: &'static Location<'static>,
) -> Result<(), Error> {
    let script = async {
        if engine.settings.is_some() {
            return Err(Error::new(
                ErrorKind::Usage,
                "a script takes no settings along, for it may end its transaction; use `batch` or \
                 a transaction of this handle",
            ));
        }
        refuse_session_state(engine, sql)?;
        refuse_copy_in_script(sql)?;
        let deadline = Deadline::after(engine.query_timeout);
        let checkout = engine.pool.checkout(deadline, location).await?;
        if !engine.pool.is_pooled() {
            // A script may do anything, so its session starts anew afterwards.
            checkout.mark_dirty();
        }
        match deadline.run(checkout.client().script(sql)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(say_midway(Error::from_wire(error, true), sql)),
            Err(_) => Err(engine.timed_out(deadline, sql)),
        }
    };
    engine.observed(sql, location, script).await
}

impl Engine {
    /// Pays into the budget of further attempts.
    pub(crate) fn first_attempt(&self, start: Instant) {
        self.budget().deposit(start.into_std());
    }

    /// Takes another attempt out of the budget, if it is in there.
    pub(crate) fn can_afford_another(&self) -> bool {
        self.budget().withdraw(clock::now().into_std())
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a call that is never made again, and tells how it ended.
    pub(crate) async fn observed<T>(
        &self,
        sql: &str,
        location: &'static Location<'static>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let start = clock::now();
        let outcome = call.await;
        self.observers.query_finished(&QueryFinished {
            sql,
            elapsed: clock::now() - start,
            attempts: 1,
            location,
            error: outcome.as_ref().err(),
        });
        outcome
    }

    pub(crate) fn timed_out(&self, deadline: Deadline, sql: &str) -> Error {
        let text = format!(
            "no answer within {:?} (query_timeout); the statement was abandoned: {}. Raise \
             `query_timeout`, or find out why it is slow with EXPLAIN",
            deadline.limit(),
            shorten(sql),
        );
        Error::new(ErrorKind::Timeout, text).with_retry(Retry::IfIdempotent)
    }
}

/// The layer's own refusal.
fn refused(error: Error, intent: Intent) -> Failed {
    Failed { error, intent }
}

fn failed(error: aquifer_wire::Error, intent: Intent) -> Failed {
    Failed {
        error: Error::from_wire(error, intent != Intent::Read),
        intent,
    }
}

/// Describing executes nothing, so it may be done again like a read.
fn describe_failed(error: aquifer_wire::Error) -> Failed {
    failed(error, Intent::Read)
}

fn may_retry(failed: &Failed, sql: &str, attempts: &mut Attempts) -> bool {
    match failed.error.wire() {
        // The pool's own refusal: it has waited as long as it may.
        None => false,
        Some(error) => {
            may_help(error, failed.intent)
                && !(error.sent() && scan::scan(sql).commits_midway)
                && attempts.allow_another(error)
        }
    }
}

/// The server's word that it did nothing is about the last of several transactions only.
fn say_midway(error: Error, sql: &str) -> Error {
    let sent = error.wire().is_some_and(aquifer_wire::Error::sent);
    if sent && error.retry() == Retry::Safe && scan::scan(sql).commits_midway {
        return error.with_retry(Retry::IfIdempotent);
    }
    error
}

/// The beginning of a statement, on one line, for an error text.
fn shorten(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(80) {
        None => line,
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    }
}
