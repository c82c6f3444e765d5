//! Figures, not verdicts: `cargo xtask deep figures` prints them.

use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer_testkit::Postgres;
use tokio::sync::Semaphore;

use super::Db;
use crate::config::Config;
use crate::deadline::Deadline;
use crate::{Session, clock};

const PATIENCE: Duration = Duration::from_secs(60);

async fn db(connections: u32) -> Db {
    let url = Postgres::shared().create_database().url;
    let config = Config::from_url(url)
        .expect("the testkit's URL can be read")
        .connections_max(connections);
    Db::connect_with(&config).await.expect("the server runs")
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, reason = "an index within the list")]
    #[expect(clippy::cast_precision_loss, reason = "lists are short")]
    #[expect(clippy::cast_sign_loss, reason = "a share is not negative")]
    let index = (last as f64 * share) as usize;
    sorted[index]
}

async fn use_one(db: &Db) -> Duration {
    let deadline = Deadline::after(PATIENCE);
    let checkout = db
        .engine
        .checkout(deadline, Location::caller(), false)
        .await;
    let waited = deadline.elapsed();
    drop(checkout.expect("a connection"));
    waited
}

#[tokio::test]
#[ignore = "prints figures, which mean something in release builds on a quiet machine"]
async fn figures_of_checking_out_and_giving_back() {
    let db = db(10).await;
    let mut each = Vec::new();
    for _ in 0..2000 {
        let start = clock::now();
        for _ in 0..100 {
            use_one(&db).await;
        }
        each.push((clock::now() - start) / 100);
    }
    each.sort_unstable();
    println!(
        "checking out and giving back, nobody else there: p50 {:?}, p99 {:?}",
        quantile(&each, 0.5),
        quantile(&each, 0.99)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, which mean something in release builds on a quiet machine"]
async fn figures_of_sixty_four_tasks_on_eight_connections() {
    let db = db(10).await;
    let waits = Arc::new(Mutex::new(Vec::new()));
    let ended = Arc::new(Semaphore::new(0));
    for _ in 0..64 {
        let (asking, waits, ended) = (db.clone(), Arc::clone(&waits), Arc::clone(&ended));
        db.engine.tasks.spawn(async move {
            for _ in 0..100 {
                let start = clock::now();
                let slept = asking.query("select pg_sleep(0.001)", ()).await;
                slept.expect("the queue is short");
                let waited = clock::now() - start;
                waits.lock().expect("nobody panicked").push(waited);
            }
            ended.add_permits(1);
        });
    }
    let all = Deadline::after(PATIENCE).run(ended.acquire_many(64)).await;
    all.expect("in time").expect("it is never closed").forget();
    let mut waits = std::mem::take(&mut *waits.lock().expect("nobody panicked"));
    waits.sort_unstable();
    let (half, most) = (quantile(&waits, 0.5), quantile(&waits, 0.99));
    println!(
        "64 tasks on 8 connections, 1 ms of work: p50 {half:?}, p99 {most:?}, {:.1} times",
        most.as_secs_f64() / half.as_secs_f64()
    );
}
