//! Whoever sends a COPY and waits for room is woken: each part runs by wakers of its own here, so
//! that a wake-up that is missing is not made up for by another one's.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{complete, message, pair, ready, run};
use crate::copy::CopyIn;
use crate::{Client, Kind, Limits, Sharing};

/// More than the socket and the queue hold together.
const MUCH: usize = 8 * 1024 * 1024;

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

async fn begun(client: &Client, server: &mut UnixStream) -> CopyIn {
    let opening = client.copy_in("copy t from stdin", Sharing::Own);
    let play = async {
        let mut sent = [0; 4096];
        assert!(server.read(&mut sent).await.unwrap() > 0);
        let begun = [
            message(b'1', b""),
            message(b'2', b""),
            message(b'G', b"\0\0\0"),
        ];
        server.write_all(&begun.concat()).await.unwrap();
    };
    tokio::join!(opening, play).0.unwrap()
}

#[test]
fn a_writer_is_woken_whenever_what_it_waits_behind_has_gone_out() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        let driver = tokio::spawn(driver);
        let mut copy = Box::pin(begun(&client, &mut server)).await;
        let data = vec![b'x'; MUCH];
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut waits = 0;
        {
            let mut sending = pin!(copy.send(&data));
            let mut room = vec![0; 64 * 1024];
            loop {
                let before = woken.count();
                match sending.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(outcome) => break outcome.unwrap(),
                    Poll::Pending => waits += 1,
                }
                // Without the wake-up there comes a time when there is nothing left to read.
                while woken.count() == before {
                    assert!(server.read(&mut room).await.unwrap() > 0);
                }
            }
        }
        assert!(waits > 1, "it waited {waits} times");
        let end = [complete("COPY 1"), ready()].concat();
        let play = async {
            server.write_all(&end).await.unwrap();
            let mut rest = Vec::new();
            while !rest.ends_with(b"S\0\0\0\x04") {
                assert!(server.read_buf(&mut rest).await.unwrap() > 0);
            }
        };
        let (inserted, ()) = tokio::join!(copy.finish(), play);
        assert_eq!(inserted.unwrap(), 1);
        client.close();
        driver.await.unwrap();
    });
}

#[test]
fn a_writer_that_waits_is_woken_when_the_connection_ends() {
    for by_server in [true, false] {
        run(async {
            let (client, driver, mut server) = pair(&Limits::default());
            let driver = tokio::spawn(driver);
            let mut copy = Box::pin(begun(&client, &mut server)).await;
            let data = vec![b'x'; MUCH];
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let mut sending = pin!(copy.send(&data));
            let mut poll = || sending.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll().is_pending(), "it does not fit");
            let before = woken.count();
            if by_server {
                drop(server);
            } else {
                client.close();
            }
            driver.await.unwrap();
            assert!(woken.count() > before, "nobody woke it");
            match poll() {
                Poll::Ready(Err(error)) => assert_eq!(error.kind(), Kind::Closed, "{error}"),
                other => panic!("{other:?}"),
            }
        });
    }
}
