//! The one path of a call: permit → lap { route → connection → attempt → judge } → answers.

use std::sync::Arc;
use std::time::Duration;

use aquifer_core::backoff;
use aquifer_core::breaker::{Fault, Outcome};
use redis::{Cmd, RedisError, Value};

use super::fleet::Fleet;
use super::node::{Batch, Node};
use super::opener::Expected;
use super::traits::{Effect, Known};
use super::verdict::{self, Again, Verdict};
use crate::config::RedisAddress;
use crate::deadline::Deadline;
use crate::observe::RedisFinished;
use crate::wait::all;
use crate::{Error, ErrorKind, clock};

/// The wait before another lap: evenly from zero up to this, doubled each time.
const BACKOFF: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(200);

/// Most redirections that one command follows: nodes that send it round in circles are not followed
/// for the whole deadline.
const REDIRECTIONS_MAX: u32 = 16;

/// What a caller wants done.
pub(super) struct Call<'a> {
    pub(super) commands: &'a [Cmd],
    /// All or nothing.
    pub(super) atomic: bool,
    /// The caller says that doing it twice does no harm.
    pub(super) idempotent: bool,
    pub(super) timeout: Duration,
}

/// One command of a call.
struct Item<'a> {
    command: &'a Cmd,
    name: String,
    slot: Option<u16>,
    effect: Effect,
    /// Where it was sent on to, and whether behind ASKING.
    redirect: Option<(RedisAddress, bool)>,
    redirections: u32,
    attempts: u32,
    /// Why it must be tried again.
    cause: Option<Error>,
    answer: Option<Result<Value, Error>>,
}

/// How long a call takes at least that was not sent, so that a loop of such calls leaves time to those
/// who connect: by a wait that holds however often the future is polled.
const REFUSAL: Duration = Duration::from_millis(1);

/// Carries out a call: an answer or an error for each command, in their order.
///
/// Cancellation: what was sent may be carried out.
pub(super) async fn run(
    fleet: &Arc<Fleet>,
    call: &Call<'_>,
) -> Result<Vec<Result<Value, Error>>, Error> {
    let outcome = carry_out(fleet, call).await;
    let is_refused = match &outcome {
        Ok(answers) => answers.iter().all(is_unsent),
        Err(_) => true,
    };
    if is_refused {
        tokio::time::sleep(REFUSAL).await;
    }
    outcome
}

async fn carry_out(
    fleet: &Arc<Fleet>,
    call: &Call<'_>,
) -> Result<Vec<Result<Value, Error>>, Error> {
    let deadline = Deadline::after(call.timeout);
    let mut items = items(call)?;
    if call.atomic {
        one_slot(fleet, &mut items)?;
    }
    let permit = fleet.permit()?;
    let mut lap = 0;
    while items.iter().any(|item| item.answer.is_none()) {
        let wait = attempt(fleet, call, &mut items, deadline).await;
        lap += 1;
        let pause = match wait {
            true => backoff::delay(lap, BACKOFF, BACKOFF_MAX, clock::random()),
            false => Duration::ZERO,
        };
        if deadline.left() <= pause {
            for item in items.iter_mut().filter(|item| item.answer.is_none()) {
                let cause = item.cause.take();
                let late = || verdict::late(&item.name, Effect::Reads, call.timeout);
                item.answer = Some(Err(cause.unwrap_or_else(late)));
            }
        } else if wait && items.iter().any(|item| item.answer.is_none()) {
            tokio::time::sleep(pause).await;
        }
    }
    drop(permit);
    finished(fleet, &items, deadline.elapsed());
    Ok(items.into_iter().filter_map(|item| item.answer).collect())
}

/// Whether it was not even tried, as far as its error tells.
fn is_unsent(answer: &Result<Value, Error>) -> bool {
    answer.as_ref().is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::Connection | ErrorKind::Authentication | ErrorKind::Tls | ErrorKind::Closed
        )
    })
}

