use std::borrow::Cow;

use aquifer_core::sql::{
    self, Combination, Cte, Lock, LockStrength, LockWait, Name, SetOperator, Statement,
};
use aquifer_wire::types::Value;

use super::super::change::IntoStatement;
use super::QueryBuilder;

macro_rules! combinations {
    ($($(#[doc = $doc:literal])+ $name:ident $operator:ident $all:literal;)+) => {$(
        $(#[doc = $doc])+
        pub fn $name<Q>(self, query: QueryBuilder<Q>) -> Self {
            self.combine(SetOperator::$operator, $all, query)
        }
    )+};
}

macro_rules! locks {
    ($($(#[doc = $doc:literal])+ $name:ident $strength:ident;)+) => {$(
        $(#[doc = $doc])+
        pub fn $name(mut self) -> Self {
            self.draft.select.extra().locks.push(Lock {
                strength: LockStrength::$strength,
                of: Vec::new(),
                wait: LockWait::Wait,
            });
            self
        }
    )+};
}

/// WITH, unions, locks.
impl<S> QueryBuilder<S> {
    /// A query under a name, which this one can use as a table.
    pub fn with<Q>(self, name: impl Into<Cow<'static, str>>, query: QueryBuilder<Q>) -> Self {
        let select = query.draft.into_select();
        self.cte(name, select.map(Statement::from), false, None)
    }

    /// A query under a name that uses itself by that name, by [`union_all`](Self::union_all).
    pub fn with_recursive<Q>(
        self,
        name: impl Into<Cow<'static, str>>,
        query: QueryBuilder<Q>,
    ) -> Self {
        let select = query.draft.into_select();
        self.cte(name, select.map(Statement::from), true, None)
    }

    /// As [`with`](Self::with): computed once (`true`), or as part of this query (`false`).
    pub fn with_materialized<Q>(
        self,
        name: impl Into<Cow<'static, str>>,
        query: QueryBuilder<Q>,
        materialized: bool,
    ) -> Self {
        let select = query.draft.into_select();
        self.cte(name, select.map(Statement::from), false, Some(materialized))
    }

    /// A statement that changes rows, under a name by which this query can use what it returns.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let old = db.from("jobs").where_("done", "=", true).delete().returning("*");
    /// let gone = db.from("gone").with_change("gone", old).get().await?;
    /// # Ok(()) }
    /// ```
    pub fn with_change(
        self,
        name: impl Into<Cow<'static, str>>,
        change: impl IntoStatement,
    ) -> Self {
        self.cte(name, change.into_statement(), false, None)
    }

    fn cte(
        mut self,
        name: impl Into<Cow<'static, str>>,
        statement: Result<Statement<Value>, sql::Error>,
        recursive: bool,
        materialized: Option<bool>,
    ) -> Self {
        let cte = Name::new(name).and_then(|name| {
            Ok(Cte {
                name,
                columns: Vec::new(),
                recursive,
                materialized,
                statement: statement?,
            })
        });
        if let Some(cte) = self.draft.keep(cte) {
            self.draft.select.extra().with.push(cte);
        }
        self
    }

    combinations! {
        /// The rows of both, each once; order and limit are those of the whole.
        union Union false;
        /// The rows of both.
        union_all Union true;
        /// The rows that both have, each once.
        intersect Intersect false;
        /// The rows that both have.
        intersect_all Intersect true;
        /// The rows that only this one has, each once.
        except Except false;
        /// The rows that only this one has.
        except_all Except true;
    }

    fn combine<Q>(mut self, operator: SetOperator, all: bool, query: QueryBuilder<Q>) -> Self {
        let select = query.draft.into_select();
        if let Some(select) = self.draft.keep(select) {
            self.draft.select.extra().combine.push(Combination {
                operator,
                all,
                select: *select,
            });
        }
        self
    }

    locks! {
        /// Locks the rows until the transaction ends: nobody else changes, deletes or locks them.
        for_update Update;
        /// As `for_update`, but others may insert rows that refer to them.
        for_no_key_update NoKeyUpdate;
        /// Others may read and share the rows, not change them.
        for_share Share;
        /// Others may change all but the keys of the rows.
        for_key_share KeyShare;
    }

    /// Leaves rows out that somebody else has locked.
    pub fn skip_locked(self) -> Self {
        self.lock_wait(LockWait::SkipLocked)
    }

    /// Fails at once when somebody else has locked a row.
    pub fn no_wait(self) -> Self {
        self.lock_wait(LockWait::NoWait)
    }

    fn lock_wait(mut self, wait: LockWait) -> Self {
        match self.draft.select.extra().locks.last_mut() {
            Some(lock) => lock.wait = wait,
            None => self.draft.fail(no_lock()),
        }
        self
    }

    /// Locks the rows of these tables only, by the names that they have in the query.
    pub fn lock_of<N: Into<Cow<'static, str>>>(
        mut self,
        tables: impl IntoIterator<Item = N>,
    ) -> Self {
        let names: Result<Vec<_>, _> = tables.into_iter().map(Name::new).collect();
        if let Some(names) = self.draft.keep(names) {
            match self.draft.select.extra().locks.last_mut() {
                Some(lock) => lock.of = names,
                None => self.draft.fail(no_lock()),
            }
        }
        self
    }
}

#[cold]
fn no_lock() -> sql::Error {
    sql::Error::new(
        "there is no lock yet that this could be said of",
        "say `for_update` or another lock before it",
    )
}
