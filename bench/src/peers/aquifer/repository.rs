//! A repository's `find`, which is a look-up below.

use std::time::SystemTime;

use aquifer::entity::Entity;
use aquifer::{Repo, Repository};

use super::connect;
use crate::contender::race;
use crate::{Contender, Entry, Error, User, Workload};

/// For counting: beside the look-up it shows what the repository adds to that.
pub(in crate::peers) const FIND: Entry = Entry {
    name: "aquifer, repository",
    offers: &[Workload::Select],
    open: |place| Box::pin(async move { Ok(race(Rows(connect(&place).await?.repo()))) }),
};

#[derive(Entity)]
#[entity(table = "users")]
struct Row {
    #[entity(key)]
    id: i64,
    name: String,
    email: String,
    active: bool,
    created_at: SystemTime,
}

struct Rows(Repo<Row>);

impl Contender for Rows {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let row = self.0.find(id).await?.ok_or("no such user")?;
        Ok(User {
            id: row.id,
            name: row.name,
            email: row.email,
            active: row.active,
            created_at: row.created_at,
        })
    }
}
