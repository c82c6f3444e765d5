//! Finds out who the masters are, by asking sentinels or the nodes of a cluster; reads only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, ServerError, Value};

use super::node::{Batch, Node};
use super::slot::SLOTS;
use crate::config::RedisAddress;
use crate::deadline::Deadline;
use crate::{Error, ErrorKind, wait};

/// What was found: the masters' addresses, sorted, and of a cluster the owner of each slot by
/// position.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) masters: Vec<RedisAddress>,
    pub(super) slots: Option<Vec<u16>>,
}

/// Marks a slot that nobody has.
const NOBODY: u16 = u16::MAX;

/// Asks all sentinels that are connected and believes the one with the newest configuration: a
/// sentinel that is cut off from the others knows an old master.
pub(super) async fn by_sentinels(
    sentinels: &[Arc<Node>],
    service: &str,
    limit: Duration,
) -> Result<Found, Error> {
    // The one knows how new its configuration is, the other who the master is also while the other
    // replicas are still being told, which may take seconds.
    let commands = ["MASTER", "GET-MASTER-ADDR-BY-NAME"].map(|question| {
        let mut command = redis::cmd("SENTINEL");
        command.arg(question).arg(service);
        command
    });
    // One that is away is not waited for, unless all are.
    let (ready, away): (Vec<_>, Vec<_>) = sentinels.iter().partition(|node| node.is_ready());
    let asked = if ready.is_empty() { away } else { ready };
    let answers = wait::all(asked.into_iter().map(|node| ask(node, &commands, limit))).await;
    let mut newest = None;
    let mut cause = None;
    for answer in answers {
        match answer.and_then(|answers| master_of(&answers, service)) {
            Ok(named) if newest.as_ref().is_none_or(|(epoch, _)| *epoch < named.0) => {
                newest = Some(named);
            }
            Ok(_older) => {}
            Err(error) => cause = Some(error),
        }
    }
    match (newest, cause) {
        (Some((_epoch, master)), _) => Ok(Found {
            masters: vec![master],
            slots: None,
        }),
        (None, cause) => Err(cause.unwrap_or_else(|| nobody("sentinel"))),
    }
}

/// Asks one node after the other until one knows the slots.
pub(super) async fn by_cluster(nodes: &[Arc<Node>], limit: Duration) -> Result<Found, Error> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let mut cause = None;
    let (ready, others): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.is_ready());
    for node in ready.into_iter().chain(others) {
        let answers = ask(node, std::slice::from_ref(&command), limit).await;
        match answers.and_then(|answers| slots_of(&answers, node.address())) {
            Ok(found) => return Ok(found),
            Err(error) => cause = Some(error),
        }
    }
    Err(cause.unwrap_or_else(|| nobody("node")))
}

fn nobody(kind: &str) -> Error {
    let text = format!("no {kind} of Redis could be asked for the master");
    Error::new(ErrorKind::Connection, text)
}

async fn ask(node: &Arc<Node>, commands: &[Cmd], limit: Duration) -> Result<Vec<Value>, Error> {
    let deadline = Deadline::after(limit);
    let connection = node.connection(deadline).await?;
    let batch = Batch {
        commands: commands.iter().collect(),
        atomic: false,
        asking: false,
    };
    let asked = deadline.run(batch.send(connection)).await;
    let refused = |text: String| Error::new(ErrorKind::Connection, text);
    match asked {
        Ok(Ok(answers)) => match answers.iter().find_map(as_error) {
            Some(error) => Err(refused(format!(
                "Redis at {} does not say who the master is: {error}",
                node.address()
            ))),
            None => Ok(answers),
        },
        Ok(Err(error)) => Err(refused(format!(
            "Redis at {} could not be asked for the master: {error}",
            node.address()
        ))),
        Err(_elapsed) => {
            node.doubt();
            Err(refused(format!(
                "Redis at {} did not say within {limit:?} who the master is",
                node.address()
            )))
        }
    }
}

fn as_error(answer: &Value) -> Option<&ServerError> {
    match answer {
        Value::ServerError(error) => Some(error),
        _ => None,
    }
}

/// The configuration's number and the master's address.
fn master_of(answers: &[Value], service: &str) -> Result<(u64, RedisAddress), Error> {
    let unreadable = || {
        let text = format!("a sentinel's answer about {service} can't be read");
        Error::new(ErrorKind::Protocol, text)
    };
    let [described, address] = answers else {
        return Err(unreadable());
    };
    let fields: BTreeMap<String, String> =
        redis::from_redis_value_ref(described).map_err(|_unreadable| unreadable())?;
    let epoch = fields
        .get("config-epoch")
        .and_then(|epoch| epoch.parse().ok());
    let (host, port): (String, u16) =
        redis::from_redis_value_ref(address).map_err(|_unreadable| unreadable())?;
    let address = RedisAddress::Tcp { host, port };
    Ok((epoch.ok_or_else(unreadable)?, address))
}

