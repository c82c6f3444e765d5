//! Well-formed messages at the wrong time, and messages whose bodies are not well-formed.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ask, complete, described, echo, error, message, notification, pair, ready, row, run};
use crate::frame::HEADER;
use crate::{Ended, Error, Kind, Limits, Sharing};

/// What is wrong, and the messages.
type Case<'a> = (&'a str, &'a [Vec<u8>]);
type Answer = Result<Vec<String>, Error>;

/// What two callers get, the second with a Sync of its own, when the server answers both with
/// `bytes` and then closes.
fn answers_to(bytes: &[u8]) -> ([Answer; 2], Arc<Ended>) {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        client.catalog().keep(echo());
        let callers = async {
            tokio::join!(
                ask(&client, "a", Sharing::Own),
                ask(&client, "b", Sharing::Own)
            )
        };
        let play = async {
            let mut sent = [0; 4096];
            assert!(server.read(&mut sent).await.unwrap() > 0);
            server.write_all(bytes).await.unwrap();
            server.shutdown().await.unwrap();
        };
        let (ended, (a, b), ()) = tokio::join!(driver, callers, play);
        assert_eq!(client.in_flight(), 0);
        ([a, b], ended)
    })
}

fn parsed() -> Vec<u8> {
    let parameters = message(b't', b"\0\x01\0\0\0\x19");
    [message(b'1', b""), parameters, described(&["value"])].concat()
}

fn bound() -> Vec<u8> {
    message(b'2', b"")
}

fn good() -> Vec<u8> {
    [
        parsed(),
        bound(),
        row(&["a"]),
        complete("SELECT 1"),
        ready(),
    ]
    .concat()
}

fn ends_both_callers(name: &str, bytes: &[u8]) {
    let (answers, ended) = answers_to(bytes);
    for answer in answers {
        let error = answer.expect_err(name);
        assert_eq!(error.kind(), Kind::Protocol, "{name}: {error}");
        assert!(error.sent(), "{name}");
    }
    let text = ended.to_string();
    assert!(text.contains("broke the protocol"), "{name}: {text}");
}

#[test]
fn what_comes_too_early_ends_the_connection() {
    let early: &[Case<'_>] = &[
        ("a row", &[parsed(), row(&["a"])]),
        ("the end of a statement", &[parsed(), complete("SELECT 1")]),
        ("ready", &[ready()]),
        ("ready before the end", &[parsed(), bound(), ready()]),
    ];
    for (name, messages) in early {
        ends_both_callers(name, &messages.concat());
    }
}

#[test]
fn what_comes_once_too_often_or_too_late_ends_the_connection() {
    let end = || complete("SELECT 0");
    let failed = || error("ERROR", "22012");
    let late: &[Case<'_>] = &[
        ("bound twice", &[parsed(), bound(), bound()]),
        ("prepared twice", &[parsed(), message(b'1', b"")]),
        ("something closed", &[message(b'3', b""), parsed()]),
        (
            "described after it was bound",
            &[parsed(), bound(), described(&["value"])],
        ),
        ("a second end", &[parsed(), bound(), end(), end()]),
        (
            "a row after the end",
            &[parsed(), bound(), end(), row(&["b"])],
        ),
        (
            "a row after an error",
            &[parsed(), bound(), failed(), row(&["b"])],
        ),
        (
            "an end after an error",
            &[parsed(), bound(), failed(), end()],
        ),
    ];
    for (name, messages) in late {
        ends_both_callers(name, &messages.concat());
    }
}

#[test]
fn what_makes_no_sense_ends_the_connection() {
    let strange = [
        ("ready without a state", b'Z', b"".as_slice()),
        ("ready in an unknown state", b'Z', b"?"),
        ("copy in", b'G', b"\0\0\0"),
        ("copy both", b'W', b"\0\0\0"),
        ("a login", b'R', b"\0\0\0\0"),
        ("the answer to a function call", b'V', b"\xff\xff\xff\xff"),
        ("a message of no kind", b'?', b""),
        (
            "a notification without a channel",
            b'A',
            b"\0\0\0\x01channel",
        ),
        ("a parameter without a value", b'S', b"name\0value"),
    ];
    for (name, tag, body) in strange {
        let messages = [parsed(), bound(), complete("SELECT 0"), message(tag, body)];
        ends_both_callers(name, &messages.concat());
    }
}

