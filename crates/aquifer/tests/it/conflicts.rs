//! Transactions that are in each other's way are run again, a bounded number of times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aquifer::{Error, Isolation, Retry, Session, TransactionOptions};

use crate::support;
use crate::transactions::{accounts, balance};

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
    let begun = std::time::Instant::now();
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
    // Three each would be 600. The budget allows a fifth of the first runs, and ten more a second, of
    // which it keeps some for later.
    let all = runs.load(Ordering::Relaxed);
    let most = 400 + 10 * begun.elapsed().as_secs();
    assert!(all > 200 && u64::from(all) < most, "{all} runs, {most}");
    support::assert_whole(&db).await;
}
