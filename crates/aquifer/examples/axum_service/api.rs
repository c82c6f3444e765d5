//! The routes; they know the service and no database.

use std::sync::Arc;

use aquifer::{ConnectionMonitor, HealthResponse};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::failure::Failure;
use crate::repositories::Account;

pub(crate) fn router(bank: Arc<Bank>, monitor: ConnectionMonitor) -> Router {
    let health = Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .route("/health", get(health))
        .with_state(monitor);
    Router::new()
        .route("/accounts", post(open))
        .route("/accounts/{id}", get(account))
        .route("/transfers", post(transfer))
        .with_state(bank)
        .merge(health)
}

#[derive(Deserialize)]
struct Opening {
    owner: String,
    balance: i64,
}

async fn open(
    State(bank): State<Arc<Bank>>,
    Json(opening): Json<Opening>,
) -> Result<(StatusCode, Json<Account>), Failure> {
    let account = bank.open(opening.owner, opening.balance).await?;
    Ok((StatusCode::CREATED, Json(account)))
}

async fn account(
    State(bank): State<Arc<Bank>>,
    Path(id): Path<i64>,
) -> Result<Json<Account>, Failure> {
    Ok(Json(bank.account(id).await?))
}

#[derive(Deserialize)]
struct Transfer {
    from: i64,
    to: i64,
    amount: i64,
}

async fn transfer(
    State(bank): State<Arc<Bank>>,
    Json(transfer): Json<Transfer>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let Transfer { from, to, amount } = transfer;
    let id = bank.transfer(from, to, amount).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

/// Whether the process works: what decides on restarting it.
async fn alive(State(monitor): State<ConnectionMonitor>) -> Response {
    answer(monitor.liveness())
}

/// Whether it should get requests: what a load balancer asks.
async fn ready(State(monitor): State<ConnectionMonitor>) -> Response {
    answer(monitor.readiness())
}

/// The same with a check for each service: what people and dashboards ask.
async fn health(State(monitor): State<ConnectionMonitor>) -> Response {
    answer(monitor.health())
}

fn answer(health: HealthResponse) -> Response {
    let status = StatusCode::from_u16(health.status_code).unwrap_or(StatusCode::OK);
    let headers = [
        (header::CONTENT_TYPE, HealthResponse::CONTENT_TYPE),
        (header::CACHE_CONTROL, HealthResponse::CACHE_CONTROL),
    ];
    (status, headers, health.body).into_response()
}
