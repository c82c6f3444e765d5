//! Sessions that the server ends while they are used.

use std::sync::atomic::{AtomicU32, Ordering};

use aquifer::{Error, Session};

use super::excerpt::excerpt;
use super::figures;
use super::patience;
use super::readers::{self, Readers};
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("killed.rs");

const ROUNDS: usize = 5;
/// Reads between two rounds.
const READS: usize = 500;

/// Ends all sessions of the handle under test.
const TERMINATE: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                         where application_name = $1";

pub(super) fn chapter() -> Chapter {
    let mut code = readers::code();
    code.push("");
    code.extend(excerpt(SOURCE, "attempts"));
    Chapter {
        title: "The server ends our sessions",
        why: "Failovers, restarts and idle cut-offs do this to every service. What changed \
              nothing is done again; callers see a slower answer, not an error.",
        code,
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let tried_again = scene.tally.tried_again();
    let readers = Readers::start(&scene.db);
    let mut ended = 0;
    for _ in 0..ROUNDS {
        readers.proceed(READS).await?;
        ended += scene.end_sessions().await?;
    }
    readers.proceed(READS).await?;
    let reads = readers.finish().await?;
    step.check(
        usize::try_from(ended)? >= ROUNDS,
        &format!("pg_terminate_backend ended all of our sessions {ROUNDS} times: {ended} together"),
    );
    reads.report(step);
    step.note(&format!(
        "{} were done again by the layer itself",
        figures::plural(scene.tally.tried_again() - tried_again, "read")
    ));
    transaction(step, scene).await
}

/// A transaction that loses its session in the middle of its first attempt.
async fn transaction(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let attempts = AtomicU32::new(0);
    let accounts = attempted(scene, &attempts).await?;
    let attempts = attempts.load(Ordering::Relaxed);
    let users: i64 = scene
        .witness
        .query_value("select count(*) from users where name = 'Phoenix'", ())
        .await?;
    step.check(
        attempts == 2 && accounts > 0,
        &format!("runs of a transaction whose first session ended half-way: {attempts}"),
    );
    step.check(
        users == 1,
        &format!("and rows that it inserted: {}", figures::count(users)),
    );
    let whole = patience::until("a session for each connection", async || {
        let status = scene.db.pool_status();
        let open = status.lanes + status.idle;
        Ok(status.in_use == 0 && scene.sessions().await? == i64::try_from(open)?)
    });
    let time = whole.await?;
    step.note(&format!(
        "the pool was whole again {} later",
        figures::time(time)
    ));
    Ok(())
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn attempted(scene: &Scene, attempts: &AtomicU32) -> Result<i64, Error> {
    let db = &scene.db;
    let insert = "insert into users (name) values ('Phoenix')";
    // ANCHOR: attempts
    db.with_transaction(async |tx| {
        tx.execute(insert, ()).await?;
        if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
            scene.end_sessions().await?; // … and with them, its own
        }
        tx.query_value("select count(*) from accounts", ()).await
    })
    .await
    // ANCHOR_END: attempts
}

impl Scene {
    /// Ends all sessions of `db` from outside; how many there were.
    pub(super) async fn end_sessions(&self) -> Result<i64, Error> {
        self.witness
            .query_value(TERMINATE, (self.application_name.as_str(),))
            .await
    }
}
