//! Each operation is dropped at its first poll, its second, and so on: afterwards capacity is
//! whole, no task is left, and the next caller gets its own reply.

use std::time::Duration;

use aquifer::{Batch, DatabaseManager, Db, Error, Session};

use crate::support::{self, abort_at, abort_at_every_poll, assert_whole};

async fn table(connections: u32) -> Db {
    let db = support::db_of(connections).await;
    db.execute("create table t (a bigint primary key)", ())
        .await
        .unwrap();
    db
}

async fn count(db: &Db) -> i64 {
    db.query_value("select count(*) from t", ()).await.unwrap()
}

#[tokio::test]
async fn a_query() {
    for connections in [1, 4] {
        let db = table(connections).await;
        // A text that is new each time takes the longest way: describe, look up, run.
        let mut number = 0;
        let aborted = abort_at_every_poll(&db, || {
            number += 1;
            let sql = aquifer::AssertSafe(format!("select count(*) + {number} from t"));
            let db = db.clone();
            async move { db.query(sql, ()).await.unwrap() }
        })
        .await;
        assert!(aborted >= 3, "only {aborted} polls: did it wait at all?");
        let aborted = abort_at_every_poll(&db, || db.query("select 1", ())).await;
        assert!(aborted >= 1);
    }
}

#[tokio::test]
async fn an_execute_takes_effect_whole_or_not_at_all() {
    for connections in [1, 4] {
        let db = table(connections).await;
        let mut next = 0_i64;
        let aborted = abort_at_every_poll(&db, || {
            next += 1;
            let db = db.clone();
            async move {
                db.execute("insert into t values ($1::bigint), (-$1::bigint)", (next,))
                    .await
                    .unwrap()
            }
        })
        .await;
        assert!(aborted >= 1);
        let odd: i64 = db
            .query_value("select count(*) % 2 from t", ())
            .await
            .unwrap();
        assert_eq!(odd, 0);
    }
}

#[tokio::test]
async fn a_batch_and_a_script() {
    let db = table(2).await;
    let mut next = 0_i64;
    abort_at_every_poll(&db, || {
        next += 1;
        let batch = Batch::new()
            .add("insert into t values ($1)", (next,))
            .add("insert into t values (-$1::bigint)", (next,));
        let db = db.clone();
        async move { db.batch(batch).await.unwrap() }
    })
    .await;
    abort_at_every_poll(&db, || {
        db.execute_script("create temp table x (a int); begin; select 1")
    })
    .await;
    let odd: i64 = db
        .query_value("select count(*) % 2 from t", ())
        .await
        .unwrap();
    assert_eq!(odd, 0);
}

#[tokio::test]
async fn a_begin_leaves_no_open_transaction() {
    for connections in [1, 4] {
        let db = table(connections).await;
        let aborted = abort_at_every_poll(&db, || async {
            let tx = db.begin().await.unwrap();
            tx.execute("select 1", ()).await.unwrap();
        })
        .await;
        assert!(aborted >= 1);
        let open: i64 = db
            .query_value(
                "select count(*) from pg_stat_activity \
                 where datname = current_database() and state like 'idle in transaction%'",
                (),
            )
            .await
            .unwrap();
        assert_eq!(open, 0);
    }
}

#[tokio::test]
async fn a_commit_that_was_begun_is_carried_out() {
    let db = table(2).await;
    for polls in 1..50 {
        let before = count(&db).await;
        let tx = db.begin().await.unwrap();
        tx.execute("insert into t values ($1)", (before,))
            .await
            .unwrap();
        let done = abort_at(polls, tx.commit()).await;
        assert_whole(&db).await;
        assert_eq!(count(&db).await, before + 1, "aborted at poll {polls}");
        if done.is_some() {
            assert!(polls > 1, "a commit that never waits shows nothing");
            return;
        }
    }
    panic!("the commit was never done");
}

#[tokio::test]
async fn a_rollback_and_a_savepoint() {
    let db = table(2).await;
    abort_at_every_poll(&db, || async {
        let tx = db.begin().await.unwrap();
        tx.execute("insert into t values (1)", ()).await.unwrap();
        tx.rollback().await.unwrap();
    })
    .await;
    assert_eq!(count(&db).await, 0);
    // The transaction around an aborted savepoint goes on.
    for polls in 1..50 {
        let tx = db.begin().await.unwrap();
        let inner = abort_at(polls, async {
            let savepoint = tx.begin().await.unwrap();
            savepoint
                .execute("insert into t values (1)", ())
                .await
                .unwrap();
            savepoint.commit().await.unwrap();
        })
        .await;
        tx.execute("insert into t values (2)", ()).await.unwrap();
        let rows: i64 = tx.query_value("select count(*) from t", ()).await.unwrap();
        assert_eq!(
            rows == 2,
            inner.is_some() || rows == 2,
            "aborted at poll {polls}"
        );
        tx.rollback().await.unwrap();
        assert_whole(&db).await;
        if inner.is_some() {
            return;
        }
    }
    panic!("the savepoint was never done");
}

