//! The wire alone: shared connections, no pool, no routing, no deadline above them.

use std::sync::Arc;

use aquifer_wire::{
    Catalog, Client, Columns, Config, FromRow, Limits, Mapping, RowReader, Sharing,
};

use crate::contender::{Boxed, Race, race};
use crate::user::SELECT;
use crate::{Contender, Entry, Error, User};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "aquifer-wire, 1 shared",
        open: |parameters| open(parameters, 1),
    },
    Entry {
        name: "aquifer-wire, 2 shared",
        open: |parameters| open(parameters, 2),
    },
    Entry {
        name: "aquifer-wire, 4 shared",
        open: |parameters| open(parameters, 4),
    },
];

struct Lanes(Vec<Client>);

fn open(parameters: String, lanes: usize) -> Boxed<Box<dyn Race>> {
    Box::pin(async move {
        let config: Arc<Config> = Arc::new(parameters.parse()?);
        let catalog = Arc::new(Catalog::new(100));
        let settings = [("default_transaction_read_only", "on")];
        let mut clients = Vec::new();
        for _ in 0..lanes {
            let (client, driver) =
                Client::connect(&config, &catalog, &Limits::default(), &settings).await?;
            tokio::spawn(driver);
            clients.push(client);
        }
        Ok(race(Lanes(clients)))
    })
}

impl Contender for Lanes {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let least_busy = self.0.iter().min_by_key(|client| client.in_flight());
        let client = least_busy.ok_or("no connection")?;
        let reply = client.query(SELECT, &(id,), Sharing::Shared).await?;
        // As tokio-postgres' `query_one` does.
        if reply.len() > 1 {
            return Err("more than one such user".into());
        }
        reply.decode_first()?.ok_or_else(|| "no such user".into())
    }
}

/// As the derive writes it.
impl FromRow for User {
    fn resolve(columns: &Columns, mapping: &mut Mapping) -> Result<(), aquifer_wire::Error> {
        mapping.column(columns, "User", "id", "id")?;
        mapping.column(columns, "User", "name", "name")?;
        mapping.column(columns, "User", "email", "email")?;
        mapping.column(columns, "User", "active", "active")?;
        mapping.column(columns, "User", "created_at", "created_at")
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, aquifer_wire::Error> {
        Ok(Self {
            id: row.value("User", "id")?,
            name: row.value("User", "name")?,
            email: row.value("User", "email")?,
            active: row.value("User", "active")?,
            created_at: row.value("User", "created_at")?,
        })
    }
}
