//! Calls whose futures are dropped wherever they happen to wait.

mod cut;

use std::time::Instant;

use aquifer::{Db, Error, Session};
use tokio::task::JoinSet;

use self::cut::{Cut, cut};
use super::chance::Chance;
use super::excerpt::excerpt;
use super::figures;
use super::patience;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("dropped.rs");

const CALLS: u32 = 500;

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "500 calls, dropped at any await",
        why: "A timeout, a select! or a client that hangs up drops a future half-way. That must \
              not cost a connection, mix up answers, or commit by half.",
        code: excerpt(SOURCE, "call"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let db = &scene.db;
    let seen = Seen::of(all(db).await?);
    step.note(&format!(
        "{} were dropped: {} before their first poll; {} reads, {} writes and {} transactions \
         while they waited",
        figures::plural(seen.waiting.len() + seen.unpolled, "call"),
        seen.unpolled,
        seen.waiting_of(Kind::Read),
        seen.waiting_of(Kind::Write),
        seen.waiting_of(Kind::Transaction)
    ));
    step.check(
        seen.failed.is_empty() && !seen.waiting.is_empty(),
        &format!(
            "{} finished; failed: {}",
            seen.finished.len(),
            described(&seen.failed)
        ),
    );
    quiet(step, db).await?;
    answers(step, &seen.finished);
    halves(step, scene, &seen.finished).await?;
    next_callers(step, db).await
}

/// The three kinds of call, and the tag by which each is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Transaction,
}

impl Kind {
    /// About as many polls as a whole call needs, so that some are dropped and some are not.
    fn polls(self) -> u32 {
        match self {
            Self::Read => 3,
            Self::Write => 5,
            Self::Transaction => 9,
        }
    }
}

struct Call {
    kind: Kind,
    tag: i64,
    /// The tag that came back.
    outcome: Cut<Result<i64, Error>>,
}

async fn all(db: &Db) -> Result<Vec<Call>, Failure> {
    let mut chance = Chance::new(2);
    let mut tasks = JoinSet::new();
    for tag in 0..i64::from(CALLS) {
        let kind = match tag % 3 {
            0 => Kind::Read,
            1 => Kind::Write,
            _ => Kind::Transaction,
        };
        let polls = chance.below(kind.polls());
        let db = db.clone();
        tasks.spawn(async move {
            // ANCHOR: call
            // Polls a call so many times at most, then drops it where it stands.
            let outcome = match kind {
                Kind::Read => cut(read(&db, tag), polls).await,
                Kind::Write => cut(write(&db, tag), polls).await,
                Kind::Transaction => cut(transact(&db, tag), polls).await,
            };
            // ANCHOR_END: call
            Call { kind, tag, outcome }
        });
    }
    let mut calls = Vec::new();
    while let Some(call) = tasks.join_next().await {
        calls.push(call?);
    }
    Ok(calls)
}

async fn read(db: &Db, tag: i64) -> Result<i64, Error> {
    db.query_value("select $1::bigint", (tag,)).await
}

async fn write(db: &Db, tag: i64) -> Result<i64, Error> {
    db.query_value("insert into halves values ($1, 0) returning call", (tag,))
        .await
}

#[rustfmt::skip] // Laid out for the width of a terminal.
// ANCHOR: call
async fn transact(db: &Db, tag: i64) -> Result<i64, Error> {
    db.with_transaction(async |tx| {
        tx.execute("insert into halves values ($1, 1)", (tag,)).await?;
        tx.execute("insert into halves values ($1, 2)", (tag,)).await?;
        Ok(tag)
    })
    .await
}
// ANCHOR_END: call

/// The calls by how they ended.
#[derive(Default)]
struct Seen {
    finished: Vec<(Kind, i64, i64)>,
    failed: Vec<Error>,
    waiting: Vec<Kind>,
    unpolled: usize,
}

