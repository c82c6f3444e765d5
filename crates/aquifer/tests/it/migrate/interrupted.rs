//! Runs that are dropped at each poll, or whose connections end at each message: a file without a
//! transaction is done, not begun, or told as dirty; any other is done or has left nothing.

use std::time::Duration;

use aquifer::migrate::Migrator;
use aquifer::{Config, Db, ErrorKind, MigrationProblem, Session};
use aquifer_testkit::{Cut, Direction, Ending};

use super::of;
use crate::support::{self, proxied};

const LIMIT: Duration = Duration::from_secs(20);

const LOG: &str =
    "create table log (version int);\ninsert into log values (1);\ninsert into log values (1)";

fn whole() -> Migrator {
    of(&[("1_log.sql", LOG)])
}

fn alone() -> Migrator {
    of(&[("1_log.sql", &format!("-- no-transaction\n{LOG}"))])
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

/// What the file has made is what the table says about it.
async fn assert_consistent(db: &Db, alone: bool) {
    let exists = "select to_regclass('_sqlx_migrations') is not null";
    let noted = if super::value::<bool>(db, exists).await {
        super::noted(db).await
    } else {
        Vec::new()
    };
    let log = super::value::<bool>(db, "select to_regclass('log') is not null").await;
    match noted.as_slice() {
        [] => assert!(!log),
        [(1, true)] => assert_eq!(super::value::<i64>(db, "select count(*) from log").await, 2),
        [(1, false)] => assert!(alone),
        other => panic!("{other:?}"),
    }
}

/// Runs again after an interruption: that ends the work, or says why not.
async fn run_again(migrator: &Migrator, db: &Db, alone: bool) -> bool {
    let outcome = migrator.up(db).await;
    assert_consistent(db, alone).await;
    match outcome {
        Ok(_) => {
            assert_eq!(super::noted(db).await, [(1, true)]);
            false
        }
        Err(error) => {
            let problem = error.migration().map(|fault| fault.problem());
            assert!(alone, "{error}");
            assert_eq!(problem, Some(MigrationProblem::Dirty), "{error}");
            true
        }
    }
}

async fn drop_at_each_poll(migrator: Migrator, alone: bool) {
    let db = support::db_of(4).await;
    let mut dirty = 0;
    for polls in 1..300 {
        forget(&db).await;
        let done = support::abort_at(polls, migrator.up(&db)).await;
        support::assert_whole(&db).await;
        assert_consistent(&db, alone).await;
        dirty += usize::from(run_again(&migrator, &db, alone).await);
        if done.is_some() {
            assert!(polls > 5, "{polls}");
            assert_eq!(dirty > 0, alone, "interrupted in the middle: {dirty}");
            return;
        }
    }
    panic!("never done");
}

#[tokio::test]
async fn dropped_at_each_poll_in_a_transaction() {
    drop_at_each_poll(whole(), false).await;
}

#[tokio::test]
async fn dropped_at_each_poll_without_a_transaction() {
    drop_at_each_poll(alone(), true).await;
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
            run_again(&migrator, &db, alone).await;
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
    cut_at_each_message(alone(), true).await;
}
