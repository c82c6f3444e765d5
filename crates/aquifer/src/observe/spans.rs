//! One span for each call, made on the caller's task, by the stable names of OpenTelemetry.

use aquifer_core::scan;
use tracing::field::{Empty, display};
use tracing::{Level, Span};

use super::QueryFinished;
use super::measures::error_type;

const NAME: &str = "aquifer.query";

/// Where statements go, as spans name it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoint {
    /// The database.
    pub(crate) namespace: Box<str>,
    /// The host, or the directory of the socket; `None` where there are several.
    pub(crate) address: Option<Box<str>>,
    /// `None` for the usual one.
    pub(crate) port: Option<u16>,
}

/// Whether anybody wants spans: a comparison or two.
#[inline]
pub(super) fn are_wanted() -> bool {
    tracing::enabled!(target: "aquifer::query", Level::DEBUG)
}

/// The span of one call, or none.
#[derive(Debug)]
pub(crate) struct CallSpan(Span);

impl CallSpan {
    /// Does a piece of the call in its span.
    pub(crate) fn within<T>(&self, piece: impl FnOnce() -> T) -> T {
        self.0.in_scope(piece)
    }
}

/// A span for a call, if anybody wants spans.
pub(super) fn of(endpoint: &Endpoint, sql: &str) -> CallSpan {
    if !are_wanted() {
        return CallSpan(Span::none());
    }
    let summary = scan::summary(sql);
    let name = if summary.is_empty() {
        "postgresql"
    } else {
        &summary
    };
    CallSpan(tracing::debug_span!(
        target: "aquifer::query",
        NAME,
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = "postgresql",
        db.namespace = &*endpoint.namespace,
        db.query.text = scan::masked(sql),
        db.query.summary = summary,
        db.response.status_code = Empty,
        db.response.returned_rows = Empty,
        error.type = Empty,
        server.address = endpoint.address.as_deref(),
        server.port = endpoint.port,
    ))
}

/// Writes which of several hosts answers into the span of a call, if it has one.
pub(super) fn answered_by(host: &str) {
    let span = Span::current();
    if span
        .metadata()
        .is_some_and(|metadata| metadata.name() == NAME)
    {
        span.record("server.address", host);
    }
}

/// Writes how a call ended into its span, if it has one.
pub(super) fn finish(event: &QueryFinished<'_>) {
    let span = Span::current();
    if span
        .metadata()
        .is_none_or(|metadata| metadata.name() != NAME)
    {
        return;
    }
    match event.error {
        None => {
            span.record("db.response.returned_rows", event.rows);
        }
        Some(error) => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", error_type(error));
            if let Some(state) = error.sqlstate() {
                span.record("db.response.status_code", display(state.code()));
            }
        }
    }
}
