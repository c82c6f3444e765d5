//! A visitor that asks each route over loopback, the wrong questions too, and checks the answers.
#![allow(
    clippy::indexing_slicing,
    reason = "a JSON value has null where there is no such key"
)]

use std::error::Error;
use std::net::SocketAddr;

use aquifer::Db;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) async fn every_route(address: SocketAddr, db: &Db) -> Outcome<()> {
    let visitor = Visitor { address };
    // On a database that is used again, the names must be new.
    let run = std::process::id();
    let ann = json!({ "owner": format!("Ann {run}"), "balance": 100 });
    let bob = json!({ "owner": format!("Bob {run}"), "balance": 0 });

    for path in ["/livez", "/readyz", "/health"] {
        visitor.get(path, 200).await?;
    }
    let ann_id = visitor.post("/accounts", &ann, 201).await?["id"].clone();
    let bob_id = visitor.post("/accounts", &bob, 201).await?["id"].clone();
    // The owner has an account already.
    visitor.post("/accounts", &ann, 409).await?;

    let transfer = |amount: i64| json!({ "from": ann_id, "to": bob_id, "amount": amount });
    visitor.post("/transfers", &transfer(30), 201).await?;
    // Ann does not have so much; Bob's side is taken back with hers.
    visitor.post("/transfers", &transfer(1_000), 409).await?;
    let nobody = json!({ "from": ann_id, "to": -1, "amount": 1 });
    visitor.post("/transfers", &nobody, 404).await?;

    let balance = visitor.get(&format!("/accounts/{bob_id}"), 200).await?["balance"].clone();
    if balance != json!(30) {
        return Err(format!("Bob has {balance} instead of 30").into());
    }
    visitor.get("/accounts/-1", 404).await?;
    overload(&visitor, db, &bob).await
}

/// With every connection in use, a writer is sent away in time instead of waiting for ever.
async fn overload(visitor: &Visitor, db: &Db, account: &Value) -> Outcome<()> {
    let status = db.pool_status();
    let mut open = Vec::new();
    for _ in 0..status.connections_max - status.lanes_max {
        open.push(db.begin().await?);
    }
    visitor.post("/accounts", account, 503).await?;
    drop(open);
    visitor.get("/health", 200).await?;
    Ok(())
}

struct Visitor {
    address: SocketAddr,
}

impl Visitor {
    async fn get(&self, path: &str, expected: u16) -> Outcome<Value> {
        self.ask("GET", path, "", expected).await
    }

    async fn post(&self, path: &str, body: &Value, expected: u16) -> Outcome<Value> {
        self.ask("POST", path, &body.to_string(), expected).await
    }

    /// One request on a connection of its own, so that the answer ends with it.
    async fn ask(&self, method: &str, path: &str, body: &str, expected: u16) -> Outcome<Value> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        println!("{method:4} {path:14} {status} {body}");
        if status != expected.to_string() {
            return Err(format!("{method} {path}: {status} instead of {expected}: {body}").into());
        }
        Ok(serde_json::from_str(body)?)
    }
}
