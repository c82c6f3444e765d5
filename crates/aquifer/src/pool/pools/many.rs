//! One pool per host, kept in step with what is known about the hosts.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer_core::breaker::Order;
use aquifer_wire::Catalog;
use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::super::drain::Drained;
use super::super::{BreakerLane, Holder, Inner, Limits, Pool, PoolStatus, closed};
use super::Chosen;
use crate::deadline::Deadline;
use crate::observe::{HostRole, Observers};
use crate::tasks::Tasks;
use crate::topology::{Connector, Topology, View};
use crate::{Error, clock, wait};

/// What pools are made from.
#[derive(Debug)]
pub(crate) struct Plan {
    /// One for each host.
    pub(crate) connectors: Vec<Connector>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) limits: Limits,
    /// How long a read with a token waits for a replica.
    pub(crate) catchup_timeout: Duration,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) observers: Observers,
}

/// The pools of several hosts.
#[derive(Debug)]
pub(crate) struct Many {
    pub(super) topology: Topology,
    pub(super) plan: Plan,
    /// The pool of each host that is of use.
    pub(super) seats: Box<[ArcSwapOption<Inner>]>,
    /// The host of most calls; one behind the last while there is none.
    main: AtomicUsize,
    /// What changes rarely.
    books: Mutex<Books>,
    /// By turns for reads.
    pub(super) turn: AtomicUsize,
    /// Callers that wait for a host.
    pub(super) held: AtomicUsize,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Books {
    roles: Vec<Option<HostRole>>,
    /// Pools that were closed while something was under way on them, by host.
    retired: Vec<(usize, Pool)>,
    connections_max: Option<usize>,
    /// What an operator said of the breakers of hosts, for pools to come.
    orders: Vec<(usize, BreakerLane, Order)>,
    /// When the pause ends by itself, if there is one.
    paused_until: Option<Instant>,
}

impl Many {
    pub(crate) fn new(topology: Topology, plan: Plan) -> Arc<Self> {
        let hosts = plan.connectors.len();
        let many = Arc::new(Self {
            topology,
            plan,
            seats: (0..hosts).map(|_| ArcSwapOption::empty()).collect(),
            main: AtomicUsize::new(hosts),
            books: Mutex::new(Books {
                roles: vec![None; hosts],
                retired: Vec::new(),
                connections_max: None,
                orders: Vec::new(),
                paused_until: None,
            }),
            turn: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&many);
        many.topology.on_change(move |view| {
            if let Some(many) = weak.upgrade() {
                many.follow(view);
            }
        });
        many
    }

    /// The pool of the host that most calls go to.
    pub(crate) fn main(&self) -> Option<Chosen<'static>> {
        let host = self.main.load(Ordering::Acquire);
        self.seat(host)
    }

    pub(super) fn seat(&self, host: usize) -> Option<Chosen<'static>> {
        let pool = self.seats.get(host)?.load_full()?;
        Some(Chosen::OneOf(Pool(pool), host))
    }

    /// Opens and closes pools as the hosts' parts ask for.
    ///
    /// A host that stopped to be the primary is cut off: what was under way there would be lost, and
    /// sessions may still lead to where it was before. One that does not answer gets nothing new,
    /// but what is under way may end, unless another host has taken over.
    fn follow(&self, view: &View) {
        let mut books = self.books();
        if self.is_closed() {
            return;
        }
        let mut cut = Vec::new();
        for (host, seen) in view.hosts.iter().enumerate() {
            cut.extend(self.follow_host(host, seen.role, view.main, &mut books));
        }
        let main = view.main.unwrap_or(self.seats.len());
        if self.main.swap(main, Ordering::AcqRel) != main
            && let Some(pool) = self.seat(main)
        {
            pool.want();
        }
        books.retired.retain(|(_, pool)| pool.status().in_use > 0);
        drop(books);
        for pool in cut {
            pool.cut();
        }
    }

    /// Opens or closes the pool of one host; hands back those that are to be cut off.
    fn follow_host(
        &self,
        host: usize,
        role: Option<HostRole>,
        main: Option<usize>,
        books: &mut Books,
    ) -> Vec<Pool> {
        let (Some(seat), Some(before)) = (self.seats.get(host), books.roles.get_mut(host)) else {
            return Vec::new();
        };
        let before = std::mem::replace(before, role);
        let is_of_use = matches!(role, Some(HostRole::Primary | HostRole::Standby));
        let stepped_down = before == Some(HostRole::Primary) && role == Some(HostRole::Standby);
        let is_replaced = match role {
            Some(HostRole::Fenced) => true,
            Some(HostRole::Unreachable) => main.is_some(),
            _ => stepped_down,
        };
        let mut cut = Vec::new();
        if is_replaced {
            let retired = books.retired.extract_if(.., |(of, _)| *of == host);
            cut.extend(retired.map(|(_, pool)| pool));
        }
        let ended = (stepped_down || !is_of_use).then(|| seat.swap(None));
        match ended.flatten().map(Pool) {
            Some(pool) if is_replaced => cut.push(pool),
            Some(pool) => {
                pool.retire();
                books.retired.push((host, pool));
            }
            None => {}
        }
        if is_of_use && seat.load().is_none() {
            let pool = self.pool(host, books);
            if let Some(pool) = &pool {
                // Also of a standby that nobody reads from: its sessions take writes as soon as it is
                // promoted, so that nobody has to wait for a login then.
                pool.want();
            }
            seat.store(pool.map(|pool| pool.0));
        }
        cut
    }

