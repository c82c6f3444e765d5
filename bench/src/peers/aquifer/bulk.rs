use aquifer::{Db, Session};

use super::connect;
use crate::contender::race;
use crate::user::Columns;
use crate::{Contender, Entry, Error, User, Workload, statements};

/// Rows given to `insert_many`.
pub const INSERT_MANY: &str = "aquifer, insert_many";
/// Rows given to `copy_into`.
pub const COPY: &str = "aquifer, copy_into";

pub(super) const ENTRIES: [Entry; 3] = [
    Entry {
        name: "aquifer, UNNEST by hand",
        offers: &[Workload::Bulk],
        open: |place| Box::pin(async move { Ok(race(Unnest(connect(&place).await?))) }),
    },
    Entry {
        name: INSERT_MANY,
        offers: &[Workload::Bulk],
        open: |place| Box::pin(async move { Ok(race(InsertMany(connect(&place).await?))) }),
    },
    Entry {
        name: COPY,
        offers: &[Workload::Bulk],
        open: |place| Box::pin(async move { Ok(race(Copy(connect(&place).await?))) }),
    },
];

const COLUMNS: [&str; 5] = ["id", "name", "email", "active", "created_at"];

struct Unnest(Db);

impl Contender for Unnest {
    async fn load(&self, users: &[User]) -> Result<u64, Error> {
        let columns = Columns::of(users);
        let parameters = (
            &columns.id,
            &columns.name,
            &columns.email,
            &columns.active,
            &columns.created_at,
        );
        Ok(self.0.execute(statements::UNNEST, parameters).await?)
    }
}

struct InsertMany(Db);

impl Contender for InsertMany {
    async fn load(&self, users: &[User]) -> Result<u64, Error> {
        Ok(self
            .0
            .insert_many("bulk", COLUMNS, users.iter().map(row))
            .await?)
    }
}

struct Copy(Db);

impl Contender for Copy {
    async fn load(&self, users: &[User]) -> Result<u64, Error> {
        let mut rows = self.0.copy_into("bulk", COLUMNS).await?;
        for user in users {
            rows.write(row(user)).await?;
        }
        Ok(rows.finish().await?)
    }
}

fn row(user: &User) -> (i64, &str, &str, bool, std::time::SystemTime) {
    (
        user.id,
        &user.name,
        &user.email,
        user.active,
        user.created_at,
    )
}
