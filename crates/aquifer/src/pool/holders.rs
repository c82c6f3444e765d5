use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer_wire::Client;
use tokio::time::Instant;

use crate::clock;

/// Who holds an exclusive connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Holder {
    /// Where it was asked for.
    pub location: &'static Location<'static>,
    /// For how long it has been held.
    pub held: Duration,
    /// The server process, as in `pg_stat_activity`.
    pub process_id: i32,
}

/// The exclusive connections in use, by the order in which they were given out.
#[derive(Debug, Default)]
pub(super) struct Holders(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    client: Arc<Client>,
    location: &'static Location<'static>,
    since: Instant,
    /// It is held until the end, and nothing on it has to be let finish.
    listens: bool,
    /// When it was asked for a sign of life last, of one that listens.
    asked: Instant,
    /// That it is held for long was said.
    warned: bool,
}

impl Entry {
    fn holder(&self, now: Instant) -> Holder {
        Holder {
            location: self.location,
            held: now - self.since,
            process_id: self.client.process_id(),
        }
    }
}

impl Holders {
    pub(super) fn add(
        &self,
        client: &Arc<Client>,
        location: &'static Location<'static>,
        since: Instant,
    ) -> u64 {
        let mut list = self.lock();
        list.next += 1;
        let number = list.next;
        let entry = Entry {
            client: Arc::clone(client),
            location,
            since,
            listens: false,
            asked: since,
            warned: false,
        };
        list.entries.insert(number, entry);
        number
    }

    pub(super) fn set_listens(&self, number: u64) {
        if let Some(entry) = self.lock().entries.get_mut(&number) {
            entry.listens = true;
        }
    }

    pub(super) fn remove(&self, number: u64) {
        self.lock().entries.remove(&number);
    }

    pub(super) fn list(&self) -> Vec<Holder> {
        let now = clock::now();
        let holder = |entry: &Entry| entry.holder(now);
        self.lock().entries.values().map(holder).collect()
    }

    /// Who has held one for so long, each once; those that only listen are held on purpose.
    pub(super) fn overdue(&self, held: Duration) -> Vec<Holder> {
        let now = clock::now();
        let mut list = self.lock();
        let overdue = list
            .entries
            .values_mut()
            .take_while(|entry| now - entry.since >= held)
            .filter(|entry| !entry.warned && !entry.listens);
        overdue
            .map(|entry| {
                entry.warned = true;
                entry.holder(now)
            })
            .collect()
    }

    /// The connections on which something may be under way.
    pub(super) fn working(&self) -> Vec<Arc<Client>> {
        self.clients(|entry| !entry.listens)
    }

    /// The connections that only listen.
    pub(super) fn listening(&self) -> Vec<Arc<Client>> {
        self.clients(|entry| entry.listens)
    }

    /// Those of them that were not asked for a sign of life for so long, each once.
    pub(super) fn unheard(&self, keepalive: Duration) -> Vec<Arc<Client>> {
        let now = clock::now();
        let mut list = self.lock();
        let listening = list.entries.values_mut().filter(|entry| entry.listens);
        let due = listening.filter(|entry| now - entry.asked >= keepalive);
        due.map(|entry| {
            entry.asked = now;
            Arc::clone(&entry.client)
        })
        .collect()
    }

    fn clients(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Arc<Client>> {
        let list = self.lock();
        let wanted = list.entries.values().filter(|entry| wanted(entry));
        wanted.map(|entry| Arc::clone(&entry.client)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
