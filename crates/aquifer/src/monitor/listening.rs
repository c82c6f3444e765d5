//! Functions that are called with what happens.

use tokio::task::AbortHandle;

use crate::observe::{self, Event, Events};
use crate::tasks;

/// A function that is called with events, until this is dropped.
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
pub struct Listening(Option<AbortHandle>);

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
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
    Listening(tasks::listen(async move {
        while let Some(event) = events.next().await {
            let call = move || {
                listener(&event);
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
    }))
}
