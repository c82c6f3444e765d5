//! Which answer a failure becomes.

use aquifer::{ErrorKind, Retry, SqlState};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request could not be served.
#[derive(Debug)]
pub(crate) enum Failure {
    NotFound,
    Database(aquifer::Error),
}

/// Makes `?` work in handlers, and the closures of `with_transaction`.
impl From<aquifer::Error> for Failure {
    fn from(error: aquifer::Error) -> Self {
        Self::Database(error)
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        let error = match self {
            Self::NotFound => return StatusCode::NOT_FOUND,
            Self::Database(error) => error,
        };
        if error.kind() == ErrorKind::NotFound
            || error.sqlstate() == Some(&SqlState::FOREIGN_KEY_VIOLATION)
        {
            StatusCode::NOT_FOUND
        } else if error.constraint().is_some() {
            // Some other rule of the tables: unique, check.
            StatusCode::CONFLICT
        } else if error.retry() != Retry::Never || error.kind() == ErrorKind::Closed {
            // No connection was free, the server is away, or did not answer in time.
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }

    /// What the client may know: the name of the rule, but not the statement.
    fn text(&self) -> &str {
        match self {
            Self::NotFound => "there is no such account",
            Self::Database(error) => error.constraint().unwrap_or("the database can't do it now"),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        if let Self::Database(error) = &self
            && status.is_server_error()
        {
            eprintln!("{status}: {error}");
        }
        let body = Json(json!({ "error": self.text() }));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            (status, [(header::RETRY_AFTER, "1")], body).into_response()
        } else {
            (status, body).into_response()
        }
    }
}
