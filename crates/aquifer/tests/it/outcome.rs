//! What became of a COMMIT whose answer was lost.

use std::time::Duration;

use aquifer::{Config, Db, Error, ErrorKind, Resolved, Retry, Session, TransactionOptions};
use aquifer_testkit::{Cut, Direction, Mode, Postgres, Proxy, Shutdown};

use crate::support::{self, proxied};

/// For a COMMIT only: whoever resolves it has time.
fn impatient(config: Config) -> Config {
    config
        .query_timeout(support::PATIENCE)
        .acquire_timeout(support::PATIENCE)
        .connect_timeout(Duration::from_secs(5))
        .advanced(|advanced| advanced.commit_timeout(Duration::from_secs(1)))
}

async fn table(change: impl FnOnce(Config) -> Config) -> (Proxy, Db) {
    let (proxy, db) = proxied(change).await;
    db.execute_script(
        "create table t (a int); \
         create function note() returns int language sql volatile \
           as 'insert into t values (1) returning a'",
    )
    .await
    .unwrap();
    (proxy, db)
}

async fn rows(db: &Db) -> i64 {
    db.query_value("select count(*) from t", ()).await.unwrap()
}

#[tokio::test]
async fn a_commit_that_falls_silent_is_unknown_and_resolved_when_the_network_is_back() {
    for (direction, expected, kept) in [
        (Direction::ToClient, Resolved::Committed, 1),
        (Direction::ToServer, Resolved::RolledBack, 0),
    ] {
        let (proxy, db) = table(impatient).await;
        let tx = db.begin().await.unwrap();
        tx.execute("insert into t values (1)", ()).await.unwrap();
        proxy.set_direction(direction, Mode::BlackHole);
        let error = tx.commit().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Unknown, Retry::IfIdempotent),
            "{error}"
        );
        let unknown = error.unknown_commit().expect("it has a number").clone();
        assert!(unknown.xid().is_some(), "{unknown:?}");
        assert_eq!(unknown.timeline(), Some(1));
        if direction == Direction::ToServer {
            // What is held back must never arrive.
            proxy.cut_all(aquifer_testkit::Ending::Reset);
        }
        proxy.set(Mode::Pass);
        assert_eq!(db.resolve(&unknown).await.unwrap(), expected);
        assert_eq!(rows(&db).await, kept);
        support::assert_whole(&db).await;
    }
}

