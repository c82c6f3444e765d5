//! Several statements at a time, by themselves: a batch in one round trip, and a script.

use std::panic::Location;
use std::pin::pin;

use aquifer_core::retry::Intent;
use aquifer_wire::{Reply, Sharing};

use super::lap::{Lap, choose_for_all, ended};
use super::route::{self, announce_text, check, refuse_copy_in_script, refuse_session_state};
use super::told::{Queue, Told, within};
use super::{Engine, checkout, describe_failed, failed, give_back, laps, say_midway};
use crate::deadline::Deadline;
use crate::pool::Chosen;
use crate::settings::Settings;
use crate::statement::{Batch, Prepared};
use crate::{Error, ErrorKind};

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
    let on_pool = async |pool: &Chosen<'_>, lap: Lap<'_>| {
        let checkout = checkout(pool, lap, location).await?;
        let client = checkout.client();
        for (sql, _) in &all {
            let known = client.statement(sql, Sharing::Own).await;
            known.map_err(describe_failed)?;
        }
        for scan in &scans {
            announce_text(scan, &checkout);
        }
        engine.check_write()?;
        let outcome = Box::pin(client.batch(&all, Sharing::Own)).await;
        engine.note_write(&outcome);
        let outcome = outcome.map_err(|error| failed(error, intent));
        give_back(checkout, &outcome);
        let mut replies = outcome?;
        replies.drain(..usize::from(settings.is_some()));
        Ok(replies)
    };
    let texts: Vec<&str> = statements.iter().map(|(sql, _)| *sql).collect();
    let attempt = async |lap: Lap<'_>| {
        let pool = choose_for_all(engine, lap, &texts).await?;
        let outcome = on_pool(&pool, lap).await;
        ended(engine, &pool, outcome)
    };
    let deadline = Deadline::after(engine.query_timeout);
    engine.first_attempt(deadline.start());
    let queue = Queue::default();
    let laps = pin!(laps(engine, (text, location), (deadline, &queue), attempt));
    let span = engine.observers.span(text);
    engine.telling(statements, within(&span, laps)).await
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
        engine.refuse_on_replica("a script")?;
        let checkout = engine.checkout(deadline, location, false).await?;
        if !engine.pools.is_pooled() {
            // A script may do anything, so its session starts anew afterwards.
            checkout.mark_dirty();
        }
        match deadline.run(checkout.client().script(sql)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(say_midway(Error::from_wire(error, true), sql)),
            Err(_) => Err(engine.timed_out(deadline, sql)),
        }
    };
    let script = pin!(engine.observed(Told::alone(sql, location), script));
    engine.telling(&[(sql, &())], script).await
}
