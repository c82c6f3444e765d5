//! Answers for the HTTP endpoints of a service, as data: which server sends them is its own choice.
//!
//! The form is that of the draft `application/health+json` (inadarei/rfc-healthcheck). Liveness never
//! asks a dependency: a restart of the service mends no database, and would take away what still
//! works (Kubernetes and Spring Boot documentation on probes).

use std::time::SystemTime;

use aquifer_wire::types::TimestampTz;
use serde_json::{Map, Value, json};

use super::probe::ServiceHealth;
use crate::observe::{Service, Status};

/// The answer of a health endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthResponse {
    /// 200 or 503.
    pub status_code: u16,
    /// The body: JSON of the type [`CONTENT_TYPE`](Self::CONTENT_TYPE).
    pub body: String,
}

impl HealthResponse {
    /// For the header `content-type`.
    pub const CONTENT_TYPE: &'static str = "application/health+json";
    /// For the header `cache-control`: an answer that was kept says nothing.
    pub const CACHE_CONTROL: &'static str = "no-store";

    pub(super) fn new(status: Status, notes: &[&str], services: &[ServiceHealth]) -> Self {
        let mut body = Map::new();
        body.insert("status".to_owned(), json!(word(status)));
        if !notes.is_empty() {
            body.insert("notes".to_owned(), json!(notes));
        }
        if !services.is_empty() {
            let checks: Map<_, _> = services.iter().flat_map(checks).collect();
            body.insert("checks".to_owned(), Value::Object(checks));
        }
        Self {
            status_code: if status == Status::Down { 503 } else { 200 },
            body: Value::Object(body).to_string(),
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Up => "pass",
        Status::Degraded => "warn",
        Status::Down => "fail",
    }
}

/// Its answer and how long that took, then what was measured besides.
fn checks(health: &ServiceHealth) -> Vec<(String, Value)> {
    let name = |measurement: &str| format!("{}:{measurement}", health.service);
    let component = match health.service {
        Service::Custom(_) => "component",
        _ => "datastore",
    };
    let mut answer = json!({
        "componentType": component,
        "status": word(health.status),
        "time": time(health.checked_at),
    });
    if let (Some(latency), Some(answer)) = (health.latency, answer.as_object_mut()) {
        answer.insert(
            "observedValue".to_owned(),
            // Microseconds are fine enough to be read.
            json!((latency.as_secs_f64() * 1e6).round() / 1e3),
        );
        answer.insert("observedUnit".to_owned(), json!("ms"));
    }
    if let (Some(cause), Some(answer)) = (&health.cause, answer.as_object_mut()) {
        answer.insert("output".to_owned(), json!(cause));
    }
    let mut checks = vec![(name("responseTime"), json!([answer]))];
    for measured in &health.measurements {
        let mut check = json!({
            "componentType": component,
            "observedValue": measured.value,
            "status": word(Status::Up),
            "time": time(health.checked_at),
        });
        if let (false, Some(check)) = (measured.unit.is_empty(), check.as_object_mut()) {
            check.insert("observedUnit".to_owned(), json!(measured.unit));
        }
        checks.push((name(measured.name), json!([check])));
    }
    checks
}

/// As RFC 3339 writes it.
fn time(time: SystemTime) -> String {
    let time = TimestampTz::try_from(time).map(|time| time.to_string());
    let time = time.unwrap_or_default().replacen(' ', "T", 1);
    time.strip_suffix("+00")
        .map_or_else(|| time.clone(), |time| format!("{time}Z"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::time;

    #[test]
    fn times_are_written_as_rfc_3339_says() {
        let at = |seconds, nanos| time(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_700_000_000, 250_000_000), "2023-11-14T22:13:20.25Z");
    }
}
