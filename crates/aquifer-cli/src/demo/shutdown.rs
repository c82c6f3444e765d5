//! The end of a handle while it is used.

use std::time::Duration;

use aquifer::{Db, Error, ErrorKind, Session, Shutdown};
use tokio::task::JoinSet;

use super::excerpt::excerpt;
use super::figures;
use super::patience;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("shutdown.rs");

/// Calls beyond those that have a connection.
const WAITING: usize = 4;

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "Shutdown in the middle of work",
        why: "What runs may finish, what only waits is refused at once, and after the deadline \
              nothing is left: no task, no session on the server.",
        code: excerpt(SOURCE, "shutdown"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let db = &scene.db;
    let status = db.pool_status();
    let running = status.connections_max - status.lanes_max;
    let mut calls = JoinSet::new();
    for number in 0..running + WAITING {
        let (db, number) = (db.clone(), i64::try_from(number)?);
        calls.spawn(async move { slow(&db, number).await });
    }
    patience::until("all connections busy", async || {
        let status = db.pool_status();
        Ok(status.in_use == running && status.waiting == WAITING)
    })
    .await?;
    let manager = &scene.manager;
    // ANCHOR: shutdown
    let shutdown = manager.shutdown(Duration::from_secs(10)).await;
    // ANCHOR_END: shutdown
    step.note(&format!(
        "closed {}, cut off {}, refused {}",
        figures::plural(shutdown.closed, "connection"),
        shutdown.aborted,
        figures::plural(shutdown.refused, "waiting call")
    ));
    outcomes(step, calls, running, shutdown).await?;
    nothing_left(step, scene, running).await
}

/// A write that takes half a second.
async fn slow(db: &Db, number: i64) -> Result<u64, Error> {
    let insert = "insert into halves select -1 - $1, 0 from (select pg_sleep(0.5)) as pause";
    db.execute(insert, (number,)).await
}

/// The counts of the shutdown must be what the callers saw.
async fn outcomes(
    step: &mut Step,
    mut calls: JoinSet<Result<u64, Error>>,
    running: usize,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let (mut finished, mut refused) = (0, 0);
    while let Some(done) = calls.join_next().await {
        match done? {
            Ok(_) => finished += 1,
            Err(error) if error.kind() == ErrorKind::Closed => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    step.check(
        finished == running && refused == WAITING,
        &format!("the callers saw: {finished} finished, {refused} refused"),
    );
    step.check(
        shutdown.refused == refused && shutdown.aborted == 0,
        "and the counts say the same",
    );
    Ok(())
}

async fn nothing_left(step: &mut Step, scene: &Scene, running: usize) -> Result<(), Failure> {
    let rows: i64 = scene
        .witness
        .query_value("select count(*) from halves where call < 0", ())
        .await?;
    step.check(
        usize::try_from(rows) == Ok(running),
        &format!("rows that the finished calls wrote: {rows}"),
    );
    // A backend takes a moment to go after its connection was closed.
    patience::until("the sessions are gone", async || {
        Ok(scene.sessions().await? == 0)
    })
    .await?;
    let sessions = scene.sessions().await?;
    let tasks = scene.db.tasks_running();
    step.check(
        sessions == 0 && tasks == 0,
        &format!("sessions that the server still sees: {sessions}, tasks that still run: {tasks}"),
    );
    let late = scene.db.query("select 1", ()).await;
    let refusal = late
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    step.check(
        !refusal.is_empty(),
        &format!("a late call is told: {refusal}"),
    );
    let again = scene.manager.shutdown(Duration::ZERO).await;
    step.check(
        (again.closed, again.aborted, again.refused) == (0, 0, 0),
        "a second shutdown finds nothing to do",
    );
    scene.witness.close().await?;
    Ok(())
}
