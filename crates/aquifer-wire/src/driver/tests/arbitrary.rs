//! Bytes and messages that were made up.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::AsyncWriteExt as _;

use super::{
    ask, complete, described, echo, error, message, notice, notification, pair, parameter, ready,
    row, run,
};
use crate::{Client, Kind, Limits, Sharing};

/// Few enough that the suite stays quick in debug builds.
fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    }
}

/// Requests of every kind wait; the server says `bytes` in slices and goes. Nobody may be left
/// waiting, and every error is one of those that are promised.
fn feed(bytes: &[u8], slice: usize) {
    run(async {
        let limits = Limits {
            statements_max: 1,
            message_max: 100_000,
            ..Limits::default()
        };
        let (client, driver, mut server) = pair(&limits);
        client.catalog().keep(echo());
        let client = Arc::new(client);
        let mut callers = Vec::new();
        for number in 0..6 {
            callers.push(tokio::spawn(call(Arc::clone(&client), number)));
        }
        // All of them have asked before anything is answered.
        tokio::task::yield_now().await;
        let driver = tokio::spawn(driver);
        for slice in bytes.chunks(slice) {
            // The client may have had enough.
            let _gone = server.write_all(slice).await;
            tokio::task::yield_now().await;
        }
        let _gone = server.shutdown().await;
        driver.await.unwrap();
        for caller in callers {
            if let Some(kind) = caller.await.unwrap() {
                let promised = [Kind::Closed, Kind::Database, Kind::Decode, Kind::Protocol];
                let refused = [Kind::Encode, Kind::Limit];
                assert!(
                    promised.contains(&kind) || refused.contains(&kind),
                    "{kind:?}"
                );
            }
        }
        assert_eq!(client.in_flight(), 0);
        assert!(client.ended().is_some());
    });
}

async fn call(client: Arc<Client>, number: usize) -> Option<Kind> {
    let result = match number {
        0 | 1 => ask(&client, "a", Sharing::Shared).await.map(drop),
        2 => client.script("a;b").await.map(drop),
        3 => client.barrier().await,
        4 => client
            .batch(&[("echo", &("a",)), ("new", &())], Sharing::Own)
            .await
            .map(drop),
        _ => ask(&client, "b", Sharing::Own).await.map(drop),
    };
    result.err().map(|error| error.kind())
}

/// Messages as a server sends them, in no order.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let likely = select(vec![
        message(b'1', b""),
        message(b'2', b""),
        message(b'3', b""),
        message(b't', b"\0\x01\0\0\0\x19"),
        message(b't', b"\0\0"),
        message(b'n', b""),
        message(b'I', b""),
        message(b's', b""),
        described(&["value"]),
        described(&[]),
        row(&["a"]),
        row(&[]),
        complete("SELECT 1"),
        complete("BEGIN"),
        error("ERROR", "22012"),
        error("ERROR", "26000"),
        notice(),
        notification(),
        parameter(),
        ready(),
        ready(),
        ready(),
        message(b'Z', b"T"),
        [message(b'2', b""), row(&["a"]), complete("SELECT 1")].concat(),
        [
            message(b'1', b""),
            message(b't', b"\0\0"),
            message(b'n', b""),
        ]
        .concat(),
    ]);
    let tags = select(b"123AcCdDEGHInNRsSTtVvWZKx".to_vec());
    let odd = (tags, vec(any::<u8>(), 0..20)).prop_map(|(tag, body)| message(tag, &body));
    vec(prop_oneof![9 => likely, 1 => odd], 0..40).prop_map(|messages| messages.concat())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_bytes_of_a_server_leave_anybody_waiting(
        bytes in vec(any::<u8>(), 0..300),
        slice in 1_usize..300,
    ) {
        feed(&bytes, slice);
    }

    #[test]
    fn nor_do_messages_in_any_order(bytes in messages(), slice in 1_usize..300) {
        feed(&bytes, slice);
    }

    #[test]
    fn nor_do_messages_that_break_off(bytes in messages(), length in 0_usize..1_000) {
        feed(&bytes[..length.min(bytes.len())], 64);
    }

    #[test]
    fn nor_does_one_wrong_byte(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        slice in 1_usize..300,
    ) {
        let again = [message(b'2', b""), row(&["a"]), complete("SELECT 1")].concat();
        let parsed = [message(b'1', b""), message(b't', b"\0\x01\0\0\0\x19"), described(&["value"])];
        let mut bytes = [parsed.concat(), again.clone(), again, ready()].concat();
        bytes.extend([complete("A"), complete("B"), ready(), ready()].concat());
        let place = place.index(bytes.len());
        bytes[place] = byte;
        feed(&bytes, slice);
    }
}
