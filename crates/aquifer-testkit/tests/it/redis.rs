use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use aquifer_testkit::{Redis, RedisCluster, Sentinels, ServerCertificate, Tls};

#[test]
fn a_redis_answers_and_leaves_nothing() {
    let redis = Redis::start();
    assert_eq!(redis.command(&["SET", "a", "1"]), "OK");
    assert_eq!(redis.command(&["GET", "a"]), "1");
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));
    assert!(redis.port() <= 55_535);
    let (socket, process) = (
        redis.socket(),
        format!("/proc/{}", redis.pid().expect("it runs")),
    );
    assert!(socket.exists());
    drop(redis);
    assert!(!socket.parent().expect("a directory").exists());
    assert!(!Path::new(&process).exists());
}

#[test]
fn a_redis_that_was_stopped_or_killed_starts_empty_on_its_port() {
    let redis = Redis::start();
    let port = redis.port();
    for end in [Redis::stop, Redis::kill] {
        redis.command(&["SET", "a", "1"]);
        end(&redis);
        assert_eq!(redis.pid(), None);
        TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
        redis.start_again();
        assert_eq!(redis.port(), port);
        assert_eq!(redis.command(&["GET", "a"]), "");
    }
}

#[test]
fn a_paused_redis_accepts_and_stays_silent() {
    let redis = Redis::start();
    redis.pause();
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).expect("the system accepts");
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("set");
    stream.write_all(b"PING\r\n").expect("the system takes it");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).expect_err("silent");
    redis.resume();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("set");
    stream.read_exact(&mut answer).expect("it goes on");
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn settings_are_passed_on() {
    let redis = Redis::start_with(&["--maxmemory", "2mb"]);
    assert_eq!(
        redis.command(&["CONFIG", "GET", "maxmemory"]),
        "maxmemory\n2097152"
    );
    let error = redis.try_command(&["GET"]).expect_err("too few words");
    assert!(error.starts_with("ERR wrong number"), "{error}");

    let locked = Redis::start_with(&["--requirepass", "secret"]);
    let mut stream = TcpStream::connect(("127.0.0.1", locked.port())).expect("it listens");
    stream.write_all(b"GET a\r\n").expect("written");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"-NOAUTH");
    // What stands beside everything under test has a user of its own.
    assert_eq!(locked.command(&["GET", "a"]), "");
}

#[test]
fn servers_side_by_side_do_not_meet() {
    let servers: Vec<Redis> = (0..4).map(|_| Redis::start()).collect();
    for (number, redis) in servers.iter().enumerate() {
        redis.command(&["SET", "number", &number.to_string()]);
    }
    for (number, redis) in servers.iter().enumerate() {
        assert_eq!(redis.command(&["GET", "number"]), number.to_string());
    }
}

#[test]
fn a_redis_that_loads_says_so_until_it_has() {
    let redis = Redis::start();
    redis.command(&["SET", "7", "1"]);
    redis.restart_loading(Duration::from_millis(500));
    let mut loaded = redis.try_command(&["GET", "7"]);
    while let Err(error) = &loaded {
        assert!(error.starts_with("LOADING"), "{error}");
        loaded = redis.try_command(&["GET", "7"]);
    }
    assert_eq!(loaded.as_deref(), Ok("1"));
}

#[test]
fn a_redis_with_tls_speaks_nothing_else() {
    let tls = Tls::generate();
    let redis = Redis::start_with_tls(&tls, &tls.server(ServerCertificate::Valid), false);
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).expect("it listens");
    stream.write_all(b"PING\r\n").expect("written");
    let mut answer = Vec::new();
    let _reset_or_end = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"+PONG"));
    assert_eq!(redis.command(&["PING"]), "PONG");
}

#[test]
fn sentinels_put_the_replica_in_the_place_of_a_killed_master() {
    let master = Redis::start();
    let replica = master.start_replica();
    let sentinels = Sentinels::start(&master, "shop", 1);
    assert_eq!(sentinels.master_port(), master.port());
    master.kill();
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while sentinels.master_port() != replica.port()
        || replica.try_command(&["SET", "a", "1"]).is_err()
    {
        assert!(std::time::Instant::now() < end, "no failover");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_cluster_serves_all_slots_and_moves_one() {
    let cluster = RedisCluster::start();
    let [first, second, _third] = cluster.masters() else {
        panic!("three masters");
    };
    // Slot 3443, so the first node's.
    let key = "{user1000}";
    let (slot, from, to) = (3443, first, second);
    first.command(&["SET", key, "1"]);
    cluster.begin_move(slot, from, to);
    cluster.move_keys(slot, from, to, 10);
    let error = from.try_command(&["GET", key]).expect_err("it is not here");
    assert!(error.starts_with("ASK"), "{error}");
    cluster.finish_move(slot, from, to);
    assert_eq!(to.command(&["GET", key]), "1");
}
