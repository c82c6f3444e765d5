//! Reads to a server that is far away do not wait until the ones before them are answered.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::backend::{Backend, Fault};
use super::groups::start;
use super::{ask, echo, pair, run};
use crate::frame;
use crate::{Client, Limits, Sharing};

/// What the way there and back takes.
const WAY: Duration = Duration::from_millis(25);

/// How often a machine that is busy with something else may spoil it.
const ROUNDS: usize = 10;

/// Lets barriers through, each after the way or at once, until the lane knows how far it is.
async fn measure(client: &Client, near: bool, lane: &mut UnixStream, server: &mut UnixStream) {
    for _ in 0..20 {
        let relay = async {
            let mut buffer = [0; 64];
            let count = lane.read(&mut buffer).await.unwrap();
            if !near {
                sleep(WAY).await;
            }
            server.write_all(&buffer[..count]).await.unwrap();
            let count = server.read(&mut buffer).await.unwrap();
            lane.write_all(&buffer[..count]).await.unwrap();
        };
        let (answer, ()) = tokio::join!(client.barrier(), relay);
        answer.unwrap();
    }
}

/// How many groups ten reads go in that are asked for one after the other, before any is answered.
fn groups_of_ten_reads(near: bool) -> usize {
    run(async {
        let (client, driver, mut lane) = pair(&Limits::default());
        let (client, driver) = (Arc::new(client), tokio::spawn(driver));
        client.catalog().keep(echo());
        let (mut server, stream) = UnixStream::pair().unwrap();
        let backend = tokio::spawn(async move { Backend::new(stream, Fault::None).serve().await });
        measure(&client, near, &mut lane, &mut server).await;

        let mut waiting = Vec::new();
        for tag in 0..10 {
            let client = Arc::clone(&client);
            let asking =
                Box::pin(async move { ask(&client, &tag.to_string(), Sharing::Shared).await });
            waiting.push(start(asking).await);
        }
        // A caller's first step has written what may go.
        let mut sent = BytesMut::with_capacity(4096);
        lane.readable().await.unwrap();
        while let Err(error) = lane.try_read_buf(&mut sent).map(drop) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        let (mut groups, mut rest) = (0, &sent[..]);
        while let Some((tag, length)) = frame::peek(rest, usize::MAX).unwrap() {
            groups += usize::from(tag == b'S');
            rest = &rest[length..];
        }

        server.write_all(&sent).await.unwrap();
        let relay = tokio::spawn(async move { copy_bidirectional(&mut lane, &mut server).await });
        for (tag, answer) in waiting.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap().unwrap(), [tag.to_string()]);
        }
        client.close();
        driver.await.unwrap();
        drop(relay.await.unwrap());
        backend.await.unwrap();
        groups
    })
}

#[test]
fn several_groups_are_under_way_to_a_far_server_but_not_more_than_there_should_be() {
    // How many depends on how evenly this machine runs.
    let several = (0..ROUNDS).any(|_| {
        let groups = groups_of_ten_reads(false);
        assert!(groups <= 8, "{groups}");
        groups >= 2
    });
    assert!(several);
}

#[test]
fn one_group_is_under_way_to_a_near_server() {
    // A machine that stands still at the wrong time makes it seem far.
    assert!((0..ROUNDS).any(|_| groups_of_ten_reads(true) == 1));
}
