use std::fmt::Write as _;
use std::pin::pin;

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Statement};

use crate::contender::{Opening, race};
use crate::user::Columns;
use crate::{Contender, Entry, Error, Place, User, Workload, statements};

/// All rows in one statement, one array for each column: what to compare `insert_many` with.
pub const UNNEST: &str = "tokio-postgres, UNNEST";
/// All rows by COPY in binary format.
pub const COPY: &str = "tokio-postgres, COPY BINARY";

/// Rows of one VALUES.
const CHUNK: usize = 1_000;

pub(super) const ENTRIES: [Entry; 3] = [
    Entry {
        name: UNNEST,
        offers: &[Workload::Bulk],
        open: |place| open(place, Way::Unnest),
    },
    Entry {
        name: COPY,
        offers: &[Workload::Bulk],
        open: |place| open(place, Way::Copy),
    },
    Entry {
        name: "tokio-postgres, VALUES by 1,000",
        offers: &[Workload::Bulk],
        open: |place| open(place, Way::Values),
    },
];

#[derive(Clone, Copy)]
enum Way {
    Unnest,
    Copy,
    Values,
}

struct Bulk {
    client: Client,
    statement: Statement,
    way: Way,
}

fn open(place: Place, way: Way) -> Opening {
    Box::pin(async move {
        let (client, connection) = tokio_postgres::connect(&place.pairs(), NoTls).await?;
        tokio::spawn(connection);
        let statement = match way {
            Way::Unnest => client.prepare(statements::UNNEST).await?,
            Way::Copy => client.prepare(statements::COPY).await?,
            Way::Values => client.prepare(&values(CHUNK)).await?,
        };
        Ok(race(Bulk {
            client,
            statement,
            way,
        }))
    })
}

fn values(rows: usize) -> String {
    let mut sql = String::from("insert into bulk values ");
    for row in 0..rows {
        let comma = if row == 0 { "" } else { ", " };
        let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(|column| row * 5 + column);
        // Writing to a string does not fail.
        write!(sql, "{comma}(${a}, ${b}, ${c}, ${d}, ${e})").ok();
    }
    sql
}

impl Contender for Bulk {
    async fn load(&self, users: &[User]) -> Result<u64, Error> {
        match self.way {
            Way::Unnest => self.unnest(users).await,
            Way::Copy => self.copy(users).await,
            Way::Values => self.values(users).await,
        }
    }
}

impl Bulk {
    async fn unnest(&self, users: &[User]) -> Result<u64, Error> {
        let columns = Columns::of(users);
        let parameters: [&(dyn ToSql + Sync); 5] = [
            &columns.id,
            &columns.name,
            &columns.email,
            &columns.active,
            &columns.created_at,
        ];
        Ok(self.client.execute(&self.statement, &parameters).await?)
    }

    async fn copy(&self, users: &[User]) -> Result<u64, Error> {
        const TYPES: [Type; 5] = [
            Type::INT8,
            Type::TEXT,
            Type::TEXT,
            Type::BOOL,
            Type::TIMESTAMPTZ,
        ];
        let sink = self.client.copy_in(&self.statement).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
        for user in users {
            writer.as_mut().write(&row(user)).await?;
        }
        Ok(writer.finish().await?)
    }

    /// In a transaction, as the others are.
    async fn values(&self, users: &[User]) -> Result<u64, Error> {
        self.client.batch_execute("begin").await?;
        let mut written = 0;
        for users in users.chunks_exact(CHUNK) {
            let parameters: Vec<_> = users.iter().flat_map(row).collect();
            written += self.client.execute(&self.statement, &parameters).await?;
        }
        self.client.batch_execute("commit").await?;
        Ok(written)
    }
}

fn row(user: &User) -> [&(dyn ToSql + Sync); 5] {
    [
        &user.id,
        &user.name,
        &user.email,
        &user.active,
        &user.created_at,
    ]
}
