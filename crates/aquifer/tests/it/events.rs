//! What observers are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aquifer::{
    Batch, ConnectionLost, ConnectionOpened, Db, Error, Observer, QueryFinished, Session,
    TransactionFinished,
};

use crate::support::{self, Recorder};

async fn observed(observer: Arc<dyn Observer>) -> Db {
    let config = support::config(support::url()).observer(observer);
    Db::connect_with(&config).await.unwrap()
}

#[tokio::test]
async fn every_call_is_told_wherever_it_runs() {
    let recorder = Recorder::default();
    let db = observed(Arc::new(recorder.clone())).await;
    db.execute("select 'call of the db'", ()).await.unwrap();
    let batch = || {
        Batch::new()
            .add("select 'first of a batch'", ())
            .add("select 'second of a batch'", ())
    };
    db.batch(batch()).await.unwrap();
    db.execute_script("select 'script of the db'")
        .await
        .unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("select 'call of a transaction'", ())
        .await
        .unwrap();
    tx.batch(batch()).await.unwrap();
    tx.execute_script("select 'script of a transaction'")
        .await
        .unwrap();
    tx.execute("select 'failure of a transaction', 1/0", ())
        .await
        .unwrap_err();
    tx.rollback().await.unwrap();
    let session = db.dedicated().await.unwrap();
    session
        .execute("select 'call of a session'", ())
        .await
        .unwrap();
    drop(session);
    let said = recorder.text();
    for part in [
        "call of the db",
        "script of the db",
        "call of a transaction",
        "script of a transaction",
        "call of a session",
    ] {
        assert_eq!(said.matches(part).count(), 1, "{part}: {said}");
    }
    assert_eq!(said.matches("second of a batch").count(), 2, "{said}");
    assert!(said.contains("events.rs"), "where the calls stand: {said}");
    assert!(said.contains("22012"), "why one failed: {said}");
    assert!(said.contains("committed: Some(false)"), "{said}");
}

#[tokio::test]
async fn a_commit_that_nobody_answered_is_neither_committed_nor_not() {
    let recorder = Recorder::default();
    let config = support::config(support::url())
        .observer(Arc::new(recorder.clone()))
        .advanced(|advanced| advanced.commit_timeout(Duration::from_millis(100)));
    let db = Db::connect_with(&config).await.unwrap();
    db.execute_script(
        "create table t (a int); \
         create function slow() returns trigger language plpgsql \
           as 'begin perform pg_sleep(60); return null; end'; \
         create constraint trigger slow after insert on t deferrable initially deferred \
           for each row execute function slow()",
    )
    .await
    .unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t values (1)", ()).await.unwrap();
    tx.commit().await.unwrap_err();
    assert!(
        recorder.text().contains("committed: None"),
        "{}",
        recorder.text()
    );
    support::assert_whole(&db).await;
}

/// Panics whenever it is told something.
struct Panics(AtomicU32);

impl Panics {
    fn panic(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("an observer that panics, as this test wants");
    }
}

impl Observer for Panics {
    fn query_finished(&self, _: &QueryFinished<'_>) {
        self.panic();
    }

    fn connection_opened(&self, _: &ConnectionOpened) {
        self.panic();
    }

    fn connection_lost(&self, _: &ConnectionLost<'_>) {
        self.panic();
    }

    fn transaction_finished(&self, _: &TransactionFinished) {
        self.panic();
    }
}

#[tokio::test]
async fn an_observer_that_panics_harms_nobody_else() {
    let panics = Arc::new(Panics(AtomicU32::new(0)));
    let db = observed(Arc::clone(&panics) as Arc<dyn Observer>).await;
    db.execute("create table t (a int)", ()).await.unwrap();
    db.with_transaction(async |tx| tx.execute("insert into t values (1)", ()).await)
        .await
        .map(drop)
        .map_err(|error: Error| error)
        .expect("it is committed");
    // Connections are opened and lost meanwhile.
    db.query(
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where datname = current_database() and pid <> pg_backend_pid()",
        (),
    )
    .await
    .unwrap();
    support::assert_whole(&db).await;
    assert!(panics.0.load(Ordering::Relaxed) >= 4);
}
