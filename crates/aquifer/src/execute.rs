//! The path of an autocommit statement, from the call to its result.
//!
//! deadline → loop { route → breaker permit → attempt → classify → record; attempts and budget decide on
//! another lap } → event. The only retry loop, the only timer of a call. Of a read that takes a lane, the first
//! attempt stands before the loop.

mod again;
mod ending;
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
use self::route::{Place, Route};
pub(crate) use self::route::{
    Placement, announce, announce_text, check, may_write, no_session, refuse_copy,
    refuse_copy_in_script, refuse_session_state,
};
use crate::deadline::Deadline;
use crate::error::fault;
use crate::observe::Observers;
use crate::pool::{Checkout, Pool, TICK};
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

/// What one attempt is told.
///
/// A connection that ended rarely ends alone, and its neighbours' end may not have been noticed
/// yet: an attempt that is made `again` takes only connections that still answer.
#[derive(Clone, Copy)]
struct Lap {
    deadline: Deadline,
    again: bool,
}

/// One attempt that failed, and what the statement was known to be.
struct Failed {
    error: Error,
    intent: Intent,
}

/// Runs one statement, again where that is safe and may help.
///
/// Nearly every read of a busy service is answered by the first lane that it takes. That is written
/// out here, and all else is boxed, so that the future of such a read is small.
pub(crate) async fn run(engine: &Engine, call: Call<'_>) -> Result<Reply, Error> {
    let deadline = Deadline::after(engine.query_timeout);
    engine.first_attempt(deadline.start());
    let mut place = Ok(Place::of(engine, call.sql));
    if let Ok(Place::Lane(statement, lane)) = &place
        && lane::is_bare(engine)
    {
        let permit = match lane::permit(engine, deadline).await {
            Ok(permit) => permit,
            Err(failed) => return Err(engine.never_sent(call, deadline, failed)),
        };
        let is_woken = engine.query_timeout > 2 * TICK && lane.wakes_callers();
        let outcome = {
            // Pinned here, as below: moved along, its bytes would be copied at each hand-over.
            let answer = pin!(lane.run(statement, call.params, Sharing::Shared));
            deadline.run_woken(is_woken, answer).await
        };
        place = match outcome {
            Ok(Ok(reply)) => {
                let elapsed = lane::note_time((lane, permit), statement, deadline);
                engine.finished((call.sql, call.location), elapsed, 1, None);
                return Ok(reply);
            }
            Ok(Err(error)) => match lane::failure(engine, (lane, permit), statement, error) {
                None => Ok(Place::Alone(Some(Arc::clone(statement)))),
                Some(failed) => Err(failed),
            },
            Err(_) => {
                lane::note_silence(engine, permit, deadline);
                Err(refused(engine.timed_out(deadline, call.sql), Intent::Read))
            }
        };
    }
    let mut first = Some(place);
    let attempt = |lap| {
        let first = first.take();
        let place = first.unwrap_or_else(|| Ok(Place::of(engine, call.sql)));
        async move { attempt(engine, call, lap, place?).await }
    };
    Box::pin(laps(engine, (call.sql, call.location), deadline, attempt)).await
}

/// Makes attempts until one succeeds, no other is safe or may help, or the time is over.
async fn laps<T, F>(
    engine: &Engine,
    (sql, location): (&str, &'static Location<'static>),
    deadline: Deadline,
    mut attempt: impl FnMut(Lap) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Failed>>,
{
    let mut attempts = Attempts::first(engine.attempts_max);
    let outcome = loop {
        let again = attempts.made() > 1;
        let attempt = pin!(attempt(Lap { deadline, again }));
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
    let error = outcome.as_ref().err();
    engine.finished((sql, location), deadline.elapsed(), attempts.made(), error);
    outcome
}

/// Runs the statement once, where it belongs.
async fn attempt(engine: &Engine, call: Call<'_>, lap: Lap, place: Place) -> Result<Reply, Failed> {
    let (known, checkout) = match place {
        Place::Lane(statement, lane) => {
            if (!lap.again || lane.barrier().await.is_ok())
                && let Some(outcome) =
                    lane::run(engine, &lane, &statement, call, lap.deadline).await
            {
                return outcome;
            }
            (Some(statement), checkout(engine, lap, call.location).await?)
        }
        Place::FirstToBeHad(statement) => {
            let checked_out = checkout(engine, lap, call.location);
            let checkout = match engine.pool.checkout_unless_lane(checked_out).await {
                Some(checkout) => checkout?,
                None => {
                    if let Some(lane) = engine.pool.lane()
                        && let Some(outcome) =
                            lane::run(engine, &lane, &statement, call, lap.deadline).await
                    {
                        return outcome;
                    }
                    checkout(engine, lap, call.location).await?
                }
            };
            (Some(statement), checkout)
        }
        Place::Alone(known) => (known, checkout(engine, lap, call.location).await?),
    };
    let outcome = on_checkout(engine, &checkout, known, call).await;
    give_back(checkout, &outcome);
    outcome
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
    lap: Lap,
    location: &'static Location<'static>,
) -> Result<Checkout, Failed> {
    let checkout = if lap.again {
        engine.pool.checkout_answering(lap.deadline, location).await
    } else {
        engine.pool.checkout(lap.deadline, location).await
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
    let attempt = async |lap| {
        let checkout = checkout(engine, lap, location).await?;
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
    let deadline = Deadline::after(engine.query_timeout);
    engine.first_attempt(deadline.start());
    laps(engine, (text, location), deadline, attempt).await
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
