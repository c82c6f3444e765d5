//! The background task that opens connections, one at a time, so that nobody waits for their own
//! connect and a struggling server is not stormed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use aquifer_core::{backoff, slots};
use aquifer_wire::{Client, Ended, SqlState};
use tokio::time::Instant;

use super::breakers::PROBE_INTERVAL;
use super::{Checkout, Connection, Inner, lanes};
use crate::deadline::Deadline;
use crate::error::fault;
use crate::observe::{ConnectionLost, ConnectionOpened};
use crate::{Error, ErrorKind, clock};

/// Waits after a failed attempt: full jitter between these; not more than `WANTED` while somebody
/// waits, who would else wait on after the server is back.
const BACKOFF_BASE: Duration = Duration::from_millis(10);
const BACKOFF_WANTED: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Opens what is wanted until the pool is gone.
///
/// Who waits comes first: a server or pooler that refuses lanes must not keep callers from the
/// connections that it gives.
pub(super) async fn run(pool: Weak<Inner>) {
    let (mut failures, mut lane_failures) = (0, 0);
    let mut lane_due = clock::now();
    let mut probe_due = lane_due;
    loop {
        let Some(inner) = pool.upgrade().filter(|inner| !inner.is_closed()) else {
            return;
        };
        let lane_missing = inner.lane_may_open();
        let lane_ready = lane_missing && clock::now() >= lane_due;
        let probing = inner.breakers.want_probe() && !inner.is_paused();
        let probe_ready = probing && clock::now() >= probe_due;
        let opening = Opening::wanted(&inner)
            .or_else(|| Opening::ahead(&inner).filter(|_opening| !lane_ready))
            .or_else(|| probe_ready.then(|| Opening::probe(&inner))?);
        if probe_ready {
            probe_due = clock::now() + PROBE_INTERVAL;
            if opening.is_none() {
                probe_idle(&inner).await;
            }
        }
        let next = probing.then_some(probe_due);
        if let Some(opening) = opening {
            drop(inner);
            match opening.open().await {
                Ok(()) => failures = 0,
                Err(_told) => {
                    failures += 1;
                    back_off(&pool, failures).await;
                }
            }
        } else if !lane_missing {
            wait(inner, next).await;
        } else if !lane_ready {
            wait(inner, Some(next.unwrap_or(lane_due).min(lane_due))).await;
        } else if open_lane(&inner).await {
            lane_failures = 0;
        } else {
            lane_failures += 1;
            lane_due = clock::now() + delay(lane_failures, BACKOFF_MAX);
        }
    }
}

fn delay(failures: u32, most: Duration) -> Duration {
    backoff::delay(failures, BACKOFF_BASE, most, clock::random())
}

/// Lets some time pass after a failure, and more as long as nobody waits.
async fn back_off(pool: &Weak<Inner>, failures: u32) {
    let most = clock::now() + delay(failures, BACKOFF_MAX);
    let least = delay(failures, BACKOFF_WANTED);
    tokio::time::sleep(least).await;
    let has_time = |inner: &Arc<Inner>| inner.counts().waiting == 0 && !inner.breakers.want_probe();
    if let Some(inner) = pool.upgrade().filter(has_time) {
        wait(inner, Some(most)).await;
    }
}

/// Waits until somebody wants a connection or a lane is due, without keeping the pool alive.
async fn wait(inner: Arc<Inner>, due: Option<Instant>) {
    let wanted = Arc::clone(&inner.opener.told);
    drop(inner);
    match due {
        None => wanted.notified().await,
        Some(due) => drop(Deadline::at(due).run(wanted.notified()).await),
    }
}

/// Asks a connection that nobody uses, where there is no room for another one.
async fn probe_idle(inner: &Arc<Inner>) {
    let claimed = inner.desk.lock().claim(clock::now().into_std());
    let checkout = claimed.and_then(|claimed| Checkout::to_probe(inner, claimed));
    if let Some(mut checkout) = checkout {
        let answered = checkout.answers().await;
        inner.probed(answered);
    }
}

async fn open_lane(inner: &Arc<Inner>) -> bool {
    let retirements = inner.lanes.retirements();
    let Ok(client) = open(inner, true).await else {
        return false;
    };
    // So that the lane knows how far it is before others wait on it. One that does not answer is
    // retired, and then not added.
    drop(client.barrier().await);
    // During a pause it would be a connection to the server of before.
    if !inner.is_paused() {
        inner.lanes.add(client, retirements);
    }
    true
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

    async fn open(mut self) -> Result<(), Error> {
        let client = open(&self.pool, false).await?;
        if let Some(right) = self.right.take() {
            self.pool.opened(right, client);
        }
        Ok(())
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
