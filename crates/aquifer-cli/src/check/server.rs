//! The server that judges.

use aquifer::migrate::Migrator;
use aquifer::{Config, Db, Embedded, Session};

use super::Check;
use crate::Failure;

/// One that is there, or one of our own, which ends with this.
pub(super) struct Server {
    db: Db,
    ours: Option<Embedded>,
}

impl Server {
    pub(super) async fn start(arguments: &Check) -> Result<Self, Failure> {
        if !arguments.embedded {
            let config = match &arguments.database_url {
                Some(url) => Config::from_url(url.as_str())?,
                None => Config::load()?,
            };
            let db = connect(config).await?;
            return Ok(Self { db, ours: None });
        }
        let migrator = Migrator::from_dir(&arguments.migrations).map_err(|error| {
            let failure = Failure::from(error);
            let cause = format!("{}; name their directory by --migrations", failure.cause).into();
            Failure { cause, ..failure }
        })?;
        let embedded = Embedded::start().map_err(|error| Failure {
            code: 1,
            cause: error.into(),
        })?;
        let db = connect(Config::from_url(embedded.url())?).await?;
        migrator.up(&db).await?;
        let ours = Some(embedded);
        Ok(Self { db, ours })
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    pub(super) async fn version(&self) -> Result<String, Failure> {
        let version: String = self.db.query_value("show server_version", ()).await?;
        // Without the name of the package.
        let number = version.split(' ').next();
        Ok(number.unwrap_or_default().to_owned())
    }

    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.db.close().await?;
        drop(self.ours);
        Ok(())
    }
}

async fn connect(config: Config) -> Result<Db, Failure> {
    let config = config.application_name("aquifer check");
    Ok(Db::connect_with(&config).await?)
}
