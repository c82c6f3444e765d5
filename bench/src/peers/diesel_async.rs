//! diesel-async on its deadpool with 10 connections: as it is by default, where each check-out runs
//! a statement, and without that test.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Double;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use crate::contender::{Opening, race};
use crate::statements::{BODY, NAME, SLOW};
use crate::{Contender, Entry, Error, Place, Workload};

const OFFERS: &[Workload] = &[
    Workload::Select,
    Workload::Decode,
    Workload::Insert,
    Workload::Update,
    Workload::Transaction,
    Workload::Bulk,
    Workload::Slow,
    Workload::Acquire,
    Workload::Storm,
];

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "diesel-async",
        offers: OFFERS,
        open: |place| open(place, true),
    },
    Entry {
        name: "diesel-async, untested",
        offers: &[Workload::Select, Workload::Transaction, Workload::Acquire],
        open: |place| open(place, false),
    },
];

diesel::table! {
    users (id) { id -> Int8, name -> Text, email -> Text, active -> Bool, created_at -> Timestamptz, }
}
diesel::table! {
    bulk (id) { id -> Int8, name -> Text, email -> Text, active -> Bool, created_at -> Timestamptz, }
}
diesel::table! { accounts (id) { id -> Int8, name -> Text, } }
diesel::table! { events (id) { id -> Int8, user_id -> Int8, body -> Text, n -> Int4, } }

/// The types that diesel reads.
#[derive(Queryable)]
struct User {
    id: i64,
    name: String,
    email: String,
    active: bool,
    created_at: DateTime<Utc>,
}

impl From<User> for crate::User {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            email: user.email,
            active: user.active,
            created_at: user.created_at.into(),
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = bulk)]
struct New<'a> {
    id: i64,
    name: &'a str,
    email: &'a str,
    active: bool,
    created_at: DateTime<Utc>,
}

struct Diesel(Pool<AsyncPgConnection>);

fn open(place: Place, test: bool) -> Opening {
    Box::pin(async move {
        let mut config = ManagerConfig::default();
        if !test {
            config.recycling_method = RecyclingMethod::Fast;
        }
        let manager = AsyncDieselConnectionManager::new_with_config(place.pairs(), config);
        Ok(race(Diesel(Pool::builder(manager).max_size(10).build()?)))
    })
}

async fn insert(connection: &mut AsyncPgConnection, user: i64) -> QueryResult<usize> {
    let row = (
        events::user_id.eq(user),
        events::body.eq(BODY),
        events::n.eq(5),
    );
    let insert = diesel::insert_into(events::table).values(row);
    insert.execute(connection).await
}

async fn update(connection: &mut AsyncPgConnection, account: i64) -> QueryResult<usize> {
    let update = diesel::update(accounts::table.find(account)).set(accounts::name.eq(NAME));
    update.execute(connection).await
}

impl Diesel {
    async fn take(&self) -> Result<Object<AsyncPgConnection>, Error> {
        Ok(self.0.get().await?)
    }
}

impl Contender for Diesel {
    async fn user(&self, id: i64) -> Result<crate::User, Error> {
        let mut connection = self.take().await?;
        let user: User = users::table.find(id).first(&mut connection).await?;
        Ok(user.into())
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<crate::User>, Error> {
        let mut connection = self.take().await?;
        let range = users::table.filter(users::id.between(first, last));
        let rows: Vec<User> = range.load(&mut connection).await?;
        Ok(rows.into_iter().map(crate::User::from).collect())
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        Ok(insert(&mut *self.take().await?, user).await? as u64)
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        Ok(update(&mut *self.take().await?, account).await? as u64)
    }

    async fn transaction(&self, key: i64) -> Result<u64, Error> {
        let mut connection = self.take().await?;
        let touched = connection.transaction::<_, diesel::result::Error, _>(async |connection| {
            Ok(update(connection, key).await? + insert(connection, key).await?)
        });
        Ok(touched.await? as u64)
    }

    async fn load(&self, users: &[crate::User]) -> Result<u64, Error> {
        let rows: Vec<_> = users
            .iter()
            .map(|user| New {
                id: user.id,
                name: &user.name,
                email: &user.email,
                active: user.active,
                created_at: user.created_at.into(),
            })
            .collect();
        let mut connection = self.take().await?;
        let insert = diesel::insert_into(bulk::table).values(&rows);
        Ok(insert.execute(&mut connection).await? as u64)
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        let slow = diesel::sql_query(SLOW).bind::<Double, _>(seconds);
        slow.execute(&mut self.take().await?).await?;
        Ok(())
    }

    async fn acquire(&self) -> Result<(), Error> {
        drop(self.take().await?);
        Ok(())
    }
}
