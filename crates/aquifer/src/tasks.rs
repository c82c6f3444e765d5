use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};

use crate::deadline::Deadline;

/// How long tasks that were aborted get to end.
const ABORT: Duration = Duration::from_millis(100);

/// Every task of one `Db`; the only place that spawns.
///
/// Tasks hold the pool weakly or end by themselves in bounded time, so that dropping the last `Db`
/// without a shutdown ends them too: dropping the set aborts what still runs.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<Set>);

#[derive(Debug, Default)]
struct Set {
    running: JoinSet<()>,
    closed: bool,
}

impl Tasks {
    /// Runs `future` in a task of its own; after [`join`](Self::join) began, and where no runtime
    /// takes it, it is dropped instead and there is no handle.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that spawns"
    )]
    pub(crate) fn spawn(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortHandle> {
        // A runtime that goes down drops what it is given at once, and what is dropped may spawn: so
        // the future outlives the lock, and the task only borrows it.
        let place = Arc::new(Mutex::new(Some(Box::pin(future))));
        let task = {
            let place = Arc::clone(&place);
            async move {
                let future = place.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(future) = future {
                    future.await;
                }
            }
        };
        let mut set = self.lock();
        if set.closed {
            return None;
        }
        while set.running.try_join_next().is_some() {}
        // Outside a runtime (a `Db` dropped late) there is nothing to run it on.
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(set.running.spawn_on(task, &runtime))
    }

    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        let mut set = self.lock();
        while set.running.try_join_next().is_some() {}
        set.running.len()
    }

    /// Waits for all tasks until the deadline, then aborts the rest; returns how many were aborted.
    ///
    /// Cancellation: dropping the future aborts all that still run.
    pub(crate) async fn join(&self, deadline: Deadline) -> usize {
        let mut running = {
            let mut set = self.lock();
            set.closed = true;
            std::mem::take(&mut set.running)
        };
        let all = async { while running.join_next().await.is_some() {} };
        if deadline.run(all).await.is_ok() {
            return 0;
        }
        let aborted = running.len();
        running.abort_all();
        // One that blocks its thread can't be ended, and is not waited for.
        let all = async { while running.join_next().await.is_some() {} };
        drop(Deadline::after(ABORT).run(all).await);
        running.detach_all();
        aborted
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what ends by itself when there are no more events, and may be held up by a user's function:
/// so no shutdown waits for it. Where no runtime takes it, it is dropped and there is no handle.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that spawns"
)]
pub(crate) fn listen(future: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    Some(runtime.spawn(future).abort_handle())
}

/// Runs a user's function where it may block; `None` when it panicked, or the runtime goes down.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that spawns"
)]
pub(crate) async fn block<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(call).await.ok()
}

/// Runs a future on a thread and a runtime of its own, and waits for it, blocking: for clean-up that
/// must be done when this returns, wherever it is called. `None` when it panicked or there was none.
#[cfg(feature = "testing")]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that spawns"
)]
pub(crate) fn apart<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        Some(runtime.block_on(future))
    });
    thread.join().ok().flatten()
}
