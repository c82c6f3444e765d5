//! What stands in Redis, and what becomes of the cache when somebody else changes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use aquifer::{Cache, CacheFormat, CacheOptions};
use aquifer_testkit::Redis as Server;
use serde::{Deserialize, Serialize};

use super::super::support::until;
use super::{Loader, User, config, end, load, name, process, until_linked, until_name, user};

#[tokio::test]
async fn keys_are_readable_and_stamps_stand_beside_them() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    cache.set("user:1", &user(1, "John")).await.unwrap();
    let keys = server.command(&["KEYS", "*"]);
    let mut keys: Vec<&str> = keys.lines().collect();
    keys.sort_unstable();
    let wanted = [
        "aquifer#k:user:1",
        "aquifer#n",
        "aquifer#servers",
        "aquifer:user:1",
    ];
    assert_eq!(keys, wanted);
    let left: i64 = server.command(&["TTL", "aquifer:user:1"]).parse().unwrap();
    assert!((3_500..=3_600).contains(&left), "{left}");
    let stamp: i64 = server
        .command(&["TTL", "aquifer#k:user:1"])
        .parse()
        .unwrap();
    assert!(stamp > 2 * left, "{stamp}");
    assert_eq!(server.command(&["TTL", "aquifer#n"]), "-1");
    let counter = cache.increment("visits", 3).await.unwrap();
    assert_eq!(
        server.command(&["GET", "aquifer:visits"]),
        counter.to_string()
    );
    server.command(&["INCR", "aquifer:visits"]);
    assert_eq!(
        cache.get::<i64>("visits").await.unwrap().as_deref(),
        Some(&4)
    );
    end(cache).await;
}

#[tokio::test]
async fn flushing_everything_makes_misses() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    one.set("a", &user(1, "old")).await.unwrap();
    until_name(&two, "a", Some("old"), &[None]).await;
    assert_eq!(name(&one, "a").await.as_deref(), Some("old"));
    server.command(&["FLUSHALL"]);
    until_name(&one, "a", None, &[Some("old")]).await;
    until_name(&two, "a", None, &[Some("old")]).await;
    let loader = Loader::default();
    assert_eq!(load(&one, "a", &loader, "new").await, "new");
    assert_eq!(load(&two, "a", &loader, "newer").await, "new");
    one.delete(["a"]).await.unwrap();
    until_name(&two, "a", None, &[Some("new")]).await;
    end(one).await;
    end(two).await;
}

#[tokio::test]
async fn a_stamp_that_is_evicted_makes_a_miss_and_its_value_never_comes_back() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    let loader = Loader::default();
    for (round, stamp) in ["aquifer#k:a", "aquifer#n", "aquifer#k:a"]
        .iter()
        .enumerate()
    {
        let value = format!("value {round}");
        assert_eq!(load(&one, "a", &loader, &value).await, value);
        until_name(&two, "a", Some(&value), &[None]).await;
        let entry = server.command(&["DUMP", "aquifer:a"]);
        assert!(!entry.is_empty());
        server.command(&["DEL", stamp]);
        until_name(&two, "a", None, &[Some(&value)]).await;
        until_name(&one, "a", None, &[Some(&value)]).await;
        // A change begins another life, which the old value is not of.
        one.invalidate(["unrelated"]).await.unwrap();
        two.delete(["b"]).await.unwrap();
        assert_eq!(name(&two, "a").await, None);
    }
    assert_eq!(loader.loads(), 3);
    end(one).await;
    end(two).await;
}

#[tokio::test]
async fn what_can_not_be_read_is_a_miss_and_is_replaced() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let garbage: [&[&str]; 7] = [
        &["SET", "aquifer:a", "garbage"],
        &["SET", "aquifer:a", ""],
        &["SET", "aquifer:a", "AQ1"],
        &["SETRANGE", "aquifer:a", "60", "xxxx"],
        &["APPEND", "aquifer:a", "x"],
        &["RPUSH", "aquifer:a", "x"],
        &["HSET", "aquifer:a", "x", "y"],
    ];
    for words in garbage {
        cache.set("a", &user(1, "John")).await.unwrap();
        let other_kind = matches!(words[0], "RPUSH" | "HSET");
        if other_kind {
            server.command(&["DEL", "aquifer:a"]);
        }
        server.command(words);
        // Who was not there before has nothing in memory.
        let fresh = process(&server.url()).await;
        assert_eq!(name(&fresh, "a").await, None, "{words:?}");
        assert!(!fresh.exists("a").await.unwrap(), "{words:?}");
        let loader = Loader::default();
        assert_eq!(load(&fresh, "a", &loader, "new").await, "new");
        let again = process(&server.url()).await;
        assert_eq!(
            load(&again, "a", &loader, "newer").await,
            "new",
            "{words:?}"
        );
        assert_eq!(loader.loads(), 1);
        end(fresh).await;
        end(again).await;
    }
    // A stamp that is garbage.
    for words in [
        ["SET", "aquifer#k:a", "garbage"],
        ["RPUSH", "aquifer#k:a", "x"],
    ] {
        cache.set("a", &user(1, "John")).await.unwrap();
        server.command(&["DEL", words[1]]);
        server.command(&words);
        until_name(&cache, "a", None, &[Some("John")]).await;
        let loader = Loader::default();
        assert_eq!(load(&cache, "a", &loader, "new").await, "new");
        assert_eq!(name(&cache, "a").await.as_deref(), Some("new"));
    }
    end(cache).await;
}

