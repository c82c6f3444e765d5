//! Circuit breakers: a host that is away or slow, and callers who can't go elsewhere.

use std::time::Duration;

use aquifer::{
    BreakerLane, BreakerOrder, BreakerState, BreakerStatus, Db, ErrorKind, Event, Events, Retry,
    Session,
};
use aquifer_testkit::{Ending, Mode};
use tokio::task::JoinSet;

use crate::support::{self, proxied};

fn breaker(db: &Db, lane: BreakerLane) -> BreakerStatus {
    let breakers = db.breakers().into_iter();
    let mut of_lane = breakers.filter(|breaker| breaker.lane == lane);
    of_lane.next().expect("there is one for each lane")
}

fn state(db: &Db, lane: BreakerLane) -> BreakerState {
    breaker(db, lane).state
}

/// The next change of a breaker's state: of which, to what, and why.
async fn change(events: &mut Events) -> (&'static str, BreakerState, String) {
    loop {
        match events.next().await.expect("the handle lives") {
            Event::BreakerChange {
                lane, to, reason, ..
            } => return (lane, to, reason.to_string()),
            _other => {}
        }
    }
}

async fn until_change(events: &mut Events, lane: &str, to: BreakerState) -> String {
    let found = tokio::time::timeout(support::PATIENCE, async {
        loop {
            let (of, state, reason) = change(events).await;
            if of == lane && state == to {
                return reason;
            }
        }
    });
    found.await.expect("it changes in time")
}

