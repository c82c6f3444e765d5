//! The pool under load, as it describes itself.

use std::path::Path;

use aquifer::{Db, Error, Holder, PoolStatus, Session, Transaction};
use tokio::task::JoinSet;

use super::excerpt::excerpt;
use super::figures;
use super::patience;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("picture.rs");

const WRITERS: usize = 5;
/// Tasks that read, each once.
const READS: usize = 1_000;
/// How many of those that hold a connection are named.
const NAMED: usize = 3;

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "The pool's picture",
        why: "When a service hangs, the question is who holds what. Here transactions hold every \
              exclusive connection and writers wait; reads go past them on the shared lanes.",
        code: excerpt(SOURCE, "ask"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let db = &scene.db;
    // The first read of a text takes an exclusive connection, to find out that it may share one.
    read(db).await?;
    let open = hold_all(db).await?;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let db = db.clone();
        writers.spawn(async move { db.execute("update users set active = active", ()).await });
    }
    let queued = async || Ok(db.pool_status().waiting == WRITERS);
    patience::until("the writers wait", queued).await?;
    let busiest = read_meanwhile(db).await?;
    // ANCHOR: ask
    let status = db.pool_status();
    let holders = db.holders();
    // ANCHOR_END: ask
    draw(step, busiest);
    name(step, &holders);
    let here = holders
        .iter()
        .all(|holder| holder.location.file() == file!());
    step.check(
        holders.len() == status.in_use && here,
        &format!(
            "connections in use: {}, with the line that took them: {}",
            status.in_use,
            holders.len()
        ),
    );
    step.check(
        status.waiting == WRITERS,
        &format!(
            "{} reads were answered while {} writers waited",
            figures::count(READS),
            status.waiting
        ),
    );
    release(step, db, open, writers).await
}

/// One transaction on each exclusive connection.
async fn hold_all(db: &Db) -> Result<Vec<Transaction>, Error> {
    let status = db.pool_status();
    let mut open = Vec::new();
    for _ in 0..status.connections_max - status.lanes_max {
        open.push(db.begin().await?);
    }
    Ok(open)
}

async fn read(db: &Db) -> Result<i64, Error> {
    db.query_value("select balance from accounts where id = $1", (1_i64,))
        .await
}

/// Reads while all exclusive connections are held; how the pool stood when most were under way.
async fn read_meanwhile(db: &Db) -> Result<PoolStatus, Failure> {
    let mut tasks = JoinSet::new();
    for _ in 0..READS {
        let db = db.clone();
        tasks.spawn(async move { read(&db).await });
    }
    let mut busiest = db.pool_status();
    while let Some(done) = tasks.join_next().await {
        done??;
        let status = db.pool_status();
        if status.lane_requests > busiest.lane_requests {
            busiest = status;
        }
    }
    Ok(busiest)
}

fn draw(step: &Step, status: PoolStatus) {
    let bar = |full: usize, empty: usize| format!("{}{}", "■".repeat(full), "□".repeat(empty));
    let exclusive = bar(status.in_use, status.idle);
    let width = exclusive.chars().count();
    step.draw(&format!(
        "shared lanes  {:<width$}  {} open, {} requests under way",
        bar(status.lanes, 0),
        status.lanes,
        status.lane_requests
    ));
    step.draw(&format!(
        "exclusive     {exclusive}  {} in use, {} idle, {} waiting",
        status.in_use, status.idle, status.waiting
    ));
}

fn name(step: &Step, holders: &[Holder]) {
    for holder in holders.iter().take(NAMED) {
        let path = Path::new(holder.location.file());
        let file = path.file_name().unwrap_or(path.as_os_str());
        step.draw(&format!(
            "held for {:>7} by backend {}, taken at {}:{}",
            figures::time(holder.held),
            holder.process_id,
            file.display(),
            holder.location.line()
        ));
    }
    if holders.len() > NAMED {
        step.draw(&format!("… and {} more", holders.len() - NAMED));
    }
}

async fn release(
    step: &mut Step,
    db: &Db,
    open: Vec<Transaction>,
    mut writers: JoinSet<Result<u64, Error>>,
) -> Result<(), Failure> {
    drop(open);
    let mut written = 0;
    while let Some(done) = writers.join_next().await {
        done??;
        written += 1;
    }
    let free = async || Ok(db.pool_status().in_use == 0);
    patience::until("all connections free", free).await?;
    let status = db.pool_status();
    step.check(
        written == WRITERS && status.waiting == 0,
        &format!(
            "the transactions dropped, {written} writers got their turn; in use now: {}",
            status.in_use
        ),
    );
    Ok(())
}
