//! Connections that are cut over COMMIT, when nobody on this side can know whether it took effect.

use std::sync::atomic::{AtomicUsize, Ordering};

use aquifer::{Config, Db, Error, ErrorKind, Session};
use tokio::task::JoinSet;

use super::excerpt::excerpt;
use super::figures;
use super::relay::{Moment, Relay};
use super::scene::Scene;
use super::server::Server;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("lost_commit.rs");

/// Half of them are cut before the server gets COMMIT, half after.
const PAYMENTS: usize = 10;
/// How often one order comes in.
const ORDERS: usize = 8;

const PAY: &str = "insert into payments (reason, amount) values ($1, 100)";

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "The answer to COMMIT is lost",
        why: "Was it done? Trying again may pay twice, giving up may not pay at all. The layer \
              asks the server. And a request that comes in twice is done once under its key.",
        code: excerpt(SOURCE, "pay"),
    }
}

pub(super) async fn perform(
    step: &mut Step,
    scene: &Scene,
    server: &Server,
) -> Result<(), Failure> {
    let Some(socket) = server.socket() else {
        return Err("the relay leads to a server of our own only".into());
    };
    let relay = Relay::to(socket).await?;
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
        relay.port()
    );
    let db = Db::connect_with(&Config::from_url(url)?.connections_max(3)).await?;
    let runs = AtomicUsize::new(0);
    let (mut told_paid, mut cuts) = (0, 0);
    for number in 0..PAYMENTS {
        relay.cut_next(if number % 2 == 0 {
            Moment::Before
        } else {
            Moment::After
        });
        told_paid += usize::from(pay(&db, number, &runs).await.is_ok());
        cuts += usize::from(relay.has_cut());
    }
    db.close().await?;
    report(step, scene, [told_paid, cuts, runs.into_inner()]).await?;
    orders(step, scene).await
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn pay(db: &Db, number: usize, runs: &AtomicUsize) -> Result<(), Error> {
    let reason = format!("invoice {number}");
    let reason = reason.as_str();
    // ANCHOR: pay
    db.with_transaction(async |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        tx.execute(PAY, (reason,)).await?; // insert into payments
        Ok(())
    }) // … COMMIT, and the connection is cut
    .await
    // ANCHOR_END: pay
}

async fn report(
    step: &mut Step,
    scene: &Scene,
    [told_paid, cuts, runs]: [usize; 3],
) -> Result<(), Failure> {
    let half = PAYMENTS / 2;
    step.check(
        cuts == PAYMENTS,
        &format!(
            "{cuts} connections were cut: {half} before COMMIT arrived, {half} after it was done"
        ),
    );
    let (rows, reasons): (i64, i64) = scene
        .witness
        .query_one(
            "select count(*), count(distinct reason) from payments where reason like 'invoice %'",
            (),
        )
        .await?;
    let payments = i64::try_from(PAYMENTS)?;
    step.check(
        told_paid == PAYMENTS && rows == payments && reasons == payments,
        &format!(
            "calls that returned Ok: {told_paid}; payments made: {reasons}, rows for them: {rows}"
        ),
    );
    step.check(
        runs == PAYMENTS + half,
        &format!(
            "run again: {}, those that had not taken effect; the others were looked up",
            runs - PAYMENTS
        ),
    );
    Ok(())
}

/// One order that comes in several times at once.
async fn orders(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for _ in 0..ORDERS {
        let db = scene.db.clone();
        tasks.spawn(async move { order(&db, "order 4711").await });
    }
    let (mut done, mut refused) = (0, 0);
    while let Some(outcome) = tasks.join_next().await {
        match outcome? {
            Ok(_) => done += 1,
            Err(error) if error.kind() == ErrorKind::AlreadyDone => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let rows: i64 = scene
        .witness
        .query_value(
            "select count(*) from payments where reason = $1",
            ("order 4711",),
        )
        .await?;
    step.check(
        done == 1 && refused == ORDERS - 1 && rows == 1,
        &format!(
            "one order came in {ORDERS} times at once: done: {done}, told that it is done \
             already: {refused}, rows: {}",
            figures::count(rows)
        ),
    );
    Ok(())
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn order(db: &Db, key: &str) -> Result<u64, Error> {
    // ANCHOR: pay
    db.idempotent(key).execute(PAY, (key,)).await
    // ANCHOR_END: pay
}
