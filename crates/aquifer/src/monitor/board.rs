//! What is known about one service: its latest findings, and what they amount to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::hysteresis::Hysteresis;
use tokio::time::Instant;

use super::probe::{HealthProbe, ServiceHealth};
use crate::observe::{Event, Service, Status};

/// Findings kept of each service.
const HISTORY_MAX: usize = 100;

/// Bad findings in a row until a service counts as worse, and good ones until it counts as better.
const WORSE_AFTER: u32 = 3;
const BETTER_AFTER: u32 = 2;

#[derive(Debug)]
pub(super) struct Board {
    pub(super) service: Service,
    pub(super) required: bool,
    history: VecDeque<ServiceHealth>,
    settled: Hysteresis<Status>,
    pub(super) failures: u32,
    /// Since when it does not answer.
    away_since: Option<Instant>,
}

impl Board {
    pub(super) fn of(probe: &impl HealthProbe) -> Self {
        Self {
            service: probe.service(),
            required: probe.is_required(),
            history: VecDeque::new(),
            settled: Hysteresis::new(WORSE_AFTER, BETTER_AFTER),
            failures: 0,
            away_since: None,
        }
    }

    /// Notes a finding; returns what is to be told about it.
    pub(super) fn note(&mut self, health: &ServiceHealth, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        let service = self.service;
        let cause: Arc<str> = health.cause.as_deref().unwrap_or("it answers").into();
        if health.status == Status::Down {
            self.failures = self.failures.saturating_add(1);
            if self.away_since.is_none() {
                self.away_since = Some(now);
                events.push(Event::ConnectionError {
                    service,
                    host: None,
                    error: Arc::clone(&cause),
                });
            }
        } else {
            self.failures = 0;
            if let Some(since) = self.away_since.take() {
                let after = now - since;
                events.push(Event::ConnectionRecovery {
                    service,
                    host: None,
                    after,
                });
            }
        }
        if let Some((from, to)) = self.settled.observe(health.status) {
            events.push(Event::HealthChange {
                service,
                from,
                to,
                evidence: cause,
            });
        }
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(health.clone());
        events
    }

    /// The latest finding, with the status that findings so far amount to; `None` before the first.
    pub(super) fn current(&self) -> Option<ServiceHealth> {
        let mut health = self.history.back()?.clone();
        health.status = self.settled.settled()?;
        Some(health)
    }

    /// What the findings so far amount to.
    pub(super) fn status(&self) -> Option<Status> {
        self.settled.settled()
    }

    /// Whether the next look should come soon.
    pub(super) fn is_alarming(&self) -> bool {
        let latest = self.history.back().map(|health| health.status);
        latest != Some(Status::Up) || self.status() != Some(Status::Up)
    }

    /// The findings, the latest last.
    pub(super) fn history(&self) -> Vec<ServiceHealth> {
        self.history.iter().cloned().collect()
    }

    /// How long it has been away, if it is.
    pub(super) fn away(&self, now: Instant) -> Option<Duration> {
        Some(now - self.away_since?)
    }
}
