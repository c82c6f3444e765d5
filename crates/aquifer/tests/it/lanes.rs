//! Who may wait behind whom: slow statements leave the lanes, full and stalled lanes harm nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer::{Config, Db, Error, ErrorKind, Session};
use aquifer_testkit::{Mode, Postgres, Proxy};
use tokio::task::JoinSet;

use crate::support;

/// Says whether it ran on a lane, and takes the longer the larger its parameter is.
const WORK: &str = "select current_setting('default_transaction_read_only') = 'on' \
     from (select count(*) from generate_series(1, $1::int)) as work";
const LITTLE: i32 = 1;
/// Far longer than a lane's limit of 50 ms.
const MUCH: i32 = 4_000_000;

async fn with_lanes(lanes: u32, change: impl FnOnce(Config) -> Config) -> Db {
    let config = support::config(support::url());
    let config = change(config.advanced(|advanced| advanced.lanes(lanes)));
    let db = Db::connect_with(&config).await.unwrap();
    let wanted = usize::try_from(lanes).unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == wanted).await;
    db
}

fn lane_timeout(limit: Duration) -> impl FnOnce(Config) -> Config {
    move |config| config.advanced(|advanced| advanced.lane_timeout(limit))
}

async fn on_a_lane(db: &Db, work: i32) -> bool {
    db.query_value(WORK, (work,)).await.unwrap()
}

/// Runs it until it travels on a lane; how often it did not.
async fn until_on_a_lane(db: &Db) -> usize {
    let end = Instant::now() + support::PATIENCE;
    let mut runs = 0;
    while !on_a_lane(db, LITTLE).await {
        runs += 1;
        assert!(Instant::now() < end, "it never travels on a lane");
    }
    runs
}

