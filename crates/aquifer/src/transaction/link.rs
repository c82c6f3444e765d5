use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pool::Checkout;
use crate::{Error, ErrorKind};

/// Where a transaction stands: Active → Held (a savepoint is open) → Active → Ended.
pub(super) enum State {
    Active(Arc<Checkout>),
    Held(Arc<Checkout>),
    Ended(&'static str),
}

/// The connection of a transaction, as long as it may be used.
pub(super) struct Link(Mutex<State>);

impl Link {
    pub(super) fn new(checkout: &Arc<Checkout>) -> Self {
        Self(Mutex::new(State::Active(Arc::clone(checkout))))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, unless the transaction has ended or is held by a savepoint.
    pub(super) fn active(&self) -> Result<Arc<Checkout>, Error> {
        self.while_active(Arc::clone)
    }

    /// As [`active`](Self::active), with the turn of what runs on it now.
    ///
    /// Both under the lock: read behind it, the turn could be one that began when the transaction
    /// had ended, and what runs in it would take effect by itself.
    pub(super) fn active_turn(&self) -> Result<(Arc<Checkout>, u64), Error> {
        self.while_active(|checkout| (Arc::clone(checkout), checkout.client().turn()))
    }

    /// Does something that whoever ends or holds the transaction must find done.
    pub(super) fn while_active<T>(
        &self,
        act: impl FnOnce(&Arc<Checkout>) -> T,
    ) -> Result<T, Error> {
        self.state().active().map(act)
    }

    /// Active → Held, for a savepoint.
    pub(super) fn hold(&self) -> Result<Arc<Checkout>, Error> {
        let mut state = self.state();
        let checkout = Arc::clone(state.active()?);
        *state = State::Held(Arc::clone(&checkout));
        Ok(checkout)
    }

    /// Held → Active, when the savepoint has ended.
    pub(super) fn resume(&self) {
        let mut state = self.state();
        if let State::Held(checkout) = &*state {
            *state = State::Active(Arc::clone(checkout));
        }
    }

    /// Active → Ended; the connection for the last word.
    pub(super) fn end(&self, how: &'static str) -> Result<Arc<Checkout>, Error> {
        let mut state = self.state();
        let checkout = Arc::clone(state.active()?);
        *state = State::Ended(how);
        Ok(checkout)
    }

    /// Another connection in the place of one that ended before anything was done on it.
    pub(super) fn replace(&self, checkout: &Arc<Checkout>) {
        let mut state = self.state();
        match &*state {
            State::Active(_) => *state = State::Active(Arc::clone(checkout)),
            State::Held(_) => *state = State::Held(Arc::clone(checkout)),
            State::Ended(_) => {}
        }
    }

    /// The connection that the transaction still had, if it had one.
    pub(super) fn take(&self, how: &'static str) -> Option<Arc<Checkout>> {
        match std::mem::replace(&mut *self.state(), State::Ended(how)) {
            State::Active(checkout) | State::Held(checkout) => Some(checkout),
            State::Ended(_) => None,
        }
    }
}

impl State {
    fn active(&self) -> Result<&Arc<Checkout>, Error> {
        match self {
            Self::Active(checkout) => Ok(checkout),
            Self::Held(_) => Err(held()),
            Self::Ended(how) => Err(ended(how)),
        }
    }
}

fn held() -> Error {
    Error::new(
        ErrorKind::Transaction,
        "a savepoint of this transaction is open; use its handle, and end it before this one is used",
    )
}

fn ended(how: &str) -> Error {
    Error::new(
        ErrorKind::Transaction,
        format!("the transaction was {how} already; begin a new one"),
    )
}
