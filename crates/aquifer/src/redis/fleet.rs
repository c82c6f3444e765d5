//! All servers of one Redis, and the task that follows them when they change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use aquifer_core::backoff;
use tokio::sync::{Notify, Semaphore, TryAcquireError, watch};
use tokio::time::Instant;

use super::discovery::{self, Found};
use super::map::Map;
use super::node::{Node, closed};
use super::opener::{Expected, Opener};
use crate::config::{RedisAddress, RedisLayout};
use crate::deadline::Deadline;
use crate::observe::{Event, Service};
use crate::{Error, ErrorKind, Retry, clock, wait};

/// How often the masters are looked for while all is well: what nobody complains about, a master
/// that is cut off from its sentinels, is noticed by this.
const SENTINELS_ASKED: Duration = Duration::from_secs(1);
const CLUSTER_ASKED: Duration = Duration::from_secs(10);

/// And after something went wrong, for as long as it does: evenly up to this, and at least a part.
const ALARM: Duration = Duration::from_millis(100);
const ALARM_LEAST: Duration = Duration::from_millis(20);

/// After so many failures in a row to find any master callers are told so at once.
const FAILURES_WAITED: u32 = 3;

/// All servers of one Redis.
pub(super) struct Fleet {
    pub(super) opener: Arc<Opener>,
    map: watch::Sender<Map>,
    /// Every node that is kept, masters, sentinels and seeds.
    nodes: Mutex<BTreeMap<RedisAddress, Arc<Node>>>,
    alarm: Arc<Notify>,
    /// As many permits as calls may be under way.
    gate: Arc<Semaphore>,
    requests_max: usize,
    closing: AtomicBool,
}

impl Fleet {
    /// Begins to connect in the background.
    pub(super) fn start(opener: Arc<Opener>) -> Arc<Self> {
        let requests_max = opener.settings().requests_max;
        let fleet = Arc::new(Self {
            map: watch::Sender::new(Map::default()),
            nodes: Mutex::default(),
            alarm: Arc::new(Notify::new()),
            gate: Arc::new(Semaphore::new(requests_max)),
            requests_max,
            closing: AtomicBool::new(false),
            opener,
        });
        match &fleet.opener.settings().target.layout {
            RedisLayout::Single(address) => {
                let node = fleet.node_at(address, Expected::Any);
                fleet.map.send_modify(|map| map.masters.extend(node));
            }
            RedisLayout::Sentinel { .. } | RedisLayout::Cluster(_) => {
                let director = Director {
                    fleet: Arc::downgrade(&fleet),
                    alarm: Arc::clone(&fleet.alarm),
                    vacant: None,
                };
                drop(fleet.opener.tasks.spawn(director.run()));
            }
        }
        fleet
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(
            self.opener.settings().target.layout,
            RedisLayout::Cluster(_)
        )
    }

    pub(super) fn is_single(&self) -> bool {
        matches!(self.opener.settings().target.layout, RedisLayout::Single(_))
    }

    pub(super) fn map(&self) -> Map {
        self.map.borrow().clone()
    }

    /// Which runs of which masters there are now; none while one of them is not known.
    pub(super) fn identity(&self) -> Option<u64> {
        let map = self.map.borrow();
        let runs = map.masters.iter();
        let runs = runs.map(|node| self.opener.run_at(node.address()));
        // The same in whatever order they stand.
        let both = |one: Option<u64>, other: Option<u64>| Some(one?.wrapping_add(other?));
        runs.reduce(both).flatten()
    }

