//! Faults that the server itself makes, in a test's own database: so the layer meets what it would
//! meet in earnest.

use super::template::{TestDatabase, few};
use crate::db::Db;
use crate::session::Session;
use crate::statement::{AssertSafe, TableName};
use crate::{Error, ErrorKind};

impl TestDatabase {
    /// Lets the next `times` writes to a table fail with this SQLSTATE: `40001` for a conflict,
    /// `23505` for a duplicate, `53100` for a full disk.
    ///
    /// Each INSERT, UPDATE and DELETE counts, whether it finds rows or not, and also those of
    /// attempts that the layer makes again. A plan takes the place of an earlier one for the table.
    ///
    /// # Errors
    /// As [`Session`]; [`ErrorKind::Usage`] for a code that is none, and for a name that PostgreSQL
    /// would not take whole.
    ///
    /// # Cancel safety
    /// The plan holds whole or not at all.
    ///
    /// ```no_run
    /// # use aquifer::testing::TestDatabase;
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(database: &TestDatabase, db: &Db) -> Result<(), Error> {
    /// database.fail_writes("users", 2, "40001").await?;
    /// // `with_transaction` tries a third time.
    /// db.with_transaction(async |tx| tx.execute("delete from users", ()).await).await?;
    /// # Ok(()) }
    /// ```
    pub async fn fail_writes(
        &self,
        table: impl Into<TableName> + Send,
        times: u32,
        sqlstate: &str,
    ) -> Result<(), Error> {
        let table = table.into().quoted()?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        if sqlstate.len() != 5 || !sqlstate.bytes().all(is_digit) {
            let text = "a SQLSTATE has five digits or capital letters, as `40001`";
            return Err(Error::new(ErrorKind::Usage, text));
        }
        // A sequence counts on, whatever is rolled back.
        let script = format!(
            "create schema if not exists aquifer_faults;
             drop trigger if exists aquifer_fault on {table};
             do $plan$
             declare
                 number int := (select count(*) from pg_proc
                                where pronamespace = 'aquifer_faults'::regnamespace);
             begin
                 execute format('create sequence aquifer_faults.s%s', number);
                 execute format($make$
                     create function aquifer_faults.f%s() returns trigger language plpgsql as $body$
                     begin
                         if nextval('aquifer_faults.s%s') <= {times} then
                             raise exception 'a fault by the plan of a test' using errcode = '{sqlstate}';
                         end if;
                         return null;
                     end $body$
                 $make$, number, number);
                 execute format('create trigger aquifer_fault before insert or update or delete
                                 on {table} execute function aquifer_faults.f%s()', number);
             end $plan$"
        );
        self.besides(async |db| db.execute_script(AssertSafe(script)).await)
            .await
    }

    /// Ends all connections to this database, whatever is under way on them; returns how many.
    ///
    /// # Errors
    /// As [`Session`].
    ///
    /// # Cancel safety
    /// As [`Session`].
    pub async fn end_connections(&self) -> Result<i64, Error> {
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                   where datname = $1 and backend_type = 'client backend'";
        // From another database, so that it does not end itself.
        let db = Db::connect_with(&self.maintenance).await?;
        let ended = db.query_value(sql, (self.name.as_str(),)).await;
        db.close().await?;
        ended
    }

    /// Works on the database by a connection that is none of the test's.
    async fn besides<T>(&self, work: impl AsyncFnOnce(Db) -> Result<T, Error>) -> Result<T, Error> {
        let db = Db::connect_with(&few(&self.config)).await?;
        let outcome = work(db.clone()).await;
        db.close().await?;
        outcome
    }
}
