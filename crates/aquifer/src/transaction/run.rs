//! Statements of a transaction.

use std::panic::Location;
use std::time::Duration;

use aquifer_core::scan::{self, Class};
use aquifer_wire::{Kind, Reply, Sharing};

use super::Transaction;
use super::opening::{self, First};
use crate::bulk::{Need, Seat};
use crate::deadline::Deadline;
use crate::execute::{
    Told, announce, announce_text, may_write, refuse_copy, refuse_copy_in_script,
    refuse_session_state,
};
use crate::pool::{Checkout, XID};
use crate::session::{Session, sealed};
use crate::statement::{Batch, Call, Prepared};
use crate::{Error, ErrorKind};

impl Session for Transaction {}

impl sealed::Run for Transaction {
    async fn run<'a>(&'a self, call: Call<'a>) -> Result<Reply, Error> {
        let statement = async {
            self.refuse(call.sql)?;
            if !self.0.root.is_begun() {
                let list = [(call.sql, call.params)];
                // Boxed: it happens once per transaction, and would be most of each call's future.
                let first = Box::pin(self.open(call.sql, First::Statements(&list)));
                if let Some(reply) = first.await?.and_then(|mut replies| replies.pop()) {
                    return Ok(reply);
                }
            }
            self.statement(call).await
        };
        let root = &self.0.root;
        let list = [(call.sql, call.params)];
        let _noted = root.changes.when_over(&root.engine, &list);
        let told = Told::in_transaction(call.sql, call.location);
        root.engine.observed(told, statement).await
    }

    fn rows_decoded(&self, call: Call<'_>, rows: usize, elapsed: Duration) {
        let observers = &self.0.root.engine.observers;
        observers.rows_decoded((call.sql, call.location), rows, elapsed);
    }

    async fn run_batch(
        &self,
        batch: Batch<'_>,
        location: &'static Location<'static>,
    ) -> Result<Vec<Reply>, Error> {
        let statements = batch.statements()?;
        let text = batch.text();
        let root = &self.0.root;
        let _noted = root.changes.when_over(&root.engine, &statements);
        let all = self.batch_of(&statements, &text);
        let told = Told::in_transaction(&text, location);
        root.engine.observed(told, all).await
    }

    async fn seat(&self, need: Need, location: &'static Location<'static>) -> Result<Seat, Error> {
        if need == Need::AllOrNone {
            let savepoint = self.clone().savepoint(location).await?;
            return savepoint.into_seat(true).await;
        }
        self.clone().into_seat(false).await
    }

    async fn run_script(
        &self,
        sql: &str,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        let script = async {
            let scan = scan::scan(sql);
            if scan.class == Class::TransactionControl {
                return Err(control());
            }
            refuse_session_state(&self.0.root.engine, sql)?;
            refuse_copy_in_script(sql)?;
            drop(Box::pin(self.open(sql, First::Apart)).await?);
            let (checkout, turn) = self.checkout()?;
            if announce_text(&scan, &checkout) {
                self.0.root.set_unasked();
            }
            let request = checkout.client().script_within(sql, turn);
            self.on_connection(sql, &checkout, request).await.map(drop)
        };
        let root = &self.0.root;
        let list: [Prepared<'_>; 1] = [(sql, &())];
        let _noted = root.changes.when_over(&root.engine, &list);
        let told = Told::in_transaction(sql, location);
        root.engine.observed(told, script).await
    }
}

impl Transaction {
    /// BEGIN, COMMIT and the like inside a transaction would end it behind the handle's back; COPY
    /// would end its connection.
    fn refuse(&self, sql: &str) -> Result<(), Error> {
        if scan::controls_transaction(sql) {
            return Err(control());
        }
        let root = &self.0.root;
        if root.options.is_read_only() && scan::scan(sql).class > Class::Read {
            // SET TRANSACTION READ WRITE, for one.
            root.set_unasked();
        }
        refuse_session_state(&root.engine, sql)?;
        refuse_copy(sql)
    }

