//! Asks a server to cancel what a session is executing, on a socket of its own.

use std::io;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::encryption::{Encryption, secure};
use super::{Peer, connect};
use crate::tls::TlsRoute;
use crate::transport::Transport;
use crate::{Error, Kind};

const LIMIT: Duration = Duration::from_secs(1);
const CANCEL_REQUEST: i32 = 80_877_102;

/// How to reach the server of a session once more: the same address, and the same TLS.
#[derive(Clone, Debug)]
pub(crate) struct CancelRoute {
    pub(crate) peer: Peer,
    /// `None` if the session itself is not encrypted.
    pub(crate) tls: Option<TlsRoute>,
}

/// Sends a cancel request and waits until the server has closed the socket, which it does only
/// after the signal is sent; within 1 s altogether.
///
/// Success does not say that anything was cancelled: the statement may have ended before.
///
/// # Errors
/// [`Kind::Timeout`] after 1 s; [`Kind::Connect`], [`Kind::Tls`] or [`Kind::Protocol`] if the
/// server can't be reached in the same way as before. The request may then have been sent.
///
/// # Cancel safety
/// Dropping the future closes the socket; the request may have been sent.
pub(crate) async fn send_cancel(
    route: &CancelRoute,
    process_id: i32,
    secret_key: &[u8],
) -> Result<(), Error> {
    timeout(LIMIT, request(route, process_id, secret_key))
        .await
        .unwrap_or_else(|_elapsed| {
            let text = format!("the server did not take the cancel request within {LIMIT:?}");
            Err(Error::new(Kind::Timeout, text))
        })
}

async fn request(route: &CancelRoute, process_id: i32, secret_key: &[u8]) -> Result<(), Error> {
    let transport = connect::connect_again(&route.peer).await.map_err(failed)?;
    let mut transport = match (transport, &route.tls) {
        (Transport::Tcp(stream), Some(tls)) => secure(stream, tls, Encryption::Required).await?,
        (transport, _) => transport,
    };
    let mut message = BytesMut::with_capacity(16);
    let length = i32::try_from(12 + secret_key.len()).unwrap_or(i32::MAX);
    message.put_i32(length);
    message.put_i32(CANCEL_REQUEST);
    message.put_i32(process_id);
    message.put_slice(secret_key);
    transport.write_all(&message).await.map_err(failed)?;
    transport.flush().await.map_err(failed)?;
    let mut ignored = [0; 64];
    // The server says nothing and closes, over TLS often without a goodbye.
    while let Ok(1..) = transport.read(&mut ignored).await {}
    Ok(())
}

fn failed(error: io::Error) -> Error {
    Error::new(
        Kind::Connect,
        format!("the cancel request could not be sent: {error}"),
    )
    .with_source(error)
}
