//! The background task that opens connections, one at a time, so that nobody waits for their own
//! connect and a struggling server is not stormed.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use aquifer_core::{backoff, slots};
use aquifer_wire::Client;
use tokio::time::Instant;

use super::{Inner, lanes};
use crate::deadline::Deadline;
use crate::observe::{ConnectionLost, ConnectionOpened};
use crate::{Error, clock};

/// Waits after a failed attempt: full jitter between these.
const BACKOFF_BASE: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Opens what is wanted until the pool is gone.
///
/// Who waits comes first: a server or pooler that refuses lanes must not keep callers from the
/// connections that it gives.
pub(super) async fn run(pool: Weak<Inner>) {
    let (mut failures, mut lane_failures) = (0, 0);
    let mut lane_due = clock::now();
    loop {
        let Some(inner) = pool.upgrade().filter(|inner| !inner.is_closed()) else {
            return;
        };
        if let Some(opening) = Opening::wanted(&inner) {
            drop(inner);
            if opening.open().await {
                failures = 0;
            } else {
                failures += 1;
                tokio::time::sleep(delay(failures)).await;
            }
        } else if inner.lanes.missing() == 0 {
            wait(inner, None).await;
        } else if clock::now() < lane_due {
            wait(inner, Some(lane_due)).await;
        } else if open_lane(&inner).await {
            lane_failures = 0;
        } else {
            lane_failures += 1;
            lane_due = clock::now() + delay(lane_failures);
        }
    }
}

fn delay(failures: u32) -> Duration {
    backoff::delay(failures, BACKOFF_BASE, BACKOFF_MAX, clock::random())
}

/// Waits until somebody wants a connection or a lane is due, without keeping the pool alive.
async fn wait(inner: Arc<Inner>, due: Option<Instant>) {
    let wanted = Arc::clone(&inner.wanted);
    drop(inner);
    match due {
        None => wanted.notified().await,
        Some(due) => drop(Deadline::at(due).run(wanted.notified()).await),
    }
}

async fn open_lane(inner: &Arc<Inner>) -> bool {
    let Ok(client) = open(inner, true).await else {
        return false;
    };
    inner.lanes.add(client);
    true
}

/// The right to open one exclusive connection; given back when opening fails, or this task ends.
struct Opening {
    pool: Arc<Inner>,
    right: Option<slots::Opening>,
}

impl Opening {
    fn wanted(pool: &Arc<Inner>) -> Option<Self> {
        let mut slots = pool.slots();
        slots.retain_waiters(|waiter| !waiter.is_closed());
        let right = Some(slots.open()?);
        let pool = Arc::clone(pool);
        Some(Self { pool, right })
    }

    async fn open(mut self) -> bool {
        let Ok(client) = open(&self.pool, false).await else {
            return false;
        };
        if let Some(right) = self.right.take() {
            self.pool.opened(right, client);
        }
        true
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(right) = self.right.take() {
            self.pool.slots().open_failed(right);
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
    *inner
        .last_failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = failure;
    let (client, driver) = opened?;
    let process_id = client.process_id();
    let elapsed = clock::now() - start;
    inner.observers.connection_opened(&ConnectionOpened {
        process_id,
        shared,
        elapsed,
    });
    let pool = Arc::downgrade(inner);
    let pulse = client.pulse();
    let limit = inner.connector.lane_timeout();
    inner.tasks.spawn(async move {
        let (ended, retired) = if shared {
            lanes::attend(driver, pulse, limit).await
        } else {
            (driver.await, false)
        };
        if let Some(inner) = pool.upgrade() {
            inner.connection_ended(process_id, &ended, retired);
        }
    });
    Ok(client)
}

impl Inner {
    /// An idle connection or a lane that ended is dropped at once; one in use is dropped by its user.
    fn connection_ended(&self, process_id: i32, ended: &aquifer_wire::Ended, retired: bool) {
        if !ended.by_us() || retired {
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
        let dead = self
            .slots()
            .take_idle(|connection| connection.client.ended().is_some());
        drop(dead);
        self.wanted.notify_one();
    }
}
