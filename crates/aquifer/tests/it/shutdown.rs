//! Shutdown ends within its deadline in each state.

pub(crate) mod states;

use std::time::{Duration, Instant};

use aquifer::{Config, Db, ErrorKind, Session};

use crate::support;

/// Far above what it needs, far below what hanging means.
const DEADLINE: Duration = Duration::from_secs(2);

async fn shut_down(db: &Db) -> aquifer::Shutdown {
    let start = Instant::now();
    let done = db.shutdown(DEADLINE).await;
    assert!(
        start.elapsed() < DEADLINE + Duration::from_secs(3),
        "took {:?}",
        start.elapsed()
    );
    // Those that were cut are still held by their users, who find them closed.
    assert!(db.pool_status().in_use <= done.aborted);
    assert_eq!(db.tasks_running(), 0);
    done
}

#[tokio::test]
async fn idle() {
    let db = support::db().await;
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let done = shut_down(&db).await;
    assert_eq!((done.closed, done.aborted, done.refused), (3, 0, 0));
    let again = shut_down(&db).await;
    assert_eq!((again.closed, again.aborted, again.refused), (0, 0, 0));
}

#[tokio::test]
async fn with_calls_that_end_in_time() {
    let db = support::db_of(1).await;
    let running = tokio::spawn({
        let db = db.clone();
        async move {
            db.query_value::<i32>("select 1 from pg_sleep(0.3)", ())
                .await
        }
    });
    support::until("it runs", || db.pool_status().in_use == 1).await;
    let waiting = tokio::spawn({
        let db = db.clone();
        async move { db.query("select pg_sleep(0)", ()).await }
    });
    support::until("the other waits", || db.pool_status().waiting == 1).await;
    let done = shut_down(&db).await;
    assert_eq!((done.aborted, done.refused), (0, 1));
    assert_eq!(
        running.await.unwrap().unwrap(),
        1,
        "what was under way was let finish"
    );
    assert_eq!(
        waiting.await.unwrap().unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[tokio::test]
async fn with_a_statement_that_would_run_for_long() {
    let db = support::db().await;
    let running = tokio::spawn({
        let db = db.clone();
        async move { db.query("select pg_sleep(60)", ()).await }
    });
    support::until("it runs", || db.pool_status().in_use == 1).await;
    let done = shut_down(&db).await;
    assert_eq!(
        done.aborted, 0,
        "the cancel at 70 % of the deadline ended it"
    );
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("57014"));
}

#[tokio::test]
async fn with_a_transaction_that_nobody_ends() {
    let db = support::db().await;
    let tx = db.begin().await.unwrap();
    let done = shut_down(&db).await;
    assert_eq!(done.aborted, 1);
    let error = tx.execute("select 1", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = tx.commit().await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Connection,
        "COMMIT was never sent: {error}"
    );
}

#[tokio::test]
async fn with_a_server_that_does_not_answer() {
    let server = aquifer_testkit::Postgres::start();
    let db = Db::connect(server.url()).await.unwrap();
    let tx = db.begin().await.unwrap();
    let pid: i32 = tx.query_value("select pg_backend_pid()", ()).await.unwrap();
    server.pause_backend(pid.cast_unsigned());
    let running = tokio::spawn(async move { tx.execute("select 1", ()).await });
    support::until("it runs", || db.pool_status().in_use == 1).await;
    let done = shut_down(&db).await;
    assert_eq!(done.aborted, 1);
    running.await.unwrap().unwrap_err();
    server.resume_backend(pid.cast_unsigned());
}

#[tokio::test]
async fn with_reads_on_the_lanes() {
    let db = support::db().await;
    let one: i32 = db.query_value("select 1", ()).await.unwrap();
    assert_eq!(one, 1);
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..100_i64 {
        let db = db.clone();
        reads.spawn(async move {
            (
                number,
                db.query_value::<i64>("select $1::bigint", (number,)).await,
            )
        });
    }
    let done = shut_down(&db).await;
    assert_eq!(done.aborted, 0);
    for (number, outcome) in reads.join_all().await {
        match outcome {
            Ok(own) => assert_eq!(number, own),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Closed | ErrorKind::Connection),
                "{error:?}"
            ),
        }
    }
}

#[tokio::test]
async fn with_a_read_on_a_lane_that_is_full() {
    let config = Config::from_url(support::url())
        .unwrap()
        .advanced(|advanced| {
            let advanced = advanced.requests_max(1);
            advanced.lane_timeout(Duration::from_secs(60))
        });
    let db = Db::connect_with(&config).await.unwrap().shared();
    // Volatile in truth, so that it takes its time on a lane.
    db.execute_script(
        "create function nap() returns int language sql stable as 'select 1 from pg_sleep(0.3)'",
    )
    .await
    .unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let nap = || {
        let db = db.clone();
        async move { db.query_value::<i32>("select nap()", ()).await }
    };
    nap().await.unwrap();
    let running = tokio::spawn(nap());
    support::until("it runs", || db.pool_status().lane_requests == 1).await;
    let done = shut_down(&db).await;
    assert_eq!(done.aborted, 0);
    assert_eq!(running.await.unwrap().expect("it was let finish"), 1);
}

#[tokio::test]
async fn with_a_read_on_a_lane_that_would_run_for_long() {
    // Calls no function, so it travels on a lane; does nothing unless it is told to.
    const READ: &str =
        "select count(*) from pg_class a, pg_class b, pg_class c, pg_class d where $1::bool";
    let server = aquifer_testkit::Postgres::shared();
    let database = server.create_database();
    let config = Config::from_url(database.url.as_str())
        .unwrap()
        .advanced(|advanced| advanced.lane_timeout(Duration::from_secs(60)));
    let db = Db::connect_with(&config).await.unwrap().shared();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    for _ in 0..2 {
        db.query(READ, (false,)).await.unwrap();
    }
    let running = tokio::spawn({
        let db = db.clone();
        async move { db.query(READ, (true,)).await }
    });
    support::until("it runs", || db.pool_status().lane_requests == 1).await;
    let done = shut_down(&db).await;
    assert_eq!((done.closed, done.aborted), (2, 1));
    running.await.unwrap().unwrap_err();
    server.psql(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'",
        database.name
    ));
}

#[tokio::test]
async fn dropping_the_last_handle_closes_everything() {
    let admin = support::db().await;
    let db = support::db().await;
    let database: String = db
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    drop(db);
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        let sql = "select count(*) from pg_stat_activity where datname = $1";
        while admin
            .query_value::<i64>(sql, (database.as_str(),))
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(gone.await.is_ok(), "sessions outlive the handle");
}

#[tokio::test]
async fn with_a_caller_that_gave_up_waiting() {
    let db = support::db_of(1).await;
    let tx = db.begin().await.unwrap();
    for _ in 0..2 {
        let gave_up = support::abort_at(1, db.execute("select 1", ())).await;
        assert!(gave_up.is_none());
    }
    drop(tx);
    let done = shut_down(&db).await;
    assert_eq!(done.refused, 0, "nobody was there to be refused");
}