#[test]
fn an_answer_before_the_break_counts() {
    for rest in [
        ready(),
        row(&["b"]),
        message(b'3', b""),
        b"Z\0\0\0\x03".to_vec(),
    ] {
        let ([a, b], _ended) = answers_to(&[good(), rest].concat());
        assert_eq!(a.unwrap(), ["a"]);
        let error = b.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Protocol, true));
    }
}

#[test]
fn bodies_that_are_not_well_formed_end_the_connection() {
    let with = |parsed: Vec<u8>, row: Vec<u8>, complete: Vec<u8>| {
        [parsed, bound(), row, complete, ready()].concat()
    };
    let described_as = |columns: Vec<u8>| [message(b'1', b""), columns].concat();
    let done = || complete("SELECT 1");
    let mut miscounted = described(&["value", "another"]);
    miscounted[HEADER + 1] = 1;
    let wrong: &[(&str, Vec<u8>)] = &[
        (
            "columns cut off",
            with(
                described_as(message(b'T', b"\0\x01valu")),
                row(&["a"]),
                done(),
            ),
        ),
        (
            "no column count",
            with(described_as(message(b'T', b"\0")), row(&["a"]), done()),
        ),
        (
            "more columns than counted",
            with(described_as(miscounted), row(&["a"]), done()),
        ),
        ("a row that is too narrow", with(parsed(), row(&[]), done())),
        (
            "a row that is too wide",
            with(parsed(), row(&["a", "b"]), done()),
        ),
        (
            "a row without a count",
            with(parsed(), message(b'D', b"\0"), done()),
        ),
        (
            "a tag without its end",
            with(parsed(), row(&["a"]), message(b'C', b"SELECT 1")),
        ),
        (
            "a tag of nothing",
            with(parsed(), row(&["a"]), message(b'C', b"")),
        ),
    ];
    for (name, bytes) in wrong {
        let ([a, b], ended) = answers_to(bytes);
        let error = a.expect_err(name);
        assert_eq!(error.kind(), Kind::Protocol, "{name}: {error}");
        assert!(error.sent(), "{name}");
        let error = b.expect_err(name);
        assert!(
            matches!(error.kind(), Kind::Protocol | Kind::Closed),
            "{name}: {error}"
        );
        assert!(error.sent() && !ended.by_us(), "{name}");
    }
}

#[test]
fn a_value_that_does_not_fit_its_row_is_an_error_where_it_is_read() {
    let wrong: &[(&str, &[u8])] = &[
        ("a length below NULL", b"\0\x01\xff\xff\xff\xfe"),
        ("the least length", b"\0\x01\x80\0\0\0"),
        ("a length beyond the row", b"\0\x01\0\0\0\x05abc"),
        ("no length", b"\0\x01\0\0"),
    ];
    for (name, body) in wrong {
        let bytes = [
            parsed(),
            bound(),
            message(b'D', body),
            complete("SELECT 1"),
            ready(),
        ];
        let ([a, _b], _ended) = answers_to(&bytes.concat());
        let error = a.expect_err(name);
        assert_eq!(
            (error.kind(), error.sent()),
            (Kind::Protocol, true),
            "{name}"
        );
    }
}

#[test]
fn what_nobody_asked_for_ends_an_idle_connection() {
    let unasked = [
        row(&["a"]),
        complete("SELECT 1"),
        ready(),
        message(b'1', b""),
        bound(),
        described(&["value"]),
        message(b'n', b""),
        error("ERROR", "22012"),
        message(b'I', b""),
        message(b'd', b"data"),
    ];
    for bytes in unasked {
        run(async {
            let (client, driver, mut server) = pair(&Limits::default());
            server.write_all(&bytes).await.unwrap();
            let ended = driver.await;
            assert!(
                ended.to_string().contains("broke the protocol"),
                "{bytes:?}: {ended}"
            );
            let error = ask(&client, "a", Sharing::Own).await.unwrap_err();
            assert_eq!((error.kind(), error.sent()), (Kind::Protocol, false));
        });
    }
}

#[test]
fn what_may_come_at_any_time_may_come_before_the_first_request() {
    run(async {
        let asides = [notification(), super::notice(), super::parameter()].concat();
        let (client, driver, mut server) = super::pair_after(&Limits::default(), &asides);
        let mut events = client.events(8);
        tokio::spawn(driver);
        server.write_all(&asides).await.unwrap();
        for _ in 0..2 {
            let notification = events.recv().await.unwrap();
            assert!(matches!(notification, crate::Event::Notification(_)));
            let notice = events.recv().await.unwrap();
            assert!(matches!(notice, crate::Event::Notice(_)));
        }
        assert_eq!(client.parameter("application_name").unwrap(), "changed");
    });
}
