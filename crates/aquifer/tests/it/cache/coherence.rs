//! What one process changes, the others see; and what they can't have heard of they don't use.

use std::time::Duration;

use aquifer::{Cache, CacheOptions};
use aquifer_testkit::{Ending, Mode, Proxy, Redis as Server, RedisCluster, Sentinels, Upstream};

use super::{
    Loader, config, end, held, load, name, process, until_in_doubt, until_linked, until_name, user,
};

/// Each of two processes changes a value that the other has in memory.
async fn see_each_others_changes(one: &Cache, two: &Cache) {
    let pairs = [(one, two), (two, one), (one, two)];
    for (round, (writer, reader)) in pairs.into_iter().enumerate() {
        for key in ["a", "b", "c", "d"] {
            let (before, after) = (format!("before {round}"), format!("after {round}"));
            let (before, after) = (Some(before.as_str()), Some(after.as_str()));
            writer.set(key, &user(1, before.unwrap())).await.unwrap();
            until_name(
                reader,
                key,
                before,
                &[None, name(reader, key).await.as_deref()],
            )
            .await;
            writer.set(key, &user(1, after.unwrap())).await.unwrap();
            assert_eq!(name(writer, key).await.as_deref(), after);
            until_name(reader, key, after, &[before, None]).await;
            writer.delete([key]).await.unwrap();
            assert_eq!(name(writer, key).await, None);
            until_name(reader, key, None, &[after]).await;
        }
        let tagged = CacheOptions::new().tag("users");
        for renewed in [false, true] {
            let value = user(2, "tagged");
            writer.set_with("e", &value, &tagged).await.unwrap();
            until_name(reader, "e", Some("tagged"), &[None]).await;
            match renewed {
                false => writer.invalidate(["users"]).await.unwrap(),
                true => writer.clear().await.unwrap(),
            }
            until_name(reader, "e", None, &[Some("tagged")]).await;
        }
    }
}

