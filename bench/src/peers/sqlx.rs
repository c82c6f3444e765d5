//! sqlx with 10 connections: as it is by default, where each acquire pings the connection, and
//! without that ping.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Postgres, QueryBuilder};

use crate::contender::{Opening, race};
use crate::statements::{BODY, INSERT, NAME, RANGE, SELECT, SLOW, UNNEST, UPDATE};
use crate::{Contender, Entry, Error, Place, User, Workload};

const OFFERS: &[Workload] = &[
    Workload::Select,
    Workload::Decode,
    Workload::Insert,
    Workload::Update,
    Workload::Transaction,
    Workload::Slow,
    Workload::Acquire,
    Workload::Storm,
];

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "sqlx",
        offers: OFFERS,
        open: |place| open(place, true),
    },
    Entry {
        name: "sqlx, untested",
        offers: &[Workload::Select, Workload::Transaction, Workload::Acquire],
        open: |place| open(place, false),
    },
    Entry {
        name: "sqlx, UNNEST",
        offers: &[Workload::Bulk],
        open: |place| Box::pin(async move { Ok(race(Unnest(pool(&place, true).await?))) }),
    },
    Entry {
        name: "sqlx, push_values by 1,000",
        offers: &[Workload::Bulk],
        open: |place| Box::pin(async move { Ok(race(PushValues(pool(&place, true).await?))) }),
    },
];

struct Sqlx(PgPool);

async fn pool(place: &Place, test: bool) -> Result<PgPool, Error> {
    let options = PgPoolOptions::new().max_connections(10);
    let options = options.test_before_acquire(test);
    Ok(options.connect(&place.url()).await?)
}

fn open(place: Place, test: bool) -> Opening {
    Box::pin(async move { Ok(race(Sqlx(pool(&place, test).await?))) })
}

/// The types that sqlx reads; it has none of std's for a time.
#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    email: String,
    active: bool,
    created_at: DateTime<Utc>,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            email: row.email,
            active: row.active,
            created_at: row.created_at.into(),
        }
    }
}

impl Contender for Sqlx {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let query = sqlx::query_as::<_, Row>(SELECT).bind(id);
        Ok(query.fetch_one(&self.0).await?.into())
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        let query = sqlx::query_as::<_, Row>(RANGE).bind(first).bind(last);
        let rows = query.fetch_all(&self.0).await?;
        Ok(rows.into_iter().map(User::from).collect())
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        let query = sqlx::query(INSERT).bind(user).bind(BODY).bind(5);
        Ok(query.execute(&self.0).await?.rows_affected())
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        let query = sqlx::query(UPDATE).bind(account).bind(NAME);
        Ok(query.execute(&self.0).await?.rows_affected())
    }

    async fn transaction(&self, key: i64) -> Result<u64, Error> {
        let mut transaction = self.0.begin().await?;
        let update = sqlx::query(UPDATE).bind(key).bind(NAME);
        let updated = update.execute(&mut *transaction).await?;
        let insert = sqlx::query(INSERT).bind(key).bind(BODY).bind(5);
        let inserted = insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(updated.rows_affected() + inserted.rows_affected())
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        sqlx::query(SLOW).bind(seconds).fetch_one(&self.0).await?;
        Ok(())
    }

    async fn acquire(&self) -> Result<(), Error> {
        drop(self.0.acquire().await?);
        Ok(())
    }
}

struct Unnest(PgPool);

impl Contender for Unnest {
    async fn load(&self, users: &[User]) -> Result<u64, Error> {
        let columns = crate::user::Columns::of(users);
        let times: Vec<DateTime<Utc>> = columns.created_at.iter().map(|at| (*at).into()).collect();
        let query = sqlx::query(UNNEST)
            .bind(&columns.id)
            .bind(&columns.name)
            .bind(&columns.email)
            .bind(&columns.active)
            .bind(&times);
        Ok(query.execute(&self.0).await?.rows_affected())
    }
}

struct PushValues(PgPool);

impl Contender for PushValues {
    async fn load(&self, users: &[User]) -> Result<u64, Error> {
        let mut transaction = self.0.begin().await?;
        let mut written = 0;
        for users in users.chunks(1_000) {
            let mut query = QueryBuilder::<Postgres>::new("insert into bulk ");
            query.push_values(users, |mut row, user| {
                row.push_bind(user.id)
                    .push_bind(&user.name)
                    .push_bind(&user.email)
                    .push_bind(user.active)
                    .push_bind(DateTime::<Utc>::from(user.created_at));
            });
            let done = query.build().execute(&mut *transaction).await?;
            written += done.rows_affected();
        }
        transaction.commit().await?;
        Ok(written)
    }
}
