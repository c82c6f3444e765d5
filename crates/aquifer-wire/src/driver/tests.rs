//! A connection against servers that fail, lie and babble; the tests play the server.

mod arbitrary;
mod backend;
mod copies;
mod distance;
mod faults;
mod groups;
mod lengths;
mod places;
mod sequences;
mod writers;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::UnixStream;
use tokio::runtime;
use tokio::time::timeout;

use crate::startup::{CancelRoute, Opened, Peer};
use crate::statement::{Column, Columns};
use crate::transport::Transport;
use crate::types::Type;
use crate::{Catalog, Client, Driver, Error, Limits, Sharing, Statement};

/// Far longer than any of these tests takes: reached only by a hang.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test on one thread and fails it if it hangs.
fn run<F: Future>(test: F) -> F::Output {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { timeout(LIMIT, test).await })
        .expect("something waits forever")
}

/// A session that is ready, and the server's end of its socket.
fn pair(limits: &Limits) -> (Client, Driver, UnixStream) {
    pair_after(limits, b"")
}

/// The same, where the server said something right after start-up.
fn pair_after(limits: &Limits, unread: &[u8]) -> (Client, Driver, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let opened = Opened {
        transport: Transport::Unix(ours),
        unread: BytesMut::from(unread),
        process_id: 7,
        secret_key: vec![1, 2, 3, 4],
        parameters: [].into(),
        cancel: CancelRoute {
            peer: Peer::Unix("/nowhere".into()),
            tls: None,
        },
    };
    let (client, driver) = Client::over(opened, &Arc::new(Catalog::new(16)), limits);
    (client, driver, theirs)
}

/// A statement that is described already: one text goes in and comes back.
fn echo() -> Arc<Statement> {
    statement("echo")
}

fn statement(sql: &str) -> Arc<Statement> {
    let columns = Columns::new(vec![Column::new("value", Type::TEXT, 0)]);
    let id = Statement::next_id();
    Arc::new(Statement::new(id, sql, vec![Type::TEXT], Arc::new(columns)))
}

/// Asks for `tag` and returns all rows of the answer.
async fn ask(client: &Client, tag: &str, sharing: Sharing) -> Result<Vec<String>, Error> {
    let reply = client.query("echo", &(tag,), sharing).await?;
    let rows = reply.decode::<(String,)>()?;
    Ok(rows.into_iter().map(|(value,)| value).collect())
}

/// One message of a server.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

fn row(values: &[&str]) -> Vec<u8> {
    let mut body = i16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    }
    message(b'D', &body)
}

/// A RowDescription of text columns.
fn described(names: &[&str]) -> Vec<u8> {
    let mut body = i16::try_from(names.len()).unwrap().to_be_bytes().to_vec();
    for name in names {
        body.extend(name.as_bytes());
        body.extend([0; 1 + 4 + 2]);
        body.extend(Type::TEXT.oid().to_be_bytes());
        body.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1]);
    }
    message(b'T', &body)
}

fn complete(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

fn error(severity: &str, code: &str) -> Vec<u8> {
    let text = format!("S{severity}\0V{severity}\0C{code}\0Mthe reason\0\0");
    message(b'E', text.as_bytes())
}

fn notice() -> Vec<u8> {
    message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mby the way\0\0")
}

fn notification() -> Vec<u8> {
    message(b'A', b"\0\0\0\x09channel\0payload\0")
}

fn parameter() -> Vec<u8> {
    message(b'S', b"application_name\0changed\0")
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}
