//! Which node takes which commands now.

use std::sync::Arc;

use super::node::Node;
use super::slot::SLOTS;
use crate::Error;
use crate::config::RedisAddress;

/// One view of the servers; a new one takes its place when they change.
#[derive(Clone, Default)]
pub(super) struct Map {
    /// The servers that take writes. Of a cluster, sorted by address.
    pub(super) masters: Vec<Arc<Node>>,
    /// Of a cluster: by slot, the position in `masters`; out of range where nobody has it.
    pub(super) slots: Option<Arc<[u16]>>,
    /// How often in a row finding the masters has failed, and why last.
    pub(super) failures: u32,
    pub(super) cause: Option<Error>,
    pub(super) closed: bool,
}

impl Map {
    /// The node for a slot; without one any will do, a connected one if there is.
    pub(super) fn node(&self, slot: Option<u16>) -> Option<&Arc<Node>> {
        match (&self.slots, slot) {
            (Some(slots), Some(slot)) => {
                let position = slots.get(usize::from(slot))?;
                self.masters.get(usize::from(*position))
            }
            _ => {
                let ready = self.masters.iter().find(|node| node.is_ready());
                ready.or_else(|| self.masters.first())
            }
        }
    }

    pub(super) fn at(&self, address: &RedisAddress) -> Option<&Arc<Node>> {
        self.masters.iter().find(|node| node.address() == address)
    }

    /// Whether somebody has every slot.
    pub(super) fn is_covered(&self) -> bool {
        let masters = self.masters.len();
        match &self.slots {
            None => masters > 0,
            Some(slots) => {
                slots.len() == usize::from(SLOTS)
                    && slots
                        .iter()
                        .all(|position| usize::from(*position) < masters)
            }
        }
    }
}
