//! The first statements of a transaction, which travel together with its BEGIN.

use std::sync::Arc;

use bytes::BytesMut;

use super::execute::{Encoded, is_doubtful};
use super::{Client, TransactionStatus};
use crate::Error;
use crate::parameters::{check_count, encode};
use crate::queue::Sharing;
use crate::reply::{self, Reply};
use crate::request::{Bound, Request};
use crate::statement::Statement;
use crate::types::Params;

impl Client {
    /// Begins a transaction with the text `begin` and runs its first statements, in one round trip.
    ///
    /// All stand under one Sync, so that the server runs nothing when BEGIN fails;
    /// [`status`](Self::status) is then `Idle` after the error. A new [turn](Self::turn) begins once
    /// it is sent.
    ///
    /// `None` when the statements can't travel with BEGIN: one is not described yet, its parameters
    /// do not fit, or its plan is stale. No transaction is open then, and nothing took effect.
    ///
    /// # Errors
    /// As [`query`](Self::query); the first error ends the batch.
    ///
    /// # Cancel safety
    /// What was sent is still carried out; the transaction stays open, as the turn tells.
    pub async fn open(
        &self,
        begin: &str,
        statements: &[(&str, &(dyn Params + Sync))],
    ) -> Result<Option<Vec<Reply>>, Error> {
        let Some(known) = self.encode_known(begin, statements)? else {
            return Ok(None);
        };
        let bound: Vec<_> = known
            .iter()
            .map(|(statement, parameters)| Bound {
                statement,
                parameters,
            })
            .collect();
        let frames = self
            .send(&Request::Execute(&bound), Sharing::Opening)
            .await?;
        let answered = known.iter().map(|(statement, _)| statement);
        match self.judge(reply::read(&frames, answered)) {
            Ok(replies) => {
                let mut replies = self.refresh_all(replies, &known).await?;
                replies.drain(..1);
                Ok(Some(replies))
            }
            Err(error) if reply::is_stale(&error) || is_doubtful(&error) => {
                if reply::is_stale(&error) {
                    for (statement, _) in &known {
                        self.drop_stale(statement, &error);
                    }
                }
                if self.status() != TransactionStatus::Idle {
                    self.control("rollback").await?;
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// BEGIN and the statements, encoded; `None` when one is unknown or its parameters do not fit.
    fn encode_known(
        &self,
        begin: &str,
        statements: &[(&str, &(dyn Params + Sync))],
    ) -> Result<Option<Vec<Encoded>>, Error> {
        let mut known = Vec::with_capacity(statements.len() + 1);
        let mut parameters = BytesMut::new();
        let begin = self.begin_statement(begin);
        encode(&begin, &(), &mut parameters)?;
        known.push((begin, parameters));
        for (sql, params) in statements {
            check_count(*params)?;
            let Some(statement) = self.described(sql) else {
                return Ok(None);
            };
            let mut parameters = BytesMut::new();
            if encode(&statement, *params, &mut parameters).is_err() {
                return Ok(None);
            }
            known.push((statement, parameters));
        }
        Ok(Some(known))
    }

    /// BEGIN has neither parameters nor columns, so the server need not be asked about it.
    fn begin_statement(&self, begin: &str) -> Arc<Statement> {
        self.described(begin).unwrap_or_else(|| {
            let id = Statement::next_id();
            let statement = Arc::new(Statement::new(id, begin, Vec::new(), Arc::default()));
            self.descriptions().keep(Arc::clone(&statement));
            statement
        })
    }
}
