//! What runs once a transaction is known to be committed.

use std::panic::Location;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ambient;
use crate::deadline::Deadline;
use crate::execute::Engine;
use crate::wait::unless_panic;

/// One hook, and where it was given.
pub(super) struct Hook {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    location: &'static Location<'static>,
}

/// The hooks of a transaction, or of one savepoint.
#[derive(Default)]
pub(super) struct Hooks(Mutex<Vec<Hook>>);

impl Hooks {
    fn list(&self) -> MutexGuard<'_, Vec<Hook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
        location: &'static Location<'static>,
    ) {
        let future = Box::pin(future);
        self.list().push(Hook { future, location });
    }

    /// Behind those that are there; what a released savepoint hands on.
    pub(super) fn append(&self, mut hooks: Vec<Hook>) {
        self.list().append(&mut hooks);
    }

    /// All of them, so that they are dropped, if they are, where no lock is held.
    pub(super) fn take(&self) -> Vec<Hook> {
        std::mem::take(&mut *self.list())
    }
}

/// Runs them in order, each outside of any transaction and for at most `query_timeout`.
pub(super) async fn run(engine: &Engine, hooks: Vec<Hook>) {
    for hook in hooks {
        let deadline = Deadline::after(engine.query_timeout);
        // One that panics must not take the commit's outcome and the hooks behind it away.
        let guarded = unless_panic(|| Box::pin(ambient::without(hook.future)));
        let failure = match deadline.run(guarded).await {
            Ok(Some(())) => continue,
            Ok(None) => "panicked",
            Err(_) => "was given up after query_timeout",
        };
        engine.observers.hook_failed(hook.location, failure);
    }
}
