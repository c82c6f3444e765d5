//! Writes whose callers go away, whose connections are cut, and of which Redis does not hear: what is
//! kept is never old for good.

use std::time::Duration;

use aquifer::{Db, Direction as Order, Error, Event, Session};
use aquifer_testkit::{Cut, Direction, Ending, Postgres, Proxy, Redis as Server, Upstream};

use super::super::support::{self, PATIENCE, abort_at};
use super::queries::{Place, end};
use super::{until_in_doubt, until_linked};

const HOUR: Duration = Duration::from_secs(3_600);
const RENAME: &str = "update users set name = $1 where id = 1";

async fn kept(db: &Db) -> Result<Vec<String>, Error> {
    let users = db.from("users").order_by("id", Order::Asc);
    users.cache(HOUR).pluck("name").await
}

async fn stored(db: &Db) -> Vec<String> {
    let names = db.query_column("select name from users order by id", ());
    names.await.unwrap()
}

/// Waits until what is kept is what is stored; a write may still be on its way.
async fn until_the_same(db: &Db) {
    let same = tokio::time::timeout(PATIENCE, async {
        while kept(db).await.ok() != Some(stored(db).await) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(
        same.await.is_ok(),
        "{:?}, {:?}",
        kept(db).await,
        stored(db).await
    );
}

/// Aborts what `make` makes at its first poll, its second, and so on.
async fn at_every_poll<F: Future>(db: &Db, other: &Db, make: impl Fn(usize) -> F) {
    for polls in 1..200 {
        kept(db).await.unwrap();
        let done = abort_at(polls, make(polls)).await.is_some();
        if done {
            assert_eq!(kept(db).await.unwrap(), stored(db).await, "{polls}");
        }
        until_the_same(db).await;
        until_the_same(other).await;
        if done {
            return;
        }
    }
    panic!("it never ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_go_away_at_any_poll_leave_nothing_old() {
    let server = Server::start();
    let place = Place::with(Some(&server)).await;
    let (one, two) = (place.process().await, place.process().await);
    let db = &one;
    at_every_poll(db, &two, async |_| drop(kept(db).await)).await;
    at_every_poll(db, &two, async |polls| {
        one.cache().clear().await.unwrap();
        drop(kept(db).await);
        polls
    })
    .await;
    at_every_poll(db, &two, async |polls| {
        let name = format!("auto {polls}");
        db.execute(RENAME, (name,)).await.unwrap();
    })
    .await;
    at_every_poll(db, &two, async |polls| {
        let name = format!("transaction {polls}");
        let tx = db.begin().await.unwrap();
        tx.execute(RENAME, (name,)).await.unwrap();
        tx.commit().await.unwrap();
    })
    .await;
    at_every_poll(db, &two, async |polls| {
        let id = 1_000 + i64::try_from(polls).unwrap();
        let rows = [(id, "many", true)];
        let columns = ["id", "name", "active"];
        drop(db.insert_many("users", columns, rows).await);
    })
    .await;
    end(&one).await;
    end(&two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_are_cut_at_any_message_leave_nothing_old() {
    let server = Server::start();
    let place = Place::with(Some(&server)).await;
    let postgres = Postgres::shared();
    let proxy = Proxy::to_postgres(postgres);
    let through = proxy.through(postgres.tcp_url());
    let (base, _) = through.rsplit_once('/').unwrap();
    let (_, database) = place.url.rsplit_once('/').unwrap();
    let database = database.split('?').next().unwrap();
    let config = support::config(format!("{base}/{database}")).redis_url(server.url());
    let cut = Db::connect_with(&config).await.unwrap();
    until_linked(cut.cache()).await;
    let other = place.process().await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        for (nth, ending) in (1..10).zip([Ending::Close, Ending::Reset].into_iter().cycle()) {
            kept(&cut).await.unwrap();
            kept(&other).await.unwrap();
            proxy.cut(Cut::before_any(direction).nth(nth).with(ending));
            let name = format!("{direction:?} {nth}");
            let outcome = match nth % 2 {
                0 => cut.execute(RENAME, (name.as_str(),)).await.map(drop),
                _ => {
                    let name = name.clone();
                    let rename = async |tx: aquifer::Transaction| {
                        tx.execute(RENAME, (name.as_str(),)).await.map(drop)
                    };
                    cut.with_transaction(rename).await
                }
            };
            proxy.clear_cuts();
            if outcome.is_ok() {
                assert_eq!(kept(&cut).await.unwrap()[0], name);
            }
            until_the_same(&other).await;
            until_the_same(&cut).await;
        }
    }
    end(&cut).await;
    end(&other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_redis_missed_is_known_although_its_writer_is_gone() {
    let server = Server::start();
    let proxy = Proxy::to_any(Upstream::Port(server.port()));
    let mut place = Place::with(Some(&server)).await;
    place.redis = Some(format!("redis://127.0.0.1:{}", proxy.port()));
    let quick = || place.config().redis_timeout(Duration::from_millis(300));
    let writer = Db::connect_with(&quick()).await.unwrap();
    let reader = Db::connect_with(&quick()).await.unwrap();
    for db in [&writer, &reader] {
        until_linked(db.cache()).await;
        assert_eq!(kept(db).await.unwrap()[0], "user 1");
    }
    proxy.refuse();
    proxy.cut_all(Ending::Reset);
    until_in_doubt(writer.cache()).await;
    until_in_doubt(reader.cache()).await;
    writer.execute(RENAME, ("missed",)).await.unwrap();
    assert!(writer.cache().status().has_missed_bumps);
    let raised: i64 = writer
        .query_value(
            "select epoch from aquifer.cache_fence where namespace = 'aquifer'",
            (),
        )
        .await
        .unwrap();
    assert_eq!(raised, 1);
    end(&writer).await;
    // Redis has the old result still, under stamps that have not changed.
    let entries = server.command(&["KEYS", "aquifer:q:*"]);
    assert!(entries.contains("aquifer:q:"), "{entries}");
    proxy.accept();
    until_linked(reader.cache()).await;
    assert_eq!(kept(&reader).await.unwrap()[0], "missed");
    // Who begins now has compared, too, and finds nothing to make up for.
    let late = Db::connect_with(&quick()).await.unwrap();
    assert_eq!(kept(&late).await.unwrap()[0], "missed");
    until_linked(late.cache()).await;
    assert_eq!(kept(&late).await.unwrap()[0], "missed");
    end(&reader).await;
    end(&late).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_fence_can_not_be_made_that_is_told() {
    let server = Server::start();
    let place = Place::with(Some(&server)).await;
    let config = place.config().redis_timeout(Duration::from_millis(300));
    let db = Db::connect_with(&config).await.unwrap();
    until_linked(db.cache()).await;
    // A table of that name which has no such column.
    db.execute_script("create schema aquifer; create table aquifer.cache_fence ()")
        .await
        .unwrap();
    let mut events = db.events();
    server.stop();
    until_in_doubt(db.cache()).await;
    db.execute(RENAME, ("missed",)).await.unwrap();
    assert_eq!(kept(&db).await.unwrap()[0], "missed");
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(Event::CacheBumpMissed { cause, .. }) = events.next().await
                && cause.contains("nor could that be noted")
            {
                return;
            }
        }
    });
    assert!(told.await.is_ok());
    end(&db).await;
}
