//! Sessions in a database that one test has for itself.

use std::sync::{Arc, OnceLock};

use aquifer_testkit::{Embedded, Postgres};
use aquifer_wire::types::Params;
use aquifer_wire::{Catalog, Client, Config, Driver, Error, Limits, Reply, Row, Sharing};

/// A database on the server that all tests share, and what its sessions have learned.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) limits: Limits,
}

/// The server of all these tests. Without the logins of [`Postgres::shared`]: a server that was built
/// without TLS refuses those.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let builder = Embedded::builder().tcp();
        Postgres::start_with(builder.setting("max_connections", "200"))
    })
}

impl Database {
    pub(crate) fn new() -> Self {
        Self {
            url: server().create_database().url,
            catalog: Arc::new(Catalog::new(1_024)),
            limits: Limits::default(),
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_to(&self.url).await
    }

    /// A session whose driver is not polled yet.
    pub(crate) async fn open(&self) -> (Client, Driver) {
        self.open_at(&self.url).await
    }

    /// A session of the same database by another way.
    pub(crate) async fn connect_to(&self, url: &str) -> Client {
        let (client, driver) = self.open_at(url).await;
        tokio::spawn(driver);
        client
    }

    pub(crate) async fn open_at(&self, url: &str) -> (Client, Driver) {
        let config: Arc<Config> = Arc::new(url.parse().unwrap());
        // What text forms depend on.
        let settings = [
            ("DateStyle", "ISO"),
            ("IntervalStyle", "postgres"),
            ("TimeZone", "UTC"),
        ];
        let opened = Client::connect(&config, &self.catalog, &self.limits, &settings).await;
        opened.unwrap()
    }
}

/// A session in a database of its own.
pub(crate) async fn session() -> Client {
    Database::new().connect().await
}

pub(crate) async fn run(
    client: &Client,
    sql: &str,
    params: &(dyn Params + Sync),
) -> Result<Reply, Error> {
    client.query(sql, params, Sharing::Own).await
}

/// The one row of a statement.
pub(crate) async fn row(client: &Client, sql: &str, params: &(dyn Params + Sync)) -> Row {
    let reply = run(client, sql, params).await;
    let reply = reply.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(reply.len(), 1, "{sql}");
    reply.rows().next().unwrap()
}

/// The server's major version.
pub(crate) fn version(client: &Client) -> u32 {
    let version = client.parameter("server_version").unwrap();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Installs an extension, or says that the server has none of that name.
pub(crate) async fn has_extension(client: &Client, name: &str) -> bool {
    let available = "select exists (select from pg_available_extensions where name = $1)";
    if !row(client, available, &(name,))
        .await
        .get::<bool>(0)
        .unwrap()
    {
        eprintln!("not tested: this server has no extension {name}");
        return false;
    }
    client
        .script(&format!("create extension {name}"))
        .await
        .unwrap();
    true
}