/// The same type in the next version of the program.
mod next {
    use super::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub(super) struct User {
        pub(super) id: i64,
        pub(super) name: String,
        pub(super) email: Option<String>,
    }
}

#[tokio::test]
async fn another_layout_is_a_miss_though_it_could_be_read() {
    let server = Server::start();
    let (old, new) = (process(&server.url()).await, process(&server.url()).await);
    old.set("a", &user(1, "John")).await.unwrap();
    old.set("list", &vec![user(1, "John")]).await.unwrap();
    assert_eq!(new.get::<next::User>("a").await.unwrap(), None);
    assert_eq!(new.get::<Vec<next::User>>("list").await.unwrap(), None);
    let load = || async {
        Ok::<_, aquifer::Error>(next::User {
            id: 1,
            name: "John".to_owned(),
            email: Some("john@example.com".to_owned()),
        })
    };
    let found = new.get_or_load("a", load).await.unwrap();
    assert!(found.email.is_some());
    let found: Option<Arc<next::User>> = new.get("a").await.unwrap();
    assert!(found.unwrap().email.is_some());
    // The old program changes what the new one has in memory.
    old.delete(["a"]).await.unwrap();
    let gone = async {
        while new.get::<next::User>("a").await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::PATIENCE, gone).await.unwrap();
    let lists: Option<Arc<Vec<User>>> = old.get("list").await.unwrap();
    assert!(lists.is_some());
    end(old).await;
    end(new).await;
}

async fn in_format(server: &Server, format: CacheFormat) -> Cache {
    let config = config(&server.url()).cache_format(format);
    let cache = Cache::connect(&config).await.unwrap();
    until_linked(&cache).await;
    cache
}

#[tokio::test]
async fn either_format_is_read_by_processes_with_the_other() {
    let server = Server::start();
    let formats = [CacheFormat::MessagePack, CacheFormat::Json];
    let [one, two] = formats.map(|format| in_format(&server, format));
    let (one, two) = (one.await, two.await);
    let loader = Loader::default();
    for (writer, reader) in [(&one, &two), (&two, &one)] {
        for number in 0..3 {
            let text = format!("number {number}");
            writer.set("a", &user(1, &text)).await.unwrap();
            let seen = until_name(reader, "a", Some(&text), &[None, Some("old")]);
            // What the reader had in memory is old until it is told.
            seen.await;
            reader.set("a", &user(1, "old")).await.unwrap();
            until_name(writer, "a", Some("old"), &[Some(&text), None]).await;
        }
        reader.delete(["a"]).await.unwrap();
        until_name(writer, "a", None, &[Some("old")]).await;
        assert_eq!(load(writer, "a", &loader, "loaded").await, "loaded");
        assert_eq!(load(reader, "a", &loader, "again").await, "loaded");
        writer.delete(["a"]).await.unwrap();
        until_name(reader, "a", None, &[Some("loaded")]).await;
    }
    assert_eq!(loader.loads(), 2);
    two.set("a", &user(1, "by eye")).await.unwrap();
    let stored = server.command(&["GET", "aquifer:a"]);
    assert!(stored.contains(r#"{"id":1,"name":"by eye"}"#), "{stored}");
    end(one).await;
    end(two).await;
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Odd {
    places: BTreeMap<(i32, i32), f64>,
    exact: Vec<f64>,
    bytes: Vec<u8>,
}

#[tokio::test]
async fn what_json_can_not_hold_is_kept_all_the_same() {
    let server = Server::start();
    let cache = in_format(&server, CacheFormat::Json).await;
    let odd = Odd {
        places: BTreeMap::from([((1, 2), 3.5)]),
        exact: (1..5_000)
            .map(|number| 1e300_f64.powf(1.0 / f64::from(number)) / 3.0)
            .collect(),
        bytes: (0..=255).collect(),
    };
    cache.set("odd", &odd).await.unwrap();
    let even = &odd.exact;
    cache.set("even", even).await.unwrap();
    let fresh = in_format(&server, CacheFormat::MessagePack).await;
    let found: Option<Arc<Odd>> = fresh.get("odd").await.unwrap();
    assert_eq!(found.as_deref(), Some(&odd));
    let found: Option<Arc<Vec<f64>>> = fresh.get("even").await.unwrap();
    assert_eq!(found.as_deref(), Some(even));
    end(cache).await;
    end(fresh).await;
}

/// How often this command was called.
pub(super) fn calls(server: &Server, command: &str) -> u64 {
    let statistics = server.command(&["INFO", "commandstats"]);
    let begin = format!("cmdstat_{command}:calls=");
    let line = statistics
        .lines()
        .find_map(|line| line.strip_prefix(&begin));
    let count = line.and_then(|line| line.split(',').next());
    count.map_or(0, |count| count.parse().unwrap())
}

/// Waits until the link has told all that had changed before.
async fn until_all_is_told(server: &Server) {
    let pings = calls(server, "ping");
    until("it asked twice", || calls(server, "ping") >= pings + 2).await;
}

#[tokio::test]
async fn what_was_loaded_first_is_kept_in_memory_though_its_stamps_were_made_for_it() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let loader = Loader::default();
    let tagged = CacheOptions::new().tag("users");
    load(&cache, "a", &loader, "John").await;
    let load = cache.get_or_load_with("b", &tagged, loader.load(user(1, "John")));
    load.await.unwrap();
    until_all_is_told(&server).await;
    let reads = calls(&server, "mget");
    for key in ["a", "b"] {
        assert_eq!(name(&cache, key).await.as_deref(), Some("John"));
    }
    assert_eq!(calls(&server, "mget"), reads);
    end(cache).await;
}
