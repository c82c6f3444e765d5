mod execute;
mod open;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

pub use self::execute::{Started, Unfinished};
use crate::cancel::Cancel;
use crate::driver::Driver;
use crate::ended::{Ended, Reason};
use crate::event::{self, Events};
use crate::names::Names;
use crate::parameters::check_count;
use crate::pulse::Pulse;
use crate::queue::{Queue, Sharing};
use crate::reply::{self, Reply};
use crate::request::Request;
use crate::shared::Shared;
use crate::socket;
use crate::startup::{self, Opened};
use crate::statement::{Catalog, Statement};
use crate::types::Params;
use crate::{Config, Error, Kind, lookup};

/// Most descriptions that a session keeps for itself while it is apart.
const OWN_MAX: usize = 256;

/// What one connection may hold and be sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of one message from the server. Default: 1 GiB, the server's own limit.
    pub message_max: usize,
    /// Most requests that wait for their answers. Default: 4,096.
    pub requests_max: usize,
    /// Most prepared statements kept on the server; with 0 none is kept, and each is parsed anew
    /// with each run, as behind a pooler that does not track them. Default: 256.
    pub statements_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_max: 1 << 30,
            requests_max: 4096,
            statements_max: 256,
        }
    }
}

/// Where a session stands with its transaction, as the server said in its last ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows these three")]
pub enum TransactionStatus {
    /// In a transaction that failed and waits for its rollback.
    Failed,
    /// In no transaction.
    Idle,
    /// In a transaction.
    Open,
}

/// One session with a server; its [`Driver`] does the reading and writing.
///
/// Requests may be made from several tasks at once: they are answered in order. Dropping the client
/// closes the connection.
pub struct Client {
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
    /// Descriptions of this session alone; see [`keep_apart`](Self::keep_apart).
    own: Mutex<Option<Arc<Catalog>>>,
    /// Whether there is one; spares the lock in each call of a session that is like any other.
    apart: AtomicBool,
    cancel: Cancel,
}

impl Client {
    /// Opens a session with the first host of `config` that takes it.
    ///
    /// `settings` are sent as start-up parameters, so that they are the session's defaults. The
    /// driver must be polled, usually in a task of its own, for anything to happen.
    ///
    /// # Errors
    /// [`Kind::Connect`], [`Kind::Tls`], [`Kind::Authentication`], [`Kind::Timeout`] or
    /// [`Kind::Protocol`]; trying again is always safe.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket; nothing remains.
    pub async fn connect(
        config: &Arc<Config>,
        catalog: &Arc<Catalog>,
        limits: &Limits,
        settings: &[(&str, &str)],
    ) -> Result<(Self, Driver), Error> {
        let (_host, opened) = startup::open_any(config, settings).await?;
        Ok(Self::over(opened, catalog, limits))
    }

    /// The two ends of a session that is open.
    pub(crate) fn over(opened: Opened, catalog: &Arc<Catalog>, limits: &Limits) -> (Self, Driver) {
        let cancel = Cancel::new(&opened);
        let (read, write) = socket::split(opened.transport);
        let names = Names::new(limits.statements_max);
        let queue = Queue::new(write, names, limits.requests_max);
        let shared = Arc::new(Shared::new(queue, opened.parameters, limits.message_max));
        let driver = Driver::new(Arc::clone(&shared), read, opened.unread);
        let client = Self {
            shared,
            catalog: Arc::clone(catalog),
            own: Mutex::default(),
            apart: AtomicBool::new(false),
            cancel,
        };
        (client, driver)
    }

    /// Runs one statement and returns its whole result.
    ///
    /// A stale plan is prepared anew and run again once, outside of transactions.
    ///
    /// # Errors
    /// [`Kind::Encode`] and [`Kind::Limit`] before anything was sent; [`Kind::Database`] when the
    /// server refuses; [`Kind::Closed`] and [`Kind::Protocol`] when the connection ends.
    ///
    /// # Cancel safety
    /// A statement that was sent is still carried out; its answer is dropped.
    pub async fn query(
        &self,
        sql: &str,
        params: &(dyn Params + Sync),
        sharing: Sharing,
    ) -> Result<Reply, Error> {
        let statement = match self.described(sql) {
            Some(statement) => statement,
            None => {
                check_count(params)?;
                self.describe(sql, sharing).await?
            }
        };
        self.run(&statement, params, sharing).await
    }