#[tokio::test]
async fn the_number_is_known_however_the_write_was_made() {
    let (proxy, db) = table(|config| config).await;
    for round in 0..2 {
        for way in 0..7 {
            let tx = db.begin().await.unwrap();
            match way {
                0 => drop(tx.query("select note()", ()).await.unwrap()),
                1 => tx.execute_script("insert into t values (1)").await.unwrap(),
                2 => {
                    tx.query("select a from t", ()).await.unwrap();
                    tx.execute("insert into t values (1)", ()).await.unwrap();
                }
                3 => {
                    tx.execute("set transaction isolation level serializable", ())
                        .await
                        .unwrap();
                    tx.execute("set transaction read write", ()).await.unwrap();
                    let savepoint = tx.begin().await.unwrap();
                    savepoint
                        .execute("insert into t values (1)", ())
                        .await
                        .unwrap();
                    savepoint.commit().await.unwrap();
                }
                4 => {
                    let mut notes = tx.stream("select note()", ()).await.unwrap();
                    while notes.next().await.unwrap().is_some() {}
                }
                5 => {
                    tx.query("select a from t", ()).await.unwrap();
                    let dropped = tx.execute("insert into t values (1)", ());
                    assert!(support::abort_at(1, dropped).await.is_none());
                }
                _ => {
                    let batch = aquifer::Batch::new()
                        .add("select 1", ())
                        .add("insert into t values (1)", ());
                    tx.batch(batch).await.unwrap();
                }
            }
            proxy.cut(Cut::before(Direction::ToClient, b'C').containing("COMMIT"));
            let outcome = tx.commit().await;
            proxy.clear_cuts();
            outcome.unwrap_or_else(|error| panic!("{round}, {way}: {error:?}"));
            assert_eq!(rows(&db).await, 1, "{round}, {way}");
            db.execute("delete from t", ()).await.unwrap();
        }
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_read_only_transaction_whose_commit_is_lost_may_be_run_again() {
    let (proxy, db) = table(impatient).await;
    let tx = db
        .begin_with(TransactionOptions::new().read_only())
        .await
        .unwrap();
    tx.query("select a from t", ()).await.unwrap();
    proxy.cut(Cut::before(Direction::ToServer, b'Q').containing("commit"));
    let error = tx.commit().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Connection, Retry::Safe)
    );
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_transaction_that_was_only_begun_as_read_only_is_not_said_to_have_changed_nothing() {
    let (proxy, db) = table(impatient).await;
    for scripted in [false, true] {
        let options = TransactionOptions::new().read_only();
        let tx = db.begin_with(options).await.unwrap();
        if scripted {
            let script = "set transaction read write; insert into t values (1)";
            tx.execute_script(script).await.unwrap();
        } else {
            tx.execute("set transaction read write", ()).await.unwrap();
            tx.execute("insert into t values (1)", ()).await.unwrap();
        }
        proxy.cut(Cut::before(Direction::ToClient, b'C').containing("COMMIT"));
        let error = tx.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
        proxy.clear_cuts();
    }
    assert_eq!(rows(&db).await, 2);
}

#[tokio::test]
async fn a_closure_whose_commit_was_lost_on_its_way_is_run_again() {
    let (proxy, db) = table(|config| config).await;
    let runs = std::sync::atomic::AtomicU32::new(0);
    db.with_transaction(async |tx| {
        let first = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        tx.execute("insert into t values (1)", ()).await?;
        if first {
            proxy.cut(Cut::before(Direction::ToServer, b'Q').containing("commit"));
        }
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!((runs.into_inner(), rows(&db).await), (2, 1));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_dead_synchronous_standby_ends_in_unknown_and_not_in_a_hang() {
    let server = Postgres::start();
    let config = impatient(Config::from_url(server.url()).unwrap());
    let db = Db::connect_with(&config).await.unwrap();
    db.execute("create table t (a int)", ()).await.unwrap();
    server.psql("alter system set synchronous_standby_names = 'nobody'");
    server.psql("select pg_reload_conf()");
    let shown = async || {
        db.query_value::<String>("show synchronous_standby_names", ())
            .await
    };
    let reloaded = tokio::time::timeout(support::PATIENCE, async {
        while shown().await.unwrap() != "nobody" {}
    });
    reloaded.await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t values (1)", ()).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
    assert!(error.to_string().contains("commit_timeout"), "{error}");
    support::until("its connection is given up", || {
        db.pool_status().in_use == 0
    })
    .await;
    let waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
    assert_eq!(server.psql(waiting), "1", "the wait was not cancelled");
    let unknown = error.unknown_commit().unwrap();
    server.psql("alter system reset synchronous_standby_names");
    server.psql("select pg_reload_conf()");
    assert_eq!(db.resolve(unknown).await.unwrap(), Resolved::Committed);
    support::assert_whole(&db).await;
}

/// Ends the server, hard or not, between COMMIT's arrival and its answer.
async fn lose_the_server(
    arrives: bool,
    mode: Option<Shutdown>,
    key: Option<&str>,
) -> (Result<(), Error>, Db, i64) {
    let server = Postgres::start();
    let proxy = Proxy::to_postgres(&server);
    let config = support::config(proxy.through(server.tcp_url()));
    let db = Db::connect_with(&config).await.unwrap();
    db.execute("create table t (a int)", ()).await.unwrap();
    let tx = match key {
        Some(key) => {
            db.idempotent(key)
                .begin_with(TransactionOptions::new())
                .await
        }
        None => db.begin().await,
    };
    let tx = tx.unwrap();
    tx.execute("insert into t values (1)", ()).await.unwrap();
    let direction = if arrives {
        Direction::ToClient
    } else {
        Direction::ToServer
    };
    proxy.set_direction(direction, Mode::BlackHole);
    let commit = tokio::spawn(tx.commit());
    let sent = proxy.traffic().bytes(Direction::ToServer);
    if arrives {
        let count = || server.psql("select count(*) from t") == "1";
        support::until("the server has committed", count).await;
    } else {
        // The proxy holds it back; that it holds something is not to be seen.
        tokio::task::yield_now().await;
        assert_eq!(proxy.traffic().bytes(Direction::ToServer), sent);
    }
    match mode {
        Some(mode) => server.shut_down(mode),
        None => server.kill(),
    }
    proxy.cut_all(aquifer_testkit::Ending::Reset);
    proxy.set(Mode::Pass);
    server.start_again();
    let outcome = commit.await.unwrap();
    let kept = server.psql("select count(*) from t").parse().unwrap();
    if let Err(error) = &outcome
        && let Some(unknown) = error.unknown_commit()
    {
        // Numbers that were lost are used again meanwhile.
        for _ in 0..5 {
            server.psql("insert into t select 2 where false; select txid_current()");
        }
        let resolved = db.resolve(unknown).await.unwrap();
        assert!(
            matches!(resolved, Resolved::Unresolvable(_)),
            "{resolved:?}"
        );
    }
    support::assert_whole(&db).await;
    drop(server);
    (outcome, db, kept)
}

#[tokio::test]
async fn a_server_that_crashes_before_commit_arrives_has_rolled_back() {
    let (outcome, _db, kept) = lose_the_server(false, None, None).await;
    assert_eq!(kept, 0);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

#[tokio::test]
async fn a_server_that_crashes_after_commit_leaves_it_unknown_without_a_key() {
    let (outcome, _db, kept) = lose_the_server(true, None, None).await;
    assert_eq!(kept, 1);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
    let (outcome, _db, kept) = lose_the_server(true, None, Some("order 1")).await;
    assert_eq!(kept, 1);
    outcome.expect("the key tells");
}

#[tokio::test]
async fn a_server_that_is_restarted_in_order_keeps_its_word() {
    let (outcome, _db, kept) = lose_the_server(true, Some(Shutdown::Fast), None).await;
    assert_eq!(kept, 1);
    outcome.expect("its numbers go on as before");
}

#[tokio::test]
async fn a_resolve_that_is_dropped_at_any_poll_leaves_nothing() {
    let (proxy, db) = table(impatient).await;
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t values (1)", ()).await.unwrap();
    proxy.set_direction(Direction::ToClient, Mode::BlackHole);
    let error = tx.commit().await.unwrap_err();
    proxy.set(Mode::Pass);
    let unknown = error.unknown_commit().unwrap();
    let aborted = support::abort_at_every_poll(&db, || async {
        assert_eq!(db.resolve(unknown).await.unwrap(), Resolved::Committed);
    })
    .await;
    assert!(aborted >= 1);
}

#[tokio::test]
async fn a_restart_within_a_closure_runs_it_again_and_nothing_twice() {
    for mode in [Shutdown::Fast, Shutdown::Immediate] {
        let server = Postgres::start();
        let db = Db::connect(server.url()).await.unwrap();
        db.execute("create table t (a int)", ()).await.unwrap();
        let runs = std::sync::atomic::AtomicU32::new(0);
        db.with_transaction(async |tx| {
            let first = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            tx.execute("insert into t values (1)", ()).await?;
            if first {
                server.restart(mode);
            }
            tx.execute("insert into t values (2)", ()).await
        })
        .await
        .unwrap();
        assert_eq!((runs.into_inner(), rows(&db).await), (2, 2));
        support::assert_whole(&db).await;
    }
}

#[tokio::test]
async fn a_lost_commit_leaves_a_pool_of_one_whole() {
    let (proxy, db) = table(|config| config.connections_max(1)).await;
    for polls in 1..40 {
        let tx = db.begin().await.unwrap();
        tx.execute("insert into t values (1)", ()).await.unwrap();
        proxy.cut(Cut::before(Direction::ToClient, b'C').containing("COMMIT"));
        let done = support::abort_at(polls, tx.commit()).await;
        let expected = i64::try_from(polls).unwrap();
        let kept = async || -> bool { rows(&db).await == expected };
        while !kept().await {}
        proxy.clear_cuts();
        support::assert_whole(&db).await;
        if let Some(outcome) = done {
            outcome.unwrap();
            return;
        }
    }
    panic!("the commit was never done");
}
