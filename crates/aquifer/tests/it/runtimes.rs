//! Runtimes that end, and what a `Db` does without the one it was made on.

use std::sync::mpsc;
use std::time::Duration;

use aquifer::{Config, Db, Session};
use aquifer_testkit::{Ending, Mode};
use tokio::runtime::{Builder, Runtime};

use crate::support;

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Tells that it was dropped.
struct Gone(mpsc::Sender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

#[test]
fn a_commit_that_begins_while_its_runtime_goes_down_does_not_block_it() {
    // Its connections live on another one, as where each worker thread has a runtime of its own.
    let (home, worker) = (runtime(), runtime());
    let (gone, is_gone) = mpsc::channel();
    let (started, has_started) = mpsc::channel();
    let db = home.block_on(support::db());
    worker.block_on(async {
        let tx = db.begin().await.unwrap();
        tokio::spawn(async move {
            let _gone = Gone(gone);
            started.send(()).unwrap();
            // Blocks its thread until the runtime takes no more tasks.
            while !tokio::spawn(std::future::pending::<()>()).is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(tx.commit().await);
        });
    });
    has_started.recv().unwrap();
    worker.shutdown_background();
    is_gone
        .recv_timeout(support::PATIENCE)
        .expect("the task ends");
    home.block_on(support::assert_whole(&db));
}

#[test]
fn a_db_goes_on_when_the_runtime_it_was_made_on_is_gone() {
    let url = support::url();
    let first = runtime();
    let db = first.block_on(async {
        let db = Db::connect(&url).await.unwrap();
        support::until("the lanes are open", || db.pool_status().lanes == 2).await;
        let one: i32 = db.query_value("select 1", ()).await.unwrap();
        assert_eq!(one, 1);
        db
    });
    drop(first);
    let second = runtime();
    second.block_on(async {
        for round in 0..5_i32 {
            let own: i32 = db.query_value("select $1::int", (round,)).await.unwrap();
            assert_eq!(own, round);
            db.with_transaction(async |tx| tx.execute("select 1", ()).await)
                .await
                .unwrap();
        }
        support::until("the lanes are open again", || db.pool_status().lanes == 2).await;
        support::assert_whole(&db).await;
        db.close().await.unwrap();
    });
}

#[test]
fn a_deadline_holds_while_the_runtime_of_the_lanes_stands_still() {
    // It does something only while it is waited for.
    let home = Builder::new_current_thread().enable_all().build().unwrap();
    let db = home.block_on(async {
        let db = Db::connect(&support::url()).await.unwrap();
        support::until("the lanes are open", || db.pool_status().lanes == 2).await;
        let _known: i32 = db.query_value("select 1", ()).await.unwrap();
        db.shared().with_query_timeout(Duration::from_millis(600))
    });
    let outcome = runtime().block_on(async {
        let read = db.query_value::<i32>("select 1", ());
        tokio::time::timeout(support::PATIENCE, read).await
    });
    let error = outcome.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), aquifer::ErrorKind::Timeout, "{error}");
    home.block_on(async {
        let one: i32 = db.query_value("select 1", ()).await.unwrap();
        assert_eq!(one, 1);
        support::assert_whole(&db).await;
    });
}

#[test]
fn who_waits_gets_a_connection_although_the_runtime_that_opens_it_ends() {
    let (home, other) = (runtime(), runtime());
    let patient = |config: Config| config.acquire_timeout(2 * support::PATIENCE);
    let (proxy, db) = home.block_on(support::proxied(patient));
    proxy.set(Mode::BlackHole);
    proxy.cut_all(Ending::Reset);
    home.block_on(support::until("none is left", || {
        db.pool_status().idle == 0
    }));
    let waiter = other.spawn({
        let db = db.clone();
        async move { db.begin().await.map(drop) }
    });
    other.block_on(support::until("it is opened for who waits", || {
        let status = db.pool_status();
        status.waiting == 1 && status.connecting > 0
    }));
    drop(home);
    proxy.set(Mode::Pass);
    let outcome = other.block_on(async { tokio::time::timeout(support::PATIENCE, waiter).await });
    outcome.expect("it ends").unwrap().unwrap();
    other.block_on(support::assert_whole(&db));
}
