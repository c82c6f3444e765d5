//! Functions that are called with what happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::AbortHandle;

use crate::observe::{self, Event, Events};
use crate::tasks;

/// A function that is called with events, until this is dropped; a call that is under way then goes
/// on.
///
/// ```no_run
/// # use aquifer::{ConnectionMonitor, Db};
/// # fn example(db: &Db) {
/// let listening = db.monitor().on_connection_recovery(|service| println!("{service} is back"));
/// drop(listening); // from here on it is not called any more
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the function is called only while this is held"]
pub struct Listening {
    task: Option<AbortHandle>,
    ended: Arc<AtomicBool>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A call may wait for its thread, where aborting the task does not reach it.
        self.ended.store(true, Ordering::Release);
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Calls `listener` with each event, one after another, where it may block: nobody waits for it.
///
/// One that panics is not called again; the layer goes on.
pub(super) fn listen<F>(mut events: Events, mut listener: F) -> Listening
where
    F: FnMut(&Event) + Send + 'static,
{
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = Arc::clone(&ended);
    let task = tasks::listen(async move {
        while let Some(event) = events.next().await {
            let has_ended = Arc::clone(&has_ended);
            let call = move || {
                if !has_ended.load(Ordering::Acquire) {
                    listener(&event);
                }
                listener
            };
            match tasks::block(call).await {
                Some(back) => listener = back,
                None => {
                    observe::listener_panicked();
                    return;
                }
            }
        }
    });
    Listening { task, ended }
}
