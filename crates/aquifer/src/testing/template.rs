//! A database for each test, copied from one that has the schema.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha384};

use crate::config::Config;
use crate::db::Db;
use crate::migrate::Migrator;
use crate::session::Session;
use crate::statement::AssertSafe;
use crate::{Error, tasks};

/// Any number that others hardly take: held while a template is made.
const LOCK: i64 = 0x6171_7569_6665_7254;

/// A database with the schema of some migrations, of which each test gets a copy.
///
/// It is named by what the migrations are (`aquifer_template_…`) and stays on the server, so that it
/// is made once per schema, by whichever of several test programs comes first. On a server of the
/// tests' own it goes with that; on another one remove old ones by hand, when the migrations have
/// changed.
#[derive(Clone, Debug)]
pub struct Template {
    config: Config,
    name: String,
}

/// A database for one test; dropped with this handle, also when the test panics.
///
/// Whoever is still connected to it then is disconnected. A process that is killed leaves its
/// databases (`aquifer_test_…`) behind.
#[derive(Debug)]
pub struct TestDatabase {
    pub(super) maintenance: Config,
    pub(super) config: Config,
    pub(super) name: String,
}

impl Template {
    /// Makes the template on the server of `config`, unless it is there; by a connection to the
    /// database that `config` names, with a login that may create databases.
    ///
    /// It can't be behind a pooler.
    ///
    /// # Errors
    /// As [`Db::connect_with`] and [`Migrator::up`]; [`ErrorKind::Database`](crate::ErrorKind::Database)
    /// where the login may not create databases.
    ///
    /// # Cancel safety
    /// A template that is half done is never used, and made anew by the next one.
    pub async fn prepare(config: &Config, migrator: &Migrator) -> Result<Self, Error> {
        let template = Self {
            config: config.clone(),
            name: format!("aquifer_template_{}", fingerprint(migrator)),
        };
        let db = Db::connect_with(&few(config)).await?;
        let outcome = template.make(&db, migrator).await;
        db.close().await?;
        outcome.map(|()| template)
    }

    async fn make(&self, db: &Db, migrator: &Migrator) -> Result<(), Error> {
        let session = db.dedicated().await?;
        session
            .execute("select pg_advisory_lock($1)", (LOCK,))
            .await?;
        let sql = "select exists (select from pg_database where datname = $1)";
        if session.query_value(sql, (self.name.as_str(),)).await? {
            return Ok(());
        }
        let (name, half) = (&self.name, format!("{}_half", self.name));
        for sql in [
            format!("drop database if exists {half} with (force)"),
            format!("create database {half}"),
        ] {
            session.execute(AssertSafe(sql), ()).await?;
        }
        let made = Db::connect_with(&few(&self.config.on_database(&half))).await?;
        let migrated = migrator.up(&made).await;
        made.close().await?;
        migrated?;
        let rename = format!("alter database {half} rename to {name}");
        session.execute(AssertSafe(rename), ()).await.map(drop)
    }

    /// A copy for one test.
    ///
    /// # Errors
    /// As [`Session`].
    ///
    /// # Cancel safety
    /// The database may stay, under a name that nobody uses again.
    pub async fn database(&self) -> Result<TestDatabase, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("aquifer_test_{}_{number}", process::id());
        let db = Db::connect_with(&few(&self.config)).await?;
        let create = async {
            // One of a process that had the same number once.
            let drop = format!("drop database if exists {name} with (force)");
            db.execute(AssertSafe(drop), ()).await?;
            let create = format!("create database {name} template {}", self.name);
            db.execute(AssertSafe(create), ()).await
        };
        let created = create.await;
        db.close().await?;
        created?;
        Ok(TestDatabase {
            maintenance: few(&self.config),
            config: self.config.on_database(&name),
            name,
        })
    }
}

impl TestDatabase {
    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The template's configuration, for this database.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Opens a pool on it.
    ///
    /// # Errors
    /// As [`Db::connect_with`].
    ///
    /// # Cancel safety
    /// As [`Db::connect_with`].
    pub async fn connect(&self) -> Result<Db, Error> {
        Db::connect_with(&self.config).await
    }

    /// Opens a pool on it, with something else in the configuration.
    ///
    /// # Errors
    /// As [`Db::connect_with`].
    ///
    /// # Cancel safety
    /// As [`Db::connect_with`].
    pub async fn connect_with(&self, change: impl FnOnce(Config) -> Config) -> Result<Db, Error> {
        Db::connect_with(&change(self.config.clone())).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let maintenance = self.maintenance.clone();
        let sql = format!("drop database if exists {} with (force)", self.name);
        // Within a test that panics there may be no runtime any more.
        let dropped = tasks::apart(async move {
            let db = Db::connect_with(&maintenance).await?;
            db.execute(AssertSafe(sql), ()).await?;
            db.close().await
        });
        // A server that is gone has no databases; there is nobody to tell anything else.
        drop(dropped);
    }
}

/// As few connections as a pool can do with.
pub(super) fn few(config: &Config) -> Config {
    let config = config.clone().connections_max(2);
    config.advanced(|advanced| advanced.lanes(1))
}

/// Twelve hexadecimal digits of what all files say.
fn fingerprint(migrator: &Migrator) -> String {
    let mut digest = Sha384::new();
    for migration in migrator.migrations() {
        digest.update(migration.version().to_be_bytes());
        digest.update(migration.checksum());
    }
    let bytes = digest.finalize();
    bytes
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
