//! The one path of a call: permit → lap { route → connection → attempt → judge } → answers.

use std::sync::Arc;
use std::time::Duration;

use aquifer_core::backoff;
use redis::{Cmd, Value};

use super::first::all;
use super::fleet::Fleet;
use super::node::{Batch, Node};
use super::opener::Expected;
use super::traits::{Effect, Known};
use super::verdict::{self, Again, Verdict};
use crate::config::RedisAddress;
use crate::deadline::Deadline;
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

/// Carries out a call: an answer or an error for each command, in their order.
///
/// Cancellation: what was sent may be carried out.
pub(super) async fn run(
    fleet: &Arc<Fleet>,
    call: &Call<'_>,
) -> Result<Vec<Result<Value, Error>>, Error> {
    let deadline = Deadline::after(call.timeout);
    let mut items = items(call)?;
    if call.atomic {
        one_slot(fleet, &mut items)?;
    }
    let _permit = fleet.permit()?;
    let mut lap = 0;
    loop {
        let wait = attempt(fleet, call, &mut items, deadline).await;
        if items.iter().all(|item| item.answer.is_some()) {
            let answers = items.into_iter().filter_map(|item| item.answer);
            return Ok(answers.collect());
        }
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
        } else if wait {
            tokio::time::sleep(pause).await;
        }
    }
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
    let connection = match group.node.connection(deadline).await {
        Ok(connection) => connection,
        Err(error) => {
            let failed = |item: &&Item<'_>| unconnected(item, &error);
            return own.iter().map(failed).collect();
        }
    };
    let batch = Batch {
        commands: own.iter().map(|item| item.command).collect(),
        atomic: call.atomic,
        asking: group.asking,
    };
    let address = group.node.address();
    match deadline.run(batch.send(connection)).await {
        Ok(Ok(answers)) if answers.len() != own.len() => {
            group.node.doubt();
            let text = format!("Redis at {address} gave another number of answers than expected");
            let failed = || Verdict::Failed(Error::new(ErrorKind::Protocol, text.clone()));
            own.iter().map(|_item| failed()).collect()
        }
        Ok(Ok(answers)) => own
            .iter()
            .zip(answers)
            .map(|(item, answer)| verdict::of_answer(answer, &item.name, address))
            .collect(),
        Ok(Err(error)) => own
            .iter()
            .map(|item| verdict::of_failure(&error, &item.name, item.effect, address))
            .collect(),
        Err(_elapsed) => {
            group.node.doubt();
            own.iter()
                .map(|item| Verdict::Failed(verdict::late(&item.name, item.effect, call.timeout)))
                .collect()
        }
    }
}

/// Nothing was sent. What the last attempt came to says more than that there is no connection now.
fn unconnected(item: &Item<'_>, error: &Error) -> Verdict {
    Verdict::Failed(item.cause.clone().unwrap_or_else(|| error.clone()))
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
    let may_follow = item.redirections < REDIRECTIONS_MAX && fleet.is_cluster();
    let attempts_left = item.attempts + 1 < fleet.opener.settings().attempts_max;
    let mut wait = true;
    let goes_on = match again {
        Again::Ask(address) => {
            item.redirect = Some((address, true));
            item.redirections += 1;
            wait = false;
            may_follow
        }
        Again::Moved(address) => {
            // To who had it all along: the slots are on the way, and their owner does not know yet.
            wait = address == *node.address();
            item.redirect = (!wait).then_some((address, false));
            item.redirections += 1;
            fleet.alarm();
            may_follow
        }
        Again::Wait => {
            fleet.alarm();
            true
        }
        Again::Rediscover => {
            fleet.alarm();
            if fleet.is_single() {
                // Perhaps the name leads to another server now; to be found out once.
                node.reopen();
                item.attempts += 1;
                item.attempts < 2
            } else {
                true
            }
        }
        Again::Login | Again::Reconnect => {
            fleet.alarm();
            if again == Again::Login {
                node.doubt();
            }
            item.attempts += 1;
            attempts_left
        }
    };
    if goes_on {
        item.cause = Some(error);
    } else {
        item.redirect = None;
        item.answer = Some(Err(error));
    }
    wait
}