    /// Runs a script of one or more statements without parameters, by the simple protocol.
    ///
    /// Returns the tag of each statement, for example `CREATE TABLE` or `COMMIT`.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    /// As [`query`](Self::query).
    pub async fn script(&self, sql: &str) -> Result<Vec<String>, Error> {
        let frames = self.send(&Request::Simple { sql }, Sharing::Own).await?;
        self.judge(reply::read_tags(&frames))
    }

    /// As [`script`](Self::script), within a [turn](Self::turn) of the session's transaction.
    ///
    /// # Errors
    /// As [`query`](Self::query); [`Kind::Overtaken`] when that turn is over.
    ///
    /// # Cancel safety
    /// As [`query`](Self::query).
    pub async fn script_within(&self, sql: &str, turn: u64) -> Result<Vec<String>, Error> {
        let request = Request::Simple { sql };
        let frames = self.send(&request, Sharing::Within(turn)).await?;
        self.judge(reply::read_tags(&frames))
    }

    /// As [`script`](Self::script), for what begins, divides or ends a transaction: with it a new
    /// [turn](Self::turn) begins.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    /// As [`query`](Self::query).
    pub async fn control(&self, sql: &str) -> Result<Vec<String>, Error> {
        let frames = self.send(&Request::Control { sql }, Sharing::Own).await?;
        self.judge(reply::read_tags(&frames))
    }

    /// As [`control`](Self::control), but does not wait: for clean-up that what is sent later must
    /// find done.
    pub fn control_detached(&self, sql: &str) {
        let request = Request::Control { sql };
        // Refused when it can't be written, or when the connection has ended. What comes later must
        // not find the clean-up left out.
        if self.shared.push(&request, Sharing::Own).is_err() {
            self.close();
        }
    }

    /// Counts the requests of [`control`](Self::control).
    ///
    /// A statement that is made of several requests, since it is described before it is run, is
    /// told the turn that it belongs to by [`Sharing::Within`]: so it can't run behind the COMMIT
    /// that somebody else sends meanwhile, where it would take effect on its own.
    #[must_use]
    pub fn turn(&self) -> u64 {
        self.shared.queue().turn()
    }

