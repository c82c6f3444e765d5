//! Raw tokio-postgres: one client, clients shared by all tasks, and an ideal exclusive pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio_postgres::{Client, NoTls, Row, Statement};

use crate::contender::{Boxed, Race, race};
use crate::user::SELECT;
use crate::{Contender, Entry, Error, User};

/// One client that all tasks share.
pub const BARE: &str = "tokio-postgres, 1 shared";
/// The reference: what a pool that costs nothing would reach.
pub const EXCLUSIVE: &str = "tokio-postgres, exclusive pool of 10";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: EXCLUSIVE,
        open: |parameters| open_exclusive(parameters, 10),
    },
    Entry {
        name: BARE,
        open: |parameters| open_shared(parameters, 1),
    },
    Entry {
        name: "tokio-postgres, 4 shared",
        open: |parameters| open_shared(parameters, 4),
    },
];

/// One connection with its prepared statement.
struct Connection {
    client: Client,
    statement: Statement,
    in_flight: AtomicUsize,
}

impl Connection {
    async fn open(parameters: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(parameters, NoTls).await?;
        // It ends when the client is dropped; an error shows in the query that meets it.
        tokio::spawn(connection);
        let statement = client.prepare(SELECT).await?;
        Ok(Self {
            client,
            statement,
            in_flight: AtomicUsize::new(0),
        })
    }

    async fn user(&self, id: i64) -> Result<User, Error> {
        let row = self.client.query_one(&self.statement, &[&id]).await?;
        Ok(read(&row)?)
    }
}

fn read(row: &Row) -> Result<User, tokio_postgres::Error> {
    Ok(User {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        active: row.try_get(3)?,
        created_at: row.try_get(4)?,
    })
}

/// Clients that all tasks share; the one with the least in flight is taken.
struct Shared(Vec<Connection>);

fn open_shared(parameters: String, connections: usize) -> Boxed<Box<dyn Race>> {
    Box::pin(async move {
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(&parameters).await?);
        }
        Ok(race(Shared(open)))
    })
}

impl Contender for Shared {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let least_busy = self
            .0
            .iter()
            .min_by_key(|connection| connection.in_flight.load(Ordering::Relaxed));
        let connection = least_busy.ok_or("no connection")?;
        connection.in_flight.fetch_add(1, Ordering::Relaxed);
        let user = connection.user(id).await;
        connection.in_flight.fetch_sub(1, Ordering::Relaxed);
        user
    }
}

/// A pool that does nothing but hand connections out: the one used last first, waiters in order.
struct Exclusive {
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

fn open_exclusive(parameters: String, connections: usize) -> Boxed<Box<dyn Race>> {
    Box::pin(async move {
        let mut idle = Vec::new();
        for _ in 0..connections {
            idle.push(Connection::open(&parameters).await?);
        }
        Ok(race(Exclusive {
            permits: Semaphore::new(connections),
            idle: Mutex::new(idle),
        }))
    })
}

impl Contender for Exclusive {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let _permit = self.permits.acquire().await?;
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = idle().pop().ok_or("no connection")?;
        let user = connection.user(id).await;
        idle().push(connection);
        user
    }
}
