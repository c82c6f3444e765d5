//! R1 to R10, as the cache sees them: while two processes read and change rows, Redis dies, hangs,
//! refuses, fails over or moves. No call fails, and no read is older than was promised.

mod load;

use std::time::Duration;

use aquifer::{Cache, Config};
use aquifer_testkit::{Redis as Server, RedisCluster, Sentinels};

use self::load::{Acknowledged, Load};
use super::super::support::until;
use super::{config, end, name, user};

/// Its slot is that of the keys.
const SLOT: u16 = 3443;

fn impatient(url: &str) -> Config {
    config(url).redis_timeout(Duration::from_millis(300))
}

async fn start(server: &Server, counts: Acknowledged) -> Load {
    Load::start(&impatient(&server.url()), counts).await
}

#[tokio::test]
async fn what_is_set_first_of_all_is_there() {
    let server = Server::start();
    for round in 0..20 {
        let config = config(&server.url()).cache_namespace(format!("round-{round}"));
        let cache = Cache::connect(&config).await.unwrap();
        cache.set("a", &user(1, "John")).await.unwrap();
        assert_eq!(name(&cache, "a").await.as_deref(), Some("John"), "{round}");
        end(cache).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_redis_is_killed_and_returns_empty() {
    let server = Server::start();
    let load = start(&server, Acknowledged::All).await;
    for _ in 0..2 {
        server.kill();
        load.until_in_doubt().await;
        load.goes_on().await;
        server.start_again();
        load.until_well().await;
        load.goes_on().await;
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_redis_accepts_and_does_not_answer() {
    let server = Server::start();
    let load = start(&server, Acknowledged::Told).await;
    for _ in 0..2 {
        server.pause();
        load.until_in_doubt().await;
        load.goes_on().await;
        server.resume();
        load.until_well().await;
        load.goes_on().await;
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_redis_restarts_with_old_data_that_it_takes_long_to_load() {
    let server = Server::start();
    let load = start(&server, Acknowledged::Told).await;
    server.restart_loading(Duration::from_secs(1));
    load.goes_on().await;
    load.until_well().await;
    load.goes_on().await;
    load.end().await;
}

/// Redis refuses writes for a while; reads go on.
async fn refuses(server: &Server, refuse: impl Fn(), allow: impl Fn()) {
    let load = start(server, Acknowledged::Told).await;
    refuse();
    let owes = || {
        let [one, two] = [&load.one, &load.two].map(|process| process.cache.status());
        one.has_missed_bumps && two.has_missed_bumps
    };
    until("changes are owed", owes).await;
    load.goes_on().await;
    allow();
    load.until_well().await;
    load.goes_on().await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_redis_has_no_memory_left() {
    let server = Server::start_with(&["--maxmemory-policy", "noeviction"]);
    let memory = |bytes| server.command(&["CONFIG", "SET", "maxmemory", bytes]);
    refuses(&server, || drop(memory("1")), || drop(memory("0"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_redis_evicts_what_it_likes() {
    let server = Server::start_with(&["--maxmemory-policy", "allkeys-random"]);
    let load = start(&server, Acknowledged::All).await;
    // With every command some keys go: values and stamps.
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    load.goes_on().await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    load.goes_on().await;
    server.command(&["FLUSHALL"]);
    load.goes_on().await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r5_redis_becomes_a_replica_for_a_while() {
    let (server, other) = (Server::start(), Server::start());
    let port = other.port().to_string();
    let follow = || drop(server.command(&["REPLICAOF", "127.0.0.1", &port]));
    let lead = || drop(server.command(&["REPLICAOF", "NO", "ONE"]));
    refuses(&server, follow, lead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_redis_lacks_the_replicas_that_it_was_promised() {
    let server = Server::start();
    let replicas = |count| server.command(&["CONFIG", "SET", "min-replicas-to-write", count]);
    refuses(&server, || drop(replicas("1")), || drop(replicas("0"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_redis_can_not_save() {
    let server = Server::start();
    // A directory in the place of the file: the background save can't take its place.
    let place = server.socket().parent().unwrap().join("dump.rdb");
    std::fs::create_dir(place).unwrap();
    let fail = || {
        server.command(&["CONFIG", "SET", "save", "1 1"]);
        server.command(&["BGSAVE"]);
    };
    let stop = || drop(server.command(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]));
    refuses(&server, fail, stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_sentinel_puts_a_replica_in_the_masters_place() {
    let first = Server::start();
    let _second = first.start_replica();
    let sentinels = Sentinels::start(&first, "shop", 1);
    let url = format!("redis+sentinel://{}", sentinels.place());
    let load = Load::start(&impatient(&url), Acknowledged::Told).await;
    first.kill();
    load.until_in_doubt().await;
    load.goes_on().await;
    load.until_well().await;
    until("each sentinel has heard of it", || {
        sentinels.master_port() != first.port()
    })
    .await;
    load.goes_on().await;
    // Back, and the other way round.
    first.start_again();
    load.goes_on().await;
    load.end().await;
}

async fn cluster(cluster: &RedisCluster) -> Load {
    let url = format!("redis+cluster://{}", cluster.place());
    Load::start(&impatient(&url), Acknowledged::Told).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_the_slot_of_all_keys_moves() {
    let nodes = RedisCluster::start();
    let [first, second, third] = nodes.masters() else {
        panic!("three masters");
    };
    let load = cluster(&nodes).await;
    for (from, to) in [(first, second), (second, third), (third, first)] {
        nodes.begin_move(SLOT, from, to);
        // What is stored meanwhile moves too.
        for _ in 0..10 {
            nodes.move_keys(SLOT, from, to, 8);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while from.command(&["CLUSTER", "COUNTKEYSINSLOT", &SLOT.to_string()]) != "0" {
            nodes.move_keys(SLOT, from, to, 100);
        }
        nodes.finish_move(SLOT, from, to);
        load.goes_on().await;
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_the_replica_of_a_killed_master_takes_its_place() {
    let nodes = RedisCluster::start_with_replicas();
    let load = cluster(&nodes).await;
    nodes.masters()[0].kill();
    load.until_in_doubt().await;
    load.goes_on().await;
    load.until_well().await;
    load.goes_on().await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r9_redis_is_busy_with_a_script() {
    let server = Server::start();
    let load = start(&server, Acknowledged::Told).await;
    server.command(&["CONFIG", "SET", "busy-reply-threshold", "50"]);
    let busy = std::thread::scope(|scope| {
        let script = scope.spawn(|| server.try_command(&["EVAL", "while true do end", "0"]));
        let ended = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                load.until_in_doubt().await;
                load.goes_on().await;
            });
            server.try_command(&["SCRIPT", "KILL"])
        });
        drop(script.join());
        ended
    });
    assert_eq!(busy.as_deref(), Ok("OK"));
    load.until_well().await;
    load.goes_on().await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r9_connections_are_killed_all_the_time() {
    let server = Server::start();
    let load = start(&server, Acknowledged::Told).await;
    for _ in 0..40 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    load.until_well().await;
    load.goes_on().await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_the_password_changes_and_is_wrong_for_a_while() {
    let server = Server::start();
    let load = start(&server, Acknowledged::Told).await;
    server.command(&["CONFIG", "SET", "requirepass", "another"]);
    // Who is in stays in.
    load.goes_on().await;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    load.until_in_doubt().await;
    load.goes_on().await;
    server.command(&["CONFIG", "SET", "requirepass", ""]);
    load.until_well().await;
    load.goes_on().await;
    load.end().await;
}