/// A loader in one process is held open while the other deletes.
async fn keep_no_value_that_was_loaded_before_a_delete(one: &Cache, two: &Cache) {
    let early = held(one, "held").await;
    two.delete(["held"]).await.unwrap();
    early.gives("old").await;
    assert_eq!(name(two, "held").await, None);
    // It may have been used until the announcement came; no longer.
    until_name(one, "held", None, &[Some("old")]).await;
    let loader = Loader::default();
    assert_eq!(load(two, "held", &loader, "new").await, "new");
    assert_eq!(name(one, "held").await.as_deref(), Some("new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_redis_see_each_others_changes() {
    let server = Server::start();
    let told = server.url();
    // One may hear by the channel while another is told by the server.
    let heard = format!("{told}?protocol=resp2");
    for (one, two) in [(&told, &told), (&told, &heard), (&heard, &heard)] {
        let (one, two) = (process(one).await, process(two).await);
        see_each_others_changes(&one, &two).await;
        keep_no_value_that_was_loaded_before_a_delete(&one, &two).await;
        end(one).await;
        end(two).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_server_may_not_tell_of_changes_processes_tell_each_other() {
    let server = Server::start();
    let user = [
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">secret",
        "~*",
        "&*",
        "+@all",
        "-client|tracking",
    ];
    server.command(&user);
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    let (one, two) = (process(&url).await, process(&url).await);
    see_each_others_changes(&one, &two).await;
    // All keys are flushed behind the layer's back.
    one.set("a", &user_of("old")).await.unwrap();
    until_name(&two, "a", Some("old"), &[None]).await;
    server.command(&["FLUSHALL"]);
    until_name(&two, "a", None, &[Some("old")]).await;
    end(one).await;
    end(two).await;
}

fn user_of(name: &str) -> super::User {
    user(1, name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_a_cluster_see_each_others_changes() {
    let cluster = RedisCluster::start();
    for protocol in ["resp3", "resp2"] {
        let url = format!("redis+cluster://{}?protocol={protocol}", cluster.place());
        let (one, two) = (process(&url).await, process(&url).await);
        see_each_others_changes(&one, &two).await;
        keep_no_value_that_was_loaded_before_a_delete(&one, &two).await;
        end(one).await;
        end(two).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_behind_sentinels_see_each_others_changes_and_nothing_old_after_a_failover() {
    for protocol in ["resp3", "resp2"] {
        nothing_old_after_a_failover(protocol).await;
    }
}

async fn nothing_old_after_a_failover(protocol: &str) {
    let first = Server::start();
    let _second = first.start_replica();
    let sentinels = Sentinels::start(&first, "shop", 1);
    let url = format!("redis+sentinel://{}?protocol={protocol}", sentinels.place());
    let (one, two) = (process(&url).await, process(&url).await);
    see_each_others_changes(&one, &two).await;
    one.set("kept", &user(1, "before")).await.unwrap();
    until_name(&two, "kept", Some("before"), &[None]).await;
    first.kill();
    until_in_doubt(&one).await;
    until_in_doubt(&two).await;
    until_linked(&one).await;
    until_linked(&two).await;
    // What the new master was not told may be old, so nothing of before is good.
    assert_eq!(name(&one, "kept").await, None);
    assert_eq!(name(&two, "kept").await, None);
    one.set("kept", &user(1, "after")).await.unwrap();
    until_name(&two, "kept", Some("after"), &[None]).await;
    end(one).await;
    end(two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_failover_makes_everything_of_before_a_miss() {
    let first = Server::start();
    let _second = first.start_replica();
    let sentinels = Sentinels::start(&first, "shop", 1);
    let url = format!("redis+sentinel://{}", sentinels.place());
    let (one, two) = (process(&url).await, process(&url).await);
    one.set("kept", &user(1, "before")).await.unwrap();
    until_name(&two, "kept", Some("before"), &[None]).await;
    // The old master lives on as a replica, which must not be asked any more.
    sentinels.fail_over();
    until_name(&one, "kept", None, &[Some("before")]).await;
    until_name(&two, "kept", None, &[Some("before")]).await;
    until_linked(&one).await;
    until_linked(&two).await;
    one.set("kept", &user(1, "after")).await.unwrap();
    until_name(&two, "kept", Some("after"), &[None]).await;
    end(one).await;
    end(two).await;
}

/// Two processes, one of which reaches Redis by a proxy.
async fn one_behind_a_proxy(server: &Server) -> (Proxy, Cache, Cache) {
    let proxy = Proxy::to_any(Upstream::Port(server.port()));
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let config = config(&url).redis_timeout(Duration::from_millis(500));
    let behind = Cache::connect(&config).await.unwrap();
    until_linked(&behind).await;
    (proxy, behind, process(&server.url()).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_cut_off_uses_nothing_old_and_what_did_not_change_without_loading() {
    let server = Server::start();
    let (proxy, behind, other) = one_behind_a_proxy(&server).await;
    let loader = Loader::default();
    other.set("changes", &user(1, "old")).await.unwrap();
    assert_eq!(load(&other, "stays", &loader, "same").await, "same");
    until_name(&behind, "changes", Some("old"), &[None]).await;
    until_name(&behind, "stays", Some("same"), &[None]).await;

    proxy.refuse();
    proxy.cut_all(Ending::Reset);
    until_in_doubt(&behind).await;
    other.set("changes", &user(1, "new")).await.unwrap();
    assert_eq!(name(&behind, "changes").await, None);
    assert_eq!(name(&behind, "stays").await, None);
    proxy.accept();
    until_name(&behind, "changes", Some("new"), &[None]).await;
    until_name(&behind, "stays", Some("same"), &[None]).await;
    assert_eq!(load(&behind, "stays", &loader, "other").await, "same");
    assert_eq!(loader.loads(), 1);
    until_linked(&behind).await;
    end(behind).await;
    end(other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_is_noticed() {
    let server = Server::start();
    let (proxy, behind, other) = one_behind_a_proxy(&server).await;
    other.set("a", &user(1, "old")).await.unwrap();
    until_name(&behind, "a", Some("old"), &[None]).await;
    proxy.set(Mode::BlackHole);
    until_in_doubt(&behind).await;
    other.set("a", &user(1, "new")).await.unwrap();
    assert_eq!(name(&behind, "a").await, None);
    proxy.cut_all(Ending::Reset);
    proxy.set(Mode::Pass);
    until_name(&behind, "a", Some("new"), &[None]).await;
    until_linked(&behind).await;
    end(behind).await;
    end(other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_are_killed_all_the_time_hide_no_change() {
    for protocol in ["resp3", "resp2"] {
        no_change_is_hidden(protocol).await;
    }
}

async fn no_change_is_hidden(protocol: &str) {
    let server = Server::start();
    let url = format!("{}?protocol={protocol}", server.url());
    let (one, two) = (process(&url).await, process(&url).await);
    for round in 0..30 {
        let text = round.to_string();
        let before = name(&two, "a").await;
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        one.set("a", &user(1, &text)).await.unwrap();
        // A write that was cut is remembered, and then nothing is there.
        if one.status().has_missed_bumps {
            until_name(&two, "a", None, &[before.as_deref(), Some(&text)]).await;
        } else {
            let found = name(&one, "a").await;
            assert!(
                found.is_none() || found.as_deref() == Some(&text),
                "{found:?}"
            );
            until_name(
                &two,
                "a",
                found.as_deref(),
                &[before.as_deref(), None, Some(&text)],
            )
            .await;
        }
    }
    end(one).await;
    end(two).await;
}
