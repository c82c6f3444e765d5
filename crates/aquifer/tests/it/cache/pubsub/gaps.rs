//! What becomes of messages and of those who listen when links are lost, servers change and callers go away.

use std::time::Duration;

use aquifer::{Cache, ErrorKind, Event, Messages, Received};
use aquifer_testkit::{Ending, Mode, Proxy, Redis as Server, Sentinels, Upstream};

use super::super::super::support::{self, abort_at, until};
use super::super::{PATIENCE, config, end, process};
use super::{message, messages_arrive, publish, received};

/// Before the next message there is word that some may be missing.
async fn until_after_a_gap(cache: &Cache, messages: &mut Messages<i32>) {
    until("it listens again", || messages.is_live()).await;
    let gap = received(messages).await;
    assert!(matches!(gap, Received::Gap { dropped: 0, .. }), "{gap:?}");
    let published = tokio::time::timeout(PATIENCE, async {
        while cache.publish("numbers", &8).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    published.await.expect("it is published");
    assert_eq!(message(messages).await, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_the_new_master_is_listened_to_and_a_gap_is_told() {
    let first = Server::start();
    let _second = first.start_replica();
    let sentinels = Sentinels::start(&first, "shop", 1);
    let url = format!("redis+sentinel://{}", sentinels.place());
    let (one, two) = (process(&url).await, process(&url).await);
    messages_arrive(&one, &two).await;
    let mut events = two.redis().unwrap().events();
    let mut messages = two.messages::<i32>("numbers").await.unwrap();
    publish(&one, "numbers", 1).await;
    assert_eq!(message(&mut messages).await, 1);
    first.kill();
    until("it is noticed", || !messages.is_live()).await;
    until_after_a_gap(&one, &mut messages).await;
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Event::SubscriptionGap {
                channel, dropped, ..
            } = events.next().await.unwrap()
            {
                return (channel, dropped);
            }
        }
    });
    let (channel, dropped) = told.await.unwrap();
    assert_eq!((&*channel, dropped), ("numbers", 0));
    end(one).await;
    end(two).await;
}

/// Numbers are published in order: none may be missing without word of it, and none come twice. Returns
/// how many gaps there were.
async fn follow(mut numbers: Messages<u64>, last: u64) -> usize {
    let (mut before, mut may_miss, mut gaps) = (0, false, 0);
    while before < last {
        match received(&mut numbers).await {
            Received::Message { message, .. } => {
                assert!(message > before, "{message} after {before}");
                assert!(
                    may_miss || message == before + 1,
                    "{message} after {before}"
                );
                (before, may_miss) = (message, false);
            }
            Received::Gap { .. } => (may_miss, gaps) = (true, gaps + 1),
            _ => {}
        }
    }
    gaps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_missing_without_word_of_it_while_connections_are_cut() {
    let server = Server::start();
    for protocol in ["resp3", "resp2"] {
        let proxy = Proxy::to_any(Upstream::Port(server.port()));
        let url = format!("redis://127.0.0.1:{}?protocol={protocol}", proxy.port());
        let behind = Cache::connect(&config(&url)).await.unwrap();
        let other = Cache::connect(&config(&server.url())).await.unwrap();
        let numbers = behind.messages::<u64>("numbers").await.unwrap();
        let following = tokio::spawn(follow(numbers, 600));
        // So that it is cut within a message too.
        proxy.set(Mode::Slices(7));
        for number in 1_u64.. {
            publish(&other, "numbers", number).await;
            match number {
                ..600 if number % 40 == 10 => proxy.cut_all(Ending::Reset),
                ..600 if number % 40 == 30 => {
                    server.command(&["CLIENT", "KILL", "TYPE", "PUBSUB"]);
                }
                _ if following.is_finished() => break,
                600.. => tokio::time::sleep(Duration::from_millis(1)).await,
                _ => {}
            }
        }
        assert!(following.await.unwrap() > 0);
        end(behind).await;
        end(other).await;
    }
}

#[tokio::test]
async fn a_receiver_that_is_too_slow_is_told_how_many_it_lost() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let mut events = cache.redis().unwrap().events();
    let mut slow = cache.messages::<i32>("numbers").await.unwrap();
    let mut marks = cache.messages::<i32>("mark").await.unwrap();
    let pipeline = (0..3_000).fold(cache.redis().unwrap().pipeline(), |pipeline, number| {
        pipeline.command("PUBLISH").arg("numbers").arg(number)
    });
    pipeline.run_each().await.unwrap();
    publish(&cache, "mark", 1).await;
    assert_eq!(message(&mut marks).await, 1);
    assert_eq!(slow.dropped(), 3_000 - 1_024);
    let gap = received(&mut slow).await;
    assert!(
        matches!(gap, Received::Gap { dropped: 1_976, .. }),
        "{gap:?}"
    );
    for number in 1_976..3_000 {
        assert_eq!(message(&mut slow).await, number);
    }
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Event::SubscriptionGap { dropped, .. } = events.next().await.unwrap() {
                return dropped;
            }
        }
    });
    assert_eq!(told.await.unwrap(), 1_976);
    end(cache).await;
}