/// Tells those who count and measure.
fn finished(fleet: &Fleet, items: &[Item<'_>], elapsed: Duration) {
    let Some(first) = items.first() else { return };
    let answers = || items.iter().filter_map(|item| item.answer.as_ref());
    let looked_up = matches!(first.name.as_str(), "GET" | "GETEX" | "HGET") && items.len() == 1;
    let found = match &first.answer {
        Some(Ok(answer)) => Some(*answer != Value::Nil),
        _ => None,
    };
    fleet.opener.observers.redis_finished(&RedisFinished {
        command: &first.name,
        commands: items.len(),
        elapsed,
        hit: found.filter(|_| looked_up),
        error: answers().find_map(|answer| answer.as_ref().err()),
    });
}

fn items<'a>(call: &Call<'a>) -> Result<Vec<Item<'a>>, Error> {
    let mut items = Vec::with_capacity(call.commands.len());
    for command in call.commands {
        let known = Known::of(command);
        if let Some(why) = known.refusal() {
            let text = format!(
                "{} {why}; use a connection of its own: Redis::link",
                known.name()
            );
            return Err(Error::new(ErrorKind::Usage, text));
        }
        let effect = match call.idempotent {
            true => Effect::Settles,
            false => known.effect(),
        };
        items.push(Item {
            command,
            name: known.name().to_owned(),
            slot: known.slot(),
            effect,
            redirect: None,
            redirections: 0,
            attempts: 0,
            cause: None,
            answer: None,
        });
    }
    // All or nothing: if one may count twice, so may all.
    let worst = items.iter().map(|item| item.effect).max();
    if let (true, Some(worst)) = (call.atomic, worst) {
        for item in &mut items {
            item.effect = worst;
        }
    }
    Ok(items)
}