    /// Runs one statement of a transaction that has begun.
    async fn statement(&self, call: Call<'_>) -> Result<Reply, Error> {
        let (checkout, turn) = self.checkout()?;
        let root = &self.0.root;
        let sharing = Sharing::Within(turn);
        let client = checkout.client();
        let request = async {
            let statement = client.statement(call.sql, sharing).await?;
            announce(&statement, &checkout);
            if !(root.asks_for_xid(&checkout) && may_write(&statement)) {
                return client.run(&statement, call.params, sharing).await.map(Some);
            }
            let list = [(call.sql, call.params), (XID, &() as _)];
            let question = root.question();
            let mut replies = Box::pin(client.batch(&list, sharing)).await?;
            question.end(Some(&mut replies));
            Ok(replies.pop())
        };
        let reply = self.on_connection(call.sql, &checkout, request).await?;
        reply.ok_or_else(unanswered)
    }

    pub(super) async fn batch_of(
        &self,
        statements: &[Prepared<'_>],
        text: &str,
    ) -> Result<Vec<Reply>, Error> {
        for (sql, _) in statements {
            self.refuse(sql)?;
        }
        let root = &self.0.root;
        if !root.is_begun() && !statements.is_empty() {
            let first = Box::pin(self.open(text, First::Statements(statements)));
            if let Some(replies) = first.await? {
                return Ok(replies);
            }
        }
        let (checkout, turn) = self.checkout()?;
        let mut writes = false;
        for (sql, _) in statements {
            writes |= announce_text(&scan::scan(sql), &checkout) && !scan::sets(sql);
        }
        let asks = writes && root.asks_for_xid(&checkout);
        let mut all = statements.to_vec();
        all.extend(asks.then_some((XID, &() as _)));
        let question = asks.then(|| root.question());
        let request = Box::pin(checkout.client().batch(&all, Sharing::Within(turn)));
        let mut replies = self.on_connection(text, &checkout, request).await?;
        if let Some(question) = question {
            question.end(Some(&mut replies));
        }
        Ok(replies)
    }

    /// Begins on the server together with what comes first, within the time of one call.
    pub(super) async fn open(
        &self,
        what: &str,
        first: First<'_>,
    ) -> Result<Option<Vec<Reply>>, Error> {
        let deadline = Deadline::after(self.0.root.engine.query_timeout);
        match deadline.run(opening::open(self, first, deadline)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                if let Ok(checkout) = self.0.link.active() {
                    checkout.stop().await;
                }
                Err(self.note(self.0.root.engine.timed_out(deadline, what)))
            }
        }
    }

    /// Runs one request on the connection, within the time of one call.
    pub(super) async fn on_connection<T>(
        &self,
        what: &str,
        checkout: &Checkout,
        request: impl Future<Output = Result<T, aquifer_wire::Error>>,
    ) -> Result<T, Error> {
        let deadline = Deadline::after(self.0.root.engine.query_timeout);
        match deadline.run(request).await {
            Ok(Ok(value)) => Ok(value),
            // It ended, or a savepoint was opened, while the statement was being described.
            Ok(Err(error)) if error.kind() == Kind::Overtaken => {
                let why = self.checkout().err();
                Err(why.unwrap_or_else(|| Error::from_wire(error, false)))
            }
            // A failure before COMMIT takes effect nowhere: the server rolls back.
            Ok(Err(error)) => Err(self.note(Error::from_wire(error, false))),
            Err(_) => {
                // Nobody else uses this connection, so a cancel hits this statement only.
                checkout.stop().await;
                Err(self.note(self.0.root.engine.timed_out(deadline, what)))
            }
        }
    }
}

fn control() -> Error {
    Error::new(
        ErrorKind::Usage,
        "transaction control can't run as a statement; use `commit`, `rollback` and, for a \
         savepoint, `begin` of the transaction's handle",
    )
}

fn unanswered() -> Error {
    Error::new(
        ErrorKind::Protocol,
        "the server answered fewer statements than it was sent",
    )
}
