use std::future::Future;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

/// How long anything here waits for something that a test has set up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A thread with a runtime of its own, so that servers go on while a test blocks its thread, pauses
/// its clock, or ends its runtime.
#[derive(Debug)]
pub(crate) struct Background {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    pub(crate) fn start(name: &str) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (started, starting) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let runtime = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                let _told = started.send(runtime.handle().clone());
                // Ends by the message or by the sender being dropped; dropping the runtime then
                // drops every task and socket.
                let _either = runtime.block_on(stopped);
            })
            .expect("a thread");
        Self {
            handle: starting.recv().expect("the thread starts"),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.handle.spawn(task)
    }

    /// Ends a task and waits, blocking, until what it owned is dropped.
    pub(crate) fn end(&self, task: tokio::task::JoinHandle<()>) {
        let (ended, ending) = mpsc::channel();
        task.abort();
        self.spawn(async move {
            let _cancelled = task.await;
            let _told = ended.send(());
        });
        ending
            .recv_timeout(PATIENCE)
            .expect("a task ends when told to");
    }

    /// Waits on a future in any runtime, with a bound that this thread's clock sets.
    ///
    /// # Cancel safety
    /// As the future.
    pub(crate) async fn bounded<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let bound = self.spawn(tokio::time::sleep(PATIENCE));
        let outcome = tokio::select! {
            outcome = future => Some(outcome),
            _ = bound => None,
        };
        outcome.unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}"))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It fails only if the thread panicked, which was printed then.
            let _joined = thread.join();
        }
    }
}
