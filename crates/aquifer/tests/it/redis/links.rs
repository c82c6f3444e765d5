//! R9: a connection of one's own, and what becomes of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer::redis::{Link, PushInfo, PushKind, Value};
use aquifer::{ErrorKind, Redis};
use aquifer_testkit::Redis as Server;

use super::{PATIENCE, connect, end, set};

/// Keeps what is pushed.
#[derive(Clone, Default)]
struct Pushed(Arc<Mutex<Vec<PushInfo>>>);

impl Pushed {
    async fn link(&self, redis: &Redis) -> Link {
        let kept = Arc::clone(&self.0);
        let master = redis.status().masters[0].address.clone();
        let on_push = move |push| kept.lock().unwrap().push(push);
        redis.link(&master, on_push).await.unwrap()
    }

    /// Waits for a message of this kind, and returns what it says.
    async fn heard(&self, kind: PushKind) -> Vec<Value> {
        let find = || {
            let kept = self.0.lock().unwrap();
            kept.iter().find(|push| push.kind == kind).cloned()
        };
        super::super::support::until("the message arrives", || find().is_some()).await;
        find().unwrap().data
    }
}

#[tokio::test]
async fn a_link_waits_subscribes_and_tracks_without_holding_up_anybody() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    let pushed = Pushed::default();
    let link = pushed.link(&redis).await;
    let tracking = link.command("CLIENT").arg("TRACKING").arg("ON");
    let tracking = tracking.arg("BCAST").arg("PREFIX").arg("stamp:");
    tracking.run::<()>().await.unwrap();
    link.command("SUBSCRIBE")
        .arg("news")
        .run::<Value>()
        .await
        .unwrap();
    set(&redis, "stamp:a", "1").await.unwrap();
    let keys = pushed.heard(PushKind::Invalidate).await;
    assert_eq!(
        keys,
        [Value::Array(vec![Value::BulkString(b"stamp:a".into())])]
    );
    let heard: i64 = redis
        .command("PUBLISH")
        .arg("news")
        .arg("x")
        .run()
        .await
        .unwrap();
    assert_eq!(heard, 1);
    let message = pushed.heard(PushKind::Message).await;
    assert_eq!(message[1], Value::BulkString(b"x".into()));

    let waiter = Pushed::default().link(&redis).await;
    let waiting = tokio::spawn(async move {
        let waiting = waiter
            .command("BLPOP")
            .arg("queue")
            .arg(0)
            .timeout(PATIENCE);
        waiting.run::<(String, String)>().await
    });
    super::super::support::until("it waits", || {
        server
            .command(&["INFO", "clients"])
            .contains("blocked_clients:1")
    })
    .await;
    let length: i64 = redis
        .command("RPUSH")
        .arg("queue")
        .arg("job")
        .run()
        .await
        .unwrap();
    assert_eq!(length, 1);
    let (queue, job) = waiting.await.unwrap().unwrap();
    assert_eq!((queue.as_str(), job.as_str()), ("queue", "job"));
    end(redis).await;
    tokio::time::timeout(PATIENCE, link.closed())
        .await
        .expect("shut down with the rest");
}

#[tokio::test]
async fn a_link_that_is_killed_or_too_slow_says_that_it_is_gone() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    let pushed = Pushed::default();
    let link = pushed.link(&redis).await;
    let id: i64 = link.command("CLIENT").arg("ID").run().await.unwrap();
    server.command(&["CLIENT", "KILL", "ID", &id.to_string()]);
    tokio::time::timeout(PATIENCE, link.closed())
        .await
        .expect("it is told");
    pushed.heard(PushKind::Disconnection).await;
    let error = link
        .command("INCR")
        .arg("n")
        .run::<i64>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);

    // The server ends subscribers that fall behind by more than so much.
    server.command(&[
        "CONFIG",
        "SET",
        "client-output-buffer-limit",
        "pubsub 64kb 64kb 0",
    ]);
    let slow = |_push| std::thread::sleep(Duration::from_millis(20));
    let master = redis.status().masters[0].address.clone();
    let link = redis.link(&master, slow).await.unwrap();
    link.command("SUBSCRIBE")
        .arg("news")
        .run::<Value>()
        .await
        .unwrap();
    let flood = "x".repeat(1 << 20);
    let flooding = tokio::time::timeout(PATIENCE, async {
        loop {
            let publish = redis.command("PUBLISH").arg("news").arg(&flood);
            if publish.run::<i64>().await.unwrap() == 0 {
                return;
            }
        }
    });
    flooding.await.expect("the server ends it");
    tokio::time::timeout(PATIENCE, link.closed())
        .await
        .expect("it is told");
    let error = redis.link("nowhere:1", |_push| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    drop(link);
    end(redis).await;
}
