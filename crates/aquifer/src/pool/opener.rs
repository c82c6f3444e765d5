//! The background task that opens connections, so that nobody waits for their own connect: one at a
//! time, and several once that went well while callers still wait ([`Ramp`]), so that a struggling
//! server is not stormed and a pool that has lost all is soon whole again.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use aquifer_core::slots::ramp::Ramp;
use aquifer_core::{backoff, slots};
use aquifer_wire::{Client, Ended, SqlState};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::breakers::PROBE_INTERVAL;
use super::{Checkout, Connection, Inner, lanes};
use crate::deadline::Deadline;
use crate::error::fault;
use crate::observe::{ConnectionLost, ConnectionOpened};
use crate::wait::{Either, Several, first};
use crate::{Error, ErrorKind, clock};

/// Waits after a failed attempt: full jitter between these; not more than `WANTED` while somebody
/// waits, who would else wait on after the server is back.
const BACKOFF_BASE: Duration = Duration::from_millis(10);
const BACKOFF_WANTED: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Opens what is wanted until the pool is gone.
pub(super) async fn run(pool: Weak<Inner>) {
    let mut opener = Opener::new();
    loop {
        let Some(inner) = pool.upgrade().filter(|inner| !inner.is_closed()) else {
            return;
        };
        let due = opener.start(&inner);
        let told = Arc::clone(&inner.opener.told);
        // The pool must not live on for this.
        drop(inner);
        opener.wait(&told, due).await;
    }
}

/// What is being opened, and when there may be more.
struct Opener {
    running: Several<Done>,
    ramp: Ramp,
    /// Failures in a row; what was begun before the last one tells nothing new when it fails.
    failures: u32,
    /// Nothing is begun before.
    rest: Option<Instant>,
    /// Nothing is begun before, as long as nobody waits.
    long_rest: Option<Instant>,
    lane_failures: u32,
    lane_due: Instant,
    /// A lane is being opened.
    lane: bool,
    probe_due: Instant,
}

/// How something ended that the opener had begun.
enum Done {
    /// It was opened; whether `more` are wanted than are being opened.
    Opened {
        more: bool,
    },
    /// It could not be opened, which was begun after so many failures.
    Failed {
        after: u32,
    },
    Lane {
        opened: bool,
        more: bool,
    },
    Asked,
}

impl Opener {
    fn new() -> Self {
        let now = clock::now();
        Self {
            running: Several::new(),
            ramp: Ramp::new(),
            failures: 0,
            rest: None,
            long_rest: None,
            lane_failures: 0,
            lane_due: now,
            lane: false,
            probe_due: now,
        }
    }

    /// Begins to open what is wanted and may be opened; says when to look again.
    fn start(&mut self, inner: &Arc<Inner>) -> Option<Instant> {
        let time = clock::now();
        if let Some(rest) = self.resting(inner, time) {
            return Some(rest);
        }
        while self.running.len() < self.ramp.width() {
            let due = self.start_one(inner, time);
            if due.is_some() {
                return due.flatten();
            }
        }
        None
    }

    /// Until when nothing is begun.
    fn resting(&mut self, inner: &Inner, time: Instant) -> Option<Instant> {
        self.rest = self.rest.filter(|rest| time < *rest);
        self.long_rest = self.long_rest.filter(|rest| time < *rest);
        let has_time = || inner.counts().waiting == 0 && !inner.breakers.want_probe();
        self.rest.or_else(|| self.long_rest.filter(|_| has_time()))
    }

