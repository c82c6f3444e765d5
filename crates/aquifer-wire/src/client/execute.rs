//! Statements and batches, and what is done when a description no longer fits.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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

/// A statement that was sent by [`Client::start`] and whose answer is waited for.
///
/// Dropped, its answer is thrown away when it comes; the statement is carried out.
#[derive(Debug)]
pub struct Started(Answer);

/// Why a statement that was started has no reply yet: [`Client::finish`] goes on from there.
#[derive(Debug)]
pub struct Unfinished(Cause);

#[derive(Debug)]
enum Cause {
    /// A neighbour under the same Sync failed first; nothing was done.
    Skipped,
    /// The session returned other columns than were described.
    Changed(Box<Reply>),
    Failed(Error),
}

impl Client {
    /// Runs a statement whose description is known; otherwise as [`query`](Self::query).
    ///
    /// # Errors
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    /// As [`query`](Self::query).
    pub fn run<'a>(
        &'a self,
        statement: &'a Arc<Statement>,
        params: &'a (dyn Params + Sync),
        sharing: Sharing,
    ) -> impl Future<Output = Result<Reply, Error>> + Send + 'a {
        Run {
            client: self,
            what: (statement, params),
            sharing,
            state: State::New,
        }
    }

    /// Sends a statement whose description is known, for a caller that polls by hand: what
    /// [`run`](Self::run) does first.
    ///
    /// # Errors
    /// When it could not be sent; [`finish`](Self::finish) says why, or sends it after all.
    #[inline]
    pub fn start(
        &self,
        statement: &Statement,
        params: &(dyn Params + Sync),
        sharing: Sharing,
    ) -> Result<Started, Unfinished> {
        match self.submit(statement, params, sharing) {
            Ok(answer) => Ok(Started(answer)),
            Err(error) => Err(Unfinished(Cause::Failed(error))),
        }
    }

    /// The reply to a statement of this client that was started; not to be asked for again once it
    /// was there.
    ///
    /// # Errors
    /// When there is none for now; [`finish`](Self::finish) goes on from there.
    #[inline]
    pub fn poll_reply(
        &self,
        started: &mut Started,
        statement: &Statement,
        context: &mut Context<'_>,
    ) -> Poll<Result<Reply, Unfinished>> {
        let Poll::Ready(answer) = Pin::new(&mut started.0).poll(context) else {
            return Poll::Pending;
        };
        let unfinished = match answer {
            Ok(Some(frames)) => match self.judge(reply::read_one(frames, statement)) {
                Ok(reply) if reply.changed_fields.is_none() => return Poll::Ready(Ok(reply)),
                Ok(reply) => Cause::Changed(Box::new(reply)),
                Err(error) => Cause::Failed(error),
            },
            Ok(None) => Cause::Skipped,
            Err(error) => Cause::Failed(error),
        };
        Poll::Ready(Err(Unfinished(unfinished)))
    }

    /// Does what is left to do for a statement that was started and is `unfinished`: the rest of
    /// what [`run`](Self::run) does.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    /// As [`query`](Self::query).
    pub async fn finish(
        &self,
        (statement, params): (&Arc<Statement>, &(dyn Params + Sync)),
        sharing: Sharing,
        unfinished: Unfinished,
    ) -> Result<Reply, Error> {
        let mut renewed = None;
        let Unfinished(mut cause) = unfinished;
        loop {
            let current = renewed.as_ref().unwrap_or(statement);
            let again = match cause {
                Cause::Skipped => self.attempt(current, params, Sharing::Own).await,
                Cause::Changed(reply) => match self.described_anew(*reply, current).await {
                    Ok(reply) => Ok(reply),
                    Err(error) => Err(Unfinished(Cause::Failed(error))),
                },
                Cause::Failed(error)
                    if renewed.is_some() || !reply::is_stale(&error) && !is_doubtful(&error) =>
                {
                    return Err(error);
                }
                Cause::Failed(error) => {
                    let fresh = self.prepared_anew(statement, sharing, error).await?;
                    let fresh = renewed.insert(fresh);
                    self.attempt(fresh, params, sharing).await
                }
            };
            match again {
                Ok(reply) => return Ok(reply),
                Err(Unfinished(next)) => cause = next,
            }
        }
    }

    /// Sends a statement and waits for its reply.
    async fn attempt(
        &self,
        statement: &Statement,
        params: &(dyn Params + Sync),
        sharing: Sharing,
    ) -> Result<Reply, Unfinished> {
        let mut started = self.start(statement, params, sharing)?;
        poll_fn(|context| self.poll_reply(&mut started, statement, context)).await
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

/// A statement that runs; see [`Client::run`].
///
/// Polled by hand: of nested `async fn`s each would keep a state of its own and hand on the reply by a
/// copy. What is rare is boxed.
struct Run<'a> {
    client: &'a Client,
    what: (&'a Arc<Statement>, &'a (dyn Params + Sync)),
    sharing: Sharing,
    state: State<'a>,
}

type Rest<'a> = dyn Future<Output = Result<Reply, Error>> + Send + 'a;

enum State<'a> {
    New,
    Started(Started),
    Unfinished(Pin<Box<Rest<'a>>>),
}

impl Future for Run<'_> {
    type Output = Result<Reply, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let run = self.get_mut();
        let (client, what) = (run.client, run.what);
        let (statement, params) = what;
        loop {
            let outcome = match &mut run.state {
                State::New => match client.start(statement, params, run.sharing) {
                    Ok(started) => {
                        run.state = State::Started(started);
                        continue;
                    }
                    Err(unfinished) => Err(unfinished),
                },
                State::Started(started) => {
                    ready!(client.poll_reply(started, statement, context))
                }
                State::Unfinished(rest) => return rest.as_mut().poll(context),
            };
            match outcome {
                Ok(reply) => return Poll::Ready(Ok(reply)),
                Err(unfinished) => {
                    let rest = client.finish(what, run.sharing, unfinished);
                    run.state = State::Unfinished(Box::pin(rest));
                }
            }
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
