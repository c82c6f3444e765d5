//! Work under a key is done at most once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aquifer::{Batch, Db, Error, ErrorKind, Resolved, Retry, Session, TransactionOptions};
use aquifer_testkit::{Cut, Direction, Login, Postgres};

use crate::support::{self, abort_at};

async fn table(connections: u32) -> Db {
    let db = support::db_of(connections).await;
    db.execute_script("create table t (a int)").await.unwrap();
    db
}

async fn rows(db: &Db) -> i64 {
    db.query_value("select count(*) from t", ()).await.unwrap()
}

fn is_done<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyDone, "{error}");
}

#[tokio::test]
async fn each_form_of_work_is_done_once() {
    // With one connection, the table must be made without a second one.
    for connections in [1, 4] {
        let db = table(connections).await;
        let insert = "insert into t values ($1)";
        assert_eq!(db.idempotent("one").execute(insert, (1,)).await.unwrap(), 1);
        is_done(db.idempotent("one").execute(insert, (1,)).await);
        let batch = || Batch::new().add(insert, (1,)).add(insert, (2,));
        assert_eq!(db.idempotent("two").batch(batch()).await.unwrap(), [1, 1]);
        is_done(db.idempotent("two").batch(batch()).await);
        let runs = AtomicU32::new(0);
        for _ in 0..2 {
            let outcome = db
                .idempotent("three")
                .with_transaction(async |tx| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    tx.execute(insert, (3,)).await
                })
                .await;
            if outcome.is_err() {
                is_done(outcome);
            }
        }
        assert_eq!(runs.into_inner(), 1, "the closure is not called again");
        db.idempotent("four")
            .execute_script("insert into t values (4); insert into t values (5)")
            .await
            .unwrap();
        let begun = db
            .idempotent("four")
            .begin_with(TransactionOptions::new())
            .await;
        is_done(begun);
        assert_eq!(rows(&db).await, 6);
        for key in ["", &"x".repeat(513), "a\0b"] {
            let error = db.idempotent(key).execute(insert, (1,)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
        support::assert_whole(&db).await;
    }
}

#[tokio::test]
async fn a_key_is_free_again_when_its_work_was_rolled_back() {
    let db = table(4).await;
    let work = db.idempotent("order");
    for _ in 0..2 {
        let tx = work.begin_with(TransactionOptions::new()).await.unwrap();
        tx.execute("insert into t values (1)", ()).await.unwrap();
        tx.rollback().await.unwrap();
        work.execute("insert into t values (1 / 0)", ())
            .await
            .unwrap_err();
    }
    // Within a transaction the key belongs to it.
    let failed: Result<(), Error> = db
        .with_transaction(async |tx| {
            work.execute("insert into t values (2)", ()).await?;
            is_done(work.execute("insert into t values (2)", ()).await);
            tx.execute("select 1 / 0", ()).await.map(drop)
        })
        .await;
    failed.unwrap_err();
    work.execute("insert into t values (3)", ()).await.unwrap();
    assert_eq!(rows(&db).await, 1);
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_do_it_once() {
    let db = table(6).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..24 {
        let db = db.clone();
        tasks.spawn(async move {
            let work = db.idempotent("shared");
            match number % 2 {
                0 => work.execute("insert into t values (1)", ()).await,
                _ => {
                    work.with_transaction(async |tx| {
                        tx.execute("insert into t values (1)", ()).await
                    })
                    .await
                }
            }
        });
    }
    let mut done = 0;
    for outcome in tasks.join_all().await {
        match outcome {
            Ok(_) => done += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyDone, "{error}"),
        }
    }
    assert_eq!((done, rows(&db).await), (1, 1));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_write_whose_answer_was_cut_is_sent_again_and_takes_effect_once() {
    let (proxy, db) = support::proxied(|config| config).await;
    db.execute_script("create table t (a int)").await.unwrap();
    let insert = "insert into t values ($1)";
    db.idempotent("known").execute(insert, (0,)).await.unwrap();
    for (number, cut) in [
        Cut::before(Direction::ToServer, b'B').nth(2),
        Cut::before(Direction::ToClient, b'C').containing("INSERT"),
        Cut::before(Direction::ToClient, b'Z'),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("key {number}");
        proxy.cut(cut);
        let outcome = db.idempotent(&*key).execute(insert, (1,)).await;
        proxy.clear_cuts();
        // Either it was not done, and then the second attempt did it; or it was.
        if outcome.is_err() {
            is_done(outcome);
        }
        is_done(db.idempotent(&*key).execute(insert, (1,)).await);
        assert_eq!(rows(&db).await, i64::try_from(number).unwrap() + 2);
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_write_whose_answer_was_cut_stays_unknown_when_it_can_not_be_sent_again() {
    let (proxy, db) = support::proxied(|config| {
        config
            .connections_max(1)
            .acquire_timeout(Duration::from_millis(300))
    })
    .await;
    db.execute_script("create table t (a int)").await.unwrap();
    let insert = "insert into t values ($1)";
    db.idempotent("known").execute(insert, (0,)).await.unwrap();
    // It is done, and there is no connection for another attempt.
    proxy.refuse();
    proxy.cut(Cut::before(Direction::ToClient, b'C').containing("INSERT"));
    let lost = db.idempotent("lost").execute(insert, (1,)).await;
    let error = lost.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Unknown, Retry::IfIdempotent),
        "{error}"
    );
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert!(cause.is_some_and(|cause| cause.contains("no connection")));
    proxy.accept();
    let commit = error.unknown_commit().expect("it has a key");
    let resolved = tokio::time::timeout(support::PATIENCE, async {
        loop {
            if let Ok(resolved) = db.resolve(commit).await {
                return resolved;
            }
        }
    });
    assert_eq!(resolved.await.unwrap(), Resolved::Committed);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn keys_are_forgotten_when_they_are_old() {
    let db = table(4).await;
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(db.forget_idempotency_keys(day).await.unwrap(), 0);
    for key in ["one", "two"] {
        db.idempotent(key)
            .execute("insert into t values (1)", ())
            .await
            .unwrap();
    }
    db.execute(
        "update aquifer.idempotency set done_at = done_at - interval '2 days' where key = 'one'",
        (),
    )
    .await
    .unwrap();
    assert_eq!(db.forget_idempotency_keys(day).await.unwrap(), 1);
    is_done(db.idempotent("two").execute("select 1", ()).await);
    db.idempotent("one")
        .execute("insert into t values (1)", ())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_table_that_was_made_without_an_index_gets_one_when_keys_are_forgotten() {
    let db = table(2).await;
    let index = async || -> i64 {
        let sql = "select count(*) from pg_index where indisvalid \
                   and indexrelid = to_regclass('aquifer.idempotency_done_at')";
        db.query_value(sql, ()).await.unwrap()
    };
    let day = Duration::from_secs(24 * 3600);
    db.execute_script(
        "create schema aquifer; create table aquifer.idempotency \
         (key text primary key, done_at timestamptz not null default clock_timestamp())",
    )
    .await
    .unwrap();
    let insert = "insert into t values (1)";
    db.idempotent("one").execute(insert, ()).await.unwrap();
    assert_eq!(index().await, 0);
    for _ in 0..2 {
        assert_eq!(db.forget_idempotency_keys(day).await.unwrap(), 0);
        assert_eq!(index().await, 1);
    }
    // A new table has it from the beginning.
    db.execute_script("drop schema aquifer cascade")
        .await
        .unwrap();
    db.idempotent("two").execute(insert, ()).await.unwrap();
    assert_eq!(index().await, 1);
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_to_run() {
    let server = Postgres::start();
    let url = server.login_url(Login::Trust);
    let db = Db::connect(&url).await.unwrap();
    let work = db.idempotent("order");
    let denied = async || {
        let one = work.execute("select 1", ()).await.unwrap_err();
        let other = work
            .begin_with(TransactionOptions::new())
            .await
            .unwrap_err();
        for error in [one, other] {
            assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
            for part in ["create schema", "create table", "grant"] {
                assert!(error.to_string().contains(part), "{part}: {error}");
            }
        }
    };
    denied().await;
    let made = Db::connect(server.url()).await.unwrap();
    made.idempotent("other")
        .execute("select 1", ())
        .await
        .unwrap();
    denied().await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn aborted_at_each_poll_it_is_done_whole_or_not_at_all() {
    for connections in [1, 4] {
        let db = table(connections).await;
        for form in 0..3 {
            for polls in 1..120 {
                let key = format!("{form} {polls}");
                let work = db.idempotent(&*key);
                let insert = "insert into t values ($1)";
                let done = match form {
                    0 => abort_at(polls, work.execute(insert, (1,))).await.is_some(),
                    1 => {
                        let all = work.with_transaction(async |tx| tx.execute(insert, (1,)).await);
                        abort_at(polls, all).await.is_some()
                    }
                    _ => abort_at(polls, db.forget_idempotency_keys(Duration::from_secs(3600)))
                        .await
                        .is_some(),
                };
                support::assert_whole(&db).await;
                let keys: i64 = db
                    .query_value(
                        "select count(*) from pg_class where oid = to_regclass('aquifer.idempotency')",
                        (),
                    )
                    .await
                    .unwrap();
                if keys == 1 {
                    let keys: i64 = db
                        .query_value("select count(*) from aquifer.idempotency", ())
                        .await
                        .unwrap();
                    assert_eq!(keys, rows(&db).await, "{form}, poll {polls}");
                }
                if done {
                    break;
                }
            }
        }
    }
}

/// How many keys there are; none where their table is missing.
async fn keys(db: &Db) -> i64 {
    let table = "select count(*) from pg_class where oid = to_regclass('aquifer.idempotency')";
    if db.query_value::<i64>(table, ()).await.unwrap() == 0 {
        return 0;
    }
    let keys = "select count(*) from aquifer.idempotency";
    db.query_value(keys, ()).await.unwrap()
}

/// One of the forms of work under a key, aborted at a poll; whether it was done before.
async fn aborted(work: &aquifer::Idempotent, form: usize, polls: usize) -> bool {
    let insert = "insert into t values ($1)";
    let done = match form {
        0 => abort_at(polls, work.execute(insert, (1,))).await,
        1 => {
            let batch = work.batch(Batch::new().add(insert, (1,)));
            let done = abort_at(polls, batch).await;
            done.map(|affected| affected.map(|affected| affected.iter().sum()))
        }
        2 => {
            let script = work.execute_script("insert into t values (1)");
            let done = abort_at(polls, script).await;
            done.map(|done| done.map(|()| 1))
        }
        3 => abort_at(polls, work.insert_many("t", ["a"], [(1,)]).into_future()).await,
        _ => {
            let all = work.with_transaction(async |tx| tx.execute(insert, (1,)).await);
            abort_at(polls, all).await
        }
    };
    done.is_some_and(|affected| affected.unwrap() == 1)
}

#[tokio::test]
async fn aborted_at_each_poll_within_a_transaction_it_is_whole_and_the_transaction_goes_on() {
    for connections in [1, 4] {
        let db = table(connections).await;
        db.execute("create table other (a int)", ()).await.unwrap();
        let mut transactions = 0;
        for form in 0..5 {
            for polls in 1..120 {
                let work = db.idempotent(format!("{form} {polls}"));
                let done = db
                    .with_transaction(async |tx| {
                        let done = aborted(&work, form, polls).await;
                        tx.execute("insert into other values (1)", ()).await?;
                        Ok::<_, Error>(done)
                    })
                    .await
                    .unwrap();
                transactions += 1;
                support::assert_whole(&db).await;
                assert_eq!(keys(&db).await, rows(&db).await, "{form}, poll {polls}");
                if done {
                    assert!(polls > 3, "form {form}: only {polls} polls");
                    break;
                }
            }
        }
        let others: i64 = db
            .query_value("select count(*) from other", ())
            .await
            .unwrap();
        assert_eq!(others, transactions);
    }
}

#[tokio::test]
async fn the_first_key_of_all_may_be_used_within_a_transaction_on_the_only_connection() {
    let db = table(1).await;
    db.with_transaction(async |_| {
        let work = db.idempotent("first");
        work.execute("insert into t values (1)", ()).await
    })
    .await
    .unwrap();
    assert_eq!(rows(&db).await, 1);
    let again = db.idempotent("first");
    is_done(again.execute("insert into t values (1)", ()).await);
}