    /// Begins what is wanted most; if that is nothing, says when something may be.
    ///
    /// Who waits comes first: a server or pooler that refuses lanes must not keep callers from the
    /// connections that it gives.
    fn start_one(&mut self, inner: &Arc<Inner>, time: Instant) -> Option<Option<Instant>> {
        let lane_missing = !self.lane && inner.lane_may_open();
        let lane_ready = lane_missing && time >= self.lane_due;
        let probing = inner.breakers.want_probe() && !inner.is_paused();
        let probe_ready = probing && time >= self.probe_due;
        let opening = Opening::wanted(inner)
            .or_else(|| Opening::ahead(inner).filter(|_opening| !lane_ready))
            .or_else(|| probe_ready.then(|| Opening::probe(inner))?);
        if probe_ready {
            self.probe_due = time + PROBE_INTERVAL;
        }
        if let Some(opening) = opening {
            let after = self.failures;
            self.running.add(async move {
                let more = opening.open().await;
                more.map_or(Done::Failed { after }, |more| Done::Opened { more })
            });
        } else if probe_ready {
            self.running.add(probe_idle(Arc::clone(inner)));
        } else if lane_ready {
            self.lane = true;
            self.running.add(open_lane(Arc::clone(inner)));
        } else {
            let lane_due = lane_missing.then_some(self.lane_due);
            let dues = [lane_due, probing.then_some(self.probe_due)];
            return Some(dues.into_iter().flatten().min());
        }
        None
    }

    /// Waits until something is done or due, or somebody wants a connection.
    async fn wait(&mut self, told: &Notify, due: Option<Instant>) {
        let woken = async {
            match due {
                None => told.notified().await,
                Some(due) if Deadline::at(due).run(told.notified()).await.is_err() => return false,
                Some(_) => {}
            }
            true
        };
        let ended = first(pin!(self.running.next()), woken).await;
        match ended {
            Either::Left(done) => self.note(done),
            Either::Right(was_told) if was_told => self.long_rest = None,
            Either::Right(_) => {}
        }
    }

    fn note(&mut self, done: Done) {
        match done {
            Done::Opened { more } => self.opened(more),
            Done::Failed { after } if after == self.failures => {
                self.failures += 1;
                self.ramp.failed();
                let time = clock::now();
                self.rest = Some(time + delay(self.failures, BACKOFF_WANTED));
                self.long_rest = Some(time + delay(self.failures, BACKOFF_MAX));
            }
            Done::Lane { opened: true, more } => {
                self.lane = false;
                self.lane_failures = 0;
                self.opened(more);
            }
            Done::Lane { opened: false, .. } => {
                self.lane = false;
                self.lane_failures += 1;
                self.lane_due = clock::now() + delay(self.lane_failures, BACKOFF_MAX);
            }
            // That one was under way when the last one failed.
            Done::Failed { .. } | Done::Asked => {}
        }
    }

    fn opened(&mut self, more: bool) {
        self.failures = 0;
        self.rest = None;
        self.long_rest = None;
        self.ramp.succeeded(more);
    }
}

fn delay(failures: u32, most: Duration) -> Duration {
    backoff::delay(failures, BACKOFF_BASE, most, clock::random())
}

/// Asks a connection that nobody uses, where there is no room for another one.
async fn probe_idle(inner: Arc<Inner>) -> Done {
    let claimed = inner.desk.lock().claim(clock::now().into_std());
    let checkout = claimed.and_then(|claimed| Checkout::to_probe(&inner, claimed));
    if let Some(mut checkout) = checkout {
        let answered = checkout.answers().await;
        inner.probed(answered);
    }
    Done::Asked
}

async fn open_lane(inner: Arc<Inner>) -> Done {
    let retirements = inner.lanes.retirements();
    let Ok(client) = open(&inner, true).await else {
        return Done::Lane {
            opened: false,
            more: false,
        };
    };
    // So that the lane knows how far it is before others wait on it. One that does not answer is
    // retired, and then not added.
    drop(client.barrier().await);
    // During a pause it would be a connection to the server of before.
    if !inner.is_paused() {
        inner.lanes.add(client, retirements);
    }
    Done::Lane {
        opened: true,
        more: inner.desk.lock().may_open(),
    }
}

/// The right to open one exclusive connection; given back when opening fails, or this task ends.
struct Opening {
    pool: Arc<Inner>,
    right: Option<slots::Opening>,
}

impl Opening {
    fn wanted(pool: &Arc<Inner>) -> Option<Self> {
        let right = pool.desk.lock().open()?;
        Some(Self::with(pool, right))
    }

    /// For fewer than `connections_min`, though nobody waits.
    fn ahead(pool: &Arc<Inner>) -> Option<Self> {
        let right = pool.desk.lock().open_ahead()?;
        Some(Self::with(pool, right))
    }

