//! Who gets a connection, in which order, and who is refused: bursts, overload, a server that is
//! full or away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aquifer::{
    Config, ConnectionLost, ConnectionOpened, Db, ErrorKind, Event, Observer, Retry, Secret,
    Session,
};
use aquifer_testkit::Postgres;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support;

fn config(connections: u32) -> Config {
    Config::from_url(support::url())
        .unwrap()
        .connections_max(connections)
}

/// Counts what was opened, and remembers why connections were lost.
#[derive(Default)]
pub(crate) struct Connections {
    pub(crate) opened: AtomicUsize,
    pub(crate) lost: Mutex<Vec<String>>,
}

impl Observer for Connections {
    fn connection_opened(&self, _event: &ConnectionOpened) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    fn connection_lost(&self, event: &ConnectionLost<'_>) {
        self.lost.lock().unwrap().push(event.cause.to_owned());
    }
}

#[tokio::test]
async fn after_a_burst_no_more_connections_are_open_than_it_needed() {
    // Opening a connection takes longer than the whole burst.
    let gate = Arc::new(Semaphore::new(5));
    let config = config(50)
        .advanced(|advanced| advanced.connections_min(5))
        .password_provider({
            let gate = Arc::clone(&gate);
            move || {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await?.forget();
                    Ok(Secret::from("ignored"))
                }
            }
        });
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the minimum is open", || {
        let status = db.pool_status();
        status.idle + status.lanes == 5
    })
    .await;
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let db = db.clone();
        callers.spawn(async move { db.query("select pg_sleep(0.002)", ()).await });
    }
    for outcome in callers.join_all().await {
        outcome.expect("those that are open serve all");
    }
    gate.add_permits(100);
    support::until("what was begun is opened", || {
        db.pool_status().connecting == 0
    })
    .await;
    let status = db.pool_status();
    assert!(status.idle + status.lanes <= 6, "{status:?}");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn who_asked_first_is_served_first() {
    let db = support::db_of(1).await;
    let tx = db.begin().await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut callers = JoinSet::new();
    for number in 0..64 {
        let (asking, served) = (db.clone(), Arc::clone(&served));
        callers.spawn(async move {
            let tx = asking.begin().await.unwrap();
            served.lock().unwrap().push(number);
            tx.rollback().await.unwrap();
        });
        support::until("it has lined up", || db.pool_status().waiting == number + 1).await;
    }
    tx.rollback().await.unwrap();
    callers.join_all().await;
    assert!(served.lock().unwrap().iter().copied().eq(0..64));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn too_much_load_is_refused_and_drains_when_it_stops() {
    let config = config(3).advanced(|advanced| {
        advanced
            .lanes(1)
            .queue_target(Duration::from_millis(10))
            .queue_interval(Duration::from_millis(100))
    });
    let db = Db::connect_with(&config).await.unwrap();
    // Two connections of 10 ms each; more than three times as much is asked.
    let mut callers = JoinSet::new();
    let (mut asked, mut served, mut refused) = (0, 0, 0);
    let mut count = |outcome: Result<Vec<aquifer::Row>, aquifer::Error>| match outcome {
        Ok(_rows) => served += 1,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Acquire, "{error}");
            assert_eq!(error.retry(), Retry::Safe);
            assert!(error.to_string().contains("more is asked"), "{error}");
            refused += 1;
        }
    };
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..300 {
        for _ in 0..4 {
            let db = db.clone();
            callers.spawn(async move { db.query("select pg_sleep(0.01)", ()).await });
            asked += 1;
        }
        tick.tick().await;
        while let Some(outcome) = callers.try_join_next() {
            count(outcome.unwrap());
        }
    }
    while let Some(outcome) = callers.join_next().await {
        count(outcome.unwrap());
    }
    assert_eq!(served + refused, asked);
    assert!(refused > asked / 10, "{refused} of {asked} were refused");
    assert!(served > 20, "{served} of {asked} were served");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn waiters_are_refused_even_if_nobody_gives_anything_back() {
    let config = config(1).advanced(|advanced| {
        advanced
            .queue_target(Duration::from_millis(10))
            .queue_interval(Duration::from_millis(50))
    });
    let db = Db::connect_with(&config.acquire_timeout(Duration::from_secs(30)))
        .await
        .unwrap();
    let tx = db.begin().await.unwrap();
    let error = db.execute("select 1", ()).await.unwrap_err();
    assert!(error.to_string().contains("queue_interval"), "{error}");
    assert!(error.to_string().contains("1 in use"), "{error}");
    drop(tx);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let config = config(1).advanced(|advanced| advanced.waiters_max(2));
    let db = Db::connect_with(&config).await.unwrap();
    let tx = db.begin().await.unwrap();
    let mut callers = JoinSet::new();
    for number in 1..=2 {
        let asking = db.clone();
        callers.spawn(async move { asking.execute("select 1", ()).await });
        support::until("it has lined up", || db.pool_status().waiting == number).await;
    }
    let error = db.execute("select 1", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Acquire);
    assert!(error.to_string().contains("waiters_max"), "{error}");
    drop(tx);
    for outcome in callers.join_all().await {
        outcome.expect("those in the queue are served");
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_call_whose_deadline_is_before_its_turn_is_refused_at_once() {
    let config = config(1)
        .acquire_timeout(Duration::from_secs(5))
        .advanced(|advanced| advanced.queue_target(Duration::from_secs(60)));
    let db = Db::connect_with(&config).await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let db = db.clone();
        callers.spawn(async move { db.query("select pg_sleep(0.1)", ()).await });
    }
    // Eight have to leave before it is known how fast the queue moves.
    let mut served = 0;
    while served < 10 {
        served += usize::from(callers.join_next().await.unwrap().unwrap().is_ok());
    }
    let error = db.query("select pg_sleep(0.1)", ()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the wait for a connection would take about"),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Acquire);
    callers.shutdown().await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_dropped_waiter_costs_nobody_its_turn() {
    let db = support::db_of(1).await;
    let tx = db.begin().await.unwrap();
    for _ in 0..3 {
        assert!(support::abort_at(1, db.begin()).await.is_none());
        assert_eq!(db.pool_status().waiting, 0);
    }
    let mut callers = JoinSet::new();
    for number in 1..=10 {
        let asking = db.clone();
        callers.spawn(async move { asking.query("select pg_sleep(0)", ()).await });
        support::until("it has lined up", || db.pool_status().waiting == number).await;
    }
    drop(tx);
    // Some are dropped while they wait, some as they are served.
    for _ in 0..5 {
        drop(callers.join_next().await);
    }
    callers.shutdown().await;
    support::assert_whole(&db).await;
}

fn small_server() -> Postgres {
    let builder = Postgres::builder()
        .setting("max_connections", "8")
        .setting("superuser_reserved_connections", "1");
    Postgres::start_with(builder)
}

#[tokio::test]
async fn a_server_without_room_is_not_a_server_that_is_down() {
    let server = small_server();
    let url = server.login_url(aquifer_testkit::Login::Scram);
    let observer = Arc::new(Connections::default());
    let config = Config::from_url(url.clone())
        .unwrap()
        .connections_max(7)
        .acquire_timeout(Duration::from_millis(500))
        .observer(Arc::clone(&observer) as Arc<dyn Observer>);
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        let other = Config::from_url(url.clone()).unwrap().connections_max(1);
        others.push(Db::connect_with(&other).await.unwrap());
    }
    let tx = db.begin().await.unwrap();
    // Half a second, or more on a machine where the server takes longer to say it.
    let begun = Instant::now();
    loop {
        let error = db.begin().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Acquire, "{error}");
        if error.to_string().contains("53300") {
            break;
        }
        assert!(begun.elapsed() < support::PATIENCE, "{error}");
    }
    let attempts = observer.lost.lock().unwrap().len();
    let most = 40 * (1 + begun.elapsed().as_millis() / 500);
    assert!((attempts as u128) < most, "{attempts} attempts, {most}");
    tx.rollback().await.unwrap();
    for number in 0..20_i64 {
        let own: i64 = db
            .query_value("select $1::bigint + 0 * txid_current()", (number,))
            .await
            .expect("what is open goes on");
        assert_eq!(own, number);
    }
    drop(others);
    let one = db.begin().await.unwrap();
    let two = tokio::time::timeout(support::PATIENCE, async {
        loop {
            if let Ok(tx) = db.begin().await {
                return tx;
            }
        }
    });
    let two = two.await.expect("there is room again");
    drop((one, two));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_database_that_is_away_is_told_from_a_pool_that_is_exhausted() {
    let server = Postgres::start();
    let config = Config::from_url(server.url())
        .unwrap()
        .acquire_timeout(Duration::from_millis(500));
    let db = Db::connect_with(&config).await.unwrap();
    server.shut_down(aquifer_testkit::Shutdown::Immediate);
    support::until("the end is noticed", || {
        let status = db.pool_status();
        status.idle + status.lanes == 0
    })
    .await;
    let start = Instant::now();
    let error = db.begin().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(error.retry(), Retry::Safe);
    assert!(
        error
            .to_string()
            .contains("no connection to the database could be opened"),
        "{error}"
    );
    assert!(error.to_string().contains("last connect error"), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(400), "it was held");
    server.start_again();
    let tx = tokio::time::timeout(support::PATIENCE, async {
        loop {
            if let Ok(tx) = db.begin().await {
                return tx;
            }
        }
    });
    drop(tx.await.expect("it is found again"));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn an_exhausted_pool_is_told_once_until_somebody_gets_a_connection_in_time() {
    let config = config(1).acquire_timeout(Duration::from_millis(50));
    let db = Db::connect_with(&config.advanced(|advanced| advanced.lanes(0)))
        .await
        .unwrap();
    let mut events = db.events();
    let count = || {
        let page = db.metrics().prometheus();
        let name = "aquifer_events_total{event=\"pool_exhausted\"} ";
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |count| count.parse::<u32>().unwrap())
    };
    for round in 1..=2 {
        let held = db.begin().await.unwrap();
        for _ in 0..3 {
            let refused = db.execute("select 1", ()).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Acquire);
        }
        assert_eq!(count(), round, "once for all three");
        let Some(Event::PoolExhausted { in_use, host, .. }) = events.next().await else {
            panic!("another event, or none");
        };
        assert_eq!(in_use, 1);
        assert_eq!(*host, *db.hosts()[0].host);
        held.rollback().await.unwrap();
    }
    support::assert_whole(&db).await;
}

/// On one thread, a caller who asks again at once must not keep those from their turn on whom it waits.
#[tokio::test]
async fn a_loop_of_refused_calls_leaves_time_to_those_who_wait() {
    let config = config(1).advanced(|advanced| advanced.lanes(0).waiters_max(1));
    let db = Db::connect_with(&config).await.unwrap();
    let held = db.begin().await.unwrap();
    held.execute("select 1", ()).await.unwrap();
    let waiting = tokio::spawn({
        let db = db.clone();
        async move { db.execute("select 1", ()).await }
    });
    support::until("one waits", || db.pool_status().waiting == 1).await;
    let releasing = tokio::spawn(async move { held.rollback().await });
    let begun = Instant::now();
    while let Err(error) = db.execute("select 1", ()).await {
        assert!(error.to_string().contains("waiters_max"), "{error}");
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "nobody else runs"
        );
    }
    waiting.await.unwrap().unwrap();
    releasing.await.unwrap().unwrap();
    support::assert_whole(&db).await;
}