/// A transaction is one node's, so in a cluster all its keys are in one slot.
fn one_slot(fleet: &Fleet, items: &mut [Item<'_>]) -> Result<(), Error> {
    let slot = items.iter().find_map(|item| item.slot);
    let differs = |item: &Item<'_>| item.slot.is_some() && item.slot != slot;
    if fleet.is_cluster() && items.iter().any(differs) {
        let text = "the keys of an atomic pipeline are in several slots of the cluster; give them a \
                    common {tag}";
        return Err(Error::new(ErrorKind::Usage, text));
    }
    for item in items {
        item.slot = slot;
    }
    Ok(())
}

/// Commands that go to one node together.
struct Group {
    node: Arc<Node>,
    asking: bool,
    positions: Vec<usize>,
}

/// Sends all that has no answer yet, once; returns whether the next lap should wait a while.
async fn attempt(
    fleet: &Arc<Fleet>,
    call: &Call<'_>,
    items: &mut [Item<'_>],
    deadline: Deadline,
) -> bool {
    let groups = route(fleet, items, deadline).await;
    let sending = groups
        .iter()
        .map(|group| send(group, items, call, deadline));
    let outcomes = all(sending).await;
    let mut wait = false;
    for (group, verdicts) in groups.iter().zip(outcomes) {
        for (position, verdict) in group.positions.iter().zip(verdicts) {
            if let Some(item) = items.get_mut(*position) {
                let verdict = match verdict {
                    // A transaction can't be asked for; soon the slot is wholly here or there.
                    Verdict::Again(Again::Ask(_), error) if call.atomic => {
                        Verdict::Again(Again::Wait, error)
                    }
                    verdict => verdict,
                };
                wait |= judge(fleet, &group.node, item, verdict);
            }
        }
    }
    wait
}

async fn route(fleet: &Arc<Fleet>, items: &mut [Item<'_>], deadline: Deadline) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (position, item) in items.iter_mut().enumerate() {
        if item.answer.is_some() {
            continue;
        }
        let (node, asking) = match item.redirect.take() {
            Some((address, asking)) => (fleet.node_at(&address, Expected::Any), asking),
            None => match fleet.node_for(item.slot, deadline).await {
                Ok(node) => (Some(node), false),
                Err(error) => {
                    item.answer = Some(Err(item.cause.take().unwrap_or(error)));
                    continue;
                }
            },
        };
        let Some(node) = node else {
            item.answer = Some(Err(super::node::closed()));
            continue;
        };
        let group = groups
            .iter_mut()
            .find(|group| Arc::ptr_eq(&group.node, &node) && group.asking == asking);
        match group {
            Some(group) => group.positions.push(position),
            None => groups.push(Group {
                node,
                asking,
                positions: vec![position],
            }),
        }
    }
    groups
}

/// Sends one group; there is a verdict for each of its commands.
async fn send(
    group: &Group,
    items: &[Item<'_>],
    call: &Call<'_>,
    deadline: Deadline,
) -> Vec<Verdict> {
    let own: Vec<&Item<'_>> = group
        .positions
        .iter()
        .filter_map(|position| items.get(*position))
        .collect();
    let node = &group.node;
    // What the last attempt came to says more than that there is no connection now.
    let unsent = |item: &&Item<'_>, error: &Error| {
        Verdict::Failed(item.cause.clone().unwrap_or_else(|| error.clone()))
    };
    let permit = match node.permit() {
        Ok(permit) => permit,
        Err(error) => return own.iter().map(|item| unsent(item, &error)).collect(),
    };
    let connection = match node.connection(deadline).await {
        Ok(connection) => connection,
        Err(error) => {
            // Else its keeper takes the failure down.
            if error.kind() == ErrorKind::Timeout {
                node.record(permit, Outcome::Failed(Fault::Silent));
            }
            return own.iter().map(|item| unsent(item, &error)).collect();
        }
    };
    let batch = Batch {
        commands: own.iter().map(|item| item.command).collect(),
        atomic: call.atomic,
        asking: group.asking,
    };
    let sent_at = clock::now();
    let sent = deadline.run(batch.send(connection)).await;
    // Reads of one key are alike; scripts and pipelines are not.
    let alike = matches!(own.as_slice(), [item] if item.effect == Effect::Reads);
    match &sent {
        Ok(Ok(_)) if alike => node.record(permit, Outcome::AnsweredIn(clock::now() - sent_at)),
        Ok(Ok(_)) => node.record(permit, Outcome::Answered),
        // Its keeper takes down that the connection ended, once for all.
        Ok(Err(_)) => drop(permit),
        Err(_elapsed) => {
            node.record(permit, Outcome::Failed(Fault::Silent));
            node.doubt();
        }
    }
    let of_answer = match call.atomic {
        true => verdict::of_answer_within,
        false => verdict::of_answer,
    };
    verdicts(
        node,
        (&own, of_answer),
        sent.map_err(|_elapsed| call.timeout),
    )
}

/// How an answer is judged.
type OfAnswer = fn(Value, &str, &RedisAddress) -> Verdict;

/// A verdict for each command of what was sent together; without an answer in time, that is the error.
fn verdicts(
    node: &Node,
    (own, of_answer): (&[&Item<'_>], OfAnswer),
    sent: Result<Result<Vec<Value>, RedisError>, Duration>,
) -> Vec<Verdict> {
    let address = node.address();
    let each = |judge: &dyn Fn(&Item<'_>) -> Verdict| own.iter().map(|item| judge(item)).collect();
    match sent {
        Ok(Ok(answers)) if answers.len() == own.len() => own
            .iter()
            .zip(answers)
            .map(|(item, answer)| of_answer(answer, &item.name, address))
            .collect(),
        Ok(Ok(_)) => {
            node.doubt();
            let text = format!("Redis at {address} gave another number of answers than expected");
            each(&|_| Verdict::Failed(Error::new(ErrorKind::Protocol, text.clone())))
        }
        Ok(Err(error)) => {
            each(&|item| verdict::of_failure(&error, &item.name, item.effect, address))
        }
        Err(limit) => each(&|item| Verdict::Failed(verdict::late(&item.name, item.effect, limit))),
    }
}

/// Takes a verdict down; returns whether another attempt should wait a while.
fn judge(fleet: &Arc<Fleet>, node: &Arc<Node>, item: &mut Item<'_>, verdict: Verdict) -> bool {
    let (again, error) = match verdict {
        Verdict::Answer(answer) => {
            item.answer = Some(Ok(answer));
            return false;
        }
        Verdict::Failed(error) => {
            if error.kind() == ErrorKind::Connection {
                fleet.alarm();
            }
            item.answer = Some(Err(error));
            return false;
        }
        Verdict::Again(again, error) => (again, error),
    };
    // Whoever says so knows of something that the map does not.
    fleet.alarm();
    let wait = match &again {
        Again::Ask(_) => false,
        // To who was asked: the slot is on its way, and its owner does not know yet.
        Again::Moved(address) => address == node.address(),
        Again::Wait | Again::Rediscover | Again::Login | Again::Reconnect => true,
    };
    if prepare(fleet, node, item, again) {
        item.cause = Some(error);
    } else {
        item.redirect = None;
        item.answer = Some(Err(error));
    }
    wait
}

/// Makes ready for another attempt; returns whether there is one.
fn prepare(fleet: &Arc<Fleet>, node: &Arc<Node>, item: &mut Item<'_>, again: Again) -> bool {
    let attempts_max = fleet.opener.settings().attempts_max;
    match again {
        Again::Ask(address) => {
            item.redirect = Some((address, true));
            item.redirections += 1;
            item.redirections <= REDIRECTIONS_MAX && fleet.is_cluster()
        }
        Again::Moved(address) => {
            item.redirect = (address != *node.address()).then_some((address, false));
            item.redirections += 1;
            item.redirections <= REDIRECTIONS_MAX && fleet.is_cluster()
        }
        Again::Wait => true,
        // Perhaps the name of the one server leads to another one now: to be found out once.
        Again::Rediscover if fleet.is_single() => {
            node.reopen();
            item.attempts += 1;
            item.attempts < attempts_max.min(2)
        }
        Again::Rediscover => true,
        Again::Login => {
            node.doubt();
            item.attempts += 1;
            item.attempts < attempts_max
        }
        Again::Reconnect => {
            item.attempts += 1;
            item.attempts < attempts_max
        }
    }
}
