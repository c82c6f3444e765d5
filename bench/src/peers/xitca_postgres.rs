//! xitca-postgres: 4 clients that all tasks share, the one with the least in flight is taken. It
//! groups what several tasks send, as the lanes do.

use std::sync::atomic::{AtomicUsize, Ordering};

use xitca_postgres::iter::AsyncLendingIterator;
use xitca_postgres::row::Row;
use xitca_postgres::types::Type;
use xitca_postgres::{Client, Execute, Postgres, Statement};

use crate::contender::race;
use crate::statements::{BODY, INSERT, NAME, RANGE, SELECT, SLOW, UPDATE};
use crate::user::READ;
use crate::{Contender, Entry, Error, User, Workload};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "xitca-postgres, 4 shared",
    offers: &[
        Workload::Select,
        Workload::Decode,
        Workload::Insert,
        Workload::Update,
        Workload::Slow,
        Workload::Storm,
    ],
    open: |place| {
        Box::pin(async move {
            let mut connections = Vec::new();
            for _ in 0..4 {
                connections.push(Connection::open(place.socket_url()).await?);
            }
            Ok(race(Shared(connections)))
        })
    },
}];

struct Connection {
    client: Client,
    select: Statement,
    range: Statement,
    insert: Statement,
    update: Statement,
    slow: Statement,
    in_flight: AtomicUsize,
}

impl Connection {
    async fn open(url: String) -> Result<Self, Error> {
        let (client, driver) = Postgres::new(url).connect().await?;
        tokio::spawn(driver.into_future());
        let prepare = async |sql, types: &[Type]| {
            let guarded = Statement::named(sql, types).execute(&client).await?;
            Ok::<_, Error>(guarded.leak())
        };
        Ok(Self {
            select: prepare(SELECT, &[Type::INT8]).await?,
            range: prepare(RANGE, &[Type::INT8, Type::INT8]).await?,
            insert: prepare(INSERT, &[Type::INT8, Type::TEXT, Type::INT4]).await?,
            update: prepare(UPDATE, &[Type::INT8, Type::TEXT]).await?,
            slow: prepare(SLOW, &[Type::FLOAT8]).await?,
            client,
            in_flight: AtomicUsize::new(0),
        })
    }
}

struct Shared(Vec<Connection>);

/// One statement under way.
struct Underway<'a>(&'a Connection);

impl Shared {
    fn least_busy(&self) -> Result<Underway<'_>, Error> {
        let in_flight = |connection: &&Connection| connection.in_flight.load(Ordering::Relaxed);
        let least_busy = self.0.iter().min_by_key(in_flight);
        let connection = least_busy.ok_or("no connection")?;
        connection.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Underway(connection))
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn read(row: &Row<'_>) -> Result<User, Error> {
    Ok(User {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        active: row.try_get(3)?,
        created_at: row.try_get(4)?,
    })
}

impl Contender for Shared {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let taken = self.least_busy()?;
        let Connection { client, select, .. } = taken.0;
        let mut rows = select.bind([id]).query(client).await?;
        let user = read(&rows.try_next().await?.ok_or("no such user")?)?;
        match rows.try_next().await? {
            None => Ok(user),
            Some(_) => Err("more than one such user".into()),
        }
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        let taken = self.least_busy()?;
        let Connection { client, range, .. } = taken.0;
        let mut rows = range.bind([first, last]).query(client).await?;
        let mut users = Vec::with_capacity(READ);
        while let Some(row) = rows.try_next().await? {
            users.push(read(&row)?);
        }
        Ok(users)
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        let taken = self.least_busy()?;
        let Connection { client, insert, .. } = taken.0;
        Ok(insert
            .bind_dyn(&[&user, &BODY, &5_i32])
            .execute(client)
            .await?)
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        let taken = self.least_busy()?;
        let Connection { client, update, .. } = taken.0;
        Ok(update.bind_dyn(&[&account, &NAME]).execute(client).await?)
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        let taken = self.least_busy()?;
        let Connection { client, slow, .. } = taken.0;
        slow.bind([seconds]).execute(client).await?;
        Ok(())
    }
}
