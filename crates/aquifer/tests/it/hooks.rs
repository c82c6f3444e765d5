//! What runs once a transaction is known to be committed.

use std::sync::{Arc, Mutex};

use aquifer::{Db, Error, ErrorKind, Session, Transaction};
use aquifer_testkit::{Cut, Direction};

use crate::support::{self, abort_at};

/// Which hooks have run, in order.
#[derive(Clone, Default)]
struct Ran(Arc<Mutex<Vec<&'static str>>>);

impl Ran {
    fn hook(&self, tx: &Transaction, name: &'static str) {
        let ran = self.clone();
        tx.on_commit(async move {
            tokio::task::yield_now().await;
            ran.0.lock().unwrap().push(name);
        })
        .unwrap();
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

async fn table(connections: u32) -> Db {
    let db = support::db_of(connections).await;
    db.execute_script("create table t (a int primary key)")
        .await
        .unwrap();
    db
}

#[tokio::test]
async fn hooks_run_in_order_after_the_commit_and_never_after_a_rollback() {
    let db = table(2).await;
    let ran = Ran::default();
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t values (1)", ()).await.unwrap();
    ran.hook(&tx, "first");
    ran.hook(&tx.clone(), "second");
    assert!(ran.take().is_empty());
    tx.commit().await.unwrap();
    assert_eq!(ran.take(), ["first", "second"]);
    let tx = db.begin().await.unwrap();
    ran.hook(&tx, "rolled back");
    tx.rollback().await.unwrap();
    let tx = db.begin().await.unwrap();
    ran.hook(&tx, "dropped");
    drop(tx);
    let tx = db.begin().await.unwrap();
    ran.hook(&tx, "refused");
    tx.execute("insert into t values (1)", ())
        .await
        .unwrap_err();
    tx.commit().await.unwrap_err();
    let failed: Result<(), Error> = db
        .with_transaction(async |tx| {
            ran.hook(&tx, "failed");
            tx.execute("insert into t values (1)", ()).await.map(drop)
        })
        .await;
    failed.unwrap_err();
    assert!(ran.take().is_empty());
    // A transaction that did nothing is committed all the same.
    let tx = db.begin().await.unwrap();
    ran.hook(&tx, "nothing");
    let late = tx.clone();
    tx.commit().await.unwrap();
    assert_eq!(ran.take(), ["nothing"]);
    let error = late.on_commit(async {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_savepoints_hooks_share_its_fate() {
    let db = table(2).await;
    let ran = Ran::default();
    db.with_transaction(async |tx| {
        ran.hook(&tx, "before");
        let kept = tx.begin().await?;
        ran.hook(&kept, "kept");
        let inner = kept.begin().await?;
        ran.hook(&inner, "taken back");
        inner.rollback().await?;
        let inner = kept.begin().await?;
        ran.hook(&inner, "kept within");
        inner.commit().await?;
        kept.commit().await?;
        let dropped = tx.begin().await?;
        ran.hook(&dropped, "dropped");
        drop(dropped);
        db.with_transaction(async |nested| {
            ran.hook(&nested, "nested");
            Ok::<_, Error>(())
        })
        .await?;
        ran.hook(&tx, "after");
        assert!(ran.take().is_empty());
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(
        ran.take(),
        ["before", "kept", "kept within", "nested", "after"]
    );
}

#[tokio::test]
async fn a_hook_stands_outside_of_every_transaction_and_may_fail() {
    // One connection: the transaction's must be free when its hooks run.
    let db = table(1).await;
    let ran = Ran::default();
    db.with_transaction(async |tx| {
        tx.execute("insert into t values (1)", ()).await?;
        tx.on_commit(async { panic!("the panic that is wanted") })?;
        let inside = db.clone();
        tx.on_commit(async move {
            let seen: i64 = inside
                .query_value("select count(*) from t", ())
                .await
                .unwrap();
            assert_eq!(seen, 1);
            inside
                .execute("insert into t values (2)", ())
                .await
                .unwrap();
        })?;
        ran.hook(&tx, "last");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(ran.take(), ["last"]);
    let rows: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
    assert_eq!(rows, 2);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn hooks_run_when_the_caller_has_gone_and_when_the_answer_was_lost() {
    let db = table(2).await;
    let ran = Ran::default();
    for polls in 1..30 {
        let tx = db.begin().await.unwrap();
        tx.execute(
            "insert into t values ($1)",
            (i32::try_from(polls).unwrap(),),
        )
        .await
        .unwrap();
        ran.hook(&tx, "run");
        let done = abort_at(polls, tx.commit()).await;
        support::until("the hook has run", || !ran.take().is_empty()).await;
        support::assert_whole(&db).await;
        if done.is_some() {
            assert!(polls > 2, "a commit that never waits shows nothing");
            break;
        }
    }
    let (proxy, db) = support::proxied(|config| config).await;
    db.execute_script("create table t (a int)").await.unwrap();
    for (cut, runs) in [
        (
            Cut::before(Direction::ToClient, b'C').containing("COMMIT"),
            1,
        ),
        (
            Cut::before(Direction::ToServer, b'Q').containing("commit"),
            0,
        ),
    ] {
        let tx = db.begin().await.unwrap();
        tx.execute("insert into t values (1)", ()).await.unwrap();
        ran.hook(&tx, "run");
        proxy.cut(cut);
        let outcome = tx.commit().await;
        assert_eq!((outcome.is_ok(), ran.take().len()), (runs == 1, runs));
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_closure_that_is_dropped_gives_its_connection_back_whatever_its_hooks_hold() {
    let db = table(1).await;
    for panics in [true, false] {
        let given = Arc::new(tokio::sync::Notify::new());
        let work = tokio::spawn({
            let (db, given) = (db.clone(), Arc::clone(&given));
            async move {
                db.with_transaction(async |tx| {
                    tx.execute("insert into t values (1)", ()).await?;
                    let held = tx.clone();
                    tx.on_commit(async move { drop(held) })?;
                    given.notify_one();
                    assert!(!panics, "the panic that is wanted");
                    std::future::pending::<Result<(), Error>>().await
                })
                .await
            }
        });
        given.notified().await;
        work.abort();
        work.await.unwrap_err();
        support::assert_whole(&db).await;
    }
}
