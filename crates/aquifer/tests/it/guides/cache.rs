use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use aquifer::{
    Cache, CacheLayer, CacheOptions, CacheStatus, Config, Db, Entity, Error, Session, values,
};
use aquifer_testkit::Redis;
use serde::{Deserialize, Serialize};

use super::migrate;
use crate::support::{self, PATIENCE};

#[derive(Clone, Debug, PartialEq, Entity, Serialize, Deserialize)]
#[entity(table = "users")]
struct User {
    #[entity(key, auto)]
    id: i64,
    name: String,
    #[entity(default)]
    active: bool,
}

const MINUTE: Duration = Duration::from_secs(60);

/// One row by its key: only writes to this row make it a miss.
async fn user(db: &Db, id: i64) -> Result<Option<User>, Error> {
    User::query()
        .filter(User::ID.eq(id))
        .cache(MINUTE)
        .first(db)
        .await
}

/// The same of the builder: any write to `users` makes it a miss.
async fn active(db: &Db) -> Result<u64, Error> {
    db.from("users")
        .where_("active", "=", true)
        .cache(MINUTE)
        .count()
        .await
}

async fn rename(db: &Db, id: i64, name: &str) -> Result<u64, Error> {
    db.from("users")
        .where_("id", "=", id)
        .update(values! { name: name })
        .await
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    user: User,
    posts: u64,
}

async fn profile(db: &Db, id: i64) -> Result<Option<Arc<Profile>>, Error> {
    let options = CacheOptions::new()
        .ttl(MINUTE)
        .table("users")
        .table("posts");
    let loader = db.clone();
    let load = move || async move {
        let query = User::query().filter(User::ID.eq(id));
        let Some(user) = query.first(&loader).await? else {
            return Ok(None);
        };
        let posts = loader
            .from("posts")
            .where_("user_id", "=", id)
            .count()
            .await?;
        Ok(Some(Profile { user, posts }))
    };
    db.cache()
        .get_or_load_opt_with(&format!("profile:{id}"), &options, load)
        .await
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rate {
    euros: f64,
}

async fn rate(cache: &Cache, currency: &'static str) -> Result<Arc<Rate>, Error> {
    let options = CacheOptions::new()
        .ttl(MINUTE)
        .tag("rates")
        .stale_while_refreshing(MINUTE)
        .stale_on_error(60 * MINUTE)
        .soft_timeout(Duration::from_millis(50));
    let key = format!("rate:{currency}");
    let rate = cache
        .get_or_load_cached(&key, &options, move || ask_the_bank(currency))
        .await?;
    if let Some(staleness) = rate.staleness {
        eprintln!("a rate of {:?} ago: {:?}", rate.age, staleness.cause);
    }
    Ok(rate.value)
}

async fn new_rates(cache: &Cache) -> Result<(), Error> {
    cache.invalidate(["rates"]).await
}

/// What every process has acknowledged before this call is seen by it; that costs one round trip.
async fn balance(cache: &Cache, id: i64) -> Result<Option<Arc<i64>>, Error> {
    let newest = CacheOptions::new().max_staleness(Duration::ZERO);
    let balance = cache.get_with(&format!("balance:{id}"), &newest).await?;
    Ok(balance.map(|found| found.value))
}

/// A number in Redis, which programs in other languages count on too.
async fn visit(cache: &Cache) -> Result<i64, Error> {
    cache.increment("visits", 1).await
}

fn well(status: &CacheStatus) -> bool {
    status.is_linked && !status.has_missed_bumps
}

fn ask_the_bank(currency: &'static str) -> impl Future<Output = Result<Rate, Error>> {
    assert_eq!(currency, "USD");
    ready(Ok(Rate { euros: 0.9 }))
}

#[tokio::test]
async fn what_is_kept_is_seen_to_change_by_two_processes() -> Result<(), Error> {
    let redis = Redis::start();
    let config = support::config(support::url()).redis_url(redis.url());
    let (db, other) = (
        Db::connect_with(&config).await?,
        Db::connect_with(&config).await?,
    );
    migrate(&db).await?;
    let id = User::create(&db, "Ann").await?;
    assert_eq!(user(&db, id).await?.unwrap().name, "Ann");
    assert_eq!((active(&db).await?, active(&other).await?), (1, 1));
    assert_eq!(profile(&db, id).await?.unwrap().posts, 0);

    assert_eq!(rename(&db, id, "Anna").await?, 1);
    assert_eq!(user(&db, id).await?.unwrap().name, "Anna");
    assert_eq!(profile(&db, id).await?.unwrap().user.name, "Anna");
    User::create(&other, "Ben").await?;
    assert_eq!(active(&other).await?, 2);
    let told = tokio::time::timeout(PATIENCE, async {
        while active(&db).await.unwrap() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(told.await.is_ok(), "the other process was not told");

    let cache = db.cache();
    assert_eq!(*rate(cache, "USD").await?, Rate { euros: 0.9 });
    let stored = cache
        .get_with::<Rate>("rate:USD", &CacheOptions::new())
        .await?;
    assert_eq!(stored.unwrap().layer, CacheLayer::Local);
    new_rates(cache).await?;
    assert!(cache.get::<Rate>("rate:USD").await?.is_none());
    other.cache().set("balance:1", &7_i64).await?;
    assert_eq!(balance(cache, 1).await?.as_deref(), Some(&7));
    assert_eq!((visit(cache).await?, visit(other.cache()).await?), (1, 2));
    support::until("it is linked", || well(&cache.status())).await;
    other.shutdown(Duration::from_secs(10)).await;
    db.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

#[tokio::test]
async fn alone_it_takes_no_redis() -> Result<(), Error> {
    let cache = Cache::in_process(&Config::new())?;
    assert_eq!(*rate(&cache, "USD").await?, Rate { euros: 0.9 });
    assert!(!cache.status().is_shared);
    Ok(())
}

impl User {
    async fn create(db: &Db, name: &str) -> Result<i64, Error> {
        let insert = "insert into users (name) values ($1) returning id";
        db.query_value(insert, (name,)).await
    }
}
