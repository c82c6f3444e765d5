use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls, Row, Statement};

use crate::statements::{BODY, INSERT, NAME, RANGE, SELECT, SLOW, UPDATE};
use crate::user::READ;
use crate::{Error, User};

/// One connection with the statements that it has prepared, each at its first use.
pub(crate) struct Connection {
    client: Client,
    select: OnceCell<Statement>,
    range: OnceCell<Statement>,
    insert: OnceCell<Statement>,
    update: OnceCell<Statement>,
    slow: OnceCell<Statement>,
}

impl Connection {
    pub(super) async fn open(parameters: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(parameters, NoTls).await?;
        // It ends when the client is dropped; an error shows in the query that meets it.
        tokio::spawn(connection);
        Ok(Self::of(client))
    }

    /// A connection that somebody else has opened.
    pub(crate) fn of(client: Client) -> Self {
        Self {
            client,
            select: OnceCell::new(),
            range: OnceCell::new(),
            insert: OnceCell::new(),
            update: OnceCell::new(),
            slow: OnceCell::new(),
        }
    }

    #[cfg(feature = "peers")]
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn user(&self, id: i64) -> Result<User, Error> {
        let statement = self.prepared(&self.select, SELECT).await?;
        let row = self.client.query_one(statement, &[&id]).await?;
        Ok(read(&row)?)
    }

    pub(crate) async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        let statement = self.prepared(&self.range, RANGE).await?;
        let rows = self.client.query(statement, &[&first, &last]).await?;
        read_all(&rows)
    }

    pub(crate) async fn insert(&self, user: i64) -> Result<u64, Error> {
        let statement = self.prepared(&self.insert, INSERT).await?;
        Ok(self.client.execute(statement, &[&user, &BODY, &5]).await?)
    }

    pub(crate) async fn update(&self, account: i64) -> Result<u64, Error> {
        let statement = self.prepared(&self.update, UPDATE).await?;
        Ok(self.client.execute(statement, &[&account, &NAME]).await?)
    }

    /// Four round trips. A failed statement ends the benchmark, so nobody rolls back.
    pub(crate) async fn transaction(&self, key: i64) -> Result<u64, Error> {
        self.client.batch_execute("begin").await?;
        let touched = self.update(key).await? + self.insert(key).await?;
        self.client.batch_execute("commit").await?;
        Ok(touched)
    }

    pub(crate) async fn slow(&self, seconds: f64) -> Result<(), Error> {
        let statement = self.prepared(&self.slow, SLOW).await?;
        self.client.query_one(statement, &[&seconds]).await?;
        Ok(())
    }

    async fn prepared<'a>(
        &self,
        cell: &'a OnceCell<Statement>,
        sql: &str,
    ) -> Result<&'a Statement, Error> {
        Ok(cell.get_or_try_init(|| self.client.prepare(sql)).await?)
    }
}

pub(crate) fn read(row: &Row) -> Result<User, tokio_postgres::Error> {
    Ok(User {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        active: row.try_get(3)?,
        created_at: row.try_get(4)?,
    })
}

pub(crate) fn read_all(rows: &[Row]) -> Result<Vec<User>, Error> {
    let mut users = Vec::with_capacity(READ);
    for row in rows {
        users.push(read(row)?);
    }
    Ok(users)
}
