use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::cut::Ending;
use super::delivery::{Arrival, Delivery};
use super::splitter::Session;
use super::state::{Orders, State};
use super::{Direction, Upstream};

/// The network between two machines holds a little, too: 64 times 16 KiB each way.
const CHUNK: usize = 16 * 1024;
const CHUNKS: usize = 64;

/// One accepted connection. Dropping it takes it off the books.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) state: Arc<State>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) postgres: bool,
}

impl Connection {
    pub(super) fn register(state: &Arc<State>, postgres: bool) -> Self {
        let (number, orders) = state.accepted();
        Self {
            number,
            state: Arc::clone(state),
            orders,
            postgres,
        }
    }

    /// Connects to the server and forwards until either side, an order or a cut ends it.
    pub(super) async fn run(self, client: TcpStream, upstream: Upstream) {
        match upstream {
            Upstream::Port(port) => match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(server) => {
                    // Without this, single bytes would be glued together again. A socket that
                    // refuses it is about to fail anyway.
                    let _refused = server.set_nodelay(true);
                    if let Ok(address) = server.local_addr() {
                        self.state.comes_from(address.port(), self.number);
                    }
                    self.forward(client, server, TcpStream::set_zero_linger)
                        .await;
                }
                Err(_) => reset(&client),
            },
            Upstream::Socket(path) => match UnixStream::connect(path).await {
                // A unix socket knows no reset: the server sees the end.
                Ok(server) => self.forward(client, server, |_| Ok(())).await,
                Err(_) => reset(&client),
            },
        }
    }

    async fn forward<S>(
        &self,
        mut client: TcpStream,
        mut server: S,
        reset_server: impl Fn(&S) -> io::Result<()>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let ending = {
            let session = Session::default();
            let (client_read, client_write) = split(&mut client);
            let (server_read, server_write) = split(&mut server);
            let up = Box::pin(self.pump(&session, Direction::ToServer, client_read, server_write));
            let down =
                Box::pin(self.pump(&session, Direction::ToClient, server_read, client_write));
            tokio::select! {
                biased;
                ending = self.ordered(|_| true) => Some(ending),
                both = async { tokio::try_join!(up, down) } => both.err(),
            }
        };
        let ending = match ending {
            Some(Ending::Silence) => self.ordered(|ending| ending != Ending::Silence).await,
            // Both directions ended by themselves, and that has been passed on.
            None | Some(Ending::HalfClose(_)) => return,
            Some(ending) => ending,
        };
        if ending == Ending::Reset {
            reset(&client);
            let _already_gone = reset_server(&server);
            return;
        }
        // Closing a socket with unread data sends a reset, which may overtake what is on its way:
        // so end both ways, then read until the peers are gone.
        let close = async { tokio::join!(finish(&mut client), finish(&mut server)) };
        let _at_most = timeout(Duration::from_secs(1), close).await;
    }

    /// Waits until the connection is told to end in a way that is `wanted`.
    async fn ordered(&self, wanted: impl Fn(Ending) -> bool) -> Ending {
        let mut orders = self.orders.clone();
        let order = orders
            .wait_for(|orders| orders.ending.is_some_and(&wanted))
            .await
            .ok()
            .and_then(|orders| orders.ending);
        match order {
            Some(ending) => ending,
            // The books are closed only when the whole proxy ends, and this task with it.
            None => pending().await,
        }
    }

    /// Moves one direction's bytes until its end; the error is how the connection has to end.
    async fn pump(
        &self,
        session: &Session,
        direction: Direction,
        reader: impl AsyncRead + Unpin,
        writer: impl AsyncWrite + Unpin,
    ) -> Result<(), Ending> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let delivery = Delivery::new(self, session, direction, writer);
        tokio::select! {
            outcome = delivery.run(receiver) => outcome,
            () = async { read(reader, sender).await; pending().await } => Ok(()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.state.ended(self.number);
    }
}

async fn read(mut reader: impl AsyncRead + Unpin, sender: mpsc::Sender<Arrival>) {
    loop {
        let mut bytes = vec![0; CHUNK];
        let arrival = match reader.read(&mut bytes).await {
            Ok(0) => return,
            Ok(length) => {
                bytes.truncate(length);
                Arrival::Bytes(Instant::now(), bytes)
            }
            Err(_) => Arrival::Broken,
        };
        let broken = matches!(arrival, Arrival::Broken);
        if sender.send(arrival).await.is_err() || broken {
            return;
        }
    }
}

/// Makes the coming drop of the socket a reset.
pub(super) fn reset(stream: &TcpStream) {
    // A socket that refuses is gone already.
    let _already_gone = stream.set_zero_linger();
}

/// Ends the stream to the peer, and reads until the peer has ended it too.
async fn finish(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut unread = vec![0; CHUNK];
    if stream.shutdown().await.is_ok() {
        while matches!(stream.read(&mut unread).await, Ok(length) if length > 0) {}
    }
}
