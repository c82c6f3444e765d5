//! `begin`, `with_transaction`, savepoints, and the truth about COMMIT.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aquifer::{Db, Error, ErrorKind, Isolation, Retry, Session, Transaction, TransactionOptions};

use crate::support;

async fn accounts() -> Db {
    let db = support::db().await;
    db.execute_script(
        "create table accounts (id int primary key, balance bigint not null check (balance >= 0)); \
         insert into accounts values (1, 100), (2, 100)",
    )
    .await
    .unwrap();
    db
}

async fn balance(session: &impl Session, id: i32) -> i64 {
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
async fn write_skew_is_run_again_until_the_invariant_holds() {
    let db = accounts().await;
    let serializable = TransactionOptions::new().isolation(Isolation::Serializable);
    let runs = Arc::new(AtomicU32::new(0));
    let meet = Arc::new(tokio::sync::Barrier::new(2));
    let mut tasks = tokio::task::JoinSet::new();
    for id in [1_i32, 2] {
        let (db, runs, meet) = (db.clone(), Arc::clone(&runs), Arc::clone(&meet));
        tasks.spawn(async move {
            let mut first = true;
            let waits = std::sync::Mutex::new(&mut first);
            db.with_transaction_options(serializable, async |tx| {
                runs.fetch_add(1, Ordering::Relaxed);
                let total: i64 = tx
                    .query_value("select sum(balance)::bigint from accounts", ())
                    .await?;
                // Both have read before either writes, on the first run.
                let wait = std::mem::take(&mut **waits.lock().unwrap());
                if wait {
                    meet.wait().await;
                }
                if total >= 150 {
                    tx.execute(
                        "update accounts set balance = balance - 100 where id = $1",
                        (id,),
                    )
                    .await?;
                }
                Ok::<_, Error>(())
            })
            .await
        });
    }
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    let total: i64 = db
        .query_value("select sum(balance)::bigint from accounts", ())
        .await
        .unwrap();
    assert_eq!(
        total, 100,
        "one of the two saw the other's write on its second run"
    );
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_guard_that_meets_40001_says_that_a_retry_is_safe() {
    let db = accounts().await;
    let options = TransactionOptions::new().isolation(Isolation::RepeatableRead);
    let tx = db.begin_with(options).await.unwrap();
    assert_eq!(balance(&tx, 1).await, 100);
    db.execute("update accounts set balance = 1 where id = 1", ())
        .await
        .unwrap();
    let error = tx
        .execute("update accounts set balance = 2 where id = 1", ())
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "40001");
    assert_eq!(error.retry(), Retry::Safe);
    let error = tx.commit().await.unwrap_err();
    assert_eq!(error.retry(), Retry::Safe);
}

/// Both take the two accounts in opposite order, and meet in between on the first run.
#[tokio::test]
async fn a_deadlock_is_broken_and_one_of_the_two_is_run_again() {
    let db = accounts().await;
    let runs = Arc::new(AtomicU32::new(0));
    let meet = Arc::new(tokio::sync::Barrier::new(2));
    let mut tasks = tokio::task::JoinSet::new();
    for (first, second) in [(1_i32, 2_i32), (2, 1)] {
        let (db, runs, meet) = (db.clone(), Arc::clone(&runs), Arc::clone(&meet));
        tasks.spawn(async move {
            let own_runs = AtomicU32::new(0);
            db.with_transaction(async |tx| {
                runs.fetch_add(1, Ordering::Relaxed);
                let take = "update accounts set balance = balance + $1 where id = $2";
                tx.execute(take, (-1_i64, first)).await?;
                if own_runs.fetch_add(1, Ordering::Relaxed) == 0 {
                    meet.wait().await;
                }
                tx.execute(take, (1_i64, second)).await
            })
            .await
        });
    }
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    assert_eq!((balance(&db, 1).await, balance(&db, 2).await), (100, 100));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_closure_that_always_conflicts_is_run_a_bounded_number_of_times() {
    let db = accounts().await;
    let runs = Arc::new(AtomicU32::new(0));
    let conflict = "do $$ begin raise exception 'conflict' using errcode = '40001'; end $$";
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (db, runs) = (db.clone(), Arc::clone(&runs));
        tasks.spawn(async move {
            let outcome: Result<(), Error> = db
                .with_transaction(async |tx| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    tx.execute(conflict, ()).await.map(drop)
                })
                .await;
            outcome.unwrap_err().retry()
        });
    }
    for retry in tasks.join_all().await {
        assert_eq!(retry, Retry::Safe);
    }
    // Three each would be 600. The budget allows a fifth of the first runs, and ten more a second.
    let all = runs.load(Ordering::Relaxed);
    assert!((201..400).contains(&all), "{all} runs");
    support::assert_whole(&db).await;
}
