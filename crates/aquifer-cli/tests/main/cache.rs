use std::time::Duration;

use aquifer::{Cache, CacheFormat, CacheOptions, Config, Error};
use aquifer_testkit::Redis;
use serde_json::{Value, json};

use super::{Directory, Run};

const SECRET: &str = "the value itself";

/// A value with a tag, the knowledge that there is none, a counter.
#[tokio::main(flavor = "current_thread")]
async fn fill(redis: &Redis) {
    let cache = cache(redis).await;
    let options = CacheOptions::new()
        .ttl(Duration::from_secs(60))
        .tag("users");
    let value = json!({ "id": 1, "name": SECRET });
    cache.set_with("user:1", &value, &options).await.unwrap();
    let nobody = || async { Ok::<Option<i64>, Error>(None) };
    cache.get_or_load_opt("user:2", nobody).await.unwrap();
    cache.increment("visits", 7).await.unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn invalidate(redis: &Redis, tag: &str) {
    cache(redis).await.invalidate([tag]).await.unwrap();
}

async fn cache(redis: &Redis) -> Cache {
    let config = Config::new().redis_url(redis.url());
    Cache::connect(&config).await.unwrap()
}

fn inspect(redis: &Redis, arguments: &[&str]) -> Run {
    let arguments = [&["cache", "inspect"], arguments].concat();
    Directory::new().run(&arguments, &[("REDIS_URL", &redis.url())])
}

fn inspect_json(redis: &Redis, arguments: &[&str]) -> Value {
    let run = inspect(redis, &[arguments, &["--json"]].concat());
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr))
}

