//! The routes; they know the service and no database.

use std::sync::Arc;

use aquifer::{DatabaseManager, Status};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::failure::Failure;
use crate::repositories::Account;

pub(crate) fn router(bank: Arc<Bank>, manager: Arc<DatabaseManager>) -> Router {
    let health = Router::new()
        .route("/health", get(health))
        .with_state(manager);
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

/// 200 while every service that is needed is there.
async fn health(State(manager): State<Arc<DatabaseManager>>) -> (StatusCode, Json<Value>) {
    let mut status = StatusCode::OK;
    let mut services = Vec::new();
    for health in manager.health().await {
        if health.status != Status::Up {
            status = StatusCode::SERVICE_UNAVAILABLE;
        }
        services.push(json!({
            "service": format!("{:?}", health.service),
            "status": format!("{:?}", health.status),
            "cause": health.cause,
        }));
    }
    (status, Json(json!(services)))
}
