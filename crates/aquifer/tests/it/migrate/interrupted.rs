//! Runs that are dropped at each poll, or whose connections end at each message: a file without a
//! transaction is done, not begun, or told as dirty; any other is done or has left nothing.

use std::time::Duration;

use aquifer::migrate::Migrator;
use aquifer::{Config, Db, ErrorKind, MigrationProblem, Session};
use aquifer_testkit::{Cut, Direction, Ending};

use super::of;
use crate::support::{self, abort_at_every_poll, proxied};

const LIMIT: Duration = Duration::from_secs(20);

fn whole() -> Migrator {
    of(&[
        ("1_log.sql", "create table log (version int)"),
        (
            "2_two.sql",
            "insert into log values (2);\ninsert into log values (2)",
        ),
    ])
}

fn with_alone() -> Migrator {
    of(&[
        ("1_log.sql", "create table log (version int)"),
        (
            "2_two.sql",
            "-- no-transaction\ninsert into log values (2);\ninsert into log values (2)",
        ),
    ])
}

async fn forget(db: &Db) {
    let sql = "drop table if exists log, _sqlx_migrations";
    for _ in 0..100 {
        if db.execute_script(sql).await.is_ok() {
            return;
        }
    }
    panic!("the pool never works again");
}

/// How many rows each version has made, and what the table says about it.
async fn assert_consistent(db: &Db, alone: bool) {
    let exists = "select to_regclass('_sqlx_migrations') is not null";
    if !super::value::<bool>(db, exists).await {
        return;
    }
    let noted = super::noted(db).await;
    let log = super::value::<bool>(db, "select to_regclass('log') is not null").await;
    assert_eq!(log, noted.iter().any(|(version, _)| *version == 1));
    if !log {
        return;
    }
    let rows: i64 = super::value(db, "select count(*) from log").await;
    match noted.iter().find(|(version, _)| *version == 2) {
        None => assert_eq!(rows, 0),
        Some((_, true)) => assert_eq!(rows, 2),
        Some((_, false)) => assert!(alone && rows <= 2),
    }
}

#[tokio::test]
async fn dropped_at_each_poll_in_a_transaction() {
    let db = support::db_of(4).await;
    let migrator = whole();
    let aborted = abort_at_every_poll(&db, || {
        let (db, migrator) = (db.clone(), migrator.clone());
        async move {
            forget(&db).await;
            migrator.up(&db).await.unwrap()
        }
    })
    .await;
    assert!(aborted > 10, "{aborted}");
    for polls in 1..200 {
        forget(&db).await;
        let done = support::abort_at(polls, migrator.up(&db)).await;
        support::assert_whole(&db).await;
        assert_consistent(&db, false).await;
        migrator.up(&db).await.unwrap();
        assert_eq!(super::noted(&db).await, [(1, true), (2, true)]);
        assert_consistent(&db, false).await;
        if done.is_some() {
            return;
        }
    }
    panic!("never done");
}

#[tokio::test]
async fn dropped_at_each_poll_without_a_transaction() {
    let db = support::db_of(4).await;
    let migrator = with_alone();
    let mut dirty = 0;
    for polls in 1..300 {
        forget(&db).await;
        let done = support::abort_at(polls, migrator.up(&db)).await;
        support::assert_whole(&db).await;
        assert_consistent(&db, true).await;
        if let Err(error) = migrator.up(&db).await {
            let problem = error.migration().map(|fault| fault.problem());
            assert_eq!(problem, Some(MigrationProblem::Dirty), "{error}");
            dirty += 1;
        }
        assert_consistent(&db, true).await;
        if done.is_some() {
            assert!(dirty > 0, "none was interrupted in the middle");
            return;
        }
    }
    panic!("never done");
}

/// Each run is cut at the first message, the second, and so on until none is met.
async fn cut_at_each_message(migrator: Migrator, alone: bool) {
    let change = |config: Config| config.connections_max(4);
    let (proxy, db) = proxied(change).await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        let mut met = 0;
        for (nth, ending) in (1..).zip([Ending::Close, Ending::Reset].into_iter().cycle()) {
            forget(&db).await;
            let made = proxy.traffic().cuts();
            proxy.cut(Cut::before_any(direction).nth(nth).with(ending));
            let outcome = tokio::time::timeout(LIMIT, migrator.up(&db)).await;
            proxy.clear_cuts();
            let was_cut = proxy.traffic().cuts() > made;
            let outcome = outcome.unwrap_or_else(|_| panic!("{direction:?} {nth}: it hangs"));
            if let Err(error) = &outcome {
                let kinds = [
                    ErrorKind::Connection,
                    ErrorKind::Unknown,
                    ErrorKind::Acquire,
                ];
                let is_dirty =
                    error.migration().map(|fault| fault.problem()) == Some(MigrationProblem::Dirty);
                assert!(
                    kinds.contains(&error.kind()) || is_dirty,
                    "{direction:?} {nth}: {error:?}"
                );
            }
            tokio::time::timeout(LIMIT, async {
                while db.query("select 1", ()).await.is_err() {}
            })
            .await
            .expect("the pool is usable again");
            assert_consistent(&db, alone).await;
            match migrator.up(&db).await {
                Ok(_) => assert_eq!(super::noted(&db).await, [(1, true), (2, true)]),
                Err(error) => {
                    let problem = error.migration().map(|fault| fault.problem());
                    assert!(alone, "{direction:?} {nth}: {error}");
                    assert_eq!(problem, Some(MigrationProblem::Dirty), "{error}");
                }
            }
            assert_consistent(&db, alone).await;
            if !was_cut {
                break;
            }
            met = nth;
        }
        assert!(met > 5, "{direction:?}: only {met} cuts were met");
    }
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_at_each_message_in_a_transaction() {
    cut_at_each_message(whole(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_at_each_message_without_a_transaction() {
    cut_at_each_message(with_alone(), true).await;
}
