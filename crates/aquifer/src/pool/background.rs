use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Inner;

/// A task of the pool that sleeps until it is told to look, or until something is due.
///
/// It ends with the runtime on which it was begun. Whoever waits for a connection is woken then, and
/// begins it anew on a runtime of their own.
#[derive(Debug, Default)]
pub(super) struct Background {
    pub(super) told: Arc<Notify>,
    task: Mutex<Option<AbortHandle>>,
    ended: Arc<AtomicBool>,
}

impl Background {
    pub(super) fn tell(&self) {
        self.told.notify_one();
    }

    /// Starts the task unless it runs.
    pub(super) fn ensure<F>(&self, pool: &Arc<Inner>, run: impl FnOnce(Weak<Inner>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // While its future is dropped, the task is not finished yet.
        let ended = self.ended.swap(false, Ordering::AcqRel);
        if ended || task.as_ref().is_none_or(AbortHandle::is_finished) {
            let end = End {
                pool: Arc::downgrade(pool),
                ended: Arc::clone(&self.ended),
            };
            let running = run(Arc::downgrade(pool));
            *task = pool.tasks.spawn(async move {
                let _end = end;
                running.await;
            });
        }
    }

    /// Whether it has ended since it was begun.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn stop(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

/// Tells those who wait that the task is gone.
struct End {
    pool: Weak<Inner>,
    ended: Arc<AtomicBool>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(pool) = self.pool.upgrade() {
            pool.desk.wake_all();
        }
    }
}
