//! Opens the socket: each address of a host in turn.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::{Peer, Phase};
use crate::config::{Config, Host, LoadBalanceHosts, Settings, Target};
use crate::startup::search::shuffle;
use crate::transport::Transport;
use crate::{Error, Kind};

const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_COUNT: u32 = 6;

/// A connected socket, not yet encrypted, and where it leads.
pub(super) async fn connect(
    config: &Config,
    target: &Target,
    deadline: Instant,
    phase: &mut Phase,
) -> Result<(Transport, Peer), Error> {
    if let Some(file) = target.socket() {
        *phase = Phase::Connect;
        let stream = UnixStream::connect(&file).await.map_err(|error| {
            let text = format!(
                "no server answers on this socket: {error}; is it running, and are directory \
                     and port right?"
            );
            Error::new(Kind::Connect, text).with_source(error)
        })?;
        return Ok((Transport::Unix(stream), Peer::Unix(file)));
    }
    *phase = Phase::LookUp;
    let mut addresses = look_up(target).await?;
    if config.settings.load_balance_hosts == Some(LoadBalanceHosts::Random) {
        shuffle(&mut addresses);
    }
    *phase = Phase::Connect;
    let (stream, address) = first_that_answers(name(target), &addresses, deadline).await?;
    tune(&stream, &config.settings)
        .map_err(|error| unreachable(error, "the socket's options can't be set"))?;
    Ok((Transport::Tcp(stream), Peer::Tcp(address)))
}

/// Connects to a peer that was connected to before.
pub(super) async fn connect_again(peer: &Peer) -> io::Result<Transport> {
    match peer {
        Peer::Tcp(address) => TcpStream::connect(address).await.map(Transport::Tcp),
        Peer::Unix(file) => UnixStream::connect(file).await.map(Transport::Unix),
    }
}

async fn look_up(target: &Target) -> Result<Vec<SocketAddr>, Error> {
    let Host::Tcp { name, address } = &target.host else {
        return Ok(Vec::new());
    };
    if let Some(address) = address {
        return Ok(vec![SocketAddr::new(*address, target.port)]);
    }
    let found = lookup_host((name.as_str(), target.port))
        .await
        .map_err(|error| unreachable(error, "the host's name can't be looked up"))?;
    Ok(found.collect())
}

fn name(target: &Target) -> &str {
    match &target.host {
        Host::Tcp { name, .. } => name,
        Host::Unix(_) => "",
    }
}

/// Tries the addresses of `name` in order; each gets an equal share of the time that is left, so that one
/// which never answers does not use up the time of the others.
pub(super) async fn first_that_answers(
    name: &str,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), Error> {
    let mut failures = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / left.max(1);
        left = left.saturating_sub(1);
        let result = if left == 0 {
            // The deadline of the whole attempt bounds the last one, and names the phase.
            TcpStream::connect(address).await
        } else {
            let connect = timeout_at(now + share, TcpStream::connect(address)).await;
            connect.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
        };
        match result {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => {
                // The port stands in front of the whole text already, and so does the name.
                failures.push((address.ip(), error.to_string()));
                last = error;
            }
        }
    }
    let remedy = match last.kind() {
        io::ErrorKind::ConnectionRefused => "; is it running, and is the port right?",
        _ => "",
    };
    let text = match failures.as_slice() {
        [] => "the host's name has no address".to_owned(),
        [(address, error)] if address.to_string() == name => {
            format!("no server answers: {error}{remedy}")
        }
        failures => {
            let each: Vec<_> = failures
                .iter()
                .map(|(address, error)| format!("{address}: {error}"))
                .collect();
            format!("no server answers ({}){remedy}", each.join("; "))
        }
    };
    Err(Error::new(Kind::Connect, text).with_source(last))
}

fn tune(stream: &TcpStream, settings: &Settings) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    if settings.keepalives.unwrap_or(true) {
        let idle = settings.keepalives_idle.unwrap_or(KEEPALIVE_IDLE);
        let interval = settings.keepalives_interval.unwrap_or(KEEPALIVE_INTERVAL);
        let keepalive = TcpKeepalive::new()
            .with_time(idle)
            .with_interval(interval)
            .with_retries(settings.keepalives_count.unwrap_or(KEEPALIVE_COUNT));
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Some(limit) = settings.tcp_user_timeout {
        socket.set_tcp_user_timeout(Some(limit))?;
    }
    Ok(())
}

fn unreachable(error: io::Error, problem: &str) -> Error {
    Error::new(Kind::Connect, format!("{problem}: {error}")).with_source(error)
}
