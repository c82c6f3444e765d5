//! Messages between processes: what is promised of them.

mod gaps;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer::{Cache, ErrorKind, Messages, Received, Subscription};
use aquifer_testkit::{Redis as Server, RedisCluster};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::support::until;
use super::{PATIENCE, User, config, end, process, user};

/// Keeps what a callback is called with.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Call>>>);

/// A user's number, and the channel.
type Call = (i64, String);

impl Heard {
    fn callback(&self) -> impl FnMut(User, &str) + Send + use<> {
        let heard = Arc::clone(&self.0);
        move |user, channel| heard.lock().unwrap().push((user.id, channel.to_owned()))
    }

    async fn until(&self, wanted: &[(i64, &str)]) {
        let owned = |(id, channel): &(i64, &str)| (*id, (*channel).to_owned());
        let wanted: Vec<_> = wanted.iter().map(owned).collect();
        until("it is heard", || *self.0.lock().unwrap() == wanted).await;
    }
}

async fn received<T: DeserializeOwned>(messages: &mut Messages<T>) -> Received<T> {
    let received = tokio::time::timeout(PATIENCE, messages.recv()).await;
    received.expect("something comes").unwrap()
}

/// The next must be a message.
async fn message<T: DeserializeOwned + std::fmt::Debug>(messages: &mut Messages<T>) -> T {
    match received(messages).await {
        Received::Message { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

async fn publish<T: Serialize>(cache: &Cache, channel: &str, message: T) -> u64 {
    cache.publish(channel, &message).await.unwrap()
}

/// One cache publishes, the other listens; they may be the same.
async fn messages_arrive(one: &Cache, two: &Cache) {
    // Who listened to all channels before may still do so for a moment.
    let alone = tokio::time::timeout(PATIENCE, async {
        while publish(one, "nobody", 1).await > 0 {}
    });
    alone.await.expect("nobody listens");
    let heard = Heard::default();
    let subscription = two
        .subscribe("user-updates", heard.callback())
        .await
        .unwrap();
    assert!(subscription.is_live());
    publish(one, "user-updates", user(1, "John")).await;
    heard.until(&[(1, "user-updates")]).await;
    others_hear_them_too((one, two), heard, subscription).await;
    for name in ["", &"x".repeat(513)] {
        let error = two.messages::<User>(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        let error = one.publish(name, &1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
}

async fn others_hear_them_too(
    (one, two): (&Cache, &Cache),
    heard: Heard,
    subscription: Subscription,
) {
    // Others of the same process, by the name and by patterns.
    let mut users = two.messages::<User>("user-updates").await.unwrap();
    let patterned = Heard::default();
    let by_pattern = two.psubscribe("user-[a-z]*", patterned.callback());
    let by_pattern = by_pattern.await.unwrap();
    let mut all = two
        .messages_matching::<serde_json::Value>("*")
        .await
        .unwrap();
    publish(one, "user-updates", user(2, "Jane")).await;
    publish(one, "user-deletes", user(3, "Jim")).await;
    heard
        .until(&[(1, "user-updates"), (2, "user-updates")])
        .await;
    patterned
        .until(&[(2, "user-updates"), (3, "user-deletes")])
        .await;
    assert_eq!(message(&mut users).await, user(2, "Jane"));
    assert_eq!(message(&mut all).await["name"], "Jane");
    match received(&mut all).await {
        Received::Message {
            channel, message, ..
        } => {
            assert_eq!(
                (&*channel, message["id"].as_i64()),
                ("user-deletes", Some(3))
            );
        }
        other => panic!("{other:?}"),
    }

    // Of another type: an error for those who take them one by one, a count for the function.
    publish(one, "user-updates", "secret").await;
    let error = users.recv().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    publish(one, "user-updates", user(4, "Joe")).await;
    assert_eq!(message(&mut users).await, user(4, "Joe"));
    let channel = "user-updates";
    heard
        .until(&[(1, channel), (2, channel), (4, channel)])
        .await;
    assert_eq!(subscription.unreadable(), 1);

    // Who is gone hears nothing; the others still do.
    drop((by_pattern, all));
    drop(subscription);
    publish(one, "user-updates", user(5, "Jack")).await;
    assert_eq!(message(&mut users).await, user(5, "Jack"));
    assert_eq!(heard.0.lock().unwrap().len(), 3);
    until("the function is gone too", || {
        Arc::strong_count(&heard.0) == 1
    })
    .await;
}

/// A function that panics is called for the next message all the same.
async fn a_panic_ends_nothing(cache: &Cache) {
    let heard = Heard::default();
    let mut keep = heard.callback();
    let picky = move |user: User, channel: &str| {
        assert!(user.id != 1, "not this one");
        keep(user, channel);
    };
    let subscription = cache.subscribe("panics", picky).await.unwrap();
    publish(cache, "panics", user(1, "John")).await;
    publish(cache, "panics", user(2, "Jane")).await;
    heard.until(&[(2, "panics")]).await;
    drop(subscription);
}

#[tokio::test]
async fn within_one_process_messages_arrive() {
    let cache = Cache::in_process(&config("redis://localhost")).unwrap();
    messages_arrive(&cache, &cache).await;
    a_panic_ends_nothing(&cache).await;
    let _both = (
        cache.messages::<i32>("a").await.unwrap(),
        cache.messages::<i32>("a").await.unwrap(),
        cache.messages_matching::<i32>("?").await.unwrap(),
    );
    assert_eq!(publish(&cache, "a", 1).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_processes_messages_arrive_by_one_connection_of_each() {
    let server = Server::start();
    for url in [server.url(), format!("{}?protocol=resp2", server.url())] {
        let (one, two) = (process(&url).await, process(&url).await);
        messages_arrive(&one, &two).await;
        messages_arrive(&one, &one).await;
        a_panic_ends_nothing(&two).await;
        let subscribers = || {
            let list = server.command(&["CLIENT", "LIST", "TYPE", "PUBSUB"]);
            list.lines().filter(|line| !line.is_empty()).count()
        };
        // By RESP2 each process hears of changes of the cache by one more.
        let others = if url.ends_with("resp2") { 2 } else { 0 };
        until("those of before are closed", || subscribers() == others).await;
        let both = (
            one.messages::<i32>("a").await.unwrap(),
            one.messages::<i32>("a").await.unwrap(),
            one.messages::<i32>("b").await.unwrap(),
            one.messages_matching::<i32>("?").await.unwrap(),
        );
        assert_eq!(publish(&two, "a", 1).await, 2);
        assert_eq!(subscribers(), others + 1);
        drop(both);
        until("the connection is closed", || subscribers() == others).await;
        end(one).await;
        end(two).await;
    }
}

/// Nodes of a cluster that is new don't all reach each other yet, and lose what they can't pass on.
async fn until_nodes_pass_on(one: &Cache, two: &Cache) -> Messages<i32> {
    let mut messages = two.messages::<i32>("warm").await.unwrap();
    let passed_on = tokio::time::timeout(PATIENCE, async {
        loop {
            publish(one, "warm", 1).await;
            let heard = tokio::time::timeout(Duration::from_millis(50), messages.recv());
            if heard.await.is_ok() {
                return;
            }
        }
    });
    passed_on.await.expect("they do");
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_messages_arrive() {
    let cluster = RedisCluster::start();
    let url = format!("redis+cluster://{}", cluster.place());
    let (one, two) = (process(&url).await, process(&url).await);
    // The connections stay as long as somebody listens.
    let _both = (
        until_nodes_pass_on(&one, &two).await,
        until_nodes_pass_on(&two, &one).await,
    );
    messages_arrive(&one, &two).await;
    messages_arrive(&two, &one).await;
    end(one).await;
    end(two).await;
}
