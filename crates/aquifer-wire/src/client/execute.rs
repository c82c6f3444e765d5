//! Statements and batches, and what is done when a description no longer fits.

use std::sync::Arc;

use bytes::BytesMut;

use super::{Client, TransactionStatus};
use crate::parameters::{check_count, encode};
use crate::queue::Sharing;
use crate::reply::{self, Field, Reply};
use crate::request::{self, Bound, Request};
use crate::slot::Answer;
use crate::statement::{Columns, Statement};
use crate::types::{Params, Type};
use crate::{Error, Kind, lookup};

/// A statement with its encoded parameters.
pub(super) type Encoded = (Arc<Statement>, BytesMut);

impl Client {
    /// Runs a statement whose description is known; otherwise as [`query`](Self::query).
    ///
    /// # Errors
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    /// As [`query`](Self::query).
    pub async fn run(
        &self,
        statement: &Arc<Statement>,
        params: &(dyn Params + Sync),
        sharing: Sharing,
    ) -> Result<Reply, Error> {
        let mut renewed = None;
        let mut attempt = sharing;
        loop {
            let current = renewed.as_ref().unwrap_or(statement);
            let read = match self.submit(current, params, attempt) {
                Ok(answer) => match answer.await {
                    Ok(Some(frames)) => self.judge(reply::read_one(frames, current)),
                    Ok(None) => {
                        attempt = Sharing::Own;
                        continue;
                    }
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            let error = match read {
                Ok(reply) if reply.changed_fields.is_none() => return Ok(reply),
                // Boxed, as what follows: it is rare, and would be most of each call's future.
                Ok(reply) => match Box::pin(self.described_anew(reply, current)).await {
                    Ok(reply) => return Ok(reply),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if renewed.is_some() || !reply::is_stale(&error) && !is_doubtful(&error) {
                return Err(error);
            }
            renewed = Some(Box::pin(self.prepared_anew(statement, sharing, error)).await?);
            attempt = sharing;
        }
    }

    /// Sends a statement with its parameters.
    fn submit(
        &self,
        statement: &Statement,
        params: &(dyn Params + Sync),
        sharing: Sharing,
    ) -> Result<Answer, Error> {
        request::with_buffer(|parameters| {
            encode(statement, params, parameters)?;
            let bound = [Bound {
                statement,
                parameters,
            }];
            self.shared.push(&Request::Execute(&bound), sharing)
        })
    }

    /// The statement with a description made anew, where `error` says that it may help.
    async fn prepared_anew(
        &self,
        statement: &Arc<Statement>,
        sharing: Sharing,
        error: Error,
    ) -> Result<Arc<Statement>, Error> {
        self.renew(std::slice::from_ref(statement), sharing, error)
            .await?;
        let fresh = self.statement(statement.sql(), sharing).await?;
        fresh.update_note(|_| Some(statement.note()));
        Ok(fresh)
    }

    /// The reply with the columns that the session described.
    async fn described_anew(
        &self,
        mut reply: Reply,
        statement: &Statement,
    ) -> Result<Reply, Error> {
        if let Some(fields) = reply.changed_fields.take() {
            reply.columns = self.columns_anew(&fields, statement).await?;
        }
        Ok(reply)
    }

    /// Runs several statements in one round trip and one transaction; all or none take effect,
    /// unless a transaction is open, which they then join. Their Sync is never shared with others.
    ///
    /// # Errors
    /// As [`query`](Self::query); the first error ends the batch.
    ///
    /// # Cancel safety
    /// As [`query`](Self::query).
    pub async fn batch(
        &self,
        statements: &[(&str, &(dyn Params + Sync))],
        sharing: Sharing,
    ) -> Result<Vec<Reply>, Error> {
        let sharing = sharing.alone();
        let mut again = false;
        loop {
            let known = self.encode_all(statements, sharing).await?;
            let bound: Vec<_> = known
                .iter()
                .map(|(statement, parameters)| Bound {
                    statement,
                    parameters,
                })
                .collect();
            if bound.is_empty() {
                return Ok(Vec::new());
            }
            let frames = self.send(&Request::Execute(&bound), sharing).await?;
            let statements = known.iter().map(|(statement, _)| statement);
            let error = match self.judge(reply::read(&frames, statements)) {
                Ok(replies) => return self.refresh_all(replies, &known).await,
                Err(error) => error,
            };
            // What a member has committed must not be done twice.
            if again
                || !reply::is_stale(&error) && !is_doubtful(&error)
                || reply::may_have_committed(&frames)
            {
                return Err(error);
            }
            let statements: Vec<_> = known.into_iter().map(|(statement, _)| statement).collect();
            self.renew(&statements, sharing, error).await?;
            again = true;
        }
    }

    async fn encode_all(
        &self,
        statements: &[(&str, &(dyn Params + Sync))],
        sharing: Sharing,
    ) -> Result<Vec<Encoded>, Error> {
        let mut known = Vec::with_capacity(statements.len());
        for (sql, params) in statements {
            check_count(*params)?;
            let mut statement = self.statement(sql, sharing).await?;
            let mut parameters = BytesMut::new();
            if let Err(error) = encode(&statement, *params, &mut parameters) {
                let renewed = self.renew(std::slice::from_ref(&statement), sharing, error);
                Box::pin(renewed).await?;
                statement = self.statement(sql, sharing).await?;
                parameters.clear();
                encode(&statement, *params, &mut parameters)?;
            }
            known.push((statement, parameters));
        }
        Ok(known)
    }

    pub(super) async fn refresh_all(
        &self,
        mut replies: Vec<Reply>,
        known: &[Encoded],
    ) -> Result<Vec<Reply>, Error> {
        for (reply, (statement, _)) in replies.iter_mut().zip(known) {
            if let Some(fields) = reply.changed_fields.take() {
                reply.columns = Box::pin(self.columns_anew(&fields, statement)).await?;
            }
        }
        Ok(replies)
    }

    /// A session that prepares a statement says its columns anew; where they differ from the
    /// description, the session is right and the description is dropped. Others may still have it,
    /// so the next who comes with it prepares it anew too: then the session says what it returns.
    pub(crate) async fn columns_anew(
        &self,
        fields: &[Field],
        statement: &Statement,
    ) -> Result<Arc<Columns>, Error> {
        self.descriptions().forget(statement);
        self.shared.queue().names.forget(statement.id);
        match lookup::columns(self, fields, Sharing::Own).await {
            Ok(columns) => Ok(Arc::new(columns)),
            // The look-up may not have been sent; the statement was.
            Err(error) => Err(error.with_sent(true)),
        }
    }

    /// After an error that may come from descriptions that no longer fit: sees to it that the
    /// statements are described as they are now. Gives the error back where running them again is
    /// of no use, or could do something twice.
    async fn renew(
        &self,
        statements: &[Arc<Statement>],
        sharing: Sharing,
        error: Error,
    ) -> Result<(), Error> {
        let stale = reply::is_stale(&error);
        if !stale && !is_doubtful(&error) {
            return Err(error);
        }
        // Outside a transaction the server has undone all that it began.
        let lost = error.sent() && self.status() != TransactionStatus::Idle;
        if stale || lost {
            for statement in statements {
                self.drop_stale(statement, &error);
            }
            return if lost { Err(error) } else { Ok(()) };
        }
        let mut altered = false;
        for statement in statements {
            altered |= self.is_altered(statement, sharing).await;
        }
        if altered { Ok(()) } else { Err(error) }
    }

    /// Whether the statement takes other parameters by now than its description says; then the new
    /// description is kept in its place.
    async fn is_altered(&self, statement: &Statement, sharing: Sharing) -> bool {
        let descriptions = self.descriptions();
        let newer = descriptions.statement(statement.sql());
        if newer.is_some_and(|newer| newer.parameters() != statement.parameters()) {
            return true;
        }
        let is_custom = |ty: &Type| Type::from_oid(ty.oid()).is_none();
        if statement.parameters().iter().any(is_custom) {
            self.catalog.forget_types();
        }
        // An error here says nothing new: the caller has one already.
        let Ok(fresh) = self.ask_description(statement.sql(), sharing).await else {
            return false;
        };
        let mut queue = self.shared.queue();
        if fresh.parameters() == statement.parameters() {
            queue.names.forget(fresh.id);
            return false;
        }
        queue.names.forget(statement.id);
        drop(queue);
        descriptions.keep(fresh);
        true
    }

    /// Has a statement described anew when it is used next, if the error says that it must be.
    pub(crate) fn drop_if_stale(&self, statement: &Statement, error: &Error) {
        if reply::is_stale(error) || is_doubtful(error) {
            self.drop_stale(statement, error);
        }
    }

    pub(super) fn drop_stale(&self, statement: &Statement, error: &Error) {
        self.catalog.forget(statement);
        self.descriptions().forget(statement);
        self.shared.queue().names.forget(statement.id);
        if error.sqlstate().is_some_and(|state| state.class() == "XX") {
            self.catalog.forget_types();
        }
    }
}

/// Whether the error is one that a description of other types causes: a value that does not fit a
/// parameter, or a statement that the server takes no longer before it executes anything of it.
pub(super) fn is_doubtful(error: &Error) -> bool {
    match error.sqlstate() {
        Some(state) => state.class() == "42" && !error.executed(),
        None => error.kind() == Kind::Encode,
    }
}
