//! The wire alone: shared connections, no pool, no routing, no deadline above them.

use std::sync::Arc;

use aquifer_wire::{
    Catalog, Client, Columns, Config, FromRow, Limits, Mapping, RowReader, Sharing,
};

use crate::contender::{Opening, race};
use crate::statements::{RANGE, SELECT};
use crate::{Contender, Entry, Error, Place, User, Workload};

/// As many connections as the pool has lanes by default.
pub const TWO_SHARED: &str = "aquifer-wire, 2 shared";

const OFFERS: &[Workload] = &[Workload::Select, Workload::Decode];

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "aquifer-wire, 1 shared",
        offers: OFFERS,
        open: |place| open(place, 1),
    },
    Entry {
        name: TWO_SHARED,
        offers: OFFERS,
        open: |place| open(place, 2),
    },
    Entry {
        name: "aquifer-wire, 4 shared",
        offers: OFFERS,
        open: |place| open(place, 4),
    },
];

struct Lanes(Vec<Client>);

fn open(place: Place, lanes: usize) -> Opening {
    Box::pin(async move {
        let config: Arc<Config> = Arc::new(place.pairs().parse()?);
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

impl Lanes {
    fn least_busy(&self) -> Result<&Client, Error> {
        let least_busy = self.0.iter().min_by_key(|client| client.in_flight());
        least_busy.ok_or_else(|| "no connection".into())
    }
}

impl Contender for Lanes {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let client = self.least_busy()?;
        let reply = client.query(SELECT, &(id,), Sharing::Shared).await?;
        // As tokio-postgres' `query_one` does.
        if reply.len() > 1 {
            return Err("more than one such user".into());
        }
        reply.decode_first()?.ok_or_else(|| "no such user".into())
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        let client = self.least_busy()?;
        let reply = client.query(RANGE, &(first, last), Sharing::Shared).await?;
        Ok(reply.decode()?)
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
