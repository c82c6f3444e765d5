//! Turns a connected socket into a transport that is as encrypted as `sslmode` demands.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::{SslMode, SslNegotiation};
use crate::tls::TlsRoute;
use crate::transport::Transport;
use crate::{Error, Kind};

/// What one attempt does about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// Does not ask for it.
    Clear,
    /// Takes it if the server offers it.
    IfOffered,
    /// Takes nothing else.
    Required,
}

/// What the server says when it is asked for TLS.
enum Answer {
    Yes,
    No,
    /// An ErrorResponse. Its text is not shown: nothing has proved yet who wrote it.
    Error,
}

impl Encryption {
    /// What is tried first, and what after that if the server refuses it.
    pub(super) fn plan(mode: SslMode) -> (Self, Option<Self>) {
        match mode {
            SslMode::Disable => (Self::Clear, None),
            SslMode::Allow => (Self::Clear, Some(Self::Required)),
            SslMode::Prefer => (Self::IfOffered, Some(Self::Clear)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Self::Required, None),
        }
    }
}

/// Begins TLS by `route`; a refusal is an error, except that `IfOffered` then stays in clear text.
pub(super) async fn secure(
    mut stream: TcpStream,
    route: &TlsRoute,
    encryption: Encryption,
) -> Result<Transport, Error> {
    if route.negotiation == SslNegotiation::Postgres {
        match ask(&mut stream).await? {
            Answer::Yes => {}
            Answer::No if encryption == Encryption::IfOffered => return Ok(Transport::Tcp(stream)),
            Answer::No => {
                return Err(Error::new(
                    Kind::Tls,
                    "the server does not offer TLS, which sslmode demands; turn it on in the \
                     server (ssl = on), or set sslmode=prefer or disable if the network is trusted",
                ));
            }
            Answer::Error => {
                return Err(Error::new(
                    Kind::Tls,
                    "the server answered the request for TLS with an error; see its log",
                ));
            }
        }
    }
    let stream = route.handshake(stream).await?;
    Ok(Transport::Tls(Box::new(stream)))
}

async fn ask(stream: &mut TcpStream) -> Result<Answer, Error> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(broken)?;
    // One byte is the whole answer. What follows it in clear text was put there by somebody who
    // wants it to be taken for a part of the encrypted session (CVE-2021-23222).
    let mut answer = [0; 2];
    let read = stream.read(&mut answer).await.map_err(broken)?;
    match (read, answer) {
        (0, _) => Err(super::exchange::closed()),
        (1, [b'S', _]) => Ok(Answer::Yes),
        (1, [b'N', _]) => Ok(Answer::No),
        (_, [b'E', _]) => Ok(Answer::Error),
        (_, [b'S' | b'N', _]) => Err(Error::new(
            Kind::Protocol,
            "clear text followed the server's answer to the request for TLS; somebody may be \
             tampering with the connection",
        )),
        _ => Err(Error::new(
            Kind::Protocol,
            "the peer did not understand the request for TLS; is it a PostgreSQL server?",
        )),
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::new(
        Kind::Connect,
        format!("the connection broke while TLS was asked for: {error}"),
    )
    .with_source(error)
}
