//! Dropped at every poll: nothing or everything, and the pool is whole.

use aquifer::{Db, Session};

use super::count;
use crate::support::{self, abort_at, abort_at_every_poll, assert_whole};

/// Larger than all buffers together, so that the sender waits.
const LARGE: usize = 600_000;

async fn table(connections: u32) -> Db {
    let db = support::db_of(connections).await;
    db.execute("create table t (id bigint, name text)", ())
        .await
        .unwrap();
    db
}

#[tokio::test]
async fn a_copy_in() {
    for connections in [1, 4] {
        let db = table(connections).await;
        let name = "x".repeat(LARGE);
        let aborted = abort_at_every_poll(&db, || async {
            let mut rows = db.copy_into("t", ["id", "name"]).await.unwrap();
            for number in 0..3 {
                rows.write((number, &name)).await.unwrap();
            }
            rows.finish().await.unwrap();
        })
        .await;
        assert!(aborted >= 1, "{aborted}");
        let rows = count(&db, "t").await;
        assert_eq!(rows % 3, 0, "a part of the rows");
    }
}

#[tokio::test]
async fn a_copy_in_within_a_transaction_that_goes_on() {
    let db = table(2).await;
    let data = format!("1\t{}\n", "x".repeat(LARGE));
    for polls in 1..100 {
        let tx = db.begin().await.unwrap();
        let copied = abort_at(polls, async {
            let savepoint = tx.begin().await.unwrap();
            let mut copy = savepoint.copy_in("copy t from stdin").await.unwrap();
            copy.send(data.as_bytes()).await.unwrap();
            copy.send(data.as_bytes()).await.unwrap();
            copy.finish().await.unwrap();
            savepoint.commit().await.unwrap();
        })
        .await;
        // The savepoint was taken back, so the transaction is none the worse.
        tx.execute("insert into t values (2)", ()).await.unwrap();
        let rows: i64 = tx
            .query_value("select count(*) from t where id = 1", ())
            .await
            .unwrap();
        assert!(rows == 0 || rows == 2, "{rows}");
        tx.rollback().await.unwrap();
        assert_whole(&db).await;
        if copied.is_some() {
            assert!(polls > 4);
            return;
        }
    }
    panic!("never done");
}

#[tokio::test]
async fn a_copy_out() {
    let db = table(2).await;
    let aborted = abort_at_every_poll(&db, || async {
        let sql = "copy (select repeat('x', 1000) from generate_series(1, 2000)) to stdout";
        let mut copy = db.copy_out(sql).await.unwrap();
        let mut bytes = 0;
        while let Some(data) = copy.next().await.unwrap() {
            bytes += data.len();
        }
        assert_eq!(bytes, 2_002_000);
    })
    .await;
    assert!(aborted >= 3, "{aborted}");
}

#[tokio::test]
async fn a_copy_that_was_dropped_with_its_send_half_way_can_not_be_finished() {
    let db = table(2).await;
    let data = format!("1\t{}\n", "x".repeat(4 * 1024 * 1024));
    let mut tries = 0..20;
    let mut copy = loop {
        assert!(tries.next().is_some(), "it fits into the socket each time");
        let mut copy = db.copy_in("copy t from stdin").await.unwrap();
        if abort_at(1, copy.send(data.as_bytes())).await.is_none() {
            break copy;
        }
        // The server has read as fast as it was written.
        copy.abort().await.unwrap();
    };
    let error = copy.send(b"2\tx\n").await.unwrap_err();
    assert_eq!(error.kind(), aquifer::ErrorKind::Usage);
    copy.finish().await.unwrap_err();
    assert_eq!(count(&db, "t").await, 0);
    assert_whole(&db).await;
}

#[tokio::test]
async fn a_stream() {
    let db = table(2).await;
    let aborted = abort_at_every_poll(&db, || async {
        let sql = "select g from generate_series(1, 30000) as g";
        let mut rows = db.stream_as::<(i32,)>(sql, ()).await.unwrap();
        let mut sum = 0_i64;
        while let Some((number,)) = rows.next().await.unwrap() {
            sum += i64::from(number);
        }
        assert_eq!(sum, 450_015_000);
    })
    .await;
    assert!(aborted >= 4, "{aborted}");
}

#[tokio::test]
async fn a_next_that_is_dropped_loses_no_row() {
    let db = table(2).await;
    let sql = "select g from generate_series(1, 3000) as g";
    let mut rows = db
        .stream_as::<(i32,)>(sql, ())
        .await
        .unwrap()
        .fetch_rows(10);
    let (mut expected, mut dropped) = (1, 0);
    loop {
        match abort_at(1, rows.next()).await {
            None => dropped += 1,
            Some(row) => match row.unwrap() {
                Some((number,)) => {
                    assert_eq!(number, expected);
                    expected += 1;
                }
                None => break,
            },
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(expected, 3001);
    assert!(dropped > 100, "{dropped}");
    assert_whole(&db).await;
}

#[tokio::test]
async fn an_insert_of_many_rows() {
    for connections in [1, 4] {
        let db = table(connections).await;
        // Two statements in a transaction.
        let name = "x".repeat(LARGE);
        let aborted = abort_at_every_poll(&db, || async {
            let rows = (0..15).map(|number| (number, &name));
            db.insert_many("t", ["id", "name"], rows).await.unwrap();
        })
        .await;
        assert!(aborted >= 3, "{aborted}");
        assert_eq!(count(&db, "t").await % 15, 0, "a part of the rows");
    }
}

#[tokio::test]
async fn an_insert_of_many_rows_within_a_transaction_that_goes_on() {
    let db = table(2).await;
    let name = "x".repeat(LARGE);
    for polls in 1..100 {
        let tx = db.begin().await.unwrap();
        // Two statements in a savepoint.
        let rows = (0..15).map(|number| (number, &name));
        let insert = tx.insert_many("t", ["id", "name"], rows).into_future();
        let inserted = abort_at(polls, insert).await.map(Result::unwrap);
        tx.execute("insert into t values (-1)", ()).await.unwrap();
        tx.commit().await.unwrap();
        let rows = count(&db, "t where id >= 0").await;
        assert!(rows == 0 || rows == 15, "{rows} at poll {polls}");
        assert_eq!(count(&db, "t where id < 0").await, 1);
        assert_whole(&db).await;
        db.execute("truncate t", ()).await.unwrap();
        if let Some(inserted) = inserted {
            assert_eq!((inserted, rows), (15, 15));
            assert!(polls > 4, "only {polls} polls");
            return;
        }
    }
    panic!("never done");
}
