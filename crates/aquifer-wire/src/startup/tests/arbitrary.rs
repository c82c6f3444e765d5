use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use super::config;
use super::peer::{message, request};
use crate::startup::authentication::{Login, authenticate};
use crate::startup::exchange::Exchange;
use crate::transport::Transport;

/// Feeds `bytes` to a client that is about to authenticate, and reads on to the end.
fn feed(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
        let config = config("user=u password=p");
        let mut exchange = Exchange::new(Transport::Unix(ours));
        let login = Login {
            settings: &config.settings,
            user: "u",
            passfile: None,
            end_point: None,
            encrypted: false,
            local: true,
        };
        if authenticate(&mut exchange, login).await.is_ok() {
            while exchange.next().await.is_ok() {}
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_of_a_server_make_start_up_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        feed(&bytes);
    }

    #[test]
    fn nor_do_messages_with_arbitrary_bodies(
        messages in prop::collection::vec(
            (prop::sample::select(b"RSKEZNvDTC".to_vec()), prop::collection::vec(any::<u8>(), 0..40)),
            0..6,
        ),
        kind in prop::sample::select(vec![0, 3, 5, 10, 11, 12]),
        data in "(SCRAM-SHA-256\0\0|r=[a-z]{0,4},s=[a-zA-Z=]{0,4},i=[0-9]{0,3}|v=[a-z=]{0,4}|e=x)",
    ) {
        let mut bytes = request(kind, data.as_bytes());
        bytes.extend(request(11, data.as_bytes()));
        bytes.extend(messages.iter().flat_map(|(tag, body)| message(*tag, body)));
        feed(&bytes);
    }
}
