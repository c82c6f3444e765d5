//! Pausing, resuming and resizing a pool that is in use.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use aquifer::{Db, ErrorKind, Session};
use aquifer_testkit::{Login, Mode, Postgres, Proxy, Upstream};

use crate::support;

/// Far above what it needs, far below what hanging means.
const SOON: Duration = support::PATIENCE;

async fn pids(db: &Db) -> Vec<i32> {
    let sql = "select pid from pg_stat_activity where datname = current_database()";
    let mut pids: Vec<i32> = db.query_column(sql, ()).await.unwrap();
    pids.sort_unstable();
    pids
}

#[tokio::test]
async fn after_a_pause_every_connection_is_new_and_nobody_noticed() {
    let (old, new) = (Postgres::start(), Postgres::start());
    let proxy = Proxy::to_postgres(&old);
    let db = Db::connect_with(&support::config(
        proxy.through(&old.login_url(Login::Trust)),
    ))
    .await
    .unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let port = async |db: &Db| -> String {
        let sql = "select current_setting('port')";
        db.query_value(sql, ()).await.unwrap()
    };
    assert_eq!(port(&db).await, old.port().to_string());
    let tx = db.begin().await.unwrap();
    let pausing = tokio::spawn({
        let db = db.clone();
        async move { db.pause(Duration::from_secs(60)).await }
    });
    support::until("it is paused", || db.pool_status().paused).await;
    let waiting = tokio::spawn({
        let db = db.clone();
        async move {
            let sql = "select current_setting('port') || (0 * txid_current())::text";
            db.query_value::<String>(sql, ()).await
        }
    });
    let reading = tokio::spawn({
        let db = db.clone();
        async move {
            db.query_value::<String>("select current_setting('port')", ())
                .await
        }
    });
    support::until("both wait", || db.pool_status().waiting == 2).await;
    assert!(!pausing.is_finished(), "a transaction is under way");
    tx.execute("select 1", ()).await.expect("it is let finish");
    tx.commit().await.unwrap();
    pausing.await.unwrap().expect("all have come back");
    let status = db.pool_status();
    assert_eq!((status.idle, status.lanes, status.in_use), (0, 0, 0));
    support::until("all are closed", || old.client_count() == 0).await;
    proxy.redirect(Upstream::Port(new.port()));
    db.resume();
    let port_of_new = new.port().to_string();
    assert_eq!(waiting.await.unwrap().unwrap(), format!("{port_of_new}0"));
    assert_eq!(reading.await.unwrap().unwrap(), port_of_new);
    assert_eq!(port(&db).await, port_of_new);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_pause_waits_for_the_reads_on_a_lane_that_is_being_replaced() {
    let config = support::config(support::url());
    let observer = Db::connect_with(&config).await.unwrap();
    let db = Db::connect_with(&config.advanced(|advanced| {
        let advanced = advanced.lifetime_max(Duration::from_secs(1));
        advanced.lanes(1).lane_timeout(Duration::from_secs(3600))
    }))
    .await
    .unwrap();
    observer
        .execute("create table t (a int)", ())
        .await
        .unwrap();
    let sql = "select count(*) from t";
    let reader = db.shared();
    support::until("the lane is open", || db.pool_status().lanes == 1).await;
    assert_eq!(reader.query_value::<i64>(sql, ()).await.unwrap(), 0);
    let lock = observer.begin().await.unwrap();
    lock.execute("lock table t in access exclusive mode", ())
        .await
        .unwrap();
    let reading = tokio::spawn(async move { reader.query_value::<i64>(sql, ()).await });
    let waiting = "select count(*) from pg_locks where relation = 't'::regclass and not granted";
    while lock.query_value::<i64>(waiting, ()).await.unwrap() == 0 {}
    support::until("the lane is replaced", || {
        db.pool_status().lane_requests == 0
    })
    .await;
    assert!(!reading.is_finished());
    let error = db.pause(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    lock.rollback().await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_pause_that_is_never_ended_ends_by_itself() {
    let db = support::db().await;
    let before = pids(&db).await;
    db.pause(Duration::from_secs(2)).await.unwrap();
    assert!(db.pool_status().paused);
    let after = tokio::time::timeout(SOON, pids(&db)).await;
    let after = after.expect("the caller was held, then served");
    assert!(after.iter().all(|pid| !before.contains(pid)));
    assert!(!db.pool_status().paused);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_pause_that_calls_outlast_is_given_up() {
    let db = support::db().await;
    let tx = db.begin().await.unwrap();
    let error = db.pause(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("Db::holders()"), "{error}");
    assert!(!db.pool_status().paused);
    tx.commit().await.unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_caller_whom_a_pause_outlasts_is_told_so() {
    let config = support::config(support::url()).acquire_timeout(Duration::from_millis(50));
    let db = Db::connect_with(&config).await.unwrap();
    db.pause(Duration::from_secs(60)).await.unwrap();
    let error = db.execute("select 1", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Acquire);
    assert!(error.to_string().contains("Db::resume()"), "{error}");
    db.resume();
    support::until("all is open again", || {
        let status = db.pool_status();
        (status.lanes, status.idle) == (2, 1)
    })
    .await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_pause_that_is_dropped_resumes() {
    let db = support::db().await;
    let aborted = support::abort_at_every_poll(&db, || {
        let db = db.clone();
        async move {
            let mut tx = Some(db.begin().await.unwrap());
            let mut pause = pin!(db.pause(SOON));
            let paused = poll_fn(|context| {
                let polled = pause.as_mut().poll(context);
                // It has waited for the transaction, which ends now.
                drop(tx.take());
                polled
            });
            paused.await.unwrap();
            db.resume();
        }
    })
    .await;
    // Once for the transaction; for the lanes only if they are open again already.
    assert!(aborted >= 1, "a pause that never waits shows nothing");
}

#[tokio::test]
async fn a_paused_pool_shuts_down_and_refuses_those_who_wait() {
    let db = support::db().await;
    db.pause(Duration::from_secs(60)).await.unwrap();
    let waiting = tokio::spawn({
        let db = db.clone();
        async move { db.execute("select 1", ()).await }
    });
    support::until("it waits", || db.pool_status().waiting == 1).await;
    let done = tokio::time::timeout(SOON, db.shutdown(SOON)).await.unwrap();
    assert_eq!((done.closed, done.aborted, done.refused), (0, 0, 1));
    assert_eq!(
        waiting.await.unwrap().unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(db.tasks_running(), 0);
    let error = db.pause(SOON).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_pool_grows_and_shrinks_while_it_is_used() {
    let db = support::db_of(4).await;
    let one = db.begin().await.unwrap();
    let two = db.begin().await.unwrap();
    let third = tokio::spawn({
        let db = db.clone();
        async move { db.begin().await }
    });
    support::until("it waits", || db.pool_status().waiting == 1).await;
    db.resize(5).unwrap();
    let three = third.await.unwrap().expect("there is room for it");
    assert_eq!(db.pool_status().connections_max, 5);
    two.rollback().await.unwrap();
    assert_eq!(db.pool_status().idle, 1);
    db.resize(3).unwrap();
    let status = db.pool_status();
    assert_eq!(
        (status.idle, status.in_use),
        (0, 2),
        "the idle one went first"
    );
    three.rollback().await.unwrap();
    let status = db.pool_status();
    assert_eq!(
        (status.idle, status.in_use),
        (0, 1),
        "one too many came back"
    );
    one.rollback().await.unwrap();
    assert_eq!(db.pool_status().idle, 1);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_size_that_leaves_no_exclusive_connection_is_refused() {
    let db = support::db_of(4).await;
    for size in [0, 2, 10_001] {
        let error = db.resize(size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("connections_max"), "{error}");
    }
    assert_eq!(db.pool_status().connections_max, 4);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_connection_that_was_being_opened_when_a_pause_began_is_not_used_after_it() {
    let (old, new) = (Postgres::start(), Postgres::start());
    let proxy = Proxy::to_postgres(&old);
    let config = support::config(proxy.through(&old.login_url(Login::Trust)));
    let config = config.connect_timeout(SOON);
    let config = config.advanced(|advanced| advanced.lanes(0));
    let db = Db::connect_with(&config).await.unwrap();
    // It has a connection, and nothing was sent yet that would have to be undone.
    let held = db.begin().await.unwrap();
    proxy.set(Mode::Delay(Duration::from_secs(1)));
    let wanting = tokio::spawn(db.begin());
    support::until("one is being opened", || db.pool_status().connecting == 1).await;
    // Until the login has gone to the old server.
    support::until("the old server has it", || old.client_count() == 2).await;
    wanting.abort();
    drop(held);
    db.pause(Duration::from_secs(60)).await.unwrap();
    assert_eq!(db.pool_status().connecting, 1);
    proxy.redirect(Upstream::Port(new.port()));
    // What is on its way stays late; a question to the old server would be answered at once.
    proxy.set(Mode::Pass);
    db.resume();
    support::until("it is open", || db.pool_status().connecting == 0).await;
    let port: String = db
        .query_value("select current_setting('port')", ())
        .await
        .unwrap();
    assert_eq!(port, new.port().to_string());
    support::assert_whole(&db).await;
}
