//! Raw tokio-postgres: one client, clients shared by all tasks, and an ideal exclusive pool.

mod bulk;
pub(super) mod connection;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::bulk::{COPY as RAW_COPY, UNNEST};
use self::connection::Connection;
use crate::contender::{Opening, race};
use crate::{Contender, Entry, Error, Place, User, Workload};

/// One client that all tasks share.
pub const BARE: &str = "tokio-postgres, 1 shared";
/// The reference: what a pool that costs nothing would reach.
pub const EXCLUSIVE: &str = "tokio-postgres, exclusive pool of 10";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: EXCLUSIVE,
        offers: &[
            Workload::Select,
            Workload::Decode,
            Workload::Insert,
            Workload::Update,
            Workload::Transaction,
            Workload::Slow,
            Workload::Acquire,
            Workload::Storm,
        ],
        open: |place| open_exclusive(place, 10),
    },
    Entry {
        name: BARE,
        offers: &[Workload::Select, Workload::Decode],
        open: |place| open_shared(place, 1),
    },
    Entry {
        name: "tokio-postgres, 4 shared",
        offers: &[
            Workload::Select,
            Workload::Decode,
            Workload::Insert,
            Workload::Update,
            Workload::Slow,
            Workload::Storm,
        ],
        open: |place| open_shared(place, 4),
    },
    bulk::ENTRIES[0],
    bulk::ENTRIES[1],
    bulk::ENTRIES[2],
];

/// Connections opened side by side.
async fn open_all(place: &Place, connections: usize) -> Result<Vec<Connection>, Error> {
    let opening: Vec<_> = (0..connections)
        .map(|_| {
            let parameters = place.pairs();
            tokio::spawn(async move { Connection::open(&parameters).await })
        })
        .collect();
    let mut open = Vec::new();
    for connection in opening {
        open.push(connection.await??);
    }
    Ok(open)
}

/// Clients that all tasks share; the one with the least in flight is taken.
struct Shared(Vec<(AtomicUsize, Connection)>);

fn open_shared(place: Place, connections: usize) -> Opening {
    Box::pin(async move {
        let open = open_all(&place, connections).await?.into_iter();
        Ok(race(Shared(
            open.map(|connection| (AtomicUsize::new(0), connection))
                .collect(),
        )))
    })
}

/// One statement under way on a shared connection.
struct Underway<'a>(&'a AtomicUsize, &'a Connection);

impl Shared {
    fn least_busy(&self) -> Result<Underway<'_>, Error> {
        let least_busy = self
            .0
            .iter()
            .min_by_key(|(in_flight, _)| in_flight.load(Ordering::Relaxed));
        let (in_flight, connection) = least_busy.ok_or("no connection")?;
        in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Underway(in_flight, connection))
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Contender for Shared {
    async fn user(&self, id: i64) -> Result<User, Error> {
        self.least_busy()?.1.user(id).await
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        self.least_busy()?.1.users(first, last).await
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        self.least_busy()?.1.insert(user).await
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        self.least_busy()?.1.update(account).await
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        self.least_busy()?.1.slow(seconds).await
    }
}

/// A pool that does nothing but hand connections out: the one used last first, waiters in order.
struct Exclusive {
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

fn open_exclusive(place: Place, connections: usize) -> Opening {
    Box::pin(async move {
        Ok(race(Exclusive {
            permits: Semaphore::new(connections),
            idle: Mutex::new(open_all(&place, connections).await?),
        }))
    })
}

impl Exclusive {
    async fn take(&self) -> Result<(SemaphorePermit<'_>, Connection), Error> {
        let permit = self.permits.acquire().await?;
        let idle = self.idle.lock();
        let connection = idle.unwrap_or_else(PoisonError::into_inner).pop();
        Ok((permit, connection.ok_or("no connection")?))
    }

    fn give_back(&self, connection: Connection) {
        let idle = self.idle.lock();
        idle.unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}

impl Contender for Exclusive {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let (_permit, connection) = self.take().await?;
        let user = connection.user(id).await;
        self.give_back(connection);
        user
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        let (_permit, connection) = self.take().await?;
        let users = connection.users(first, last).await;
        self.give_back(connection);
        users
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        let (_permit, connection) = self.take().await?;
        let inserted = connection.insert(user).await;
        self.give_back(connection);
        inserted
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        let (_permit, connection) = self.take().await?;
        let updated = connection.update(account).await;
        self.give_back(connection);
        updated
    }

    async fn transaction(&self, key: i64) -> Result<u64, Error> {
        let (_permit, connection) = self.take().await?;
        let touched = connection.transaction(key).await;
        self.give_back(connection);
        touched
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        let (_permit, connection) = self.take().await?;
        let done = connection.slow(seconds).await;
        self.give_back(connection);
        done
    }

    async fn acquire(&self) -> Result<(), Error> {
        let (_permit, connection) = self.take().await?;
        self.give_back(connection);
        Ok(())
    }
}