    /// One place among the calls that may be under way; given back when it is dropped.
    pub(super) fn permit(&self) -> Result<impl Drop + use<'_>, Error> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(closed());
        }
        self.gate.try_acquire().map_err(|refused| match refused {
            TryAcquireError::Closed => closed(),
            TryAcquireError::NoPermits => {
                let text = format!(
                    "{} calls to Redis are under way, which is as many as may be (requests_max); \
                     it answers too slowly for this load",
                    self.requests_max
                );
                Error::new(ErrorKind::Acquire, text)
            }
        })
    }

    /// The node for a slot; waits until the masters are known, but not while looking for them fails
    /// again and again.
    pub(super) async fn node_for(
        &self,
        slot: Option<u16>,
        deadline: Deadline,
    ) -> Result<Arc<Node>, Error> {
        let mut map = self.map.subscribe();
        loop {
            let cause = {
                let map = map.borrow_and_update();
                if map.closed {
                    return Err(closed());
                }
                if let Some(node) = map.node(slot) {
                    return Ok(Arc::clone(node));
                }
                let cause = match &map.cause {
                    Some(cause) => cause.clone(),
                    None => unknown_master(deadline),
                };
                if map.failures >= FAILURES_WAITED {
                    return Err(cause);
                }
                cause
            };
            if deadline.run(map.changed()).await.is_err() {
                return Err(cause);
            }
        }
    }

    /// The node at an address, which is started if it is not there; `None` after the end.
    pub(super) fn node_at(&self, address: &RedisAddress, expected: Expected) -> Option<Arc<Node>> {
        let mut nodes = self.nodes();
        if self.map.borrow().closed {
            return None;
        }
        let started = nodes
            .entry(address.clone())
            .or_insert_with(|| Node::start(address.clone(), expected, &self.opener));
        Some(Arc::clone(started))
    }

    /// Has the masters looked for, now.
    pub(super) fn alarm(&self) {
        self.alarm.notify_one();
    }

    /// Refuses new calls, waits for those under way until the deadline, and closes all connections.
    pub(super) async fn close(&self, deadline: Deadline) {
        self.closing.store(true, Ordering::Relaxed);
        let all = u32::try_from(self.requests_max).unwrap_or(u32::MAX);
        let drained = deadline.run(self.gate.acquire_many(all)).await;
        self.end();
        drop(drained);
    }

    fn end(&self) {
        self.gate.close();
        let nodes = {
            let mut nodes = self.nodes();
            self.map.send_modify(|map| {
                *map = Map {
                    closed: true,
                    ..Map::default()
                };
            });
            std::mem::take(&mut *nodes)
        };
        for node in nodes.values() {
            node.close();
        }
        self.alarm();
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<RedisAddress, Arc<Node>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when this Redis was closed, or is no more.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut map = self.map.subscribe();
        async move {
            let _closed_or_gone = map.wait_for(|map| map.closed).await;
        }
    }

    /// Resolves when each master is connected.
    pub(super) async fn connected(&self) {
        let mut changes = self.map.subscribe();
        loop {
            let masters = changes.borrow_and_update().masters.clone();
            let never = Deadline::after(Duration::MAX);
            let all = wait::all(masters.iter().map(|node| node.connection(never))).await;
            if !all.is_empty() && all.iter().all(Result::is_ok) {
                return;
            }
            tokio::time::sleep(ALARM).await;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}

fn unknown_master(deadline: Deadline) -> Error {
    let text = format!(
        "the master of Redis was not found within {:?} (redis_timeout)",
        deadline.limit()
    );
    Error::new(ErrorKind::Timeout, text).with_retry(Retry::Safe)
}

/// Looks for the masters from time to time, and at once when somebody complains.
struct Director {
    fleet: Weak<Fleet>,
    alarm: Arc<Notify>,
    /// Since when a master has not been connected.
    vacant: Option<Instant>,
}

impl Director {
    async fn run(mut self) {
        loop {
            let Some(fleet) = self.fleet.upgrade() else {
                return;
            };
            if fleet.map.borrow().closed {
                return;
            }
            let found = look(&fleet).await;
            let well = match found {
                Ok(found) => self.apply(&fleet, found),
                Err(cause) => {
                    fleet.map.send_modify(|map| {
                        map.failures = map.failures.saturating_add(1);
                        map.cause = Some(cause);
                    });
                    false
                }
            };
            let calm = if fleet.is_cluster() {
                CLUSTER_ASKED
            } else {
                SENTINELS_ASKED
            };
            drop(fleet);
            self.rest(well, calm).await;
        }
    }

    /// Waits until the next look is due.
    async fn rest(&self, well: bool, calm: Duration) {
        let jittered = |most, random| backoff::delay(1, most, most, random);
        if well {
            // A tenth more or less, so that many processes don't ask together.
            let wait = calm.mul_f64(0.9) + jittered(calm.mul_f64(0.2), clock::random());
            let complaint = self.alarm.notified();
            if Deadline::after(wait).run(complaint).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(ALARM_LEAST + jittered(ALARM, clock::random())).await;
    }

    /// Takes what was found as the new view; returns whether all is well with it.
    fn apply(&mut self, fleet: &Arc<Fleet>, found: Found) -> bool {
        let before = fleet.map();
        let addresses: Vec<_> = before
            .masters
            .iter()
            .map(|node| node.address().clone())
            .collect();
        let same_slots = before.slots.as_deref() == found.slots.as_deref();
        if addresses != found.masters || !same_slots || before.failures > 0 {
            self.switch(fleet, &before, &found);
        }
        let map = fleet.map.borrow();
        let ready = map.is_covered() && map.masters.iter().all(|node| node.is_ready());
        if ready {
            self.vacant = None;
        } else if self.vacant.is_none() {
            self.vacant = Some(clock::now());
        }
        ready
    }

    fn switch(&self, fleet: &Arc<Fleet>, before: &Map, found: &Found) {
        let expected = match fleet.is_cluster() {
            true => Expected::Any,
            false => Expected::Master,
        };
        let masters: Vec<_> = found
            .masters
            .iter()
            .filter_map(|address| fleet.node_at(address, expected))
            .collect();
        if masters.len() != found.masters.len() {
            return; // It was closed meanwhile.
        }
        let next = Map {
            masters,
            slots: found.slots.clone().map(Arc::from),
            ..Map::default()
        };
        let successions = successions(before, &next);
        fleet.map.send_if_modified(|map| {
            if map.closed {
                return false;
            }
            *map = next;
            true
        });
        let kept = kept(fleet, found);
        let gone: Vec<_> = {
            let mut nodes = fleet.nodes();
            let (stay, gone): (BTreeMap<_, _>, _) = std::mem::take(&mut *nodes)
                .into_iter()
                .partition(|(address, _)| kept.contains(address));
            *nodes = stay;
            gone.into_values().collect()
        };
        for node in gone {
            node.close();
        }
        // Last: whoever writes on hearing of it must reach the new master.
        for (from, to) in successions {
            fleet.opener.observers.publish(Event::Failover {
                service: Service::Redis,
                from: Some(from.to_string().into()),
                to: to.to_string().into(),
                gap: self
                    .vacant
                    .map_or(Duration::ZERO, |since| clock::now() - since),
            });
        }
    }
}

/// The addresses that are of use besides: those that are asked.
fn kept(fleet: &Fleet, found: &Found) -> Vec<RedisAddress> {
    let asked = match &fleet.opener.settings().target.layout {
        RedisLayout::Sentinel { sentinels, .. } => sentinels.as_slice(),
        RedisLayout::Cluster(seeds) => seeds.as_slice(),
        RedisLayout::Single(_) => &[],
    };
    asked.iter().chain(&found.masters).cloned().collect()
}

/// Which masters were replaced, and by whom: of a cluster, those that lost all their slots to one
/// that had none.
fn successions(before: &Map, next: &Map) -> Vec<(RedisAddress, RedisAddress)> {
    let mut successions = Vec::new();
    for (position, node) in before.masters.iter().enumerate() {
        if next.at(node.address()).is_some() {
            continue;
        }
        let slot = before.slots.as_ref().and_then(|slots| {
            let owned = |owner: &u16| usize::from(*owner) == position;
            u16::try_from(slots.iter().position(owned)?).ok()
        });
        let successor = next.node(slot);
        if let Some(to) = successor.filter(|to| before.at(to.address()).is_none()) {
            successions.push((node.address().clone(), to.address().clone()));
        }
    }
    successions
}

async fn look(fleet: &Arc<Fleet>) -> Result<Found, Error> {
    let settings = fleet.opener.settings();
    let limit = settings.check_timeout * 2;
    match &settings.target.layout {
        RedisLayout::Sentinel { sentinels, service } => {
            let sentinels: Vec<_> = sentinels
                .iter()
                .filter_map(|address| fleet.node_at(address, Expected::Sentinel))
                .collect();
            discovery::by_sentinels(&sentinels, service, limit).await
        }
        RedisLayout::Cluster(seeds) => {
            let mut nodes = fleet.map().masters;
            for address in seeds {
                let known = nodes.iter().any(|node| node.address() == address);
                if !known {
                    nodes.extend(fleet.node_at(address, Expected::Any));
                }
            }
            discovery::by_cluster(&nodes, limit).await
        }
        RedisLayout::Single(address) => Ok(Found {
            masters: vec![address.clone()],
            slots: None,
        }),
    }
}
