//! Look-ups by key that many tasks make at once.

use std::time::Instant;

use aquifer::{Db, Error, FromRow, Lookup};
use tokio::task::JoinSet;

use super::excerpt::excerpt;
use super::figures;
use super::lanes::TASKS;
use super::scene::Scene;
use super::schema::ACCOUNTS;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("lookups.rs");

const EACH: u32 = 50;

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "64 tasks look up one row each",
        why: "The N+1 of resolvers and handlers: each asks for one row. Those that come while a \
              look-up is under way travel together as the next one; nobody waits for company.",
        code: excerpt(SOURCE, "find"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let before = scene.tally.calls();
    let begun = Instant::now();
    let found = all(&scene.db).await?;
    let elapsed = begun.elapsed();
    let statements = scene.tally.calls() - before;
    let asked = usize::try_from(TASKS * EACH)?;
    step.check(
        statements * 2 < asked,
        &format!(
            "{} look-ups in {}: {} were sent, {} look-ups in each on average",
            figures::count(asked),
            figures::time(elapsed),
            figures::plural(statements, "statement"),
            asked / statements.max(1)
        ),
    );
    let rows = usize::try_from(ACCOUNTS * EACH)?;
    step.check(
        found.own == rows && found.none == asked - rows && found.foreign == 0,
        &format!(
            "{} got their own row, {} were told that there is none, {} got another's",
            figures::count(found.own),
            figures::count(found.none),
            found.foreign
        ),
    );
    Ok(())
}

#[derive(FromRow)]
struct Account {
    id: i64,
    balance: i64,
}

/// What the look-ups gave.
#[derive(Default)]
struct Found {
    own: usize,
    none: usize,
    foreign: usize,
}

#[rustfmt::skip] // Laid out for the width of a terminal.
fn lookup(db: &Db) -> Lookup<i64, Account> {
    // ANCHOR: find
    let accounts = db.lookup::<i64, Account>(
        "select id, balance from accounts where id = any($1)", "id",
    );
    // ANCHOR_END: find
    accounts
}

/// There are fewer accounts than tasks: the last ones look for what isn't there.
async fn all(db: &Db) -> Result<Found, Failure> {
    let accounts = lookup(db);
    let mut tasks = JoinSet::new();
    for id in 1..=i64::from(TASKS) {
        let accounts = accounts.clone();
        tasks.spawn(async move {
            let mut found = Found::default();
            for _ in 0..EACH {
                // ANCHOR: find
                let account = accounts.find(id).await?;
                // ANCHOR_END: find
                match account {
                    Some(account) if account.id == id && account.balance >= 0 => found.own += 1,
                    Some(_) => found.foreign += 1,
                    None => found.none += 1,
                }
            }
            Ok::<_, Error>(found)
        });
    }
    let mut all = Found::default();
    while let Some(done) = tasks.join_next().await {
        let found = done??;
        all.own += found.own;
        all.none += found.none;
        all.foreign += found.foreign;
    }
    Ok(all)
}
