//! Where calls were answered, for callers who want to know.

use std::sync::{Arc, Mutex, PoisonError};

use super::Engine;
use crate::observe::{HostRole, Mode};

/// Where a call was answered, and what the layer could do then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answered {
    /// The host, as in the configuration.
    pub host: Arc<str>,
    /// Its part: an answer of a standby may be a little late.
    pub role: Option<HostRole>,
    /// What the layer as a whole could do when the answer came; other than [`Mode::Normal`] means that
    /// it was degraded.
    pub mode: Mode,
}

impl Answered {
    /// Whether the layer was degraded when the answer came.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.mode != Mode::Normal
    }
}

/// Tells where the last call of one handle was answered; made by
/// [`Db::with_answers`](crate::Db::with_answers).
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<Mutex<Option<Answered>>>);

impl Answers {
    /// Of the call that was answered last; `None` before the first.
    #[must_use]
    pub fn last(&self) -> Option<Answered> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Answered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Notes that `host` answers a call, where somebody wants to know.
    #[inline]
    pub(crate) fn note_answer(&self, host: &Arc<str>) {
        if self.answers.is_some() || self.pools.are_several() {
            self.tell_answer(host);
        }
    }

    #[cold]
    fn tell_answer(&self, host: &Arc<str>) {
        if self.pools.are_several() {
            self.observers.answered_by(host);
        }
        let Some(answers) = &self.answers else {
            return;
        };
        let topology = self.pools.topology();
        let view = topology.view();
        let mut names = topology.names().iter();
        let index = names.position(|name| name == host);
        let seen = index.and_then(|index| view.hosts.get(index));
        *answers.lock() = Some(Answered {
            host: Arc::clone(host),
            role: seen.and_then(|seen| seen.role),
            mode: view.mode,
        });
    }
}
