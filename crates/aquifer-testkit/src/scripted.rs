pub mod message;
mod player;
mod script;
mod stage;

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::background::Background;
use player::Player;
use stage::{Record, Stage};

pub use script::{Gate, Script};
pub use stage::{CancelRequest, Received};

const CONNECTIONS_MAX: u64 = 4096;

/// A PostgreSQL server that says what a script tells it to say, true or not.
///
/// It listens on a loopback port, on a thread of its own. A client that does something else than the
/// script expects gets a reset, and the test fails when the server is dropped or
/// [finished](Self::finish).
///
/// ```
/// use aquifer_testkit::{Script, ScriptedServer, message};
///
/// // A server that promises a row and then hangs up.
/// let script = Script::logged_in()
///     .expect(b'Q')
///     .send(message::row_description(&[("n", 23)]));
/// let server = ScriptedServer::start([script]);
/// assert!(server.url().starts_with("postgresql://"));
/// ```
#[derive(Debug)]
pub struct ScriptedServer {
    background: Background,
    stage: Arc<Stage>,
    port: u16,
}

impl ScriptedServer {
    /// Plays one script per connection, in the order of the connections; any more are closed.
    #[must_use]
    pub fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::with_stage(Stage::in_turn(scripts.into_iter().collect()))
    }

    /// Plays the same script on every connection.
    #[must_use]
    pub fn always(script: Script) -> Self {
        Self::with_stage(Stage::always(script))
    }

    fn with_stage(stage: Stage) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let server = Self {
            background: Background::start("scripted server"),
            stage: Arc::new(stage),
            port: listener.local_addr().expect("bound").port(),
        };
        let stage = Arc::clone(&server.stage);
        server.background.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            for connection in 1..=CONNECTIONS_MAX {
                let Ok((stream, _)) = listener.accept().await else {
                    return stage.failed("the server can't accept connections".to_owned());
                };
                // What a script sends in two steps is to arrive in two pieces. A socket that
                // refuses this is about to fail anyway.
                let _refused = stream.set_nodelay(true);
                tokio::spawn(Player::new(stream, Arc::clone(&stage), connection).run());
            }
        });
        server
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL for it, without TLS; it is right for any user, password and database.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgresql://postgres:secret@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// The messages that clients sent so far, the first 10,000.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.stage.record.borrow().received.clone()
    }

    /// The cancel requests that arrived so far; they take no script.
    #[must_use]
    pub fn cancels(&self) -> Vec<CancelRequest> {
        self.stage.record.borrow().cancels.clone()
    }

    /// Waits, at most 30 s, until so many messages with this tag have arrived.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn until_received(&self, tag: u8, count: usize) {
        self.until("the messages arrive", |record| {
            let matching = record.received.iter().filter(|message| message.tag == tag);
            matching.count() >= count
        })
        .await;
    }

    /// Waits, at most 30 s, until so many cancel requests have arrived.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn until_cancelled(&self, count: usize) {
        self.until("the cancel requests arrive", |record| {
            record.cancels.len() >= count
        })
        .await;
    }

    /// Waits, at most 30 s, until every script has been played, and fails if one was not met.
    ///
    /// # Cancel safety
    /// Dropping the future drops the server, which ends every connection.
    pub async fn finish(self) {
        self.until("all scripts are played", |record| {
            record.played >= record.expected || !record.failures.is_empty()
        })
        .await;
    }

    async fn until(&self, what: &str, wanted: impl Fn(&Record) -> bool) {
        let mut record = self.stage.record.subscribe();
        let condition = record.wait_for(wanted);
        let reached = self.background.bounded(what, condition).await;
        drop(reached.expect("the server has the sender"));
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        let failures = self.stage.record.borrow().failures.clone();
        if !failures.is_empty() && !std::thread::panicking() {
            panic!(
                "the client did not follow the script: {}",
                failures.join("; ")
            );
        }
    }
}
