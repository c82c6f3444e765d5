//! The cache: values in the memory of this process and in Redis, which never outlive a change.
//!
//! ```sh
//! cargo run --package aquifer --example redis_cache
//! ```
//!
//! It starts a private Redis.
#![allow(
    clippy::print_stdout,
    reason = "an example shows what it does by printing it"
)]

use std::sync::Arc;
use std::time::Duration;

use aquifer::{Cache, CacheOptions, Config, Error};
use aquifer_testkit::Redis;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: i64,
    name: String,
}

fn user(id: i64, name: &str) -> User {
    User {
        id,
        name: name.to_owned(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let redis = Redis::start();
    let config = Config::new().redis_url(redis.url());
    let cache = Cache::connect(&config).await?;
    values(&cache).await?;
    loads(&cache).await?;
    messages(&cache).await
}

async fn values(cache: &Cache) -> Result<(), Error> {
    let hour = CacheOptions::new().ttl(Duration::from_secs(3600));

    // Set a value in the cache.
    let john = user(1, "John");
    cache.set_with("user:1", &john, &hour).await?;

    // Get a value from the cache.
    let found: Option<Arc<User>> = cache.get("user:1").await?;
    println!("user:1 is {found:?}, for {:?}", cache.ttl("user:1").await?);
    assert_eq!(found.as_deref(), Some(&john));

    // Delete a key from the cache: how many were there comes back.
    let deleted = cache.delete(["user:1"]).await?;

    // Check if a key exists in the cache.
    let exists = cache.exists("user:1").await?;
    println!("deleted {deleted}; exists: {exists}");
    assert_eq!((deleted, exists), (1, false));

    // Set multiple values in the cache.
    let jane = user(2, "Jane");
    cache
        .mset_with([("user:1", &john), ("user:2", &jane)], &hour)
        .await?;

    // Get multiple values from the cache: in this order, `None` for what isn't there.
    let found: Vec<Option<Arc<User>>> = cache.mget(["user:1", "user:2", "user:3"]).await?;
    println!("{found:?}");
    let found: Vec<Option<&User>> = found.iter().map(Option::as_deref).collect();
    assert_eq!(found, [Some(&john), Some(&jane), None]);

    // Increment a counter in the cache; programs in other languages count on the same number.
    let new_value = cache.increment("visits", 1).await?;
    println!("visit number {new_value}");
    assert_eq!(new_value, 1);
    assert_eq!(cache.get::<i64>("visits").await?.as_deref(), Some(&1));
    Ok(())
}

/// What is missing is loaded once, however many ask for it, and what depends on it goes together.
async fn loads(cache: &Cache) -> Result<(), Error> {
    let tagged = CacheOptions::new().tag("users");
    for name in ["Ann", "Ben", "Cid"] {
        // As a rule a query; it runs if the key is missing.
        let load = move || async move { Ok::<_, Error>(user(7, name)) };
        let found = cache.get_or_load_with("user:7", &tagged, load).await?;
        assert_eq!(found.name, "Ann");
    }
    cache.invalidate(["users"]).await?;
    let gone = cache.get::<User>("user:7").await?;
    println!("loaded once; after its tag was invalidated: {gone:?}");
    assert_eq!(gone, None);
    Ok(())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Update {
    id: i64,
    action: String,
}

/// Processes that tell each other.
async fn messages(cache: &Cache) -> Result<(), Error> {
    // Subscribe to a channel, as long as the subscription is kept.
    let (heard, mut updates) = mpsc::channel(16);
    let subscription = cache
        .subscribe("user-updates", move |message: Update, channel: &str| {
            println!("Received message on channel {channel}: {message:?}");
            // Nobody waits for it any more once the example ends.
            drop(heard.try_send(message));
        })
        .await?;

    // Publish a message to a channel: how many listeners it was sent to comes back.
    let update = Update {
        id: 1,
        action: "updated".to_owned(),
    };
    let listeners = cache.publish("user-updates", &update).await?;
    assert_eq!(listeners, 1);
    assert_eq!(updates.recv().await, Some(update));
    drop(subscription);
    Ok(())
}
