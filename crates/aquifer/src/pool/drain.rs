//! The end of a pool: refuse, wait, cancel, cut.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aquifer_wire::Client;

use super::Pool;
use crate::deadline::Deadline;

/// What [`Pool::drain`] did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drained {
    pub(crate) closed: usize,
    pub(crate) aborted: usize,
    pub(crate) refused: usize,
}

impl Drained {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            closed: self.closed + other.closed,
            aborted: self.aborted + other.aborted,
            refused: self.refused + other.refused,
        }
    }
}

impl Pool {
    /// Gives out no more connections and refuses those who wait; lets calls under way finish, asks
    /// the server to cancel those that still run at `soft`, and cuts what is left at `hard`.
    ///
    /// Cancellation: the pool stays closed; what is under way goes on.
    pub(crate) async fn drain(&self, soft: Deadline, hard: Deadline) -> Drained {
        self.0.closed.store(true, Ordering::Release);
        self.0.draining.store(true, Ordering::Release);
        self.0.came_back.notify_waiters();
        let (idle, refused) = self.0.desk.close();
        let lanes = self.0.lanes.close();
        self.0.stop_tasks();
        let mut drained = Drained {
            closed: idle.len() + lanes.len(),
            aborted: 0,
            refused,
        };
        drop(idle);
        for listener in self.0.holders.listening() {
            listener.close();
            drained.closed += 1;
        }
        if soft.run(self.0.all_back(&lanes)).await.is_err() {
            self.cancel_all();
            if hard.run(self.0.all_back(&lanes)).await.is_err() {
                let cut_lanes = lanes.iter().filter(|lane| is_working(lane)).count();
                drained.closed -= cut_lanes;
                drained.aborted = self.abort_all(&lanes) + cut_lanes;
            }
        }
        drained.closed += self.0.closed_late.swap(0, Ordering::Relaxed);
        drained
    }

    /// Ends it at once: nothing goes to the host any more, who waits is refused, what is under way
    /// loses its connection.
    pub(crate) fn cut(&self) {
        self.0.cut.store(true, Ordering::Release);
        self.retire();
        self.abort_all(&[]);
    }

    /// Ends it, but lets those go on who have a connection to themselves. Reads on lanes are run
    /// elsewhere.
    pub(crate) fn retire(&self) {
        self.0.closed.store(true, Ordering::Release);
        let (idle, _refused) = self.0.desk.close();
        super::close_all(idle);
        self.0.stop_tasks();
        for lane in self.0.lanes.close() {
            lane.close();
        }
        for listener in self.0.holders.listening() {
            listener.close();
        }
        self.0.forget_breakers();
    }

    fn cancel_all(&self) {
        for client in self.0.holders.working() {
            if client.in_flight() > 0 {
                // Whether it was heard shows by the connection coming back.
                self.0
                    .tasks
                    .spawn(async move { drop(client.cancel().await) });
            }
        }
    }

    fn abort_all(&self, lanes: &[Arc<Client>]) -> usize {
        let clients = self.0.holders.working();
        for client in clients.iter().chain(lanes) {
            client.close();
        }
        clients.len()
    }
}

fn is_working(lane: &Client) -> bool {
    lane.ended().is_none() && lane.in_flight() > 0
}