#[tokio::test]
async fn a_closure_takes_effect_whole_or_not_at_all() {
    for connections in [1, 4] {
        let db = table(connections).await;
        let mut next = 0_i64;
        let aborted = abort_at_every_poll(&db, || {
            next += 1;
            let db = db.clone();
            async move {
                db.with_transaction(async |tx| {
                    tx.execute("insert into t values ($1)", (next,)).await?;
                    db.execute("insert into t values (-$1::bigint)", (next,))
                        .await?;
                    Ok::<_, Error>(())
                })
                .await
                .unwrap();
            }
        })
        .await;
        assert!(aborted >= 3);
        let odd: i64 = db
            .query_value("select count(*) % 2 from t", ())
            .await
            .unwrap();
        assert_eq!(odd, 0);
        let pairs: bool = db
            .query_value("select coalesce(sum(a), 0) = 0 from t", ())
            .await
            .unwrap();
        assert!(pairs);
    }
}

#[tokio::test]
async fn a_dedicated_session_and_a_listener() {
    let db = table(2).await;
    abort_at_every_poll(&db, || async {
        let session = db.dedicated().await.unwrap();
        session.execute("set work_mem = '1MB'", ()).await.unwrap();
    })
    .await;
    abort_at_every_poll(&db, || db.listen(["news"])).await;
}

/// Sessions of the test's database, as another session sees them.
async fn sessions(admin: &Db, database: &str) -> i64 {
    admin
        .query_value(
            "select count(*) from pg_stat_activity where datname = $1",
            (database,),
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn a_connect_leaves_no_session() {
    let admin = support::db().await;
    let url = support::url();
    let probe = Db::connect(&url).await.unwrap();
    let database: String = probe
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    probe.close().await.unwrap();
    let manager_config = support::config(&url);
    for polls in 1..200 {
        let done = abort_at(polls, Db::connect(&url)).await.is_some();
        let manager = DatabaseManager::new(manager_config.clone());
        let initialized = abort_at(polls, manager.initialize()).await;
        if let Some(outcome) = &initialized {
            outcome.as_ref().unwrap();
        } else {
            manager
                .initialize()
                .await
                .expect("an aborted initialize may be called again");
        }
        drop(manager);
        let gone = tokio::time::timeout(support::PATIENCE, async {
            while sessions(&admin, &database).await > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(gone.await.is_ok(), "a session is left after poll {polls}");
        if done && initialized.is_some() {
            assert!(polls > 2);
            return;
        }
    }
    panic!("never connected");
}

#[tokio::test]
async fn a_shutdown_that_is_dropped_can_be_called_again() {
    for polls in 1..100 {
        let db = table(4).await;
        let tx = db.begin().await.unwrap();
        tx.execute("insert into t values (1)", ()).await.unwrap();
        let slow = tokio::spawn({
            let db = db.clone();
            async move { db.query("select pg_sleep(30)", ()).await }
        });
        support::until("the slow query runs", || db.pool_status().in_use == 2).await;
        let done = abort_at(polls, db.shutdown(Duration::from_millis(50))).await;
        let error = db
            .query("select 1", ())
            .await
            .expect_err("refused from the first poll on");
        assert_eq!(error.kind(), aquifer::ErrorKind::Closed);
        db.shutdown(Duration::from_millis(50)).await;
        assert_eq!(db.tasks_running(), 0);
        slow.await.unwrap().unwrap_err();
        tx.execute("select 1", ()).await.unwrap_err();
        drop(tx);
        assert_eq!(db.pool_status().in_use, 0);
        if done.is_some() {
            return;
        }
    }
    panic!("the shutdown was never done");
}

/// How many calls each of so many workers drops: 100,000 in all in the deep run, which has many more
/// cases of all properties.
fn drops_of_each(workers: i64) -> i64 {
    let deep = std::env::var_os("PROPTEST_CASES").is_some();
    if deep { 100_000 / workers } else { 60 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_random_drops_under_load_leave_the_pool_whole() {
    let db = table(4).await;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..32_u64 {
        let db = db.clone();
        tasks.spawn(async move {
            // A small generator of our own, so that a failure can be run again.
            let mut state = worker.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            for round in 0..drops_of_each(32) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let polls = usize::try_from(state % 6 + 1).unwrap();
                let tag = i64::try_from(worker).unwrap() * 100_000 + round;
                match state % 4 {
                    0 => {
                        let read = db.query_value::<i64>("select $1::bigint", (tag,));
                        if let Some(own) = abort_at(polls, read).await {
                            assert_eq!(own.unwrap(), tag);
                        }
                    }
                    1 => {
                        let sql =
                            "insert into t values ($1::bigint), (-$1::bigint) returning $1::bigint";
                        let write = db.query_column::<i64>(sql, (tag + 1,));
                        if let Some(own) = abort_at(polls, write).await {
                            assert_eq!(own.unwrap(), [tag + 1, tag + 1]);
                        }
                    }
                    2 => {
                        let work = db.with_transaction(async |tx| {
                            let own: i64 = tx.query_value("select $1::bigint", (tag,)).await?;
                            assert_eq!(own, tag);
                            Ok::<_, Error>(())
                        });
                        if let Some(outcome) = abort_at(polls, work).await {
                            outcome.unwrap();
                        }
                    }
                    _ => {
                        let own: i64 = db.query_value("select $1::bigint", (tag,)).await.unwrap();
                        assert_eq!(own, tag);
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    assert_whole(&db).await;
    let sum: bool = db
        .query_value("select coalesce(sum(a), 0) = 0 from t", ())
        .await
        .unwrap();
    assert!(sum, "an insert took effect by half");
}
