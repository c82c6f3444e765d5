//! One server: a connection that all callers share, kept open by a task of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aquifer_core::backoff;
use aquifer_core::breaker::{self, Breaker, Change, Outcome, Permit};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, Value};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::opener::{Expected, Opener};
use crate::config::RedisAddress;
use crate::deadline::Deadline;
use crate::observe::{BreakerState, Event, Service};
use crate::wait::{Either, first};
use crate::{Error, ErrorKind, Retry, clock};

/// The wait before another attempt to connect: evenly from zero up to this, doubled each time.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The least wait after a refused login or certificate, which rarely passes by itself; some servers
/// lock users out who try too often.
const REFUSED_BACKOFF: Duration = Duration::from_secs(1);
const REFUSED_BACKOFF_MAX: Duration = Duration::from_secs(15);

/// A connection that lived shorter does not count as a success: a server that accepts and closes is
/// not asked at full speed.
const LIVED: Duration = Duration::from_secs(1);

/// After so many failures in a row callers get the cause at once instead of waiting for the next: as
/// many as open the breaker.
const FAILURES_WAITED: u32 = 3;

/// How often a server is looked at while its breaker is not closed.
const LOOKED_AT_AGAIN: Duration = Duration::from_millis(300);

/// One server of one Redis.
pub(super) struct Node {
    address: RedisAddress,
    expected: Expected,
    opener: Arc<Opener>,
    breaker: Breaker,
    state: watch::Sender<State>,
    doubt: Notify,
    /// Whether another connection may lead to another server.
    stale: AtomicBool,
    keeper: Mutex<Option<AbortHandle>>,
}

#[derive(Clone)]
enum State {
    /// There is no connection; so often in a row opening one has failed, or why the last one ended.
    Waiting {
        failures: u32,
        cause: Option<Error>,
    },
    Ready(MultiplexedConnection),
    Closed,
}

impl Node {
    /// A node whose connection is opened in the background, and kept open.
    pub(super) fn start(
        address: RedisAddress,
        expected: Expected,
        opener: &Arc<Opener>,
    ) -> Arc<Self> {
        let waiting = State::Waiting {
            failures: 0,
            cause: None,
        };
        let node = Arc::new(Self {
            address,
            expected,
            opener: Arc::clone(opener),
            breaker: Breaker::new(
                opener.settings().breaker,
                clock::random(),
                clock::now().into_std(),
            ),
            state: watch::Sender::new(waiting),
            doubt: Notify::new(),
            stale: AtomicBool::new(false),
            keeper: Mutex::new(None),
        });
        let keeper = Keeper {
            node: Arc::clone(&node),
            away: None,
        };
        let handle = opener.tasks.spawn(keeper.run());
        if handle.is_none() {
            node.state.send_replace(State::Closed);
        }
        *node.keeper.lock().unwrap_or_else(PoisonError::into_inner) = handle;
        node
    }

    pub(super) fn address(&self) -> &RedisAddress {
        &self.address
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(&*self.state.borrow(), State::Ready(_))
    }

    /// Why there is no connection now; `None` if there is one, or none has failed yet.
    pub(super) fn cause(&self) -> Option<Error> {
        match &*self.state.borrow() {
            State::Waiting { cause, .. } => cause.clone(),
            State::Ready(_) | State::Closed => None,
        }
    }

    /// What the circuit breaker before this server lets through.
    pub(super) fn breaker(&self) -> BreakerState {
        shown(self.breaker.state())
    }

    /// The right to send something; refused while the server fails what it is sent.
    pub(super) fn permit(&self) -> Result<Permit<&Breaker>, Error> {
        // Nobody is held back: who asks a cache has something better to do than to wait for it.
        let now = clock::now().into_std();
        Breaker::permit_of_last(&self.breaker, Duration::ZERO, now).map_err(|refused| {
            let again = match refused.retry_after {
                Some(again) => format!("asked again in {} ms", again.as_millis()),
                None => "asked again when an operator says so".to_owned(),
            };
            let text = format!(
                "Redis at {} is not asked now: its circuit breaker is open, since {}; it is {again}",
                self.address, refused.reason
            );
            let error = Error::new(ErrorKind::Connection, text);
            match self.cause() {
                Some(cause) => error.with_source(cause),
                None => error,
            }
        })
    }

    /// Takes down how what was sent by a permit ended.
    pub(super) fn record(&self, permit: Permit<&Breaker>, outcome: Outcome) {
        let change = permit.record(outcome, clock::now().into_std());
        self.changed(change);
    }

    /// Takes down whether the server was there when it was looked at.
    fn probed(&self, answered: bool) {
        let change = self.breaker.probed(answered, clock::now().into_std());
        self.changed(change);
    }

    fn changed(&self, change: Option<Change>) {
        let Some(change) = change else { return };
        // It is looked at soon, not when the next sign of life is due.
        self.doubt();
        if self.expected == Expected::Sentinel {
            return;
        }
        self.opener.observers.publish(Event::BreakerChange {
            service: Service::Redis,
            host: self.address.to_string().into(),
            lane: "commands",
            from: shown(change.from),
            to: shown(change.to),
            reason: change.reason.to_string().into(),
        });
    }

