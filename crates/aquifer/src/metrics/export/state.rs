//! What events have told of the state of services and hosts.

use super::{Kind, Sink};
use crate::metrics::names::{float, health_value};
use crate::observe::{BreakerState, HostRole, Mode, State};

pub(super) fn write(page: &mut impl Sink, state: &State) {
    let name = "aquifer_health";
    page.family(
        name,
        Kind::Gauge,
        "Health of each service: 1 up, 0.5 degraded, 0 down.",
    );
    for (service, status) in &state.health {
        page.sample(name, &[("service", service)], health_value(*status));
    }
    let name = "aquifer_mode";
    page.family(
        name,
        Kind::Gauge,
        "What the layer can do: 0 normal, 1 primary down, 2 read-only, 3 nothing.",
    );
    page.sample(name, &[], mode_value(state.mode));
    let name = "aquifer_breaker_state";
    page.family(
        name,
        Kind::Gauge,
        "Circuit breakers: 0 closed or disabled, 1 half-open, 2 open.",
    );
    for ((service, host, lane), breaker) in &state.breakers {
        let labels = [
            ("service", service.as_str()),
            ("host", host),
            ("lane", *lane),
        ];
        page.sample(name, &labels, breaker_value(*breaker));
    }
    let name = "aquifer_host_role";
    page.family(name, Kind::Gauge, "The part that each host plays.");
    for (host, role) in &state.roles {
        page.sample(name, &[("host", host), ("role", role_name(*role))], 1.0);
    }
    let name = "aquifer_events_total";
    page.family(name, Kind::Counter, "Events by kind.");
    for (event, count) in &state.events {
        page.sample(name, &[("event", event)], float(*count));
    }
}

fn mode_value(mode: Mode) -> f64 {
    match mode {
        Mode::Normal => 0.0,
        Mode::PrimaryDown => 1.0,
        Mode::ReadOnly => 2.0,
        Mode::Down => 3.0,
    }
}

fn breaker_value(breaker: BreakerState) -> f64 {
    match breaker {
        BreakerState::Closed | BreakerState::Disabled => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open | BreakerState::ForcedOpen => 2.0,
    }
}

fn role_name(role: HostRole) -> &'static str {
    match role {
        HostRole::Primary => "primary",
        HostRole::Standby => "standby",
        HostRole::Fenced => "fenced",
        HostRole::Unreachable => "unreachable",
    }
}
