//! While callers queue for connections of their own and nobody reads, lanes lend their places.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aquifer::{Config, Db, Session};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::support;

const CONNECTIONS: u32 = 4;
const WRITE: &str = "select nextval('lent')";

/// Lets many tasks write, or read, until they are told to stop.
fn work(db: &Db, sql: &'static str, tasks: usize) -> (Arc<AtomicBool>, JoinSet<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut working = JoinSet::new();
    for _ in 0..tasks {
        let (db, stop) = (db.clone(), Arc::clone(&stop));
        working.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let _done: i64 = db.query_value(sql, ()).await.unwrap();
            }
        });
    }
    (stop, working)
}

/// Waits until the lanes have so many places and use them; all the while there are never more
/// connections than there may be.
async fn until_lanes(db: &Db, lanes: usize) {
    let connections_max = CONNECTIONS as usize;
    support::until("the lanes have their share", || {
        let status = db.pool_status();
        let exclusive = status.idle + status.connecting + status.in_use;
        assert_eq!(status.connections_max, connections_max, "{status:?}");
        assert!(exclusive + status.lanes <= connections_max, "{status:?}");
        (status.lanes_max, status.lanes) == (lanes, lanes) && exclusive == connections_max - lanes
    })
    .await;
}

#[tokio::test]
async fn a_lane_lends_its_place_to_those_who_queue_and_has_it_back_when_it_is_needed() {
    let config = Config::from_url(support::url())
        .unwrap()
        .connections_max(CONNECTIONS);
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;

    db.execute("create sequence lent", ()).await.unwrap();
    let (stop, mut writing) = work(&db, WRITE, 16);
    until_lanes(&db, 1).await;

    // Writers queue still; those who read need the place more.
    let (stop_reading, mut reading) = work(&db, "select 1::bigint", 64);
    until_lanes(&db, 2).await;
    stop.store(true, Ordering::Relaxed);
    stop_reading.store(true, Ordering::Relaxed);
    while let Some(done) = writing.join_next().await {
        done.unwrap();
    }
    while let Some(done) = reading.join_next().await {
        done.unwrap();
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn no_place_is_lent_to_a_queue_that_stands() {
    let config = Config::from_url(support::url())
        .unwrap()
        .connections_max(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(2));
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let held = [db.begin().await.unwrap(), db.begin().await.unwrap()];
    let refused = db.begin().await;
    assert!(refused.is_err(), "all that are not lanes are held");
    assert_eq!(db.pool_status().lanes_max, 2);
    for transaction in held {
        transaction.rollback().await.unwrap();
    }
    support::assert_whole(&db).await;
}

#[test]
fn no_place_is_lost_with_the_runtime_that_was_to_lend_it() {
    let config = support::config(support::url())
        .connections_max(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(5));
    // Looks up after each step of a task.
    let home = Builder::new_current_thread()
        .event_interval(1)
        .enable_all()
        .build()
        .unwrap();
    let other = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let db = home.block_on(async {
        let db = Db::connect_with(&config).await.unwrap();
        support::until("the lanes are open", || db.pool_status().lanes == 2).await;
        db.execute("create sequence lent", ()).await.unwrap();
        db
    });
    let over = Arc::new(AtomicBool::new(false));
    let mut writing = JoinSet::new();
    for _ in 0..16 {
        let (db, over) = (db.clone(), Arc::clone(&over));
        let write = async move {
            while !over.load(Ordering::Relaxed) {
                // Those under way when the runtime ends fail.
                drop(db.execute(WRITE, ()).await);
                tokio::task::yield_now().await;
            }
        };
        writing.spawn_on(write, other.handle());
    }
    // Ends between the step that closes a lane and the first of the task that lends its place.
    home.block_on(async {
        while db.pool_status().lanes == 2 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(db.pool_status().lanes_max, 2, "it is not lent yet");
    drop(home);
    over.store(true, Ordering::Relaxed);
    other.block_on(async {
        while let Some(done) = writing.join_next().await {
            done.unwrap();
        }
        let _answer: i64 = db.query_value("select 5::bigint", ()).await.unwrap();
        support::until("both lanes are open", || db.pool_status().lanes == 2).await;
        support::assert_whole(&db).await;
    });
}
