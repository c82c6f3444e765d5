//! A cancel stops what runs, and never what comes later.

use std::sync::Arc;

use aquifer_wire::{Client, Kind, Sharing, TransactionStatus};

use crate::database::{row, session};

/// A statement right behind a cancel must not be hit by it.
async fn goes_on(client: &Client, round: usize) {
    for sharing in [Sharing::Own, Sharing::Shared] {
        let own = i64::try_from(round).unwrap();
        let reply = client.query("select $1::int8", &(own,), sharing).await;
        let reply = reply.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(reply.decode_column::<i64>().unwrap(), [own]);
    }
    assert_eq!(client.in_flight(), 0);
}

#[tokio::test]
async fn a_cancel_of_an_idle_session_is_harmless() {
    let client = session().await;
    for round in 0..100 {
        client.cancel().await.unwrap();
        goes_on(&client, round).await;
    }
    client.script("create table t (a int)").await.unwrap();
    client.control("begin").await.unwrap();
    client.script("insert into t values (1)").await.unwrap();
    client.cancel().await.unwrap();
    assert_eq!(client.status(), TransactionStatus::Open);
    client.script("insert into t values (2)").await.unwrap();
    client.control("commit").await.unwrap();
    let count = row(&client, "select count(*) from t", &()).await;
    assert_eq!(count.get::<i64>(0).unwrap(), 2);
    // Nor does it heal a transaction that failed.
    client.control("begin").await.unwrap();
    client.script("select 1 / 0").await.unwrap_err();
    client.cancel().await.unwrap();
    assert_eq!(client.status(), TransactionStatus::Failed);
    client.control("rollback").await.unwrap();
    goes_on(&client, 0).await;
}

#[tokio::test]
async fn a_cancel_stops_what_runs() {
    let client = Arc::new(session().await);
    for (round, sharing) in [Sharing::Own, Sharing::Shared].into_iter().enumerate() {
        let running = tokio::spawn({
            let client = Arc::clone(&client);
            async move {
                client
                    .query("select pg_sleep(60)::text", &(), sharing)
                    .await
            }
        });
        // Described, bound and running: one that is described only would not be hit.
        let probe = session().await;
        let sleeps = "select exists (select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep')";
        while !row(&probe, sleeps, &(client.process_id(),))
            .await
            .get::<bool>(0)
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
        client.cancel().await.unwrap();
        let error = running.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Database, true));
        assert_eq!(error.sqlstate().unwrap().code(), "57014");
        goes_on(&client, round).await;
    }
}

/// The statement ends at about the time at which the cancel arrives: now before, now after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_races_with_the_end_hits_that_statement_or_none() {
    let client = session().await;
    let (mut hit, mut missed) = (0, 0);
    for round in 0..400 {
        // Longer by and by, over the whole time that a cancel takes.
        let rows = i64::from(round % 40) * 2_000;
        let sql = "select count(*) from generate_series(1, $1::int8)";
        let params = (rows,);
        let (raced, cancelled) =
            tokio::join!(client.query(sql, &params, Sharing::Own), client.cancel());
        cancelled.unwrap();
        match raced {
            Ok(reply) => {
                assert_eq!(reply.decode_column::<i64>().unwrap(), [rows]);
                missed += 1;
            }
            Err(error) => {
                assert_eq!(error.sqlstate().unwrap().code(), "57014", "{error}");
                hit += 1;
            }
        }
        goes_on(&client, usize::try_from(round).unwrap()).await;
    }
    assert!(missed > 0, "{hit} were hit, none was missed: nothing raced");
}

#[tokio::test]
async fn a_cancel_of_a_session_that_has_ended_is_an_error_and_hits_nobody() {
    let (gone, bystander) = (session().await, session().await);
    gone.close();
    gone.barrier().await.unwrap_err();
    let error = gone.cancel().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.sent()),
        (Kind::Closed, false),
        "{error}"
    );
    goes_on(&bystander, 1).await;
}