#[test]
fn a_value_is_told_by_its_stamps_and_shown_only_when_asked_for() {
    let redis = Redis::start();
    fill(&redis);
    let run = inspect(&redis, &["user:1"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for line in [
        "key       aquifer:user:1\n",
        "kind      value, its checksum is right\n",
        "tag       users\n",
        "stamp     holds   aquifer#k:user:1\n",
        "stamp     holds   aquifer#n\n",
        "stamp     holds   aquifer#u:users\n",
        "verdict   would be used\n",
    ] {
        assert!(
            run.stdout.contains(line),
            "{line} is not in:\n{}",
            run.stdout
        );
    }
    assert!(!run.stdout.contains(SECRET), "{}", run.stdout);
    let run = inspect(&redis, &["user:1", "--value"]);
    assert!(run.stdout.contains(SECRET), "{}", run.stdout);

    let object = inspect_json(&redis, &["user:1"]);
    assert!(object.get("value").is_none(), "{object}");
    assert_eq!(object["kind"], "value");
    assert_eq!(
        (&object["good"], &object["checksum_ok"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(object["tags"], json!(["users"]));
    let left = object["left_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&left), "{left}");
    let length: u64 = redis
        .command(&["STRLEN", "aquifer:user:1"])
        .parse()
        .unwrap();
    assert_eq!(object["length"], length);
    let object = inspect_json(&redis, &["user:1", "--value"]);
    assert_eq!(object["value"], json!({ "id": 1, "name": SECRET }));
}

/// A value as JSON, whose load took some time, and that is of use when it is stale too.
#[tokio::main(flavor = "current_thread")]
async fn fill_json(redis: &Redis) {
    let config = Config::new()
        .redis_url(redis.url())
        .cache_format(CacheFormat::Json);
    let cache = Cache::connect(&config).await.unwrap();
    let options = CacheOptions::new()
        .ttl(Duration::from_secs(60))
        .stale_on_error(Duration::from_secs(600));
    let load = || async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok::<_, Error>(json!({ "name": SECRET }))
    };
    let loaded = cache.get_or_load_with("user:3", &options, load).await;
    drop(loaded.unwrap());
}

#[test]
fn json_its_fresh_time_and_its_effort_are_told() {
    let redis = Redis::start();
    fill_json(&redis);
    let object = inspect_json(&redis, &["user:3", "--value"]);
    assert_eq!(object["format"], "json");
    assert_eq!(object["value"], json!({ "name": SECRET }));
    let number = |name: &str| object[name].as_u64().unwrap();
    assert!((600_000..=660_000).contains(&number("left_ms")), "{object}");
    assert!((1..=60_000).contains(&number("fresh_ms")), "{object}");
    assert!(number("effort_us") >= 2_000, "{object}");
    let run = inspect(&redis, &["user:3"]);
    for line in ["format    json\n", "fresh     ", " to load\n"] {
        assert!(run.stdout.contains(line), "{}", run.stdout);
    }
    fill(&redis);
    let object = inspect_json(&redis, &["user:1"]);
    assert_eq!(object["format"], "messagepack");
    assert_eq!(object["effort_us"], 0);
}

#[test]
fn a_change_is_told_by_the_stamp_that_it_has_changed() {
    let redis = Redis::start();
    fill(&redis);
    invalidate(&redis, "users");
    let object = inspect_json(&redis, &["user:1"]);
    assert_eq!(
        (&object["kind"], &object["good"]),
        (&json!("value"), &json!(false))
    );
    let holds: Vec<&Value> = object["stamps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stamp| &stamp["holds"])
        .collect();
    assert_eq!(holds, [&json!(true), &json!(true), &json!(false)]);
    let run = inspect(&redis, &["user:1"]);
    assert!(
        run.stdout.contains("changed aquifer#u:users"),
        "{}",
        run.stdout
    );
    redis.command(&["DEL", "aquifer#k:user:1"]);
    let run = inspect(&redis, &["user:1"]);
    assert!(
        run.stdout.contains("gone    aquifer#k:user:1"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_is_no_value_is_told_as_what_it_is() {
    let redis = Redis::start();
    fill(&redis);
    let absence = inspect_json(&redis, &["user:2", "--value"]);
    assert_eq!(
        (&absence["kind"], &absence["value"]),
        (&json!("absence"), &Value::Null)
    );
    assert_eq!(absence["good"], true);
    let counter = inspect_json(&redis, &["visits"]);
    assert_eq!(
        (&counter["kind"], &counter["number"]),
        (&json!("counter"), &json!(7))
    );
    assert_eq!(
        (&counter["left_ms"], &counter["checksum_ok"]),
        (&Value::Null, &Value::Null)
    );
    redis.command(&["SETRANGE", "aquifer:user:1", "130", "X"]);
    let damaged = inspect_json(&redis, &["user:1", "--value"]);
    assert_eq!(
        (&damaged["kind"], &damaged["checksum_ok"]),
        (&json!("damaged"), &json!(false))
    );
    assert_eq!(
        (&damaged["good"], &damaged["value"]),
        (&json!(false), &Value::Null)
    );
    redis.command(&["SET", "aquifer:other", "{\"of\": \"somebody else\"}"]);
    redis.command(&["RPUSH", "aquifer:list", "1"]);
    for key in ["other", "list"] {
        let foreign = inspect_json(&redis, &[key]);
        assert_eq!(
            (&foreign["kind"], &foreign["good"]),
            (&json!("foreign"), &json!(false))
        );
    }
    // Looking has changed nothing.
    assert_eq!(
        redis.command(&["EXISTS", "aquifer:other", "aquifer:user:1"]),
        "2"
    );
}

#[test]
fn nothing_there_and_nobody_there_are_told_by_the_code() {
    let redis = Redis::start();
    let run = inspect(&redis, &["nothing"]);
    assert_eq!(run.code, Some(3));
    assert_eq!(
        run.stderr,
        "aquifer: Redis holds nothing at aquifer:nothing\n"
    );
    let run = inspect(&redis, &["nothing", "--namespace", "shop", "--json"]);
    let object: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&object["name"], &object["kind"]),
        (&json!("shop:nothing"), &json!("nothing"))
    );
    let run = inspect(&redis, &["nothing", "--namespace", "a b"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let run = inspect(&redis, &[""]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    redis.stop();
    let run = inspect(&redis, &["nothing"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    let run = Directory::new().run(&["cache", "inspect", "a"], &[]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("redis_url"), "{}", run.stderr);
}