#[tokio::test]
async fn a_statement_that_was_slow_on_its_own_does_not_share_until_it_is_fast_again() {
    let db = with_lanes(1, lane_timeout(Duration::from_millis(50))).await;
    // Unknown, then known to be slow: never on a lane, whatever the limit there.
    for _ in 0..3 {
        assert!(!on_a_lane(&db, 500_000).await);
    }
    assert!(
        until_on_a_lane(&db).await >= 7,
        "one quick run proves little"
    );
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_exceeds_the_limit_of_a_lane_is_run_again_elsewhere_and_leaves_it() {
    let db = with_lanes(1, lane_timeout(Duration::from_millis(50))).await;
    // On a busy machine a quick run may seem slow; the next one is a probe then, off the lane, and
    // one long run there proves nothing.
    let mut known_to_be_slow = false;
    for _ in 0..50 {
        until_on_a_lane(&db).await;
        assert!(
            !on_a_lane(&db, MUCH).await,
            "the answer comes from elsewhere"
        );
        known_to_be_slow = !on_a_lane(&db, LITTLE).await;
        if known_to_be_slow {
            break;
        }
    }
    assert!(known_to_be_slow, "it stays on the lane");
    assert!(until_on_a_lane(&db).await > 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn neighbours_of_what_exceeds_the_limit_get_their_own_answers() {
    let db = with_lanes(1, lane_timeout(Duration::from_millis(50))).await;
    until_on_a_lane(&db).await;
    let shared = db.shared();
    let mut calls = JoinSet::new();
    for tag in 0..40_i64 {
        let shared = shared.clone();
        calls.spawn(async move {
            if tag == 7 {
                let sql = "select count(*) from generate_series(1, 4000000)";
                let count: i64 = shared.query_value(sql, ()).await?;
                assert_eq!(count, 4_000_000);
            }
            for round in 0..20 {
                let own: i64 = shared
                    .query_value("select $1::bigint", (tag * 100 + round,))
                    .await?;
                assert_eq!(own, tag * 100 + round, "a foreign reply");
            }
            Ok::<_, Error>(())
        });
    }
    for outcome in calls.join_all().await {
        outcome.unwrap();
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_read_beyond_the_cap_takes_another_connection() {
    let db = with_lanes(1, |config| {
        config.advanced(|advanced| {
            let advanced = advanced.lane_timeout(Duration::from_secs(3600));
            advanced.lane_requests_max(1)
        })
    })
    .await;
    until_on_a_lane(&db).await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let blocked = "select count(*) from t";
    let blocked_quickly: i64 = db.query_value(blocked, ()).await.unwrap();
    assert_eq!(blocked_quickly, 0);
    let tx = db.begin().await.unwrap();
    tx.execute("lock table t in access exclusive mode", ())
        .await
        .unwrap();
    let reader = db.shared();
    let waiting = tokio::spawn(async move { reader.query_value::<i64>(blocked, ()).await });
    support::until("the lane is full", || db.pool_status().lane_requests == 1).await;
    for _ in 0..5 {
        assert!(!on_a_lane(&db, LITTLE).await);
    }
    tx.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
    // There is room again.
    until_on_a_lane(&db).await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_read_that_waits_on_a_lane_keeps_its_deadline_be_it_short_or_long() {
    let db = with_lanes(1, lane_timeout(Duration::from_secs(3600))).await;
    db.execute("create table waited_for (a int)", ())
        .await
        .unwrap();
    let blocked = "select count(*) from waited_for";
    let _known: i64 = db.query_value(blocked, ()).await.unwrap();
    let tx = db.begin().await.unwrap();
    let lock = "lock table waited_for in access exclusive mode";
    tx.execute(lock, ()).await.unwrap();
    for limit in [Duration::from_millis(50), Duration::from_millis(600)] {
        let mut was_there = false;
        while !was_there {
            let hasty = db.shared().with_query_timeout(limit);
            let reading = tokio::spawn(async move { hasty.query_value::<i64>(blocked, ()).await });
            support::until("it ends", || {
                was_there |= db.pool_status().lane_requests > 0;
                reading.is_finished()
            })
            .await;
            let error = reading.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        }
    }
    tx.commit().await.unwrap();
    until_on_a_lane(&db).await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn more_reads_at_once_than_lanes_and_queue_should_hold_are_all_answered() {
    let db = with_lanes(1, |config| {
        let config = config.connections_max(4);
        config.advanced(|advanced| {
            let advanced = advanced.lane_timeout(Duration::from_secs(3600));
            advanced.lane_requests_max(16).waiters_max(8)
        })
    })
    .await;
    // All of them know that it is quick.
    let db = db.shared();
    let sql = "select $1::bigint";
    let _known: i64 = db.query_value(sql, (0_i64,)).await.unwrap();
    let mut calls = JoinSet::new();
    for tag in 0..500_i64 {
        let db = db.clone();
        calls.spawn(async move {
            for round in 0..5 {
                let own = tag * 100 + round;
                let got: i64 = db.query_value(sql, (own,)).await?;
                assert_eq!(got, own, "a foreign reply");
            }
            Ok::<_, Error>(())
        });
    }
    for outcome in calls.join_all().await {
        outcome.expect("a lane that is full takes more while nothing else is free");
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_lane_that_stands_still_is_retired_and_its_reads_are_answered_elsewhere() {
    let server = Postgres::start();
    // No other attempt is allowed: what a retired lane leaves behind is not a failure.
    let config = support::config(server.url()).advanced(|advanced| {
        let advanced = advanced.lanes(1).attempts_max(1);
        advanced.lane_timeout(Duration::from_millis(50))
    });
    let recorder = support::Losses::default();
    let db = Db::connect_with(&config.observer(Arc::new(recorder.clone())))
        .await
        .unwrap();
    support::until("the lane is open", || db.pool_status().lanes == 1).await;
    until_on_a_lane(&db).await;
    let pid = "select pg_backend_pid(), current_setting('default_transaction_read_only')";
    let mut lane = 0;
    while lane == 0 {
        let (backend, read_only): (i32, String) = db.query_one(pid, ()).await.unwrap();
        if read_only == "on" {
            lane = backend;
        }
    }
    let echo = "select $1::bigint";
    let _known: i64 = db.query_value(echo, (0_i64,)).await.unwrap();
    server.pause_backend(u32::try_from(lane).unwrap());
    let mut calls = JoinSet::new();
    for tag in 0..32_i64 {
        let db = db.shared();
        calls.spawn(async move { (tag, db.query_value(echo, (tag,)).await) });
    }
    while let Some(call) = calls.join_next().await {
        let (tag, own): (i64, Result<i64, Error>) = call.unwrap();
        assert_eq!(own.unwrap(), tag);
    }
    assert!(recorder.text().contains("retired"), "{}", recorder.text());
    support::until("another lane is open", || db.pool_status().lanes == 1).await;
    server.resume_backend(u32::try_from(lane).unwrap());
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_lane_to_a_far_server_is_not_taken_for_one_that_stands_still() {
    let server = Postgres::shared();
    let proxy = Proxy::to_postgres(server);
    // Longer than a lane may stand still, there and back.
    proxy.set(Mode::Delay(Duration::from_millis(250)));
    let config = support::config(proxy.through(server.tcp_url()));
    let recorder = support::Losses::default();
    let config = lane_timeout(Duration::from_millis(200))(config)
        .connect_timeout(support::PATIENCE)
        .advanced(|advanced| advanced.lanes(1))
        .observer(Arc::new(recorder.clone()));
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lane is open", || db.pool_status().lanes == 1).await;
    let _unknown = on_a_lane(&db, LITTLE).await;
    // Where this machine is busy, some are taken for slow; none is for its way.
    until_on_a_lane(&db).await;
    assert!(!recorder.text().contains("retired"), "{}", recorder.text());
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn the_handle_says_where_reads_run() {
    let db = with_lanes(2, |config| config).await;
    until_on_a_lane(&db).await;
    assert!(!on_a_lane(&db.exclusive(), LITTLE).await);
    // The other handle is as before.
    until_on_a_lane(&db).await;
    db.execute_script(
        "create table log (a int); \
         create function looks() returns bool language sql as \
         $$ select current_setting('default_transaction_read_only') = 'on' $$; \
         create function writes() returns bool language sql as \
         $$ insert into log values (1) returning current_setting('default_transaction_read_only') = 'on' $$",
    )
    .await
    .unwrap();
    for _ in 0..3 {
        let volatile: bool = db.query_value("select looks()", ()).await.unwrap();
        assert!(!volatile, "a volatile function may do anything");
        let volatile: bool = db.shared().query_value("select looks()", ()).await.unwrap();
        assert!(volatile);
    }
    // The server refuses the write there, and it takes effect once.
    for _ in 0..3 {
        let wrote: bool = db
            .shared()
            .query_value("select writes()", ())
            .await
            .unwrap();
        assert!(!wrote);
    }
    let rows: i64 = db
        .query_value("select count(*) from log", ())
        .await
        .unwrap();
    assert_eq!(rows, 3);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_handle_has_its_own_deadline() {
    let limit = Duration::from_millis(300);
    let hasty = |config: Config| config.acquire_timeout(limit).query_timeout(limit);
    let db = with_lanes(1, hasty).await;
    let error = db.query("select pg_sleep(1)", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let patient = db.with_query_timeout(Duration::from_secs(60));
    patient.query("select pg_sleep(1)", ()).await.unwrap();
    let tx = patient.begin().await.unwrap();
    tx.query("select pg_sleep(1)", ()).await.unwrap();
    tx.rollback().await.unwrap();
    let hasty = patient.with_query_timeout(Duration::from_millis(50));
    let error = hasty.query("select pg_sleep(60)", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    support::assert_whole(&db).await;
}

/// Statements of this database that run on the server and whose text contains `mark`.
async fn running(db: &Db, mark: &str) -> i64 {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() \
         and state = 'active' and pid <> pg_backend_pid() and query like '%' || $1 || '%'";
    db.query_value(sql, (mark,)).await.unwrap()
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_any_more_is_gone_from_the_server() {
    let db = with_lanes(1, |config| config).await;
    let sql = "select pg_sleep(600) /* abandoned */";
    let writer = db.clone();
    let call = tokio::spawn(async move { writer.query(sql, ()).await });
    while running(&db, "/* abandoned */").await == 0 {
        tokio::task::yield_now().await;
    }
    call.abort();
    let gone = tokio::time::timeout(support::PATIENCE, async {
        while running(&db, "/* abandoned */").await > 0 {
            tokio::task::yield_now().await;
        }
    });
    assert!(gone.await.is_ok(), "it still runs");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn the_server_looks_whether_its_client_is_there() {
    let db = with_lanes(1, |config| config).await;
    for handle in [db.exclusive(), db.shared()] {
        let sql = "select current_setting('client_connection_check_interval')";
        let interval: String = handle.query_value(sql, ()).await.unwrap();
        assert_eq!(interval, "500ms");
    }
}

#[tokio::test]
async fn a_read_that_finds_no_lane_runs_on_the_next_one_although_all_else_is_held() {
    let db = with_lanes(1, |config| config.connections_max(2)).await;
    let known = "select $1::bigint";
    for tag in 0..3_i64 {
        // Learned, found to be fast, and run on the lane.
        assert_eq!(db.query_value::<i64>(known, (tag,)).await.unwrap(), tag);
    }
    let held = db.begin().await.unwrap();
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                where datname = current_database() and pid <> pg_backend_pid()";
    for tag in 0..20_i64 {
        // The only other session is the lane.
        held.query(kill, ()).await.unwrap();
        assert_eq!(db.query_value::<i64>(known, (tag,)).await.unwrap(), tag);
    }
    held.rollback().await.unwrap();
    support::assert_whole(&db).await;
}