    fn pool(&self, host: usize, books: &Books) -> Option<Pool> {
        let connector = self.plan.connectors.get(host)?.clone();
        let (limits, tasks) = (self.plan.limits.clone(), &self.plan.tasks);
        let reports = self.topology.reports(host);
        let observers = self.plan.observers.clone();
        let pool = Pool::new(connector, limits, tasks, observers, reports);
        if let Some(connections_max) = books.connections_max {
            pool.set_size(connections_max);
        }
        if let Some(until) = books.paused_until.filter(|until| clock::now() < *until) {
            pool.hold(until);
        }
        for (_, lane, order) in books.orders.iter().filter(|(of, ..)| *of == host) {
            pool.order_breaker(*lane, *order);
        }
        Some(pool)
    }

    /// All pools, those that are being given up included.
    fn all(&self) -> Vec<Pool> {
        let seats = self.seats.iter().filter_map(ArcSwapOption::load_full);
        let mut pools: Vec<Pool> = seats.map(Pool).collect();
        let books = self.books();
        pools.extend(books.retired.iter().map(|(_, pool)| pool.clone()));
        pools
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.plan.catalog
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.plan.connectors.iter().any(Connector::is_pooled)
    }

    pub(crate) fn lanes_max(&self) -> usize {
        self.plan.limits.lanes
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn resize(&self, connections_max: usize) {
        self.books().connections_max = Some(connections_max);
        for pool in self.all() {
            pool.resize(connections_max);
        }
    }

    /// Cancellation: the pools are resumed, each by itself.
    pub(crate) async fn pause(&self, hold_max: Duration) -> Result<(), Error> {
        if self.is_closed() {
            return Err(closed());
        }
        let left = Deadline::after(hold_max).left();
        self.books().paused_until = Some(clock::now() + left);
        let resumes = Resume(Some(self));
        // Some may be given up, also while this waits; what is under way on them must end, too.
        let pools = self.all();
        let outcomes = wait::all(pools.iter().map(|pool| pool.come_to_rest(hold_max))).await;
        for outcome in outcomes {
            outcome?;
        }
        resumes.done();
        Ok(())
    }

    /// Carries out an operator's word, now and for the pools that the host will have; whether there is
    /// such a host.
    pub(in crate::pool) fn order_breaker(
        &self,
        host: &str,
        lane: BreakerLane,
        order: Order,
    ) -> bool {
        let mut names = self.topology.names().iter();
        let Some(index) = names.position(|name| **name == *host) else {
            return false;
        };
        {
            let mut books = self.books();
            books
                .orders
                .retain(|(of, on, _)| (*of, *on) != (index, lane));
            if order != Order::Reset {
                books.orders.push((index, lane, order));
            }
        }
        if let Some(pool) = self.seat(index) {
            pool.order_breaker(lane, order);
        }
        true
    }

    pub(crate) fn resume(&self) {
        self.books().paused_until = None;
        for pool in self.all() {
            pool.resume();
        }
    }

    /// Cancellation: the pools stay closed; what is under way goes on.
    pub(crate) async fn drain(&self, soft: Deadline, hard: Deadline) -> Drained {
        {
            // Under the lock, so that no pool is made from now on.
            let _books = self.books();
            self.closed.store(true, Ordering::Release);
        }
        let pools = self.all();
        self.topology.close();
        let drained = wait::all(pools.iter().map(|pool| pool.drain(soft, hard))).await;
        drained.into_iter().fold(Drained::default(), Drained::plus)
    }

    /// The pools of the hosts that are of use.
    pub(in crate::pool) fn present(&self) -> impl Iterator<Item = Pool> + '_ {
        self.seats
            .iter()
            .filter_map(|seat| seat.load_full().map(Pool))
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let pools = self.all();
        let sum = pools.iter().map(Pool::status);
        let mut sum = sum.fold(PoolStatus::default(), PoolStatus::plus);
        sum.waiting += self.held.load(Ordering::Relaxed);
        sum
    }

    pub(crate) fn holders(&self) -> Vec<Holder> {
        let pools = self.all();
        let mut holders: Vec<Holder> = pools.iter().flat_map(Pool::holders).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held));
        holders
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resumes all, unless all were paused.
struct Resume<'a>(Option<&'a Many>);

impl Resume<'_> {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Resume<'_> {
    fn drop(&mut self) {
        if let Some(many) = self.0.take() {
            many.resume();
        }
    }
}
