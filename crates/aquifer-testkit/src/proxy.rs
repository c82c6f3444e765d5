mod connection;
mod cut;
mod delivery;
mod splitter;
mod state;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Postgres;
use crate::background::Background;
use connection::{Connection, reset};
use state::State;

pub use cut::{Cut, Ending};
pub use splitter::tag;
pub use state::Traffic;

const CONNECTIONS_MAX: u64 = 4096;

/// A TCP proxy on a loopback port that delays, stalls and breaks connections.
///
/// It runs on a thread of its own: a test may block its own thread, pause its clock, and switch
/// faults from anywhere. Dropping it resets nothing gently: all connections end.
///
/// ```
/// use aquifer_testkit::{Direction, Mode, Postgres, Proxy};
///
/// let server = Postgres::shared();
/// let proxy = Proxy::to_postgres(server);
/// let url = proxy.through(server.tcp_url());
/// assert_eq!(server.psql_at(&url, "select 1").as_deref(), Ok("1"));
/// proxy.set_direction(Direction::ToClient, Mode::BlackHole);
/// ```
#[derive(Debug)]
pub struct Proxy {
    background: Background,
    state: Arc<State>,
    upstream: Arc<Mutex<Upstream>>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
    /// Takes connections that nobody accepts yet.
    waiting: Mutex<Option<std::net::TcpListener>>,
    postgres: bool,
    port: u16,
}

/// The way in which bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// They are delivered at once.
    Pass,
    /// They arrive so much later; order and throughput stay.
    Delay(Duration),
    /// They arrive later by a random time, in order.
    Jitter {
        /// The shortest delay.
        least: Duration,
        /// The longest delay.
        most: Duration,
    },
    /// They arrive in slices of so many bytes.
    Slices(usize),
    /// They are held back until the mode changes; the sender notices nothing until its buffers are
    /// full. New connections are accepted, and fall silent.
    BlackHole,
}

/// Where a proxy leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upstream {
    /// A port on 127.0.0.1.
    Port(u16),
    /// A unix socket.
    Socket(PathBuf),
}

impl Proxy {
    /// Leads to the port of a PostgreSQL server, and follows the protocol.
    #[must_use]
    pub fn to_postgres(server: &Postgres) -> Self {
        Self::to_postgres_at(Upstream::Port(server.port()))
    }

    /// Leads to any PostgreSQL server, and follows the protocol.
    ///
    /// The first 4 KiB of a message travel together, so the beginning of a message that is never
    /// completed does not arrive; use [`to_any`](Self::to_any) where that matters.
    #[must_use]
    pub fn to_postgres_at(upstream: Upstream) -> Self {
        Self::start(upstream, true)
    }

    /// Leads to a server of any kind; there are no messages to count or to cut at.
    #[must_use]
    pub fn to_any(upstream: Upstream) -> Self {
        Self::start(upstream, false)
    }

    fn start(upstream: Upstream, postgres: bool) -> Self {
        // Not a port that the system chose: it must still be free after `refuse`.
        let (port, listener) = (0..20)
            .filter_map(|_| aquifer_embedded::free_port())
            .find_map(|port| Some((port, listen(port)?)))
            .expect("a free port on 127.0.0.1");
        let proxy = Self {
            background: Background::start("proxy"),
            state: Arc::new(State::new()),
            upstream: Arc::new(Mutex::new(upstream)),
            acceptor: Mutex::new(None),
            waiting: Mutex::new(None),
            postgres,
            port,
        };
        proxy.accept_on(listener);
        proxy
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL of the server behind, made to lead through the proxy.
    #[must_use]
    pub fn through(&self, url: &str) -> String {
        let Upstream::Port(port) = *self.upstream() else {
            panic!("only a URL with a port can be led through the proxy");
        };
        let (behind, here) = (format!(":{port}/"), format!(":{}/", self.port));
        assert!(
            url.contains(&behind),
            "the URL is not one of the server behind the proxy"
        );
        url.replace(&behind, &here)
    }

    /// Sends new connections elsewhere; those that are open stay where they are.
    pub fn redirect(&self, upstream: Upstream) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
    }

    /// Switches both directions of all connections, open and new.
    pub fn set(&self, mode: Mode) {
        self.state.modes.send_modify(|modes| {
            modes.to_server = mode;
            modes.to_client = mode;
        });
    }

    /// Switches one direction of all connections, open and new.
    pub fn set_direction(&self, direction: Direction, mode: Mode) {
        self.state.modes.send_modify(|modes| match direction {
            Direction::ToServer => modes.to_server = mode,
            Direction::ToClient => modes.to_client = mode,
        });
    }

    /// Refuses new connections, as a machine does on which nothing listens; open ones go on.
    pub fn refuse(&self) {
        let acceptor = self
            .acceptor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(acceptor) = acceptor {
            self.background.end(acceptor);
        }
    }

    /// Lets new connections wait, as a machine does that is too busy to take them; open ones go on.
    pub fn keep_waiting(&self) {
        self.refuse();
        let listener = listen(self.port).expect("the port is still free");
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Accepts connections again after [`refuse`](Self::refuse), on the same port, and those that
    /// [wait](Self::keep_waiting).
    pub fn accept(&self) {
        let accepting = self
            .acceptor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if !accepting {
            let waiting = self
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let listener = waiting.or_else(|| listen(self.port));
            self.accept_on(listener.expect("the port is still free"));
        }
    }

    fn accept_on(&self, listener: std::net::TcpListener) {
        let (state, upstream, postgres) = (
            Arc::clone(&self.state),
            Arc::clone(&self.upstream),
            self.postgres,
        );
        let acceptor = self.background.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    // Out of file descriptors, most likely: they will come back.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                if state.traffic.borrow().open() >= CONNECTIONS_MAX {
                    reset(&client);
                    continue;
                }
                // As on the way to the server.
                let _refused = client.set_nodelay(true);
                let connection = Connection::register(&state, postgres);
                let upstream = upstream
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                tokio::spawn(connection.run(client, upstream));
            }
        });
        *self.acceptor.lock().unwrap_or_else(PoisonError::into_inner) = Some(acceptor);
    }

    /// Ends all open connections in the same way. New ones are accepted.
    pub fn cut_all(&self, ending: Ending) {
        self.state.end_all(ending);
    }

    /// Ends the one connection that comes to the server from this port, as servers list their clients;
    /// returns whether there is one.
    pub fn end_from(&self, port: u16, ending: Ending) -> bool {
        let number = self.state.from(port);
        if let Some(number) = number {
            self.state.end(number, ending);
        }
        number.is_some()
    }

    /// Ends a connection at a message; each cut is made once. Cuts that wait are independent.
    pub fn cut(&self, cut: Cut) {
        assert!(self.postgres, "only a proxy to PostgreSQL knows messages");
        self.state.add_cut(cut);
    }

    /// Forgets the cuts that have not been made.
    pub fn clear_cuts(&self) {
        self.state.clear_cuts();
    }

    /// What has passed so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.state.traffic.borrow().clone()
    }

    /// Waits, at most 30 s, until the traffic is as wanted. Works in any runtime.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Traffic) -> bool) -> Traffic {
        let mut traffic = self.state.traffic.subscribe();
        let condition = traffic.wait_for(wanted);
        let reached = self.background.bounded(what, condition).await;
        reached.expect("the proxy has the sender").clone()
    }

    fn upstream(&self) -> std::sync::MutexGuard<'_, Upstream> {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(port: u16) -> Option<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).ok()?;
    listener.set_nonblocking(true).ok()?;
    Some(listener)
}
