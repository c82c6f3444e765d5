//! What makes a change durable that Redis was not told of: a number in the database that is raised then.
//!
//! Whoever has lost Redis, or was just begun, compares it with the one that stands in Redis before it
//! believes anything there. Where they differ, somebody has changed what Redis does not know of, and may
//! be gone since; then everything that is stored there becomes a miss.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Inner;
use super::debts::Debts;
use crate::Error;
use crate::deadline::Deadline;
use crate::observe::Event;

/// Where the number is.
pub(crate) trait FenceRow: Send + Sync {
    /// Raises it; durable when that is done.
    fn raise(&self) -> Answer<'_, ()>;

    /// What it is; 0 where it was never raised.
    fn read(&self) -> Answer<'_, i64>;
}

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// For how long the database is waited for while a link is made, and how long until it is asked again.
const LIMIT: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(1);

/// The fence as one process sees it.
#[derive(Default)]
pub(super) struct Fence {
    row: Option<Arc<dyn FenceRow>>,
    /// How often Redis was lost since the row was read.
    losses: Arc<Debts>,
    /// Held by who raises it, for all whose changes were missed before.
    turn: tokio::sync::Mutex<()>,
    /// How many missed changes it was raised for.
    raised: AtomicU64,
    /// Whether somebody asks until the database answers.
    asking: AtomicBool,
}

impl Fence {
    pub(super) fn new(row: Option<Arc<dyn FenceRow>>) -> Self {
        let fence = Self {
            row,
            ..Self::default()
        };
        fence.losses.add();
        fence
    }

    /// Told whenever Redis may have been away.
    pub(super) fn losses(&self) -> &Arc<Debts> {
        &self.losses
    }

    /// Whether what Redis holds may not be believed yet.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.row.is_some() && self.losses.due().is_some()
    }
}

impl Inner {
    /// Makes it durable that there are changes which Redis was not told of.
    pub(super) async fn raise_fence(&self) {
        let (Some(row), Some(due)) = (&self.fence.row, self.debts.due()) else {
            return;
        };
        let _turn = self.fence.turn.lock().await;
        if self.fence.raised.load(Ordering::Acquire) >= due {
            return;
        }
        // Those too that were missed while this one waited.
        let Some(due) = self.debts.due() else {
            return;
        };
        match row.raise().await {
            Ok(()) => drop(self.fence.raised.fetch_max(due, Ordering::AcqRel)),
            Err(error) => self.observers.publish(Event::CacheBumpMissed {
                cause: format!(
                    "nor could that be noted in the database, so it is lost when this process ends \
                     before Redis is back: {error}"
                )
                .into(),
            }),
        }
    }

    /// Compares the two numbers if Redis was lost. If the database does not answer now, Redis is
    /// believed until it does.
    pub(super) async fn check_fence(self: &Arc<Self>) -> Result<(), Error> {
        let (Some(row), Some(losses)) = (&self.fence.row, self.fence.losses.due()) else {
            return Ok(());
        };
        match Deadline::after(LIMIT).run(row.read()).await {
            Ok(Ok(number)) => self.compare_fence(number).await?,
            Ok(Err(_)) | Err(_) => {
                if !self.fence.asking.swap(true, Ordering::AcqRel) {
                    drop(self.tasks.spawn(ask_until_answered(Arc::downgrade(self))));
                }
            }
        }
        self.fence.losses.pay(losses);
        Ok(())
    }

    async fn compare_fence(&self, number: i64) -> Result<(), Error> {
        let Some(redis) = self.redis() else {
            return Ok(());
        };
        let place = self.names.fence();
        let known: Option<String> = redis.command("GET").arg(&place).run().await?;
        let number = number.to_string();
        if known.unwrap_or_else(|| "0".to_owned()) != number {
            self.renew().await?;
            let note = redis.command("SET").arg(&place).arg(number);
            note.run::<()>().await?;
        }
        Ok(())
    }
}

async fn ask_until_answered(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let Some(row) = inner.fence.row.clone() else {
            return;
        };
        if let Ok(number) = row.read().await
            && inner.compare_fence(number).await.is_ok()
        {
            inner.fence.asking.store(false, Ordering::Release);
            return;
        }
    }
}