/// The masters and their slots, from CLUSTER SLOTS; a node without a host is at that of `asked`.
fn slots_of(answers: &[Value], asked: &RedisAddress) -> Result<Found, Error> {
    let unreadable = || {
        Error::new(
            ErrorKind::Protocol,
            "the answer to CLUSTER SLOTS can't be read",
        )
    };
    let [Value::Array(ranges)] = answers else {
        return Err(unreadable());
    };
    let mut owners: Vec<(u16, u16, RedisAddress)> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Value::Array(parts) = range else {
            return Err(unreadable());
        };
        let [Value::Int(from), Value::Int(to), Value::Array(master), ..] = parts.as_slice() else {
            return Err(unreadable());
        };
        let [host, Value::Int(port), ..] = master.as_slice() else {
            return Err(unreadable());
        };
        let host: Option<String> = redis::from_redis_value_ref(host).ok().flatten();
        let host = match (host.as_deref(), asked) {
            (None | Some("" | "?"), RedisAddress::Tcp { host, .. }) => host.clone(),
            (Some(host), _) => host.to_owned(),
            (None, RedisAddress::Unix(_)) => return Err(unreadable()),
        };
        let number = |number: i64| u16::try_from(number).map_err(|_no_slot| unreadable());
        let port = number(*port)?;
        owners.push((
            number(*from)?,
            number(*to)?.min(SLOTS - 1),
            RedisAddress::Tcp { host, port },
        ));
    }
    let mut masters: Vec<RedisAddress> = owners.iter().map(|(_, _, owner)| owner.clone()).collect();
    masters.sort();
    masters.dedup();
    if masters.is_empty() {
        let text = "the node knows of no slots: is the cluster made, and the node a part of it?";
        return Err(Error::new(ErrorKind::Connection, text));
    }
    let mut slots = vec![NOBODY; usize::from(SLOTS)];
    for (from, to, owner) in owners {
        let position = masters.binary_search(&owner).ok();
        let position = position.and_then(|position| u16::try_from(position).ok());
        if let Some(range) = slots.get_mut(usize::from(from)..=usize::from(to)) {
            range.fill(position.unwrap_or(NOBODY));
        }
    }
    Ok(Found {
        masters,
        slots: Some(slots),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> RedisAddress {
        let host = host.to_owned();
        RedisAddress::Tcp { host, port }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(from: i64, to: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![
            host,
            Value::Int(port),
            text("id"),
            Value::Array(vec![]),
        ]);
        Value::Array(vec![Value::Int(from), Value::Int(to), master])
    }

    #[test]
    fn slots_go_to_the_masters_that_have_them() {
        let answer = Value::Array(vec![
            range(0, 99, text("b"), 2),
            range(100, 16_383, text("a"), 1),
            range(100, 150, text("b"), 2),
        ]);
        let found = slots_of(&[answer], &tcp("x", 9)).expect("an answer as servers give it");
        assert_eq!(found.masters, [tcp("a", 1), tcp("b", 2)]);
        let slots = found.slots.expect("a cluster has slots");
        let at = [0, 99, 100, 150, 151, 16_383].map(|slot| slots[slot]);
        assert_eq!(at, [1, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn a_node_that_does_not_know_its_host_is_where_it_was_asked() {
        for host in [Value::Nil, text(""), text("?")] {
            let answer = Value::Array(vec![range(0, 0, host, 7)]);
            let found = slots_of(&[answer], &tcp("asked", 9)).expect("an answer");
            assert_eq!(found.masters, [tcp("asked", 7)]);
        }
    }

    #[test]
    fn answers_that_make_no_sense_are_errors() {
        let bad = [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(-1, 0, text("a"), 1)]),
            Value::Array(vec![range(0, 0, text("a"), 70_000)]),
        ];
        for answer in bad {
            let answers = [answer];
            assert!(slots_of(&answers, &tcp("x", 9)).is_err(), "{answers:?}");
        }
        // Backwards, or beyond the last slot: taken as far as it goes.
        let answer = Value::Array(vec![
            range(9, 1, text("a"), 1),
            range(5, 20_000, text("a"), 1),
        ]);
        assert!(slots_of(&[answer], &tcp("x", 9)).is_ok());
    }

    #[test]
    fn a_sentinel_names_the_master_and_how_new_that_is() {
        let flat = |words: &[&str]| Value::Array(words.iter().map(|word| text(word)).collect());
        // The address of the description is still that of the old master.
        let described = flat(&["ip", "old", "port", "1", "config-epoch", "3"]);
        let answers = [described.clone(), flat(&["h", "7"])];
        assert_eq!(
            master_of(&answers, "shop").expect("an answer"),
            (3, tcp("h", 7))
        );
        let bad = [
            vec![],
            vec![described.clone()],
            vec![described.clone(), Value::Nil],
            vec![described, flat(&["h", "x"])],
            vec![flat(&["ip", "h"]), flat(&["h", "7"])],
        ];
        for answers in bad {
            let error = master_of(&answers, "shop").expect_err("no answer");
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }
}
