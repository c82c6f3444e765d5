//! How many loads run at a time: when everything is a miss, the database gets no more work than that.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::deadline::Deadline;
use crate::{Error, ErrorKind};

/// How long a load waits for others to end. Longer would mean that each caller waits for longer and none
/// is served sooner.
const WAIT: Duration = Duration::from_secs(5);

tokio::task_local! {
    /// Set within a loader.
    static LOADING: ();
}

pub(super) struct Budget {
    permits: Semaphore,
    most: usize,
}

impl Budget {
    pub(super) fn new(most: u32) -> Self {
        let most = usize::try_from(most)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            permits: Semaphore::new(most),
            most,
        }
    }

    /// The right to load; nothing, if a load that has one waits for this one: then both are one, else
    /// loads that need each other would wait for ever.
    pub(super) async fn permit(
        &self,
        is_nested: bool,
    ) -> Result<Option<SemaphorePermit<'_>>, Error> {
        if is_nested {
            return Ok(None);
        }
        match Deadline::after(WAIT).run(self.permits.acquire()).await {
            Ok(permit) => Ok(permit.ok()),
            Err(_elapsed) => Err(self.refused()),
        }
    }

    fn refused(&self) -> Error {
        let text = format!(
            "no load of the cache could begin within {} s: {} run already. Find why they take so long, \
             give them `load_timeout`, or raise `advanced.cache_loads_max`",
            WAIT.as_secs(),
            self.most
        );
        Error::new(ErrorKind::Acquire, text)
    }
}

/// Whether this is called within a loader.
pub(super) fn is_loading() -> bool {
    LOADING.try_with(|()| ()).is_ok()
}

/// Runs a loader.
pub(super) async fn loading<F: Future>(load: F) -> F::Output {
    LOADING.scope((), load).await
}