    /// Waits until everything that was sent before is answered.
    ///
    /// # Errors
    /// When the connection ends first.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn barrier(&self) -> Result<(), Error> {
        let frames = self.send(&Request::Sync, Sharing::Own).await?;
        self.judge(reply::read_tags(&frames)).map(drop)
    }

    /// The description of a statement, asked for once per database and then kept.
    ///
    /// # Errors
    /// As [`query`](Self::query); nothing is executed.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn statement(&self, sql: &str, sharing: Sharing) -> Result<Arc<Statement>, Error> {
        match self.described(sql) {
            Some(statement) => Ok(statement),
            // Boxed: it happens once per statement, and would be most of each call's future.
            None => Box::pin(self.describe(sql, sharing)).await,
        }
    }

    /// As [`statement`](Self::statement), asked for even if it is known.
    ///
    /// # Errors
    /// As [`query`](Self::query); nothing is executed.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn describe(&self, sql: &str, sharing: Sharing) -> Result<Arc<Statement>, Error> {
        let statement = self
            .ask_description(sql, sharing)
            .await
            .map_err(not_executed)?;
        self.descriptions().keep(Arc::clone(&statement));
        Ok(statement)
    }

    async fn ask_description(&self, sql: &str, sharing: Sharing) -> Result<Arc<Statement>, Error> {
        let id = Statement::next_id();
        let frames = self.send(&Request::Describe { id, sql }, sharing).await?;
        let description = self.judge(reply::read_description(&frames))?;
        let mut parameters = Vec::with_capacity(description.parameters.len());
        for oid in description.parameters {
            parameters.push(lookup::ty(self, oid, sharing).await?);
        }
        let columns = lookup::columns(self, &description.fields, sharing).await?;
        Ok(Arc::new(Statement::new(
            id,
            sql,
            parameters,
            Arc::new(columns),
        )))
    }

    /// Asks the server to stop what it runs for this session, and waits until it has heard.
    ///
    /// Only for a session that nobody else uses: a cancel names the session, not the statement.
    /// Afterwards a barrier makes sure that a late cancel hits nothing else.
    ///
    /// # Errors
    /// When the server can't be reached within 1 s, or the session ends.
    ///
    /// # Cancel safety
    /// The cancel may still arrive; close the session then.
    pub async fn cancel(&self) -> Result<(), Error> {
        // Boxed: it holds a whole start-up of TLS, and is rare.
        Box::pin(self.cancel.send()).await?;
        match self.script("select 1").await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Kind::Database => self.barrier().await,
            Err(error) => Err(error),
        }
    }

    /// Where the session stands with its transaction.
    #[must_use]
    pub fn status(&self) -> TransactionStatus {
        match self.shared.status.load(Ordering::Acquire) {
            b'I' => TransactionStatus::Idle,
            b'T' => TransactionStatus::Open,
            _ => TransactionStatus::Failed,
        }
    }

    /// Why the connection ended; `None` while it is open.
    #[must_use]
    pub fn ended(&self) -> Option<Arc<Ended>> {
        self.shared.queue().ended.clone()
    }

    /// Requests that were taken in and not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight()
    }

    /// How this connection gets on, for whoever looks after it.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse::new(&self.shared)
    }

    /// What the server reported last for a parameter such as `server_version`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.shared.parameter(name)
    }

    /// The server process of this session.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.cancel.process_id()
    }

    /// Notifications and notices from here on, at most `events_max` waiting; what comes beyond is
    /// counted in [`Event::Missed`](crate::Event::Missed). A second call replaces the first receiver.
    #[must_use]
    pub fn events(&self, events_max: usize) -> Events {
        let (sender, events) = event::channel(events_max);
        self.shared.set_events(sender);
        events
    }

    /// Closes the connection now; requests that wait are told so.
    pub fn close(&self) {
        self.shared.queue().close(Reason::ByUs);
    }

    /// An answer that can't be read leaves no trust in those that would follow.
    #[inline]
    pub(crate) fn judge<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        read.inspect_err(|error| {
            if error.kind() == Kind::Protocol {
                let reason = Reason::Protocol("an answer that can't be read");
                self.shared.queue().close(reason);
            }
        })
    }

    /// From here on this session's names may mean something else than in other sessions (a search
    /// path, a role, a temporary table): what it learns about statements is kept apart.
    pub fn keep_apart(&self) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.get_or_insert_with(|| Arc::new(self.catalog.apart(OWN_MAX)));
        self.apart.store(true, Ordering::Release);
    }

    /// The session is like any other again; what it learned since
    /// [`keep_apart`](Self::keep_apart) is dropped.
    pub fn rejoin(&self) {
        let own = self
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.apart.store(false, Ordering::Release);
        if let Some(own) = own {
            let mut queue = self.shared.queue();
            for id in own.ids() {
                queue.names.forget(id);
            }
        }
    }

    /// The session has deallocated all its prepared statements: each is prepared anew.
    pub fn forget_prepared(&self) {
        self.shared.queue().names.clear();
    }

    /// The description of a statement that this session may use, if it is known.
    #[must_use]
    pub fn described(&self, sql: &str) -> Option<Arc<Statement>> {
        if self.apart.load(Ordering::Acquire) {
            self.descriptions().statement(sql)
        } else {
            self.catalog.statement(sql)
        }
    }

    /// Where descriptions are kept: together with other sessions', unless this one is apart.
    fn descriptions(&self) -> Arc<Catalog> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(own.as_ref().unwrap_or(&self.catalog))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Sends a request; one that a neighbour's failure skipped is sent again, alone.
    async fn send(&self, request: &Request<'_>, sharing: Sharing) -> Result<Bytes, Error> {
        let mut sharing = sharing;
        loop {
            match self.shared.push(request, sharing)?.await? {
                Some(frames) => return Ok(frames),
                None => sharing = Sharing::Own,
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("process_id", &self.process_id())
            .field("status", &self.status())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// A connection that ended over a description ended before the statement itself was sent.
fn not_executed(error: Error) -> Error {
    let ended = matches!(error.kind(), Kind::Closed | Kind::Protocol);
    let sent = error.sent() && !ended;
    error.with_sent(sent)
}
