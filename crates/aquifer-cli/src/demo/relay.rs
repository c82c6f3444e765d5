//! A network between the demo and its server that fails at the worst moment: over COMMIT.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// The message that asks for it, and the one that says it is done.
const REQUEST: &[u8] = b"Q\0\0\0\x0bcommit\0";
const ANSWER: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// Where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// COMMIT is on its way to the server, which never gets it.
    Before = 1,
    /// The server has executed COMMIT; its answer never arrives.
    After = 2,
}

/// A port on the loopback that leads to the server, until it cuts.
pub(super) struct Relay {
    port: u16,
    next: Arc<Next>,
    task: JoinHandle<()>,
}

/// The cut that is due: a [`Moment`], or 0.
#[derive(Default)]
struct Next(AtomicU8);

impl Relay {
    pub(super) async fn to(socket: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let next = Arc::<Next>::default();
        let task = tokio::spawn(accept(listener, socket, Arc::clone(&next)));
        Ok(Self { port, next, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the connection on which COMMIT comes by next.
    pub(super) fn cut_next(&self, moment: Moment) {
        self.next.0.store(moment as u8, Ordering::SeqCst);
    }

    /// Whether the last one that was asked for has been made.
    pub(super) fn has_cut(&self) -> bool {
        self.next.0.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Next {
    /// Whether to cut here, where `bytes` come by; once.
    fn is_due(&self, moment: Moment, bytes: &[u8]) -> bool {
        let message = match moment {
            Moment::Before => REQUEST,
            Moment::After => ANSWER,
        };
        // Both are short and sent alone, so they come in one piece.
        let comes_by = bytes.windows(message.len()).any(|part| part == message);
        let (due, made) = (moment as u8, 0);
        let relaxed = Ordering::SeqCst;
        comes_by && self.0.compare_exchange(due, made, relaxed, relaxed).is_ok()
    }
}

/// Its connections end with it.
async fn accept(listener: TcpListener, socket: PathBuf, next: Arc<Next>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (socket, next) = (socket.clone(), Arc::clone(&next));
        connections.spawn(async move {
            // Either end may go away at any time; the other is told by the end of its stream.
            drop(carry(client, socket, &next).await);
        });
    }
}

/// Carries bytes both ways until one end closes or the cut is due; then both are closed.
async fn carry(mut client: TcpStream, socket: PathBuf, next: &Next) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = UnixStream::connect(socket).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        done = forward(from_client, to_server, |bytes| next.is_due(Moment::Before, bytes)) => done,
        done = forward(from_server, to_client, |bytes| next.is_due(Moment::After, bytes)) => done,
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    cut: impl Fn(&[u8]) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() || cut(bytes) {
            return Ok(());
        }
        to.write_all(bytes).await?;
    }
}
