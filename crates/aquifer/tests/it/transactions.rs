//! `begin`, `with_transaction`, savepoints, and the truth about COMMIT.

use std::pin::Pin;
use std::sync::Arc;

use aquifer::{Db, Error, ErrorKind, Isolation, Session, Transaction, TransactionOptions};

use crate::support;

pub(crate) async fn accounts() -> Db {
    let db = support::db().await;
    db.execute_script(
        "create table accounts (id int primary key, balance bigint not null check (balance >= 0)); \
         insert into accounts values (1, 100), (2, 100)",
    )
    .await
    .unwrap();
    db
}

pub(crate) async fn balance(session: &impl Session, id: i32) -> i64 {
    session
        .query_value("select balance from accounts where id = $1", (id,))
        .await
        .unwrap()
}

async fn transfer(tx: &Transaction, amount: i64) -> Result<(), Error> {
    tx.execute(
        "update accounts set balance = balance - $1 where id = 1",
        (amount,),
    )
    .await?;
    tx.execute(
        "update accounts set balance = balance + $1 where id = 2",
        (amount,),
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn what_is_committed_stays_and_what_is_rolled_back_or_dropped_goes() {
    let db = accounts().await;
    let tx = db.begin().await.unwrap();
    transfer(&tx, 10).await.unwrap();
    assert_eq!(balance(&db, 1).await, 100, "nobody else sees it yet");
    tx.commit().await.unwrap();
    assert_eq!((balance(&db, 1).await, balance(&db, 2).await), (90, 110));
    let tx = db.begin().await.unwrap();
    transfer(&tx, 10).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(balance(&db, 1).await, 90);
    let tx = db.begin().await.unwrap();
    transfer(&tx, 10).await.unwrap();
    drop(tx);
    support::assert_whole(&db).await;
    assert_eq!(balance(&db, 1).await, 90);
}

#[tokio::test]
async fn a_closure_commits_on_ok_and_rolls_back_on_err_and_on_panic() {
    let db = accounts().await;
    let left: i64 = db
        .with_transaction(async |tx| {
            transfer(&tx, 10).await?;
            Ok::<_, Error>(balance(&tx, 1).await)
        })
        .await
        .unwrap();
    assert_eq!(left, 90);
    let error = db
        .with_transaction(async |tx| transfer(&tx, 1000).await)
        .await
        .unwrap_err();
    assert_eq!(error.constraint(), Some("accounts_balance_check"));
    assert_eq!(balance(&db, 2).await, 110);
    let panicked = tokio::spawn({
        let db = db.clone();
        async move {
            db.with_transaction(async |tx| {
                transfer(&tx, 10).await?;
                assert!(balance(&tx, 1).await > 80, "the panic that is wanted");
                Ok::<_, Error>(())
            })
            .await
        }
    });
    assert!(panicked.await.is_err());
    support::assert_whole(&db).await;
    assert_eq!(balance(&db, 1).await, 90);
}

/// A service that is generic over who runs its statements.
struct Ledger<S>(S);

impl<S: Session + Sync> Ledger<S> {
    async fn total(&self) -> Result<i64, Error> {
        self.0
            .query_value("select sum(balance)::bigint from accounts", ())
            .await
    }
}

/// A service that is generic over its error.
async fn pay<E: From<Error> + Send>(db: &Db, amount: i64) -> Result<i64, E> {
    db.with_transaction(async |tx| {
        transfer(&tx, amount).await?;
        Ok(amount)
    })
    .await
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A service behind a trait object.
trait Payments: Send + Sync {
    fn pay<'a>(&'a self, amount: &'a i64) -> Boxed<'a, Result<i64, Error>>;
}

impl Payments for Db {
    fn pay<'a>(&'a self, amount: &'a i64) -> Boxed<'a, Result<i64, Error>> {
        Box::pin(async move {
            let reason = format!("payment of {amount}");
            self.with_transaction(async |tx| {
                transfer(&tx, *amount).await?;
                tx.execute("select $1::text", (reason.as_str(),)).await?;
                Ok(*amount)
            })
            .await
        })
    }
}

#[tokio::test]
async fn closures_compile_from_spawn_from_generics_and_behind_boxed_futures() {
    let db = accounts().await;
    let local = String::from("captured");
    let spawned = tokio::spawn({
        let db = db.clone();
        async move {
            let owned = vec![1_i64, 2, 3];
            db.with_transaction(async |tx| {
                for amount in &owned {
                    transfer(&tx, *amount).await?;
                }
                tx.execute("select $1::text", (local.as_str(),)).await?;
                Ok::<_, Error>(owned.len())
            })
            .await
        }
    });
    assert_eq!(spawned.await.unwrap().unwrap(), 3);
    assert_eq!(pay::<Error>(&db, 4).await.unwrap(), 4);
    let boxed: Result<i64, Box<dyn std::error::Error + Send + Sync>> = pay(&db, 5).await;
    assert_eq!(boxed.unwrap(), 5);
    let service: Arc<dyn Payments> = Arc::new(db.clone());
    let paid = tokio::spawn(async move { service.pay(&6).await });
    assert_eq!(paid.await.unwrap().unwrap(), 6);
    assert_eq!(balance(&db, 1).await, 100 - 1 - 2 - 3 - 4 - 5 - 6);
    assert_eq!(Ledger(db.clone()).total().await.unwrap(), 200);
    let tx = db.begin().await.unwrap();
    assert_eq!(Ledger(tx).total().await.unwrap(), 200);
}

#[tokio::test]
async fn a_handle_is_of_no_use_after_the_end() {
    let db = accounts().await;
    let tx = db.begin().await.unwrap();
    let clone = tx.clone();
    tx.commit().await.unwrap();
    for error in [
        clone.execute("select 1", ()).await.unwrap_err(),
        clone.begin().await.unwrap_err(),
        clone.clone().commit().await.unwrap_err(),
        clone.rollback().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Transaction);
        assert!(error.to_string().contains("committed already"), "{error}");
    }
    let mut leaked = None;
    db.with_transaction(async |tx| {
        tx.execute("select 1", ()).await?;
        Ok::<_, Error>(tx)
    })
    .await
    .map(|tx| leaked = Some(tx))
    .unwrap();
    let error = leaked.unwrap().execute("select 1", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn savepoints_nest_and_hold_what_is_around_them() {
    let db = accounts().await;
    let tx = db.begin().await.unwrap();
    transfer(&tx, 1).await.unwrap();
    let outer = tx.begin().await.unwrap();
    transfer(&outer, 10).await.unwrap();
    let error = tx.begin().await.expect_err("one savepoint at a time");
    assert_eq!(error.kind(), ErrorKind::Transaction);
    let error = tx
        .execute("select 1", ())
        .await
        .expect_err("held by the savepoint");
    assert_eq!(error.kind(), ErrorKind::Transaction);
    let error = tx.clone().commit().await.expect_err("a savepoint is open");
    assert_eq!(error.kind(), ErrorKind::Transaction);
    let inner = outer.begin().await.unwrap();
    assert!(
        inner
            .execute("update accounts set balance = -1", ())
            .await
            .is_err()
    );
    inner.rollback().await.unwrap();
    assert_eq!(balance(&outer, 1).await, 89);
    outer.commit().await.unwrap();
    let dropped = tx.begin().await.unwrap();
    transfer(&dropped, 50).await.unwrap();
    drop(dropped);
    assert_eq!(
        balance(&tx, 1).await,
        89,
        "the dropped savepoint was taken back"
    );
    let kept: Result<(), Error> = tx.with_savepoint(async |sp| transfer(&sp, 1).await).await;
    kept.unwrap();
    let undone: Result<(), Error> = tx
        .with_savepoint(async |sp| transfer(&sp, 1000).await)
        .await;
    undone.unwrap_err();
    tx.commit().await.unwrap();
    assert_eq!(balance(&db, 1).await, 88);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn committing_a_failed_transaction_is_an_error_that_names_the_cause() {
    let db = accounts().await;
    let tx = db.begin().await.unwrap();
    transfer(&tx, 10).await.unwrap();
    tx.execute("select 1/0", ()).await.unwrap_err();
    let error = tx.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert!(error.to_string().contains("22012"), "{error}");
    assert_eq!(balance(&db, 1).await, 100);
    // The same within a savepoint: it is taken back, and the transaction goes on.
    let tx = db.begin().await.unwrap();
    let savepoint = tx.begin().await.unwrap();
    savepoint.execute("select 1/0", ()).await.unwrap_err();
    savepoint.commit().await.unwrap_err();
    transfer(&tx, 10).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(balance(&db, 1).await, 90);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_deferred_constraint_fails_the_commit() {
    let db = support::db().await;
    db.execute_script(
        "create table p (id int primary key); \
         create table c (p int references p deferrable initially deferred)",
    )
    .await
    .unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("insert into c values (1)", ()).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "23503");
    // An autocommit statement fails at its Sync, after its rows were announced.
    let error = db
        .execute("insert into c values (1)", ())
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "23503");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn options_reach_the_server() {
    let db = accounts().await;
    let options = TransactionOptions::new()
        .isolation(Isolation::Serializable)
        .read_only()
        .deferrable();
    let tx = db.begin_with(options).await.unwrap();
    let shown: (String, String, String) = tx
        .query_one(
            "select current_setting('transaction_isolation'), current_setting('transaction_read_only'), \
             current_setting('transaction_deferrable')",
            (),
        )
        .await
        .unwrap();
    assert_eq!(
        shown,
        ("serializable".to_owned(), "on".to_owned(), "on".to_owned())
    );
    let error = tx
        .execute("update accounts set balance = 0", ())
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "25006");
    let error = tx.execute("commit", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn committing_a_failed_savepoint_is_an_error_that_names_the_cause() {
    let db = accounts().await;
    let tx = db.begin().await.unwrap();
    tx.execute("update accounts set balance = 1 where id = 1", ())
        .await
        .unwrap();
    let savepoint = tx.begin().await.unwrap();
    savepoint.query("select 1 / 0", ()).await.unwrap_err();
    let error = savepoint.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction, "{error}");
    assert!(error.to_string().contains("division by zero"), "{error}");
    // It was taken back, so the transaction around it goes on.
    tx.commit().await.unwrap();
    assert_eq!(balance(&db, 1).await, 1);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_rollback_does_not_wait_for_a_statement_that_nobody_waits_for() {
    let db = accounts().await;
    let running = "select count(*) from pg_stat_activity \
                   where query like 'select pg_sleep(600)%' and datname = current_database()";
    for depth in 0..2 {
        let tx = db.begin().await.unwrap();
        let savepoint = match depth {
            0 => tx.clone(),
            _ => tx.begin().await.unwrap(),
        };
        tokio::select! {
            slept = savepoint.query("select pg_sleep(600)", ()) => panic!("{slept:?}"),
            () = async { while db.query_value::<i64>(running, ()).await.unwrap() == 0 {} } => {}
        }
        // Far less than the sleep.
        let rolled_back = tokio::time::timeout(support::PATIENCE, savepoint.rollback()).await;
        rolled_back.expect("the sleep is cancelled").unwrap();
        if depth == 1 {
            tx.commit().await.unwrap();
        }
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn no_text_ends_a_transaction_behind_its_handle() {
    let db = support::db().await;
    db.execute_script(
        "create table t (a int); \
         create procedure commits() language plpgsql as 'begin commit; end'",
    )
    .await
    .unwrap();
    for script in [
        "insert into t values (1); commit; insert into t values (2)",
        "insert into t values (1); end",
        "insert into t values (1); /* ; */ abort; insert into t values (2)",
        "insert into t values (1); prepare transaction 'x'",
        "insert into t values (1); rollback and chain",
        "insert into t values (1); call commits()",
        "insert into t values (1); do $$begin commit; end$$",
    ] {
        let tx = db.begin().await.unwrap();
        tx.execute_script(script).await.unwrap_err();
        let statement = script.split_once("; ").unwrap().1;
        tx.execute(statement, ()).await.unwrap_err();
        let batch = aquifer::Batch::new()
            .add("insert into t values (3)", ())
            .add(statement, ());
        tx.batch(batch).await.unwrap_err();
        tx.rollback().await.unwrap();
        let kept: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
        assert_eq!(kept, 0, "{script}");
    }
}