#[tokio::test]
async fn who_listens_while_redis_is_away_hears_when_it_is_back() {
    let server = Server::start();
    server.stop();
    let config = config(&server.url()).redis_timeout(Duration::from_millis(100));
    let cache = Cache::connect(&config).await.unwrap();
    let mut messages = cache.messages::<i32>("numbers").await.unwrap();
    assert!(!messages.is_live());
    let error = cache.publish("numbers", &1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    server.start_again();
    until_after_a_gap(&cache, &mut messages).await;
    end(cache).await;
    let error = messages.recv().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_says_why_and_the_next_who_asks_finds_out_anew() {
    let server = Server::start();
    server.command(&[
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">secret",
        "~*",
        "+@all",
        "resetchannels",
        "&public",
    ]);
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    let cache = process(&url).await;
    let mut public = cache.messages::<i32>("public").await.unwrap();
    let error = cache.messages::<i32>("private").await.unwrap_err();
    assert_eq!(error.redis_code(), Some("NOPERM"), "{error}");
    publish(&cache, "public", 1).await;
    assert_eq!(message(&mut public).await, 1);
    server.command(&["ACL", "SETUSER", "app", "&private"]);
    let mut private = cache.messages::<i32>("private").await.unwrap();
    publish(&cache, "private", 2).await;
    assert_eq!(message(&mut private).await, 2);
    end(cache).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_point_leaves_nobody_who_listens() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let tasks = cache.redis().unwrap().tasks_running();
    let clients = || server.command(&["CLIENT", "LIST"]).lines().count();
    let before = clients();
    let mut whole = cache.messages::<usize>("whole").await.unwrap();
    for way in 0..4 {
        for polls in 1.. {
            assert!(polls < 200, "it never ends");
            let call = async {
                match way {
                    0 => drop(cache.messages::<i32>("a").await.unwrap()),
                    1 => drop(cache.psubscribe("b*", |_: i32, _: &str| ()).await.unwrap()),
                    2 => drop(cache.publish("c", &1).await.unwrap()),
                    _ => drop(whole.recv().await.unwrap()),
                }
            };
            let done = abort_at(polls, call).await.is_some();
            if done && way < 3 {
                break;
            }
            publish(&cache, "whole", polls).await;
            if done {
                // What was dropped before has lost no message.
                assert_eq!(polls, 2);
                break;
            }
            if way < 3 {
                assert_eq!(message(&mut whole).await, polls);
            }
        }
    }
    drop(whole);
    // Alone, so that the connection is opened and closed for each.
    for polls in 1..200 {
        let call = cache.messages::<i32>("a");
        if abort_at(polls, call).await.is_some() {
            break;
        }
    }
    until("nobody listens", || {
        clients() == before && cache.redis().unwrap().tasks_running() == tasks
    })
    .await;
    assert_eq!(publish(&cache, "a", 1).await, 0);
    end(cache).await;
    let error = cache_is_closed(&server).await;
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}

async fn cache_is_closed(server: &Server) -> aquifer::Error {
    let cache = process(&server.url()).await;
    cache
        .redis()
        .unwrap()
        .shutdown(Duration::from_secs(2))
        .await;
    cache.messages::<i32>("a").await.unwrap_err()
}

#[tokio::test]
async fn a_database_that_is_closed_ends_its_subscriptions() {
    let config = support::config(support::url());
    let db = aquifer::Db::connect_with(&config).await.unwrap();
    let mut messages = db.cache().messages::<i32>("a").await.unwrap();
    publish(db.cache(), "a", 1).await;
    db.close().await.unwrap();
    assert_eq!(message(&mut messages).await, 1);
    let error = messages.recv().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    let error = db.cache().messages::<i32>("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}
