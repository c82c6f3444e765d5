//! A server that follows a script, on a free loopback port.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Config;

/// Runs a script for each accepted connection, one after another; ends when dropped.
pub(super) struct LyingServer {
    address: SocketAddr,
    served: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

/// The server's end of one connection.
pub(super) struct Peer(TcpStream);

impl LyingServer {
    /// `script` gets each connection with its number, from 0.
    pub(super) async fn start<F>(script: impl Fn(usize, Peer) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the bound address");
        let (count, served) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = *count.borrow();
                script(number, Peer(stream)).await;
                count.send_replace(number + 1);
            }
        });
        Self {
            address,
            served,
            task,
        }
    }

    /// After the start-up message, sends `bytes` and then reads until the client goes.
    pub(super) async fn says(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, mut peer| {
            let bytes = bytes.clone();
            async move {
                peer.startup().await;
                peer.send(&bytes).await;
                peer.rest().await;
            }
        })
        .await
    }

    pub(super) fn config(&self, text: &str) -> Config {
        let port = self.address.port();
        super::config(&format!(
            "host=127.0.0.1 port={port} user=u password=canary sslmode=disable {text}"
        ))
    }

    /// Waits until the scripts of `count` connections have ended.
    pub(super) async fn served(&self, count: usize) {
        let mut served = self.served.clone();
        let ended = served.wait_for(|served| *served >= count).await;
        ended.expect("the server runs");
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for LyingServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        // The client may be gone already: then it has seen enough.
        let _gone = self.0.write_all(bytes).await;
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.0
    }

    /// A message without a tag: the start-up message, or a request for TLS or cancel.
    pub(super) async fn startup(&mut self) -> Vec<u8> {
        let length = self.0.read_u32().await.unwrap_or(4) as usize;
        self.exactly(length - 4).await
    }

    /// The body of the next message, after its tag.
    pub(super) async fn message(&mut self) -> Vec<u8> {
        let _tag = self.0.read_u8().await;
        self.startup().await
    }

    /// Whatever still comes until the client closes.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _reset = self.0.read_to_end(&mut rest).await;
        rest
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        let _gone = self.0.read_exact(&mut body).await;
        body
    }
}

/// One message of a server.
pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

/// An Authentication request with its number and data.
pub(super) fn request(number: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[number.to_be_bytes().as_slice(), data].concat())
}

pub(super) fn error(code: &str) -> Vec<u8> {
    let text = format!("SFATAL\0VFATAL\0C{code}\0Mthe reason\0\0");
    message(b'E', text.as_bytes())
}

pub(super) fn parameter(name: &str, value: &str) -> Vec<u8> {
    message(b'S', format!("{name}\0{value}\0").as_bytes())
}

pub(super) fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// AuthenticationOk, then `more`, then ReadyForQuery.
pub(super) fn welcome(more: &[u8]) -> Vec<u8> {
    let key = message(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]);
    [request(0, b""), key, more.to_vec(), ready()].concat()
}
