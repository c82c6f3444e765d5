use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::cut::{Cut, Ending, Moment};
use super::{Direction, Mode};

/// What a [`Proxy`](super::Proxy) has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    accepted: u64,
    open: u64,
    cuts: u64,
    bytes: [u64; 2],
    messages: HashMap<(Direction, u8), u64>,
}

impl Traffic {
    /// Connections accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open
    }

    /// Cuts that were made at a message.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// Bytes delivered.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.bytes[0],
            Direction::ToClient => self.bytes[1],
        }
    }

    /// Messages with this tag that were delivered whole; see [`tag`](super::tag).
    #[must_use]
    pub fn messages(&self, direction: Direction, tag: u8) -> u64 {
        self.messages.get(&(direction, tag)).copied().unwrap_or(0)
    }
}

/// What one connection has been told.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    pub(super) ending: Option<Ending>,
    pub(super) half_closed: [bool; 2],
}

impl Orders {
    pub(super) fn apply(&mut self, ending: Ending) {
        match ending {
            Ending::HalfClose(Direction::ToServer) => self.half_closed[0] = true,
            Ending::HalfClose(Direction::ToClient) => self.half_closed[1] = true,
            Ending::Close | Ending::Reset | Ending::Silence => self.ending = Some(ending),
        }
    }

    pub(super) fn half_closed(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.half_closed[0],
            Direction::ToClient => self.half_closed[1],
        }
    }
}

/// What the handle, the accepting task and the connections share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) modes: watch::Sender<Modes>,
    pub(super) traffic: watch::Sender<Traffic>,
    inner: Mutex<Inner>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Modes {
    pub(super) to_server: Mode,
    pub(super) to_client: Mode,
}

impl Modes {
    pub(super) fn of(&self, direction: Direction) -> Mode {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    cuts: Vec<Cut>,
    orders: HashMap<u64, watch::Sender<Orders>>,
    /// The ports from which connections come to the server.
    from: HashMap<u16, u64>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            modes: watch::Sender::new(Modes {
                to_server: Mode::Pass,
                to_client: Mode::Pass,
            }),
            traffic: watch::Sender::default(),
            inner: Mutex::default(),
        }
    }

    /// Registers a connection; its number, and where its orders arrive.
    pub(super) fn accepted(&self) -> (u64, watch::Receiver<Orders>) {
        let mut inner = self.inner();
        let mut number = 0;
        self.traffic.send_modify(|traffic| {
            traffic.accepted += 1;
            traffic.open += 1;
            number = traffic.accepted;
        });
        for cut in &mut inner.cuts {
            cut.accepted(number);
        }
        let (sender, receiver) = watch::channel(Orders::default());
        inner.orders.insert(number, sender);
        (number, receiver)
    }

    pub(super) fn comes_from(&self, port: u16, number: u64) {
        self.inner().from.insert(port, number);
    }

    pub(super) fn from(&self, port: u16) -> Option<u64> {
        self.inner().from.get(&port).copied()
    }

    pub(super) fn ended(&self, number: u64) {
        let mut inner = self.inner();
        inner.orders.remove(&number);
        inner.from.retain(|_, of| *of != number);
        drop(inner);
        self.traffic.send_modify(|traffic| traffic.open -= 1);
    }

    pub(super) fn add_cut(&self, cut: Cut) {
        self.inner().cuts.push(cut);
    }

    pub(super) fn clear_cuts(&self) {
        self.inner().cuts.clear();
    }

    /// Tells every open connection to end.
    pub(super) fn end_all(&self, ending: Ending) {
        for orders in self.inner().orders.values() {
            orders.send_modify(|orders| orders.apply(ending));
        }
    }

    /// Tells one connection to end.
    pub(super) fn end(&self, number: u64, ending: Ending) {
        if let Some(orders) = self.inner().orders.get(&number) {
            orders.send_modify(|orders| orders.apply(ending));
        }
    }

    /// The ending that is due at this message; the cut that asked for it is used up.
    pub(super) fn cut_due(&self, moment: Moment<'_>) -> Option<Ending> {
        let mut inner = self.inner();
        let mut due = None;
        inner.cuts.retain_mut(|cut| match cut.meets(moment) {
            Some(ending) => {
                due = Some(ending);
                false
            }
            None => true,
        });
        if due.is_some() {
            self.traffic.send_modify(|traffic| traffic.cuts += 1);
        }
        due
    }

    pub(super) fn delivered(&self, direction: Direction, bytes: usize, message: Option<u8>) {
        self.traffic.send_modify(|traffic| {
            let counter = match direction {
                Direction::ToServer => &mut traffic.bytes[0],
                Direction::ToClient => &mut traffic.bytes[1],
            };
            *counter += u64::try_from(bytes).unwrap_or(u64::MAX);
            if let Some(tag) = message {
                *traffic.messages.entry((direction, tag)).or_default() += 1;
            }
        });
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