    /// To see whether the host answers, if there is room for one more.
    fn probe(pool: &Arc<Inner>) -> Option<Self> {
        let right = pool.desk.lock().open_to_probe()?;
        Some(Self::with(pool, right))
    }

    fn with(pool: &Arc<Inner>, right: slots::Opening) -> Self {
        let pool = Arc::clone(pool);
        let right = Some(right);
        Self { pool, right }
    }

    /// Opens it; whether more are wanted than are being opened then.
    async fn open(mut self) -> Result<bool, Error> {
        let client = open(&self.pool, false).await?;
        if let Some(right) = self.right.take() {
            self.pool.opened(right, client);
        }
        Ok(self.pool.desk.lock().may_open())
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(right) = self.right.take() {
            self.pool.desk.lock().open_failed(right);
        }
    }
}

/// Opens one connection and gives its driver a task; a failure is recorded for those who wait.
pub(super) async fn open(inner: &Arc<Inner>, shared: bool) -> Result<Client, Error> {
    let start = clock::now();
    let opened = inner.connector.open(shared).await;
    let failure = opened.as_ref().err().map(ToString::to_string);
    if let Some(cause) = &failure {
        inner.observers.connection_lost(&ConnectionLost {
            process_id: None,
            cause,
        });
    }
    if let Err(error) = &opened
        && is_of_host(error)
    {
        inner.desk.lock().doubt();
        inner.reports.failed(Some(error));
    }
    if let Some(answered) = has_answered(&opened) {
        inner.probed(answered);
    }
    *inner
        .last_failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = failure;
    let (client, driver) = opened?;
    let process_id = client.process_id();
    let elapsed = clock::now() - start;
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    inner.fastest_opening.fetch_min(micros, Ordering::Relaxed);
    // Reported since PostgreSQL 14.
    let standby = client.parameter("in_hot_standby").as_deref() == Some("on");
    inner.reports.opened(standby);
    inner.observers.connection_opened(&ConnectionOpened {
        process_id,
        shared,
        elapsed,
    });
    let pool = Arc::downgrade(inner);
    let pulse = client.pulse();
    let limit = inner.connector.lane_timeout();
    let tick = shared.then(|| lanes::tick(pulse.clone()));
    let ticking = tick.and_then(|tick| inner.tasks.spawn(tick));
    inner.tasks.spawn(async move {
        let (ended, retired) = if shared {
            let ended = lanes::attend(driver, pulse, limit, elapsed).await;
            ticking.as_ref().inspect(|ticking| ticking.abort());
            ended
        } else {
            (driver.await, false)
        };
        if let Some(inner) = pool.upgrade() {
            inner.connection_ended(process_id, &ended, retired);
        }
    });
    Ok(client)
}

/// Whether the host answered; `None` when nobody asked it.
fn has_answered<T>(opened: &Result<T, Error>) -> Option<bool> {
    match opened {
        Ok(_) => Some(true),
        Err(error) => error.wire().map(|error| fault(error).is_none()),
    }
}

/// Whether an attempt that failed with this casts doubt on the connections that are open.
fn is_of_host(error: &Error) -> bool {
    let about_host = matches!(
        error.kind(),
        ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Protocol
    );
    about_host && slots::is_of_host(error.sqlstate().map(SqlState::code))
}

impl Inner {
    /// An idle connection or a lane that ended is dropped at once; one in use is dropped by its user.
    fn connection_ended(&self, process_id: i32, ended: &Ended, retired: bool) {
        if !ended.by_us() || retired {
            let code = ended.last_words().map(|words| words.code().code());
            if retired || slots::is_of_host(code) {
                self.desk.lock().doubt();
                self.reports.failed(None);
            }
            let cause = if retired {
                "a lane that gave no answer was retired".to_owned()
            } else {
                ended.to_string()
            };
            let process_id = Some(process_id);
            self.observers.connection_lost(&ConnectionLost {
                process_id,
                cause: &cause,
            });
        }
        self.lanes.prune();
        let ended = |connection: &Connection| connection.client.ended().is_some();
        let dead = self.desk.lock().take_idle(ended);
        drop(dead);
        self.opener.tell();
    }
}
