//! A call and its first attempt, which is all that nearly every read of a busy service takes.

use std::future::ready as at_once;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aquifer_core::retry::Intent;
use aquifer_wire::{Client, Reply, Sharing, Started, Statement, Unfinished};
use tokio::time::Instant;

use super::route::Place;
use super::told::Queue;
use super::{Engine, Failed, lane, refused, run_laps, write};
use crate::deadline::{Deadline, Elapsed, LateTimer};
use crate::pool::{Chosen, Lane, ReadPermit, TICK};
use crate::statement::Call;
use crate::{Error, clock};

/// A call that takes another way than the usual one.
pub(crate) type BoxedRun<'a> = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + 'a>>;

/// Whether a call takes another way, asked when it is made.
pub(crate) type Instead = for<'a> fn(&'a Engine, Call<'a>) -> Option<BoxedRun<'a>>;

/// Runs one statement, again where that is safe and may help; made by [`run`](super::run).
///
/// A read that the first lane answers is polled by hand: each `async fn` that stands within another one
/// would keep a state of its own and hand the answer on by a copy. All else is boxed, so that the future
/// of such a read is small.
#[must_use = "a call that is not awaited is not made"]
pub(crate) struct Run<'a> {
    engine: &'a Engine,
    call: Call<'a>,
    state: State<'a>,
}

enum State<'a> {
    /// Nothing has happened yet.
    New(Instead),
    OnLane(OnLane<'a>),
    Boxed(BoxedRun<'a>),
    /// As `Boxed`, and when it began nobody wanted to know what it changes.
    Untold(BoxedRun<'a>),
    /// On its way from one state to another.
    Between,
}

/// A read that was sent on a lane; dropped, it gives back what it holds.
struct OnLane<'a> {
    start: Instant,
    /// Until it is known how the read ended.
    permit: Option<ReadPermit<Chosen<'a>>>,
    statement: Arc<Statement>,
    lane: Arc<Client>,
    started: Started,
    timer: LateTimer,
}

/// A read that was or should have been sent on a lane, and got no answer there so far.
struct Tried<'a> {
    start: Instant,
    permit: ReadPermit<Chosen<'a>>,
    statement: Arc<Statement>,
    lane: Arc<Client>,
}

/// Why a read was not answered by its lane.
enum Left {
    Late,
    Unfinished(Unfinished),
}

impl<'a> Run<'a> {
    pub(super) fn new(engine: &'a Engine, call: Call<'a>, instead: Instead) -> Self {
        Self {
            engine,
            call,
            state: State::New(instead),
        }
    }
}

impl Future for Run<'_> {
    type Output = Result<Reply, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            engine,
            call,
            state,
        } = self.get_mut();
        if let State::New(instead) = *state {
            *state = match instead(engine, *call) {
                Some(boxed) => State::Boxed(boxed),
                None => begin(engine, *call),
            };
        }
        if let State::OnLane(read) = state {
            let left = match ready!(read.poll(engine, *call, context)) {
                Ok(reply) => return Poll::Ready(Ok(reply)),
                Err(left) => left,
            };
            if let State::OnLane(OnLane {
                start,
                permit: Some(permit),
                statement,
                lane,
                ..
            }) = std::mem::replace(state, State::Between)
            {
                let tried = Tried {
                    start,
                    permit,
                    statement,
                    lane,
                };
                *state = State::Boxed(Box::pin(go_on(engine, *call, tried, left)));
            }
        }
        if let State::Untold(boxed) = state {
            let outcome = ready!(boxed.as_mut().poll(context));
            if engine.watch().is_none() {
                return Poll::Ready(outcome);
            }
            let (engine, call) = (*engine, *call);
            *state = State::Boxed(Box::pin(async move {
                let list = [(call.sql, call.params)];
                engine.telling(&list, at_once(outcome)).await
            }));
        }
        match state {
            State::Boxed(boxed) => boxed.as_mut().poll(context),
            // A future is not polled again after it was ready.
            State::New(_) | State::OnLane(_) | State::Untold(_) | State::Between => Poll::Pending,
        }
    }
}

/// Makes the first attempt, if it is one on a lane.
fn begin<'a>(engine: &'a Engine, call: Call<'a>) -> State<'a> {
    let start = clock::now();
    engine.first_attempt(start);
    let mut first = None;
    if let Some(pool) = engine.present(call.sql) {
        match Place::of(engine, &pool, call.sql) {
            Place::Lane(statement, lane) if lane::is_bare(engine, &pool) => {
                return send(engine, call, (start, pool), (statement, lane));
            }
            Place::Alone(Some(statement)) if write::is_bare(engine, &statement) => {
                let deadline = Deadline::since(start, engine.query_timeout);
                let place = (pool, statement);
                let write = write::run(engine, call, deadline, place);
                return boxed(engine, call, write);
            }
            place => first = Some((pool, Ok(place))),
        }
    }
    let deadline = Deadline::since(start, engine.query_timeout);
    let start = (deadline, Queue::default());
    boxed(engine, call, run_laps(engine, call, start, first))
}

