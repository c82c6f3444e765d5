//! What writes have changed, for whoever keeps what was read before.
//!
//! It is told after the commit and before the caller has the outcome, in a task that outlives a caller
//! who goes away. Where nobody keeps anything, a write pays one look for it.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Engine;
use crate::statement::{Changed, Prepared, Text, value_text};
use crate::{Error, Retry};

/// Who wants to know what writes have changed.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    /// Whether anybody may keep anything.
    fn is_needed(&self) -> bool;

    /// What a text shows of the statement's effects, or nothing if it surely has none.
    fn text(&self, sql: &str) -> Option<Arc<Text>>;

    /// Makes it known. In doubt, the commit may still be to come.
    fn tell(self: Arc<Self>, changed: Changed, in_doubt: bool) -> Telling;
}

/// Done once everybody knows, or will know.
pub(crate) type Telling = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Engine {
    /// Who is to be told of writes, if anybody is.
    #[inline]
    pub(crate) fn watch(&self) -> Option<&Arc<dyn Watch>> {
        self.watch.as_ref().filter(|watch| watch.is_needed())
    }

    /// Notes what these statements change, which are about to run or have run.
    pub(crate) fn note_changes(&self, list: &[Prepared<'_>], changed: &mut Changed) {
        let Some(watch) = self.watch() else {
            return;
        };
        for (sql, params) in list {
            if let Some(text) = watch.text(sql) {
                let known = self.pools.catalog().statement(sql);
                let types = known.as_ref().map(|statement| statement.parameters());
                text.note(|number| value_text(*params, types?, number), changed);
            }
        }
    }

    /// Runs statements that commit by themselves, and has told what they changed before it returns.
    pub(crate) async fn telling<T>(
        &self,
        list: &[Prepared<'_>],
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let changes_nothing = |watch: &Arc<dyn Watch>| {
            let mut list = list.iter();
            list.all(|(sql, _)| watch.text(sql).is_none())
        };
        let mut running = Running {
            engine: self,
            list,
            is_over: self.watch().is_some_and(changes_nothing),
        };
        let outcome = work.await;
        // Who keeps what was read may have begun meanwhile.
        let watch = self.watch().filter(|_| !running.is_over);
        running.is_over = true;
        let Some(watch) = watch else {
            return outcome;
        };
        let mut texts = list.iter().filter_map(|(sql, _)| watch.text(sql));
        let midway = texts.any(|text| text.midway);
        let in_doubt = match &outcome {
            Ok(_) => Some(false),
            Err(error) => doubt(error, midway),
        };
        if let Some(in_doubt) = in_doubt {
            let mut changed = Changed::default();
            self.note_changes(list, &mut changed);
            // Boxed: it would be a part of each write's future.
            Box::pin(self.tell(changed, in_doubt)).await;
        }
        outcome
    }

    /// Has told what was changed when it returns; goes on if it is dropped.
    pub(crate) async fn tell(&self, changed: Changed, in_doubt: bool) {
        let Some(watch) = self.watch().filter(|_| !changed.is_empty()) else {
            return;
        };
        let telling = Arc::clone(watch).tell(changed, in_doubt);
        let (sender, told) = oneshot::channel();
        let task = async move {
            telling.await;
            let _gone = sender.send(());
        };
        if self.tasks.spawn(task).is_some() {
            // Who is aborted at a shutdown tells nobody any more.
            let _told_or_shut_down = told.await;
        }
    }

    /// Tells what may have been changed, whenever that is, without being waited for.
    pub(crate) fn tell_apart(&self, changed: Changed) {
        if let Some(watch) = self.watch().filter(|_| !changed.is_empty()) {
            drop(self.tasks.spawn(Arc::clone(watch).tell(changed, true)));
        }
    }
}

/// Statements of which nobody knows yet whether they took effect.
struct Running<'a> {
    engine: &'a Engine,
    list: &'a [Prepared<'a>],
    is_over: bool,
}

/// The caller went away; the server goes on, or not.
impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut changed = Changed::default();
            self.engine.note_changes(self.list, &mut changed);
            self.engine.tell_apart(changed);
        }
    }
}

/// Whether what failed may have taken effect later than now; nothing if it surely has not.
fn doubt(error: &Error, midway: bool) -> Option<bool> {
    match error.retry() {
        Retry::Safe => None,
        _ if error.sqlstate().is_some() && !midway => None,
        _ => Some(true),
    }
}

/// What a transaction, or a session, has changed so far.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    noted: Mutex<Changed>,
    /// Whether there were statements while nobody wanted to know what they change.
    unnoted: AtomicBool,
}

impl Changes {
    pub(crate) fn take(&self) -> Changed {
        let mut changed = mem::take(&mut *self.noted());
        changed.anything |= self.unnoted.swap(false, Ordering::AcqRel);
        changed
    }

    pub(crate) fn note(&self, engine: &Engine, list: &[Prepared<'_>]) {
        if engine.watch().is_some() {
            engine.note_changes(list, &mut self.noted());
        } else {
            self.unnoted.store(true, Ordering::Release);
        }
    }

    fn noted(&self) -> MutexGuard<'_, Changed> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes when it is dropped, be it that the statements were run or that the caller went away.
    pub(crate) fn when_over<'a>(
        &'a self,
        engine: &'a Engine,
        list: &'a [Prepared<'a>],
    ) -> impl Drop + use<'a> {
        WhenOver(self, engine, list)
    }
}

struct WhenOver<'a>(&'a Changes, &'a Engine, &'a [Prepared<'a>]);

impl Drop for WhenOver<'_> {
    fn drop(&mut self) {
        self.0.note(self.1, self.2);
    }
}
