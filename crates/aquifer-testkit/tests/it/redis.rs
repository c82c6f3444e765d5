use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use aquifer_testkit::Redis;

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
        .set_read_timeout(Some(Duration::from_secs(10)))
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
    let error = locked.try_command(&["GET", "a"]).expect_err("no password");
    assert!(error.starts_with("NOAUTH"), "{error}");
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
