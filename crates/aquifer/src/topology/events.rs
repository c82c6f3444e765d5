//! Telling what has changed about the hosts.

use std::sync::Arc;

use aquifer_core::topology::Change;

use super::view::{mode, role};
use super::{Inner, View};
use crate::observe::{Event, Mode, Service};

impl Inner {
    pub(super) fn tell(&self, change: Change, view: &View) {
        // How a single host does is how the service does, of which the monitor tells.
        if self.probers.is_empty() && !matches!(change, Change::Mode { .. }) {
            return;
        }
        let service = Service::Postgres;
        let event = match change {
            Change::Role { host, from, to } => Event::RoleChange {
                host: self.name(host),
                from: from.map(role),
                to: role(to),
            },
            Change::Lost { host } => Event::ConnectionError {
                service,
                host: Some(self.name(host)),
                error: self.failure(host),
            },
            Change::Back { host, after } => Event::ConnectionRecovery {
                service,
                host: Some(self.name(host)),
                after,
            },
            Change::Failover { from, to, gap } => Event::Failover {
                service,
                from: Some(self.name(from)),
                to: self.name(to),
                gap,
            },
            Change::SplitBrain { primary, fenced } => Event::SplitBrain {
                primary: self.name(primary),
                fenced: self.name(fenced),
            },
            Change::LagHigh { host, lag } => Event::LagHigh {
                host: self.name(host),
                bytes: lag.bytes,
                age: lag.age,
            },
            Change::LagNormal { host } => Event::LagNormal {
                host: self.name(host),
            },
            Change::Mode { from, to } => Event::ModeChange {
                from: mode(from),
                to: mode(to),
                reason: reason(view).into(),
            },
        };
        self.observers.publish(event);
    }

    fn name(&self, host: usize) -> Arc<str> {
        self.names.get(host).cloned().unwrap_or_default()
    }

    fn failure(&self, host: usize) -> Arc<str> {
        let failures = self.failures();
        let failure = failures.get(host).and_then(Option::as_ref);
        failure.map_or_else(
            || "it did not answer".into(),
            |failure| failure.to_string().into(),
        )
    }
}

fn reason(view: &View) -> &'static str {
    match view.mode {
        Mode::Normal => "there is a primary, and it takes writes",
        Mode::PrimaryDown => "there is no primary at present",
        Mode::ReadOnly if view.disk_full => "the primary's disk is full",
        Mode::ReadOnly if view.primary.is_some() => "the primary takes no writes",
        Mode::ReadOnly => "no host takes writes",
        Mode::Down => "no host answers",
    }
}
