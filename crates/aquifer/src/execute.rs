//! The path of an autocommit statement, from the call to its result.
//!
//! deadline → loop { route → breaker permit → attempt → classify → record; attempts and budget decide on
//! another lap } → event. The only retry loop, the only timer of a call. Of a read that takes a lane, the first
//! attempt stands before the loop, in `first`.

mod again;
mod answers;
mod batch;
mod changed;
mod ending;
mod first;
mod lane;
mod lap;
mod read;
mod route;
mod told;
mod write;

use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::budget::SharedBudget;
use aquifer_core::retry::Intent;
use aquifer_core::scan;
use aquifer_wire::{Client, Reply, Sharing, Statement};
use tokio::time::Instant;

pub(crate) use self::again::{Attempts, delay, is_wrong_role, may_help, may_help_transaction};
pub use self::answers::{Answered, Answers};
pub(crate) use self::batch::{run_batch, run_keyed, run_script};
pub(crate) use self::changed::{Changes, Telling, Watch};
pub(crate) use self::first::BoxedRun;
use self::first::{Instead, Run};
use self::lap::Lap;
use self::route::{Place, Route};
pub(crate) use self::route::{
    Placement, announce, announce_text, check, may_write, no_session, refuse_copy,
    refuse_copy_in_script, refuse_session_state,
};
use self::told::Queue;
pub(crate) use self::told::{Counted, Told, run_in_span, within};
use crate::deadline::Deadline;
use crate::error::fault;
use crate::observe::{Observers, QueryFinished};
use crate::pool::{Checkout, Chosen, Destination, Pools, refuse};
use crate::settings::Settings;
use crate::statement::{Call, Prepared};
use crate::tasks::Tasks;
use crate::{Error, ErrorKind, Retry, clock};

/// What runs statements: the pools, and what holds for each call of one handle.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) pools: Pools,
    /// Which host its calls go to.
    pub(crate) destination: Destination,
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
    /// Where its user wants to be told which host answered.
    pub(crate) answers: Option<Answers>,
    /// What all callers together can afford of further attempts.
    pub(crate) budget: Arc<SharedBudget>,
    /// Who is told what writes have changed.
    pub(crate) watch: Option<Arc<dyn Watch>>,
}

/// One attempt that failed, and what the statement was known to be.
struct Failed {
    error: Error,
    intent: Intent,
    /// Which of several hosts it was made on.
    host: Option<usize>,
    /// Nothing was sent, since the host's pool was closed and another one has taken its place.
    has_moved: bool,
}

/// Runs one statement, again where that is safe and may help.
pub(crate) fn run<'a>(engine: &'a Engine, call: Call<'a>) -> Run<'a> {
    run_unless(engine, call, |_engine, _call| None)
}

/// As [`run`], unless `instead` says, when the call is made, that it goes another way.
pub(crate) fn run_unless<'a>(engine: &'a Engine, call: Call<'a>, instead: Instead) -> Run<'a> {
    Run::new(engine, call, instead)
}

/// What is known of the first attempt: where it is to be made, or how it failed.
type First<'a> = (Chosen<'a>, Result<Place, Failed>);

/// Runs one statement, with what is known of the first attempt.
async fn run_laps<'a>(
    engine: &'a Engine,
    call: Call<'a>,
    (deadline, queue): (Deadline, Queue),
    mut first: Option<First<'a>>,
) -> Result<Reply, Error> {
    let attempt = |lap| {
        let first = first.take();
        async move {
            let (pool, place) = match first {
                Some((pool, place)) => (pool, place?),
                None => {
                    let pool = lap::choose(engine, lap, call.sql).await?;
                    let place = Place::of(engine, &pool, call.sql);
                    (pool, place)
                }
            };
            let outcome = attempt(engine, &pool, call, (lap, place)).await;
            lap::ended(engine, &pool, outcome)
        }
    };
    let start = (deadline, &queue);
    laps(engine, (call.sql, call.location), start, attempt).await
}