    /// The connection; waits for it until the deadline while it is being opened, but not while
    /// opening fails again and again.
    pub(super) async fn connection(
        &self,
        deadline: Deadline,
    ) -> Result<MultiplexedConnection, Error> {
        let mut state = self.state.subscribe();
        loop {
            let cause = match &*state.borrow_and_update() {
                State::Ready(connection) => return Ok(connection.clone()),
                State::Closed => return Err(closed()),
                State::Waiting {
                    failures,
                    cause: Some(cause),
                } if *failures >= FAILURES_WAITED || is_refusal(cause) => {
                    return Err(cause.clone());
                }
                State::Waiting { cause, .. } => cause.clone(),
            };
            if deadline.run(state.changed()).await.is_err() {
                return Err(cause.unwrap_or_else(|| self.late(deadline)));
            }
        }
    }

    /// Asks for a sign of life.
    pub(super) async fn ping(&self, deadline: Deadline) -> Result<(), Error> {
        let mut connection = self.connection(deadline).await?;
        let ping = redis::cmd("PING");
        let asked = connection.send_packed_command(&ping);
        let text = match deadline.run(asked).await {
            Ok(Ok(Value::ServerError(error))) => format!("says {error}"),
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => format!("can't be asked: {error}"),
            Err(_elapsed) => {
                self.doubt();
                format!("gave no answer within {:?}", deadline.limit())
            }
        };
        let text = format!("Redis at {} {text}", self.address);
        Err(Error::new(ErrorKind::Connection, text))
    }

    /// Something about the connection is not as it should be: it is looked at, now.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Replaces the connection, unless it is a new one.
    pub(super) fn reopen(&self) {
        self.stale.store(true, Ordering::Relaxed);
        self.doubt();
    }

    /// Closes the connection for good; what is under way on it fails.
    pub(super) fn close(&self) {
        self.state.send_replace(State::Closed);
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = &*keeper {
            keeper.abort();
        }
        let host = self.address.to_string();
        self.opener.observers.forget_breakers(Service::Redis, &host);
    }

    fn late(&self, deadline: Deadline) -> Error {
        let text = format!(
            "Redis at {} was not connected within {:?} (redis_timeout)",
            self.address,
            deadline.limit()
        );
        Error::new(ErrorKind::Timeout, text).with_retry(Retry::Safe)
    }
}

fn shown(state: breaker::State) -> BreakerState {
    match state {
        breaker::State::Open => BreakerState::Open,
        breaker::State::HalfOpen => BreakerState::HalfOpen,
        breaker::State::ForcedOpen => BreakerState::ForcedOpen,
        breaker::State::Disabled => BreakerState::Disabled,
        _ => BreakerState::Closed,
    }
}

/// What a refused call is told after the end.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the connection to Redis was shut down")
}

/// Whether waiting for the next attempt is of no use.
fn is_refusal(cause: &Error) -> bool {
    matches!(
        cause.kind(),
        ErrorKind::Authentication | ErrorKind::Config | ErrorKind::Tls
    )
}

/// Keeps one node connected.
struct Keeper {
    node: Arc<Node>,
    /// Since when there has been no connection, once that was told.
    away: Option<Instant>,
}

impl Keeper {
    async fn run(mut self) {
        // Opened in vain, and opened in vain or not for long.
        let (mut failures, mut streak) = (0, 0_u32);
        loop {
            let node = &self.node;
            let opened = node.opener.open(&node.address, node.expected, None).await;
            // A refused login or certificate is an answer, though not a good one.
            if !opened.as_ref().is_err_and(is_refusal) {
                node.probed(opened.is_ok());
            }
            let cause = match opened {
                Ok((connection, mut driver)) => {
                    let since = clock::now();
                    failures = 0;
                    self.to(State::Ready(connection.clone()));
                    self.recovered();
                    let watching = Box::pin(self.watch(connection));
                    let ended = first(driver.as_mut(), watching).await;
                    let cause = match ended {
                        Either::Left(()) => self.lost("the server ended the connection"),
                        Either::Right(cause) => cause,
                    };
                    if clock::now() - since >= LIVED {
                        streak = 0;
                    }
                    self.to(State::Waiting {
                        failures,
                        cause: Some(cause.clone()),
                    });
                    // Only now: those whose requests are cut look for the next connection.
                    drop(driver);
                    cause
                }
                Err(cause) => {
                    failures += 1;
                    cause
                }
            };
            self.told(&cause);
            let wait = wait_after(streak, &cause);
            streak = streak.saturating_add(1);
            self.to(State::Waiting {
                failures,
                cause: Some(cause),
            });
            tokio::time::sleep(wait).await;
        }
    }

