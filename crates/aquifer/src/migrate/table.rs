//! The table of what was applied, column by column as sqlx has it
//! (`ensure_migrations_table` in sqlx-postgres/src/migrate.rs).

use std::time::{Duration, SystemTime};

use super::source::Migration;
use crate::session::Session;
use crate::statement::{AssertSafe, TableName};
use crate::{Error, ErrorKind};

/// One row of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) version: i64,
    pub(super) description: String,
    pub(super) installed_on: SystemTime,
    /// False while it is under way without a transaction, and when it did not come to its end.
    pub(super) success: bool,
    pub(super) checksum: Vec<u8>,
    /// In nanoseconds; negative where it is not known.
    pub(super) execution_time: i64,
}

/// The table by its quoted name with schema, whatever the search path may become.
#[derive(Clone, Debug)]
pub(super) struct Table(String);

impl Table {
    /// The table that the name means to this session; `None` where there is none.
    pub(super) async fn find(
        session: &impl Session,
        name: &TableName,
    ) -> Result<Option<Self>, Error> {
        let sql = "select quote_ident(n.nspname) || '.' || quote_ident(c.relname) \
                   from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                   where c.oid = to_regclass($1)::oid";
        let found: Option<(String,)> = session.query_opt(sql, (name.quoted()?,)).await?;
        Ok(found.map(|(name,)| Self(name)))
    }

    pub(super) async fn create(session: &impl Session, name: &TableName) -> Result<Self, Error> {
        let sql = format!(
            "create table if not exists {} (
                version BIGINT PRIMARY KEY,
                description TEXT NOT NULL,
                installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
                success BOOLEAN NOT NULL,
                checksum BYTEA NOT NULL,
                execution_time BIGINT NOT NULL
            )",
            name.quoted()?
        );
        session.execute(AssertSafe(sql), ()).await?;
        Self::find(session, name).await?.ok_or_else(|| {
            let text = "the table of migrations was created and is not found by its name; \
                        something else of that name must stand before it in the search path";
            Error::new(ErrorKind::Schema, text)
        })
    }

    /// All rows, the lowest version first.
    pub(super) async fn rows(&self, session: &impl Session) -> Result<Vec<Row>, Error> {
        let sql = format!(
            "select version, description, installed_on, success, checksum, execution_time \
             from {} order by version",
            self.0
        );
        type Columns = (i64, String, SystemTime, bool, Vec<u8>, i64);
        let rows: Vec<Columns> = session.query_as(AssertSafe(sql), ()).await?;
        let row = |(version, description, installed_on, success, checksum, execution_time)| Row {
            version,
            description,
            installed_on,
            success,
            checksum,
            execution_time,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Notes a migration as applied, or with `elapsed` unknown as begun.
    pub(super) async fn insert(
        &self,
        session: &impl Session,
        migration: &Migration,
        elapsed: Option<Duration>,
    ) -> Result<(), Error> {
        let sql = format!(
            "insert into {} (version, description, success, checksum, execution_time) \
             values ($1, $2, $3, $4, $5)",
            self.0
        );
        let params = (
            migration.version,
            migration.description.as_str(),
            elapsed.is_some(),
            migration.checksum(),
            elapsed.map_or(-1, nanoseconds),
        );
        session.execute(AssertSafe(sql), params).await.map(drop)
    }

    pub(super) async fn set_begun(
        &self,
        session: &impl Session,
        version: i64,
    ) -> Result<(), Error> {
        let sql = format!("update {} set success = false where version = $1", self.0);
        session.execute(AssertSafe(sql), (version,)).await.map(drop)
    }

    pub(super) async fn set_done(
        &self,
        session: &impl Session,
        version: i64,
        elapsed: Duration,
    ) -> Result<(), Error> {
        let sql = format!(
            "update {} set success = true, execution_time = $2 where version = $1",
            self.0
        );
        let params = (version, nanoseconds(elapsed));
        session.execute(AssertSafe(sql), params).await.map(drop)
    }

    pub(super) async fn delete(&self, session: &impl Session, version: i64) -> Result<(), Error> {
        let sql = format!("delete from {} where version = $1", self.0);
        session.execute(AssertSafe(sql), (version,)).await.map(drop)
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