impl Seen {
    fn of(calls: Vec<Call>) -> Self {
        let mut seen = Self::default();
        for call in calls {
            match call.outcome {
                Cut::Finished(Ok(answer)) => seen.finished.push((call.kind, call.tag, answer)),
                Cut::Finished(Err(error)) => seen.failed.push(error),
                Cut::Waiting => seen.waiting.push(call.kind),
                Cut::Unpolled => seen.unpolled += 1,
            }
        }
        seen
    }

    fn waiting_of(&self, kind: Kind) -> usize {
        self.waiting
            .iter()
            .filter(|waiting| **waiting == kind)
            .count()
    }
}

fn described(errors: &[Error]) -> String {
    match errors.first() {
        None => "0".to_owned(),
        Some(first) => format!("{}, such as: {first}", errors.len()),
    }
}

/// Clean-up goes on in the background for a moment; then everything must be free.
async fn quiet(step: &mut Step, db: &Db) -> Result<(), Failure> {
    let begun = Instant::now();
    let idle = patience::until("all connections free", async || {
        let status = db.pool_status();
        Ok(status.in_use == 0 && status.waiting == 0 && status.lane_requests == 0)
    });
    idle.await?;
    let tasks = patience::until(
        "a task for each connection, one that opens them, one that keeps them in order",
        async || {
            let status = db.pool_status();
            Ok(db.tasks_running() == status.lanes + status.idle + status.connecting + 2)
        },
    );
    tasks.await?;
    let status = db.pool_status();
    step.check(
        status.in_use == 0,
        &format!(
            "{} later: {} in use, {} waiting, {} on the lanes; no task is left over",
            figures::time(begun.elapsed()),
            status.in_use,
            status.waiting,
            status.lane_requests
        ),
    );
    Ok(())
}

fn answers(step: &mut Step, finished: &[(Kind, i64, i64)]) {
    let foreign = finished
        .iter()
        .filter(|(_, tag, answer)| tag != answer)
        .count();
    step.check(
        foreign == 0 && !finished.is_empty(),
        &format!("of their answers, meant for another caller: {foreign}"),
    );
}

/// What is in the table must be whole, and hold all that was said to be done.
async fn halves(
    step: &mut Step,
    scene: &Scene,
    finished: &[(Kind, i64, i64)],
) -> Result<(), Failure> {
    let (pairs, torn): (i64, i64) = scene
        .witness
        .query_one(
            "select count(*) filter (where n = 2), count(*) filter (where n <> 2) from \
             (select count(*) as n from halves where half > 0 group by call) as calls",
            (),
        )
        .await?;
    step.check(
        torn == 0,
        &format!(
            "transactions that took effect as a whole: {}, by half: {torn}",
            figures::count(pairs)
        ),
    );
    let done: Vec<i64> = finished
        .iter()
        .filter(|(kind, _, _)| *kind != Kind::Read)
        .map(|(_, tag, _)| *tag)
        .collect();
    let found: i64 = scene
        .witness
        .query_value(
            "select count(distinct call) from halves where call = any ($1)",
            (done.as_slice(),),
        )
        .await?;
    step.check(
        usize::try_from(found) == Ok(done.len()),
        &format!(
            "writes and transactions that were told to be done: {}, found: {}",
            figures::count(done.len()),
            figures::count(found)
        ),
    );
    Ok(())
}

/// Whoever comes next on the same connections gets their own answers.
async fn next_callers(step: &mut Step, db: &Db) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for tag in 0..100_i64 {
        let db = db.clone();
        tasks.spawn(async move { Ok::<_, Error>((tag, read(&db, tag).await?)) });
    }
    let mut own = 0;
    while let Some(done) = tasks.join_next().await {
        let (tag, answer) = done??;
        own += usize::from(tag == answer);
    }
    step.check(
        own == 100,
        &format!("of the next 100 callers, got their own answer: {own}"),
    );
    Ok(())
}