    /// Looks after a connection that works; returns why it does not any more.
    async fn watch(&self, mut connection: MultiplexedConnection) -> Error {
        let settings = self.node.opener.settings();
        let since = clock::now();
        let ping = redis::cmd("PING");
        loop {
            let pause = match self.node.breaker() {
                BreakerState::Open | BreakerState::HalfOpen => LOOKED_AT_AGAIN,
                _ => settings.keepalive_interval,
            };
            let doubted = Deadline::after(pause)
                .run(self.node.doubt.notified())
                .await
                .is_ok();
            // A server that stays a replica is not asked for a new connection all the time.
            let stale = self.node.stale.swap(false, Ordering::Relaxed);
            if stale && clock::now() - since >= LIVED {
                return self.lost("the server is a replica; its name may lead to another one now");
            }
            let limit = match doubted {
                true => settings.check_timeout,
                false => settings.check_timeout * 4,
            };
            let asked = connection.send_packed_command(&ping);
            match Deadline::after(limit).run(asked).await {
                Ok(Ok(Value::ServerError(error))) if error.code() == "NOAUTH" => {
                    return self.lost("the server wants another login");
                }
                // Whatever it says, it says something.
                Ok(Ok(_)) => self.node.probed(true),
                Ok(Err(error)) => return self.lost(&error.to_string()),
                Err(_elapsed) => {
                    self.node.probed(false);
                    return self.lost(&format!("no answer to PING within {limit:?}"));
                }
            }
        }
    }

    /// Unless the node was closed meanwhile, which is for good.
    fn to(&self, next: State) {
        self.node.state.send_if_modified(|state| {
            if matches!(state, State::Closed) {
                return false;
            }
            *state = next;
            true
        });
    }

    fn lost(&self, why: &str) -> Error {
        let text = format!(
            "the connection to Redis at {} was lost: {why}",
            self.node.address
        );
        Error::new(ErrorKind::Connection, text)
    }

    /// Tells that the server is away, once until it is back.
    fn told(&mut self, cause: &Error) {
        if self.away.is_some() || self.node.expected == Expected::Sentinel {
            return;
        }
        self.away = Some(clock::now());
        // The monitor asks how Redis does, now.
        self.node.opener.observers.suspicion().notify_one();
        self.node.opener.observers.publish(Event::ConnectionError {
            service: Service::Redis,
            host: Some(self.node.address.to_string().into()),
            error: cause.to_string().into(),
        });
    }

    fn recovered(&mut self) {
        if let Some(since) = self.away.take() {
            self.node
                .opener
                .observers
                .publish(Event::ConnectionRecovery {
                    service: Service::Redis,
                    host: Some(self.node.address.to_string().into()),
                    after: clock::now() - since,
                });
        }
    }
}

/// The wait after so many failures before this one; after the first there is none.
fn wait_after(streak: u32, cause: &Error) -> Duration {
    let random = clock::random();
    if is_refusal(cause) {
        let more = backoff::delay(streak + 1, REFUSED_BACKOFF, REFUSED_BACKOFF_MAX, random);
        return REFUSED_BACKOFF + more;
    }
    match streak {
        0 => Duration::ZERO,
        streak => backoff::delay(streak, BACKOFF, BACKOFF_MAX, random),
    }
}

/// What one group of commands is sent as.
pub(super) struct Batch<'a> {
    pub(super) commands: Vec<&'a Cmd>,
    /// All or nothing, in MULTI and EXEC.
    pub(super) atomic: bool,
    /// Each behind ASKING.
    pub(super) asking: bool,
}

impl Batch<'_> {
    /// Sends the commands in one go; there is an answer to each, errors among them.
    ///
    /// Cancellation: the commands may be carried out; their answers are thrown away.
    pub(super) async fn send(
        &self,
        mut connection: MultiplexedConnection,
    ) -> Result<Vec<Value>, RedisError> {
        if let ([command], false, false) = (self.commands.as_slice(), self.atomic, self.asking) {
            let answer = connection.send_packed_command(command).await?;
            return Ok(vec![answer]);
        }
        let mut pipeline = redis::Pipeline::with_capacity(self.commands.len());
        for command in &self.commands {
            if self.asking {
                pipeline.cmd("ASKING");
            }
            pipeline.add_command(Cmd::clone(command));
        }
        let count = self.commands.len();
        if self.atomic {
            pipeline.atomic();
            let answers = connection
                .send_packed_commands(&pipeline, count + 1, 1)
                .await?;
            return Ok(match answers.into_iter().next() {
                Some(Value::Array(answers)) => answers,
                // EXEC as a whole was refused.
                Some(Value::ServerError(error)) => return Err(error.into()),
                other => other.into_iter().collect(),
            });
        }
        let sent = if self.asking { count * 2 } else { count };
        let answers = connection.send_packed_commands(&pipeline, 0, sent).await?;
        // With ASKING every other answer is to that.
        let step = if self.asking { 2 } else { 1 };
        Ok(answers.into_iter().skip(step - 1).step_by(step).collect())
    }
}
