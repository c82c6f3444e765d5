//! R4 to R6, and BUSY: the server is there and does not do what it is asked.

use std::time::Duration;

use aquifer::redis::Value;
use aquifer::{Error, Retry, Status};
use aquifer_testkit::Redis as Server;

use super::{PATIENCE, connect, end, get, set};

fn assert_refused(refused: Result<(), Error>, code: &str) {
    let error = refused.expect_err(code);
    assert_eq!(error.redis_code(), Some(code), "{error}");
    assert_eq!(error.retry(), Retry::Safe, "{error}");
}

#[tokio::test]
async fn without_memory_writes_fail_and_reads_go_on() {
    let server = Server::start_with(&["--maxmemory-policy", "noeviction"]);
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_refused(set(&redis, "b", "2").await, "OOM");
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
    assert_eq!(redis.status().status, Status::Up);
    redis.command("DEL").arg("a").run::<()>().await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    set(&redis, "b", "2").await.unwrap();
    end(redis).await;
}

#[tokio::test]
async fn without_replicas_that_were_promised_writes_fail_and_reads_go_on() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_refused(set(&redis, "a", "2").await, "NOREPLICAS");
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
    let each = redis
        .pipeline()
        .command("GET")
        .arg("a")
        .command("SET")
        .arg("a")
        .arg("2");
    let answers = each.run_each().await.unwrap();
    assert!(answers[0].is_ok());
    assert_eq!(
        answers[1].as_ref().unwrap_err().redis_code(),
        Some("NOREPLICAS")
    );
    let atomic = redis.pipeline().atomic().command("SET").arg("a").arg("3");
    assert_refused(atomic.run::<((),)>().await.map(|_| ()), "NOREPLICAS");
    end(redis).await;
}

#[tokio::test]
async fn a_server_that_can_not_save_refuses_writes_and_reads_go_on() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    server.command(&["CONFIG", "SET", "save", "1 1"]);
    // A directory in the place of the file: the background save can't take its place.
    let place = server.socket().parent().unwrap().join("dump.rdb");
    std::fs::create_dir(place).unwrap();
    server.command(&["BGSAVE"]);
    super::super::support::until("saving has failed", || {
        let state = server.command(&["INFO", "persistence"]);
        state.contains("rdb_last_bgsave_status:err")
    })
    .await;
    assert_refused(set(&redis, "a", "2").await, "MISCONF");
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
    end(redis).await;
}

#[tokio::test]
async fn a_replica_says_so_and_is_left_when_its_address_leads_to_the_master_again() {
    let master = Server::start();
    let replica = master.start_replica();
    let redis = connect(&replica.url()).await;
    assert_refused(set(&redis, "a", "1").await, "READONLY");
    assert_eq!(get(&redis, "a").await.unwrap(), None);
    assert_eq!(redis.status().status, Status::Up, "it answers");
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    set(&redis, "a", "1").await.unwrap();
    end(redis).await;

    // As behind a name that leads to the new master: the connection is made anew.
    let proxy = aquifer_testkit::Proxy::to_any(aquifer_testkit::Upstream::Port(replica.port()));
    let redis = connect(&format!("redis://127.0.0.1:{}", proxy.port())).await;
    set(&redis, "a", "2").await.unwrap();
    replica.command(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    proxy.redirect(aquifer_testkit::Upstream::Port(master.port()));
    let written = tokio::time::timeout(PATIENCE, async {
        while let Err(error) = set(&redis, "a", "3").await {
            assert_eq!(error.redis_code(), Some("READONLY"), "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    written.await.expect("it finds the master");
    assert_eq!(master.command(&["GET", "a"]), "3");
    end(redis).await;
}

#[tokio::test]
async fn a_script_that_runs_for_too_long_holds_calls_no_longer_than_their_deadline() {
    let server = Server::start_with(&["--busy-reply-threshold", "50"]);
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    let other = connect(&server.url()).await;
    let script = tokio::spawn(async move {
        let endless = other.command("EVAL").arg("while true do end").arg(0);
        let outcome = endless.run::<Value>().await;
        end(other).await;
        outcome
    });
    let busy = tokio::time::timeout(PATIENCE, async {
        loop {
            let asked = redis
                .command("GET")
                .arg("a")
                .timeout(Duration::from_millis(200));
            match asked.run::<Value>().await {
                Err(error) if error.redis_code() == Some("BUSY") => return error,
                Err(error) => assert_eq!(error.retry(), Retry::Safe, "{error}"),
                Ok(_) => {}
            }
        }
    });
    assert_eq!(busy.await.unwrap().retry(), Retry::Safe);
    // With more time it is waited for.
    let waiting = tokio::spawn({
        let redis = redis.clone();
        async move { get(&redis, "a").await }
    });
    redis
        .command("SCRIPT")
        .arg("KILL")
        .run::<()>()
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().as_deref(), Some("1"));
    assert!(script.await.unwrap().is_err());
    end(redis).await;
}

/// Codes that a server gives when it did nothing may as well be a script's own, which has written.
#[tokio::test]
async fn a_script_that_fails_in_the_servers_words_is_run_once() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    for code in [
        "BUSY",
        "LOADING",
        "TRYAGAIN",
        "CLUSTERDOWN",
        "MASTERDOWN",
        "READONLY",
        "NOAUTH",
    ] {
        let script = "redis.call('INCR', KEYS[1]); return redis.error_reply(ARGV[1])";
        let words = |key: &str| [script, "1", key, &format!("{code} as I say")].map(str::to_owned);
        let alone = redis.command("EVAL").arg(&words(code));
        let limit = Duration::from_millis(300);
        let error = alone.timeout(limit).run::<()>().await.unwrap_err();
        assert_eq!(error.redis_code(), Some(code), "{error}");
        let value = get(&redis, code).await.unwrap();
        assert_eq!(value.as_deref(), Some("1"), "{code}");

        let atomic = redis.pipeline().atomic().timeout(limit);
        let atomic = atomic.command("INCR").arg("n").command("EVAL");
        let answers = atomic.arg(&words("atomic")).run_each().await.unwrap();
        assert!(answers[0].is_ok(), "{answers:?}");
        assert_eq!(answers[1].as_ref().unwrap_err().redis_code(), Some(code));
        let value = get(&redis, "atomic").await.unwrap();
        assert_eq!(value, get(&redis, "n").await.unwrap(), "{code}");
    }
    end(redis).await;
}