/// Makes attempts until one succeeds, no other is safe or may help, or the time is over.
async fn laps<'a, T, F>(
    engine: &Engine,
    (sql, location): (&str, &'static Location<'static>),
    (deadline, queue): (Deadline, &'a Queue),
    mut attempt: impl FnMut(Lap<'a>) -> F,
) -> Result<T, Error>
where
    T: Counted,
    F: Future<Output = Result<T, Failed>>,
{
    let mut attempts = Attempts::first(engine.attempts_max);
    let mut lap = Lap::first(engine, deadline, queue);
    // Of work under a key: an attempt that may have taken effect.
    let mut lost = None;
    let outcome = loop {
        let attempt = pin!(attempt(lap));
        let error = match deadline.run(attempt).await {
            Ok(Ok(reply)) => break Ok(reply),
            Ok(Err(failed)) if lap.goes_elsewhere(&failed) => continue,
            Ok(Err(failed)) if may_retry(engine, &failed, sql, &mut attempts) => {
                lap.follows(engine, &failed).await;
                failed.error
            }
            Ok(Err(failed)) => break Err(say_midway(failed.error, sql)),
            Err(_) => break Err(engine.timed_out(deadline, sql)),
        };
        let delay = delay(attempts.made());
        if delay >= deadline.left() || !engine.can_afford_another() {
            break Err(error);
        }
        if error.kind() == ErrorKind::Unknown {
            lost = Some(error);
        }
        attempts.next();
        tokio::time::sleep(delay).await;
    };
    let outcome = outcome.map_err(|error| ending::after_lost(lost, error));
    let error = outcome.as_ref().err();
    if error.is_some_and(|error| error.wire().is_none()) {
        // Boxed: it is rare.
        Box::pin(refuse(deadline)).await;
    }
    engine.observers.query_finished(&QueryFinished {
        queue: queue.total(),
        rows: outcome.rows(),
        attempts: attempts.made(),
        ..QueryFinished::new(sql, location, deadline.elapsed(), error)
    });
    outcome
}

/// Runs the statement once, where it belongs.
async fn attempt(
    engine: &Engine,
    pool: &Chosen<'_>,
    call: Call<'_>,
    (lap, place): (Lap<'_>, Place),
) -> Result<Reply, Failed> {
    let (known, checkout) = match place {
        Place::Lane(statement, lane) => {
            if (!lap.again || lane.barrier().await.is_ok())
                && let Some(outcome) =
                    lane::run(engine, pool, &lane, (&statement, call, lap.deadline)).await
            {
                return outcome;
            }
            (Some(statement), checkout(pool, lap, call.location).await?)
        }
        Place::FirstToBeHad(statement) => {
            // Boxed: it is rare, and would be a part of each call's future.
            let first = Box::pin(first_to_be_had(engine, pool, (&statement, call), lap));
            match first.await? {
                Had::Reply(reply) => return Ok(reply),
                Had::Checkout(checkout) => (Some(statement), checkout),
            }
        }
        Place::Alone(known) => (known, checkout(pool, lap, call.location).await?),
    };
    let outcome = on_checkout(engine, &checkout, known, call).await;
    give_back(checkout, &outcome);
    outcome
}

/// What a read got for which there was no lane.
enum Had {
    Reply(Reply),
    Checkout(Checkout),
}

/// Waits for a lane and for a connection of its own, and runs the read if it is the lane.
async fn first_to_be_had(
    engine: &Engine,
    pool: &Chosen<'_>,
    (statement, call): (&Arc<Statement>, Call<'_>),
    lap: Lap<'_>,
) -> Result<Had, Failed> {
    let checked_out = checkout(pool, lap, call.location);
    if let Some(checkout) = pool.checkout_unless_lane(checked_out).await {
        return checkout.map(Had::Checkout);
    }
    if let Some(lane) = pool.lane()
        && let Some(outcome) = lane::run(engine, pool, &lane, (statement, call, lap.deadline)).await
    {
        return outcome.map(Had::Reply);
    }
    let checkout = checkout(pool, lap, call.location).await?;
    Ok(Had::Checkout(checkout))
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
    if route == Route::Session && engine.pools.is_pooled() {
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
    engine.check_write()?;
    let client = checkout.client();
    let outcome = match &engine.settings {
        None => client.run(&statement, call.params, Sharing::Own).await,
        Some(settings) => {
            let statements = [settings.statement(), (call.sql, call.params)];
            together(client, &statements).await
        }
    };
    engine.note_write(&outcome);
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
    pool: &Chosen<'_>,
    lap: Lap<'_>,
    location: &'static Location<'static>,
) -> Result<Checkout, Failed> {
    let checkout = if lap.again {
        let checkout = pool.checkout_answering(lap.deadline, location);
        lap.queue.wait(pin!(checkout)).await
    } else {
        let checkout = pool.checkout(lap.deadline, location);
        lap.queue.wait(pin!(checkout)).await
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

impl Engine {
    /// Pays into the budget of further attempts.
    #[inline]
    pub(crate) fn first_attempt(&self, start: Instant) {
        self.budget.deposit(start.into_std());
    }

    /// Takes another attempt out of the budget, if it is in there.
    pub(crate) fn can_afford_another(&self) -> bool {
        self.budget.withdraw(clock::now().into_std())
    }
}

/// The layer's own refusal.
fn refused(error: Error, intent: Intent) -> Failed {
    Failed {
        error,
        intent,
        host: None,
        has_moved: false,
    }
}

fn failed(error: aquifer_wire::Error, intent: Intent) -> Failed {
    refused(Error::from_wire(error, intent != Intent::Read), intent)
}

/// Describing executes nothing, so it may be done again like a read.
fn describe_failed(error: aquifer_wire::Error) -> Failed {
    failed(error, Intent::Read)
}

fn may_retry(engine: &Engine, failed: &Failed, sql: &str, attempts: &mut Attempts) -> bool {
    match failed.error.wire() {
        // The pool's own refusal: it has waited as long as it may.
        None => false,
        Some(error) => {
            may_help(engine.pools.are_several(), error, failed.intent)
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
