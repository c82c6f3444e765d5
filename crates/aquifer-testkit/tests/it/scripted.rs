use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use aquifer_testkit::{Gate, Postgres, Script, ScriptedServer, message, tag};

fn connect(server: &ScriptedServer) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("accepted");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("set");
    stream
}

fn say(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("sent");
}

fn hear(mut stream: &TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("answered");
    bytes
}

const STARTUP: &[u8] = b"\0\0\0\x13\0\x03\0\0user\0joan\0\0";

/// The real client, so that the scripted side is held to the real protocol.
fn psql(url: &str, sql: &str) -> Result<String, String> {
    Postgres::shared().psql_at(url, sql)
}

#[tokio::test]
async fn psql_believes_what_the_script_says() {
    let answer = [
        message::notice_response("WARNING", "01000", "made up"),
        message::row_description(&[("n", 23), ("t", 25)]),
        message::data_row(&[Some(b"41"), None]),
        message::data_row(&[Some(b"42"), Some(b"x")]),
        message::command_complete("SELECT 2"),
        message::ready(b'I'),
    ];
    let script = Script::logged_in()
        .expect_containing(b'Q', "from nowhere")
        .send(answer.concat())
        .expect(b'X');
    let server = ScriptedServer::start([script]);
    let url = server.url();
    let answer = psql(&url, "select * from nowhere");
    assert_eq!(answer.as_deref(), Ok("41|\n42|x"));
    let received = server.received();
    assert_eq!(
        received.first().map(|message| message.tag),
        Some(tag::STARTUP)
    );
    assert_eq!(
        received.get(1).map(|message| message.body.clone()),
        Some(b"select * from nowhere\0".to_vec())
    );
    server.finish().await;
}

#[tokio::test]
async fn every_connection_has_its_script_and_no_more_are_served() {
    let error = message::error_response("FATAL", "57P03", "still starting");
    let server = ScriptedServer::start([
        Script::new().startup().send(error),
        Script::logged_in().expect(b'Q').reset(),
        Script::new(),
    ]);
    let url = server.url();
    let first = psql(&url, "select 1").expect_err("refused");
    assert!(first.contains("FATAL:  still starting"), "{first}");
    psql(&url, "select 1").expect_err("reset");
    psql(&url, "select 1").expect_err("closed at once");
    psql(&url, "select 1").expect_err("no script is left");
    server.finish().await;
}

#[tokio::test]
async fn a_request_for_encryption_is_declined_or_left_to_the_script() {
    let server = ScriptedServer::start([
        Script::logged_in().answer_each(
            b'Q',
            [message::command_complete("DO"), message::ready(b'I')].concat(),
        ),
        Script::new().ssl_request().send(b"N".to_vec()),
    ]);
    let prefer = server.url().replace("sslmode=disable", "sslmode=prefer");
    assert_eq!(psql(&prefer, "do nothing").as_deref(), Ok(""));
    let require = server.url().replace("sslmode=disable", "sslmode=require");
    let error = psql(&require, "select 1").expect_err("no TLS");
    assert!(error.contains("does not support SSL"), "{error}");
    server.finish().await;
}

#[tokio::test]
async fn a_cancel_request_is_recorded_and_takes_no_script() {
    let server =
        ScriptedServer::start([Script::new().startup().send(message::authentication_ok())]);
    let cancel = connect(&server);
    say(
        &cancel,
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\x12\x67\0\0\x03\x2f",
    );
    assert_eq!((&cancel).read(&mut [0; 1]).expect("closed"), 0);
    server.until_cancelled(1).await;
    let cancels = server.cancels();
    let request = cancels.first().expect("recorded");
    assert_eq!(
        (request.process, request.secret.as_slice()),
        (4711, &815_u32.to_be_bytes()[..])
    );

    let client = connect(&server);
    say(&client, STARTUP);
    assert_eq!(hear(&client, 9), message::authentication_ok());
    server.finish().await;
}

#[tokio::test]
async fn a_script_waits_at_a_gate() {
    let gate = Gate::new();
    let script = Script::new()
        .startup()
        .wait(&gate)
        .send(message::ready(b'I'))
        .until_gone();
    let server = ScriptedServer::start([script]);
    let client = connect(&server);
    say(&client, STARTUP);
    server.until_received(tag::STARTUP, 1).await;
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    (&client).read(&mut [0; 1]).expect_err("nothing yet");
    client
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("set");
    gate.open();
    assert_eq!(hear(&client, 6), message::ready(b'I'));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn ends_are_what_the_script_says() {
    let server = ScriptedServer::start([
        Script::new().startup().reset(),
        Script::new().startup().half_close().expect(b'X'),
        Script::new().startup().silence(),
    ]);
    let reset = connect(&server);
    say(&reset, STARTUP);
    let error = (&reset).read(&mut [0; 1]).expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let half = connect(&server);
    say(&half, STARTUP);
    assert_eq!((&half).read(&mut [0; 1]).expect("the end"), 0);
    say(&half, &message::message(b'X', b""));
    server.until_received(b'X', 1).await;

    let silent = connect(&server);
    say(&silent, STARTUP);
    silent
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    (&silent).read(&mut [0; 1]).expect_err("silence");
    server.finish().await;
}

#[tokio::test]
#[should_panic(expected = "step 3: expected 'Q', got 'X'")]
async fn a_client_that_leaves_the_script_fails_the_test() {
    let server = ScriptedServer::start([Script::logged_in().expect(b'Q')]);
    let client = connect(&server);
    say(&client, STARTUP);
    say(&client, &message::message(b'X', b""));
    server.finish().await;
}

#[test]
#[should_panic(expected = "the client left")]
fn a_client_that_leaves_early_fails_the_test_even_if_nobody_waits() {
    let server = ScriptedServer::start([Script::new().startup()]);
    let mut client = connect(&server);
    say(&client, STARTUP.get(..9).expect("long enough"));
    client.shutdown(std::net::Shutdown::Write).expect("ended");
    client.read(&mut [0; 1]).expect_err("reset");
}

#[test]
fn the_same_script_can_serve_every_connection() {
    let answer = [message::command_complete("SELECT 0"), message::ready(b'I')].concat();
    let server = ScriptedServer::always(Script::logged_in().answer_each(b'Q', answer));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(psql(&server.url(), "select").as_deref(), Ok("")));
        }
    });
}
