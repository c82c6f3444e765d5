//! Two processes with one cache: the second is this program, started once more.

mod peer;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer::{Config, Db, Error, Session};
use tokio::task::JoinSet;

use self::peer::Peer;
pub(super) use self::peer::run as run_peer;
use self::watch::Watch;
use super::excerpt::excerpt;
use super::figures;
use super::patience;
use super::redis::RedisServer;
use super::scene::Scene;
use super::server::Server;
use super::stage::{Chapter, Failure, Step};
use super::tally::Tally;

const SOURCE: &str = include_str!("cache.rs");

/// The row that everybody wants.
const ARTICLE: i64 = 1;
const READERS: usize = 1_000;

/// So much later than a change was acknowledged, nobody sees what was before.
const BOUND: Duration = Duration::from_secs(1);

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "Two processes, one cache",
        why: "This program is started once more as the other one. Values are kept in memory and in \
              Redis, under stamps that every change renews; who is told of changes uses them \
              without asking, who may not be told asks.",
        code: excerpt(SOURCE, "cache"),
    }
}

pub(super) async fn perform(
    step: &mut Step,
    scene: &Scene,
    server: &Server,
) -> Result<(), Failure> {
    if !super::redis::is_installed() {
        step.note("redis-server is not installed, so there is nothing to show here");
        return Ok(());
    }
    let mut redis = RedisServer::start().await?;
    let told = tell(step, scene, server, &mut redis).await;
    redis.stop().await?;
    told
}

async fn tell(
    step: &mut Step,
    scene: &Scene,
    server: &Server,
    redis: &mut RedisServer,
) -> Result<(), Failure> {
    let insert = "insert into articles values ($1, 100)";
    scene.witness.execute(insert, (ARTICLE,)).await?;
    let tally = Arc::new(Tally::default());
    let db = connect(server.config()?, &redis.url(), &tally).await?;
    let mut peer = Peer::start(&server.url(), &redis.url()).await?;
    herd(step, &db, &tally, &mut peer).await?;
    let watch = Watch::start(&db);
    change(step, &db, &watch, &mut peer).await?;
    outage(step, &db, &watch, (redis, &mut peer)).await?;
    watch.finish().await?.report(step);
    peer.end().await?;
    db.close().await?;
    Ok(())
}

/// A handle as each of the two processes has it.
async fn connect(config: Config, redis: &str, tally: &Arc<Tally>) -> Result<Db, Failure> {
    let config = config
        .application_name("aquifer-demo-cache")
        .connections_max(4)
        .redis_url(redis)
        .observer(Arc::<Tally>::clone(tally));
    let db = Db::connect_with(&config).await?;
    patience::until("Redis tells of changes", async || {
        Ok(db.cache().status().is_linked)
    })
    .await?;
    Ok(db)
}

#[rustfmt::skip] // Laid out for the width of a terminal.
// ANCHOR: cache
async fn price(db: &Db) -> Result<Arc<i64>, Error> {
    let articles = db.clone();
    let load = || async move {
        let sql = "select price from articles where id = $1";
        articles.query_value(sql, (ARTICLE,)).await
    };
    db.cache().get_or_load("price:1", load).await
}
// ANCHOR_END: cache

#[rustfmt::skip]
// ANCHOR: cache
async fn set_price(db: &Db, price: i64) -> Result<(), Error> {
    let sql = "update articles set price = $1 where id = $2";
    db.execute(sql, (price, ARTICLE)).await?;
    db.cache().delete(["price:1"]).await?; // after the commit
    Ok(())
}
// ANCHOR_END: cache

/// So many tasks ask at the same time; they must all be given the same.
async fn read_by_many(db: &Db) -> Result<i64, Failure> {
    let mut tasks = JoinSet::new();
    for _ in 0..READERS {
        let db = db.clone();
        tasks.spawn(async move { price(&db).await });
    }
    let mut all = None;
    while let Some(found) = tasks.join_next().await {
        let found = *found??;
        if *all.get_or_insert(found) != found {
            return Err("readers were given different prices".into());
        }
    }
    all.ok_or_else(|| "nobody has read".into())
}

async fn herd(step: &mut Step, db: &Db, tally: &Tally, peer: &mut Peer) -> Result<(), Failure> {
    // The layer itself has asked the database whether Redis missed a change.
    let before = tally.calls();
    let begun = Instant::now();
    let (here, there) = tokio::join!(read_by_many(db), peer.read());
    let (here, there) = (here?, there?);
    let elapsed = begun.elapsed();
    let queries = tally.calls() - before + there.queries;
    step.check(
        (here, there.price, queries) == (100, 100, 1),
        &format!(
            "{} cold readers here and {} there, all at once, in {}: {}",
            figures::count(READERS),
            figures::count(READERS),
            figures::time(elapsed),
            match queries {
                1 => "1 query".to_owned(),
                queries => format!("{queries} queries"),
            }
        ),
    );
    Ok(())
}

/// Has the other process write, and waits until this one sees it.
async fn seen_here(
    db: &Db,
    watch: &Watch,
    peer: &mut Peer,
    price_new: i64,
) -> Result<Duration, Failure> {
    peer.write(price_new).await?;
    watch.acknowledged(price_new);
    patience::until("the new price is here", async || {
        Ok(*price(db).await? == price_new)
    })
    .await
}

async fn change(step: &mut Step, db: &Db, watch: &Watch, peer: &mut Peer) -> Result<(), Failure> {
    let mut slowest = Duration::ZERO;
    for price in 101..=120 {
        slowest = slowest.max(seen_here(db, watch, peer, price).await?);
    }
    step.note(&format!(
        "the other process has written 20 prices: each was here within {} of its acknowledgement",
        figures::time(slowest)
    ));
    Ok(())
}

async fn outage(
    step: &mut Step,
    db: &Db,
    watch: &Watch,
    (redis, peer): (&mut RedisServer, &mut Peer),
) -> Result<(), Failure> {
    let killed = Instant::now();
    redis.kill().await?;
    let doubt = patience::until("the loss is noticed", async || {
        Ok(!db.cache().status().is_linked)
    });
    doubt.await?;
    let noticed = killed.elapsed();
    watch.proceed().await?;
    let seen = seen_here(db, watch, peer, 121).await?;
    // From now on each read must be of 121.
    patience::until("the bound is over", async || Ok(watch.has_settled())).await?;
    watch.proceed().await?;
    step.note(&format!(
        "Redis was killed, which was noticed in {}; without it the other process has written 121, \
         here after {}",
        figures::time(noticed),
        figures::time(seen)
    ));
    redis.start_again().await?;
    let linked = patience::until("values in memory are used again", async || {
        Ok(db.cache().status().is_linked)
    });
    let linked = linked.await?;
    watch.proceed().await?;
    let seen = seen_here(db, watch, peer, 122).await?;
    step.note(&format!(
        "Redis has returned, empty: in use again after {}; 122 is here after {}",
        figures::time(linked),
        figures::time(seen)
    ));
    Ok(())
}
