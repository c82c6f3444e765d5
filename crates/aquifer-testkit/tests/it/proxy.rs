use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use aquifer_testkit::{Cut, Direction, Ending, Mode, Postgres, Proxy, Upstream, tag};

/// Far above what anything here takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Long enough to notice bytes that should not come, short enough to wait for every time.
const SILENCE: Duration = Duration::from_millis(200);

/// Sends back what it receives, reports the sizes of its reads, and says "bye" at the end.
fn echo() -> (Upstream, Receiver<usize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (sender, sizes) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().take(20) {
            let mut stream = stream.expect("a connection");
            let sender = sender.clone();
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(length) = stream.read(&mut bytes) {
                    if sender.send(length).is_err() || length == 0 {
                        break;
                    }
                    if stream
                        .write_all(bytes.get(..length).expect("read"))
                        .is_err()
                    {
                        return;
                    }
                }
                let _gone = stream.write_all(b"bye");
            });
        }
    });
    (Upstream::Port(port), sizes)
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).expect("accepted");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_nodelay(true).expect("set");
    stream
}

fn say(mut stream: &TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("sent");
}

fn hear(mut stream: &TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("answered");
    String::from_utf8(bytes).expect("text")
}

fn hears_nothing(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).expect("set");
    let heard = stream.read(&mut [0; 1]);
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    heard.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[tokio::test]
async fn bytes_pass_and_are_counted() {
    let (upstream, _sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let stream = connect(&proxy);
    say(&stream, "hello");
    assert_eq!(hear(&stream, 5), "hello");
    // Counted once they are delivered, so the client may be faster than the counter.
    let traffic = proxy
        .until("counted", |traffic| traffic.bytes(Direction::ToClient) == 5)
        .await;
    assert_eq!((traffic.accepted(), traffic.open()), (1, 1));
    assert_eq!(traffic.bytes(Direction::ToServer), 5);
}

#[test]
fn slices_arrive_one_by_one_and_whole() {
    let (upstream, sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    proxy.set(Mode::Slices(1));
    let stream = connect(&proxy);
    let text = "0123456789".repeat(20);
    // A receiver that is slow to wake finds all slices at once, but not every time.
    let in_slices = (0..200).any(|_| {
        say(&stream, &text);
        assert_eq!(hear(&stream, text.len()), text);
        let first = sizes.recv().expect("a read");
        let mut received = first;
        while received < text.len() {
            received += sizes.recv().expect("a read");
        }
        first < text.len()
    });
    assert!(in_slices);
}

#[test]
fn a_delay_holds_back_each_way_and_loses_no_order() {
    let (upstream, _sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let delay = Duration::from_millis(60);
    proxy.set(Mode::Delay(delay));
    let stream = connect(&proxy);
    let start = Instant::now();
    say(&stream, "hello");
    assert_eq!(hear(&stream, 5), "hello");
    assert!(start.elapsed() >= 2 * delay);

    proxy.set(Mode::Jitter {
        least: Duration::ZERO,
        most: Duration::from_millis(3),
    });
    let lines: Vec<String> = (0..200).map(|number| format!("{number:03}\n")).collect();
    for line in &lines {
        say(&stream, line);
    }
    assert_eq!(hear(&stream, 800), lines.concat());
}

#[test]
fn a_black_hole_holds_everything_until_it_heals() {
    let (upstream, sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let stream = connect(&proxy);
    say(&stream, "a");
    assert_eq!(hear(&stream, 1), "a");
    assert_eq!(sizes.recv().expect("a read"), 1);

    proxy.set_direction(Direction::ToClient, Mode::BlackHole);
    say(&stream, "bc");
    assert_eq!(sizes.recv().expect("the server has it"), 2);
    assert!(hears_nothing(&stream));
    proxy.set_direction(Direction::ToClient, Mode::Pass);
    assert_eq!(hear(&stream, 2), "bc");

    proxy.set_direction(Direction::ToServer, Mode::BlackHole);
    say(&stream, "def");
    assert!(sizes.recv_timeout(SILENCE).is_err());
    // Whoever connects now is accepted and not answered.
    let late = connect(&proxy);
    say(&late, "late");
    assert!(hears_nothing(&late));
    proxy.set(Mode::Pass);
    assert_eq!(hear(&stream, 3), "def");
    assert_eq!(hear(&late, 4), "late");
}

#[test]
fn connections_end_in_the_way_that_was_asked_for() {
    let (upstream, _sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let started = || {
        let stream = connect(&proxy);
        say(&stream, "a");
        assert_eq!(hear(&stream, 1), "a");
        stream
    };

    let mut stream = started();
    proxy.cut_all(Ending::Reset);
    let error = stream.read(&mut [0; 1]).expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let mut stream = started();
    proxy.cut_all(Ending::Close);
    assert_eq!(stream.read(&mut [0; 1]).expect("an orderly end"), 0);

    let stream = started();
    proxy.cut_all(Ending::HalfClose(Direction::ToServer));
    assert_eq!(hear(&stream, 3), "bye");

    let mut stream = started();
    proxy.cut_all(Ending::Silence);
    say(&stream, "a");
    assert!(hears_nothing(&stream));
    proxy.cut_all(Ending::Reset);
    stream.read(&mut [0; 1]).expect_err("reset");
}

#[test]
fn a_half_closed_client_can_still_be_heard_by_the_server() {
    let (upstream, sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let mut stream = connect(&proxy);
    say(&stream, "a");
    assert_eq!(hear(&stream, 1), "a");
    assert_eq!(sizes.recv().expect("a read"), 1);
    proxy.cut_all(Ending::HalfClose(Direction::ToClient));
    assert_eq!(stream.read(&mut [0; 1]).expect("the end"), 0);
    say(&stream, "bc");
    assert_eq!(sizes.recv().expect("a read"), 2);
}

#[test]
fn the_end_of_a_stream_is_passed_on() {
    let (upstream, sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let stream = connect(&proxy);
    stream.shutdown(std::net::Shutdown::Write).expect("ended");
    assert_eq!(hear(&stream, 3), "bye");
    assert_eq!(sizes.recv().expect("the end"), 0);
}

#[tokio::test]
async fn one_connection_of_several_ends_by_the_port_that_the_server_sees() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = Upstream::Port(listener.local_addr().expect("it is bound").port());
    let proxy = Proxy::to_any(upstream);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let client = connect(&proxy);
        streams.push((client, listener.accept().expect("the proxy connects")));
    }
    let [(ended, _), (other, (server, _))] = &streams[..] else {
        panic!("there are two");
    };
    let port = streams[0].1.1.port();
    assert!(proxy.end_from(port, Ending::Close));
    proxy.until("ended", |traffic| traffic.open() == 1).await;
    assert_eq!((&*ended).read(&mut [0; 1]).expect("its end"), 0);
    say(server, "a");
    assert_eq!(hear(other, 1), "a");
    assert!(!proxy.end_from(port, Ending::Close));
}

#[tokio::test]
async fn new_connections_can_be_kept_waiting() {
    let (upstream, _sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let before = connect(&proxy);
    proxy
        .until("accepted", |traffic| traffic.accepted() == 1)
        .await;
    proxy.keep_waiting();
    let after = connect(&proxy);
    say(&after, "a");
    say(&before, "b");
    assert_eq!(hear(&before, 1), "b");
    assert_eq!(proxy.traffic().accepted(), 1);
    proxy.accept();
    assert_eq!(hear(&after, 1), "a");
}

#[tokio::test]
async fn new_connections_can_be_refused_and_redirected() {
    let (upstream, _sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let before = connect(&proxy);
    proxy
        .until("accepted", |traffic| traffic.accepted() == 1)
        .await;
    proxy.refuse();
    let error = TcpStream::connect(("127.0.0.1", proxy.port())).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    say(&before, "a");
    assert_eq!(hear(&before, 1), "a");

    let (elsewhere, sizes) = echo();
    proxy.redirect(elsewhere);
    proxy.accept();
    let after = connect(&proxy);
    say(&after, "bc");
    assert_eq!(hear(&after, 2), "bc");
    assert_eq!(sizes.recv().expect("a read there"), 2);

    proxy.redirect(Upstream::Port(1));
    let mut nowhere = connect(&proxy);
    nowhere.read(&mut [0; 1]).expect_err("reset");
    drop((before, after));
    proxy
        .until("all are gone", |traffic| traffic.open() == 0)
        .await;
}

#[test]
fn a_dropped_proxy_ends_everything() {
    let (upstream, _sizes) = echo();
    let proxy = Proxy::to_any(upstream);
    let port = proxy.port();
    let mut stream = connect(&proxy);
    say(&stream, "a");
    assert_eq!(hear(&stream, 1), "a");
    drop(proxy);
    let ended = stream.read(&mut [0; 1]);
    assert!(ended.is_err() || ended.is_ok_and(|length| length == 0));
    TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
}

#[tokio::test]
async fn messages_are_counted_by_kind() {
    let server = Postgres::shared();
    let proxy = Proxy::to_postgres(server);
    let url = proxy.through(server.tcp_url());
    assert_eq!(server.psql_at(&url, "select 1").as_deref(), Ok("1"));
    assert_eq!(server.psql_at(&url, "select 2").as_deref(), Ok("2"));
    // Counted once they are delivered, so the client may be faster than the counter.
    let traffic = proxy
        .until("counted", |traffic| {
            traffic.messages(Direction::ToClient, b'C') == 2
        })
        .await;
    assert_eq!(traffic.messages(Direction::ToServer, tag::STARTUP), 2);
    assert_eq!(traffic.messages(Direction::ToServer, b'Q'), 2);
    assert_eq!(traffic.messages(Direction::ToClient, b'C'), 2);
    assert_eq!(traffic.messages(Direction::ToClient, b'K'), 2);
    assert_eq!(
        traffic.messages(Direction::ToServer, tag::SSL_REQUEST),
        traffic.messages(Direction::ToClient, tag::ENCRYPTION_REPLY)
    );
}

#[test]
fn a_commit_is_cut_before_or_after_the_server_has_made_it() {
    let server = Postgres::shared();
    let database = server.create_database();
    let proxy = Proxy::to_postgres_at(Upstream::Socket(server.socket()));
    let url = format!(
        "postgresql://postgres@127.0.0.1:{}/{}",
        proxy.port(),
        database.name
    );
    let rows = || {
        server
            .psql_at(&database.url, "select count(*) from ledger")
            .expect("counted")
    };
    server
        .psql_at(&database.url, "create table ledger (n int)")
        .expect("made");
    let insert = "begin; insert into ledger values (1); commit";

    let cases = [
        (
            Cut::before(Direction::ToServer, b'Q').containing("COMMIT"),
            "0",
        ),
        (
            Cut::before(Direction::ToClient, b'C').containing("COMMIT"),
            "1",
        ),
        (
            Cut::after(Direction::ToClient, b'C').containing("COMMIT"),
            "2",
        ),
        (
            Cut::before(Direction::ToClient, b'Z')
                .nth(2)
                .with(Ending::Reset),
            "3",
        ),
        (
            Cut::after(Direction::ToServer, b'Q').with(Ending::HalfClose(Direction::ToClient)),
            "4",
        ),
    ];
    for (number, (cut, expected)) in cases.into_iter().enumerate() {
        proxy.cut(cut);
        let error = server.psql_at(&url, insert).expect_err("cut off");
        assert!(
            error.contains("closed the connection") || error.contains("reset by peer"),
            "{error}"
        );
        assert_eq!(
            proxy.traffic().cuts(),
            u64::try_from(number + 1).expect("few")
        );
        // The server may still be at it when the client has given up.
        while rows().as_str() < expected {}
        assert_eq!(rows(), expected);
    }
    server.psql_at(&url, insert).expect("no cut is left");
}

#[test]
fn a_cut_at_any_boundary_never_shows_a_wrong_row() {
    let server = Postgres::shared();
    let proxy = Proxy::to_postgres(server);
    let url = format!("{}?sslmode=disable", proxy.through(server.tcp_url()));
    for direction in [Direction::ToServer, Direction::ToClient] {
        let mut boundary = 0;
        loop {
            boundary += 1;
            assert!(boundary < 100, "psql sends a bounded number of messages");
            let cuts = proxy.traffic().cuts();
            let ending = if boundary % 2 == 0 {
                Ending::Reset
            } else {
                Ending::Close
            };
            proxy.cut(
                Cut::after_any(direction)
                    .nth(boundary)
                    .on_next_connection()
                    .with(ending),
            );
            let answer = server.psql_at(&url, "select 42");
            assert!(
                answer.is_err() || answer.as_deref() == Ok("42"),
                "{answer:?}"
            );
            if proxy.traffic().cuts() == cuts {
                proxy.clear_cuts();
                break;
            }
        }
        // Start-up, password, query, end; and on the way back authentication, parameters, the row.
        assert!(boundary > 4, "only {boundary} boundaries {direction:?}");
    }
}

#[test]
fn a_cut_for_one_connection_leaves_the_others_alone() {
    let server = Postgres::shared();
    let proxy = Proxy::to_postgres(server);
    let url = proxy.through(server.tcp_url());
    let first = connect(&proxy);
    proxy.cut(Cut::after(Direction::ToServer, b'Q').on_connection(1));
    server.psql_at(&url, "select 1").expect("connection 2");
    assert_eq!(proxy.traffic().cuts(), 0);
    drop(first);
    proxy.clear_cuts();
    proxy.cut(Cut::after(Direction::ToServer, b'Q').on_next_connection());
    server.psql_at(&url, "select 1").expect_err("cut off");
    server.psql_at(&url, "select 1").expect("the next but one");
}
