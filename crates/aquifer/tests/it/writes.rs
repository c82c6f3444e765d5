//! Single statements that are known to write: they queue for a connection, are sent once, and wait for
//! their answer until their deadline.

use std::time::Duration;

use aquifer::{Config, Db, ErrorKind, Retry, Session};

use crate::support::{self, abort_at_every_poll};

const INSERT: &str = "insert into t values ($1::bigint)";

/// Callers side by side, all of whom but one have to queue.
const SIDE_BY_SIDE: i64 = 3;

/// One connection for all, and a statement that is known to write.
async fn known(config: Config) -> Db {
    let db = Db::connect_with(&config.connections_max(1)).await.unwrap();
    db.execute("create table t (a bigint primary key)", ())
        .await
        .unwrap();
    for key in [-1_i64, -2] {
        db.execute(INSERT, (key,)).await.unwrap();
    }
    db
}

async fn count(db: &Db) -> i64 {
    db.query_value("select count(*) from t", ()).await.unwrap()
}

#[tokio::test]
async fn writes_that_queue_take_effect_at_most_once_wherever_they_are_dropped() {
    let db = known(support::config(support::url())).await;
    let mut next = 0_i64;
    let aborted = abort_at_every_poll(&db, || {
        next += SIDE_BY_SIDE;
        let (db, first) = (db.clone(), next);
        async move {
            let (one, two, three) = tokio::join!(
                db.execute(INSERT, (first,)),
                db.execute(INSERT, (first + 1,)),
                db.execute(INSERT, (first + 2,)),
            );
            for inserted in [one, two, three] {
                assert_eq!(inserted.unwrap(), 1);
            }
        }
    })
    .await;
    assert!(aborted >= 3, "only {aborted} polls: did anybody queue?");
    // The last ones were not dropped.
    let last: i64 = db
        .query_value("select count(*) from t where a >= $1", (next,))
        .await
        .unwrap();
    assert_eq!(last, SIDE_BY_SIDE);
}

#[tokio::test]
async fn a_write_is_given_up_at_its_deadline_in_the_queue_and_behind_a_lock() {
    let short = Duration::from_secs(2);
    let url = support::url();
    let db = known(
        support::config(&*url)
            .query_timeout(short)
            .acquire_timeout(short),
    )
    .await;
    let other = Db::connect_with(&support::config(url)).await.unwrap();
    let tx = other.begin().await.unwrap();
    tx.execute("delete from t where a = -1", ()).await.unwrap();
    let (locked, queued) =
        tokio::join!(db.execute(INSERT, (-1_i64,)), db.execute(INSERT, (1_i64,)),);
    let locked = locked.unwrap_err();
    assert_eq!(locked.kind(), ErrorKind::Timeout, "{locked}");
    assert_eq!(locked.retry(), Retry::IfIdempotent);
    if let Err(queued) = queued {
        assert_eq!(queued.kind(), ErrorKind::Acquire, "{queued}");
    }
    tx.rollback().await.unwrap();
    support::assert_whole(&db).await;
    assert!(db.execute(INSERT, (2_i64,)).await.is_ok());
}

#[tokio::test]
async fn a_known_write_whose_answer_is_cut_is_unknown_and_not_sent_again() {
    let db = known(support::config(support::url())).await;
    let sql = "insert into t select $1::bigint where $1::bigint > 0 \
               or pg_terminate_backend(pg_backend_pid())";
    for key in [1_i64, 2] {
        db.execute(sql, (key,)).await.unwrap();
    }
    let error = db.execute(sql, (-3_i64,)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
    assert_eq!(error.retry(), Retry::IfIdempotent);
    support::assert_whole(&db).await;
    assert_eq!(count(&db).await, 4);
}