/// What may write, and tells then what it has changed where somebody wants to know.
fn boxed<'a>(
    engine: &'a Engine,
    call: Call<'a>,
    work: impl Future<Output = Result<Reply, Error>> + Send + 'a,
) -> State<'a> {
    if engine.watch().is_none() {
        return State::Untold(Box::pin(work));
    }
    let work = Box::pin(work);
    State::Boxed(Box::pin(async move {
        let list = [(call.sql, call.params)];
        engine.telling(&list, work).await
    }))
}

fn send<'a>(
    engine: &'a Engine,
    call: Call<'a>,
    (start, pool): (Instant, Chosen<'a>),
    (statement, lane): (Arc<Statement>, Lane),
) -> State<'a> {
    let permit = match ReadPermit::of(pool, start) {
        Ok(permit) => permit,
        Err((pool, refusal)) => {
            return State::Boxed(Box::pin(async move {
                let failed = refused(pool.read_refused(refusal).await, Intent::Read);
                let deadline = Deadline::since(start, engine.query_timeout);
                Err(engine.never_sent(call, deadline, failed))
            }));
        }
    };
    let is_woken = engine.query_timeout > 2 * TICK && lane.wakes_callers();
    let lane = lane.into_client();
    let started = lane.start(&statement, call.params, Sharing::Shared);
    match started {
        Ok(started) => State::OnLane(OnLane {
            start,
            permit: Some(permit),
            statement,
            lane,
            started,
            timer: LateTimer::new(is_woken),
        }),
        Err(unfinished) => {
            let tried = Tried {
                start,
                permit,
                statement,
                lane,
            };
            let left = Left::Unfinished(unfinished);
            State::Boxed(Box::pin(go_on(engine, call, tried, left)))
        }
    }
}

impl OnLane<'_> {
    /// The answer; not to be asked for again once it was there.
    fn poll(
        &mut self,
        engine: &Engine,
        call: Call<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Reply, Left>> {
        let (lane, statement) = (&self.lane, &self.statement);
        match lane.poll_reply(&mut self.started, statement, context) {
            Poll::Ready(Ok(reply)) => {
                if let Some(permit) = self.permit.take() {
                    engine.note_answer(permit.pool().name());
                    let elapsed = lane::note_time((lane, permit), statement, self.start);
                    engine.read_finished(call, statement, (&reply, elapsed));
                }
                Poll::Ready(Ok(reply))
            }
            Poll::Ready(Err(unfinished)) => Poll::Ready(Err(Left::Unfinished(unfinished))),
            Poll::Pending => {
                let deadline = || Deadline::since(self.start, engine.query_timeout);
                self.timer.poll(deadline, context).map(|()| Err(Left::Late))
            }
        }
    }
}

/// Does what the lane left undone.
async fn go_on(
    engine: &Engine,
    call: Call<'_>,
    tried: Tried<'_>,
    left: Left,
) -> Result<Reply, Error> {
    let Tried {
        start,
        permit,
        statement,
        lane,
    } = tried;
    let deadline = Deadline::since(start, engine.query_timeout);
    let outcome = match left {
        Left::Late => Err(Elapsed),
        Left::Unfinished(unfinished) => {
            let what = (&statement, call.params);
            let answer = lane.finish(what, Sharing::Shared, unfinished);
            deadline.run(answer).await
        }
    };
    let pool = permit.pool().clone();
    let place: Result<Place, Failed> = match outcome {
        Ok(Ok(reply)) => {
            engine.note_answer(pool.name());
            let elapsed = lane::note_time((&lane, permit), &statement, start);
            engine.read_finished(call, &statement, (&reply, elapsed));
            return Ok(reply);
        }
        Ok(Err(error)) => match lane::failure(&pool, (&lane, permit), &statement, error) {
            None => Ok(Place::Alone(Some(statement))),
            Some(failed) => Err(failed.on(engine, &pool)),
        },
        Err(Elapsed) => {
            lane::note_silence(&pool, permit, deadline);
            let error = engine.timed_out(deadline, call.sql);
            Err(refused(error, Intent::Read))
        }
    };
    drop(lane);
    let start = (deadline, Queue::default());
    Box::pin(run_laps(engine, call, start, Some((pool, place)))).await
}
