//! R8: slots move and masters change, and no caller notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aquifer::redis::Value;
use aquifer::{ErrorKind, Event, Redis, Retry, Status};
use aquifer_testkit::RedisCluster;

use super::{PATIENCE, connect, end, get, heard, set, until_status};

/// Its slot is 3443, the first node's.
const TAG: &str = "{user1000}";
const SLOT: u16 = 3443;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_found_on_their_nodes_and_answers_come_in_order() {
    let cluster = RedisCluster::start();
    let [first, second, third] = cluster.masters() else {
        panic!("three masters");
    };
    let redis = connect(&format!("redis+cluster://{}", cluster.place())).await;
    for number in 0..100 {
        set(&redis, &format!("key:{number}"), &number.to_string())
            .await
            .unwrap();
    }
    for node in [first, second, third] {
        assert_ne!(node.command(&["DBSIZE"]), "0");
    }
    until_status(&redis, Status::Up).await;
    assert_eq!(redis.status().masters.len(), 3);

    // One pipeline, three nodes; the answers are in its order.
    let numbers = 0..100;
    let pipeline = numbers.clone().fold(redis.pipeline(), |pipeline, number| {
        pipeline.command("GET").arg(format!("key:{number}"))
    });
    let answers: Vec<i64> = pipeline.run().await.unwrap();
    assert_eq!(answers, numbers.collect::<Vec<_>>());
    let atomic = redis.pipeline().atomic();
    let atomic = atomic
        .command("INCR")
        .arg("{t}a")
        .command("INCR")
        .arg("{t}b");
    assert_eq!(atomic.run::<(i64, i64)>().await.unwrap(), (1, 1));
    let apart = redis.pipeline().atomic();
    let apart = apart.command("INCR").arg("a").command("INCR").arg("b");
    assert_eq!(
        apart.run::<Value>().await.unwrap_err().kind(),
        ErrorKind::Usage
    );
    let several = redis.command("MGET").arg("a").arg("b").run::<Value>().await;
    assert_eq!(several.unwrap_err().redis_code(), Some("CROSSSLOT"));

    end(redis).await;
}

/// Counts under its share of the keys until the slot has moved; returns how often.
async fn count(redis: Redis, caller: usize, moved: Arc<AtomicBool>) -> i64 {
    let key = |number: usize| format!("{TAG}:{number}");
    let mut rounds = 0;
    while !moved.load(Ordering::Relaxed) || rounds < 10 {
        for number in (caller..20).step_by(4) {
            let increased = redis.command("INCR").arg(key(number)).run::<i64>().await;
            assert_eq!(increased.unwrap(), rounds + 1, "{}", key(number));
        }
        // Some keys here, some there: TRYAGAIN.
        let keys: Vec<_> = (0..20).map(key).collect();
        let values: Vec<Option<i64>> = redis.command("MGET").arg(&keys).run().await.unwrap();
        assert!(values.iter().all(Option::is_some));
        rounds += 1;
    }
    rounds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_that_a_slot_moves() {
    let cluster = RedisCluster::start();
    let [first, second, third] = cluster.masters() else {
        panic!("three masters");
    };
    let redis = connect(&format!("redis+cluster://{}", cluster.place())).await;
    let moved = Arc::new(AtomicBool::new(false));
    for number in 0..20 {
        set(&redis, &format!("{TAG}:{number}"), "0").await.unwrap();
    }
    let callers: Vec<_> = (0..4)
        .map(|caller| tokio::spawn(count(redis.clone(), caller, Arc::clone(&moved))))
        .collect();
    for (from, to) in [(first, second), (second, third), (third, first)] {
        cluster.begin_move(SLOT, from, to);
        for _ in 0..10 {
            cluster.move_keys(SLOT, from, to, 2);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cluster.finish_move(SLOT, from, to);
    }
    moved.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() >= 10);
    }
    end(redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_replica_of_a_killed_master_takes_its_slots_and_the_client_follows() {
    let cluster = RedisCluster::start_with_replicas();
    let redis = connect(&format!("redis+cluster://{}", cluster.place())).await;
    let mut events = redis.events();
    set(&redis, TAG, "1").await.unwrap();
    let (master, replica) = (&cluster.masters()[0], &cluster.replicas()[0]);
    super::super::support::until("the replica has it", || replica.command(&["DBSIZE"]) == "1")
        .await;
    master.kill();
    let failover = heard(&mut events, |event| matches!(event, Event::Failover { .. })).await;
    let Event::Failover { from, to, .. } = failover else {
        unreachable!("it was looked for");
    };
    assert_eq!(*from.unwrap(), *format!("127.0.0.1:{}", master.port()));
    assert_eq!(*to, *format!("127.0.0.1:{}", replica.port()));
    let written = tokio::time::timeout(PATIENCE, async {
        while let Err(error) = set(&redis, TAG, "2").await {
            assert_eq!(error.retry(), Retry::Safe, "{error}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    written.await.expect("the replica takes over");
    assert_eq!(get(&redis, TAG).await.unwrap().as_deref(), Some("2"));
    end(redis).await;
}

#[tokio::test]
async fn a_cluster_that_is_taken_for_one_server_says_how_to_name_it() {
    let cluster = RedisCluster::start();
    let redis = connect(&cluster.masters()[1].url()).await;
    let error = get(&redis, TAG).await.unwrap_err();
    assert_eq!(error.redis_code(), Some("MOVED"));
    assert!(error.to_string().contains("redis+cluster://"), "{error}");
    end(redis).await;
}
