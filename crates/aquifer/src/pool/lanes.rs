use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_wire::Client;

/// The shared connections: autocommit reads of many callers travel on them together.
#[derive(Debug)]
pub(super) struct Lanes {
    state: Mutex<State>,
    lanes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Arc<Client>>,
    closed: bool,
}

impl Lanes {
    pub(super) fn new(lanes_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            lanes_max,
        }
    }

    /// The lane with the fewest requests, the first of equals: so that few lanes carry large groups.
    pub(super) fn least_busy(&self) -> Option<Arc<Client>> {
        let state = self.lock();
        state
            .open
            .iter()
            .min_by_key(|client| client.in_flight())
            .cloned()
    }

    /// How many should be opened.
    pub(super) fn missing(&self) -> usize {
        let state = self.lock();
        if state.closed {
            0
        } else {
            self.lanes_max.saturating_sub(state.open.len())
        }
    }

    pub(super) fn add(&self, client: Client) {
        let mut state = self.lock();
        // It may have ended on the way here, when there was nothing to prune yet.
        if !state.closed && client.ended().is_none() {
            state.open.push(Arc::new(client));
        }
    }

    /// Removes lanes that have ended.
    pub(super) fn prune(&self) {
        self.lock().open.retain(|client| client.ended().is_none());
    }

    /// Open lanes, and the requests under way on them.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (
            state.open.len(),
            state.open.iter().map(|client| client.in_flight()).sum(),
        )
    }

    /// The open lanes.
    pub(super) fn list(&self) -> Vec<Arc<Client>> {
        self.lock().open.clone()
    }

    /// Takes one lane out of use, so that a new one is opened; what is under way on it goes on.
    pub(super) fn remove(&self, lane: &Arc<Client>) {
        self.lock().open.retain(|open| !Arc::ptr_eq(open, lane));
    }

    /// Takes the lanes there are out of use, so that new ones are opened; what is under way on them
    /// goes on.
    pub(super) fn retire(&self) -> Vec<Arc<Client>> {
        std::mem::take(&mut self.lock().open)
    }

    /// Takes all lanes out of use, for good; what is under way on them goes on.
    pub(super) fn close(&self) -> Vec<Arc<Client>> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.open)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