#[tokio::test]
async fn callers_wait_for_a_host_that_comes_back() {
    let (proxy, db) = proxied(|config| config).await;
    let mut events = db.events();
    proxy.refuse();
    proxy.cut_all(Ending::Reset);
    let reason = until_change(&mut events, "writes", BreakerState::Open).await;
    assert!(reason.contains("met no host"), "{reason}");
    let mut waiting = JoinSet::new();
    for tag in 0..16_i64 {
        let db = db.clone();
        waiting.spawn(async move {
            let own: i64 = db.query_value("select $1::bigint", (tag,)).await.unwrap();
            assert_eq!(own, tag, "a foreign reply");
        });
    }
    support::until("they wait", || db.pool_status().waiting == 16).await;
    proxy.accept();
    waiting.join_all().await;
    until_change(&mut events, "writes", BreakerState::Closed).await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn callers_are_refused_while_a_host_stays_away() {
    let (proxy, db) = proxied(|config| config.acquire_timeout(Duration::from_secs(1))).await;
    let mut events = db.events();
    proxy.refuse();
    proxy.cut_all(Ending::Reset);
    until_change(&mut events, "writes", BreakerState::Open).await;
    let error = loop {
        let error = db.execute("select 1", ()).await.unwrap_err();
        if error.kind() == ErrorKind::Unavailable {
            break error;
        }
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    };
    assert_eq!(error.retry(), Retry::Safe);
    let wait = error.retry_after().expect("it is known when to ask again");
    assert!(wait <= Duration::from_millis(500), "{wait:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(breaker(&db, BreakerLane::Writes).refused > 0);
    // One who asks again and again does not keep it from being tried.
    proxy.accept();
    let back = tokio::time::timeout(support::PATIENCE, async {
        while db.execute("select 1", ()).await.is_err() {}
    });
    back.await.expect("it is tried by itself");
    for lane in [BreakerLane::Reads, BreakerLane::Writes] {
        support::until("it is closed again", || {
            state(&db, lane) == BreakerState::Closed
        })
        .await;
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn an_operator_opens_disables_and_resets_each_of_them() {
    let db = support::db().await;
    let sql = "select $1::bigint";
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let _known: i64 = db.query_value(sql, (0_i64,)).await.unwrap();
    let host = breaker(&db, BreakerLane::Reads).host;
    let reads = db.shared();
    let writes = db.exclusive();
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    for (lane, closed, open) in [
        (BreakerLane::Reads, &reads, &writes),
        (BreakerLane::Writes, &writes, &reads),
    ] {
        let mut events = db.events();
        db.set_breaker(&host, lane, BreakerOrder::ForceOpen)
            .unwrap();
        let (of, to, _) = change(&mut events).await;
        assert_eq!((of, to), (&*lane.to_string(), BreakerState::ForcedOpen));
        assert!(!breaker(&db, lane).allows);
        let error = closed.query(sql, (1_i64,)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry(), error.retry_after()),
            (ErrorKind::Unavailable, Retry::Safe, None),
            "{error}"
        );
        assert!(error.to_string().contains("set_breaker"), "{error}");
        let own: i64 = open.query_value(sql, (2_i64,)).await.unwrap();
        assert_eq!(own, 2, "the other one is another's");
        db.set_breaker(&host, lane, BreakerOrder::Disable).unwrap();
        let own: i64 = closed.query_value(sql, (3_i64,)).await.unwrap();
        assert_eq!(own, 3);
        db.set_breaker(&host, lane, BreakerOrder::Reset).unwrap();
        assert_eq!(state(&db, lane), BreakerState::Closed);
    }
    tx.execute("select 1", ())
        .await
        .expect("what has begun goes on");
    tx.rollback().await.unwrap();
    let error = db
        .set_breaker("nowhere:1", BreakerLane::Reads, BreakerOrder::Reset)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains(&*host), "{error}");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_users_do_wrong_or_give_up_is_no_fault_of_the_host() {
    let db = support::db_of(4).await;
    db.execute_script("create table t (a int primary key); insert into t values (1)")
        .await
        .unwrap();
    for _ in 0..20 {
        for wrong in ["insert into t values (1)", "select 1/0", "select nothing"] {
            db.query(wrong, ()).await.unwrap_err();
        }
        let given_up = db.query("select pg_sleep(60)", ());
        let given_up = support::abort_at(1, given_up).await;
        assert!(given_up.is_none(), "{given_up:?}");
    }
    support::assert_whole(&db).await;
    let writes = breaker(&db, BreakerLane::Writes);
    assert_eq!(
        (writes.state, writes.failures),
        (BreakerState::Closed, 0),
        "{writes:?}"
    );
    assert!(writes.calls > 0);
}

#[tokio::test]
async fn sessions_that_were_ended_count_and_the_pool_recovers_by_itself() {
    let db = support::db_of(4).await;
    let mut events = db.events();
    // Each is followed by a connection that can be opened, so it is the share of calls that counts.
    for _ in 0..10 {
        db.execute("select pg_terminate_backend(pg_backend_pid())", ())
            .await
            .unwrap_err();
    }
    until_change(&mut events, "writes", BreakerState::Open).await;
    // Nobody calls: probes alone close it.
    let reason = until_change(&mut events, "writes", BreakerState::Closed).await;
    assert_eq!(reason, "a probe was answered");
    assert_eq!(breaker(&db, BreakerLane::Writes).openings, 1);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn one_that_is_off_stays_out_of_it() {
    let config = support::config(support::url()).advanced(|advanced| advanced.breaker(false));
    let db = Db::connect_with(&config).await.unwrap();
    for _ in 0..5 {
        db.execute("select pg_terminate_backend(pg_backend_pid())", ())
            .await
            .unwrap_err();
    }
    assert_eq!(state(&db, BreakerLane::Writes), BreakerState::Disabled);
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_becomes_slow_opens_that_of_the_reads_and_costs_no_answer() {
    let (proxy, db) =
        proxied(|config| config.advanced(|advanced| advanced.lane_timeout(Duration::from_secs(5))))
            .await;
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let db = db.shared();
    let read = async |db: &Db, tag: i64| {
        let own: i64 = db.query_value("select $1::bigint", (tag,)).await.unwrap();
        assert_eq!(own, tag, "a foreign reply");
    };
    for tag in 0..12 {
        read(&db, tag).await;
    }
    let mut events = db.events();
    // 400 ms for a round trip.
    proxy.set(Mode::Delay(Duration::from_millis(200)));
    let mut readers = JoinSet::new();
    for reader in 0..16 {
        let db = db.clone();
        readers.spawn(async move {
            for round in 0..6 {
                read(&db, reader * 100 + round).await;
            }
        });
    }
    let reason = until_change(&mut events, "reads", BreakerState::Open).await;
    assert!(reason.contains("took longer than"), "{reason}");
    readers.join_all().await;
    // What it takes now is usual now: nobody is kept from a host for being far away.
    until_change(&mut events, "reads", BreakerState::Closed).await;
    proxy.set(Mode::Pass);
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_in_time_whatever_is_wrong() {
    let limit = Duration::from_secs(2);
    for silent in [false, true] {
        let (proxy, db) = proxied(|config| config.connections_max(4)).await;
        support::until("the lanes are open", || db.pool_status().lanes == 2).await;
        let mut calls = JoinSet::new();
        let held = db.begin().await.unwrap();
        if silent {
            proxy.set(Mode::BlackHole);
        } else {
            proxy.refuse();
            proxy.cut_all(Ending::Reset);
        }
        for _ in 0..8 {
            let db = db.clone();
            calls.spawn(async move { db.execute("select 1", ()).await });
        }
        support::until("callers wait", || db.pool_status().waiting > 0).await;
        let ended = tokio::time::timeout(support::PATIENCE, db.shutdown(limit)).await;
        ended.expect("it hangs on nothing");
        for outcome in calls.join_all().await {
            outcome.unwrap_err();
        }
        drop(held);
        assert_eq!(db.tasks_running(), 0);
        let late = db.execute("select 1", ()).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Closed, "{late}");
    }
}
