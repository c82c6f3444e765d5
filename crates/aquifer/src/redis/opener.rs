//! Opens one connection: socket, TLS, login, and whether it is the server that was meant.

use std::pin::Pin;
use std::sync::Arc;

use aquifer_wire::Secret;
use redis::aio::{AsyncPushSender, MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::credentials::Credentials;
use super::tls;
use crate::config::{RedisAddress, RedisSettings, RedisTarget};
use crate::deadline::Deadline;
use crate::observe::{Event, Observers, Service};
use crate::tasks::Tasks;
use crate::wait::{Either, first};
use crate::{Error, ErrorKind, Retry};

/// Carries the requests of one connection for as long as it is polled; dropping it closes the socket.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is told every message that the server sends by itself.
pub(super) type Pushes = Arc<dyn AsyncPushSender>;

/// Which server is expected behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Whatever there is.
    Any,
    /// One that takes writes: Sentinel named it, but it may not have been told yet.
    Master,
    /// A sentinel, which has a login of its own and no databases.
    Sentinel,
}

/// What a connection is for.
#[derive(Clone)]
enum Use {
    /// Commands; whoever is named is told what the server sends by itself.
    Commands(Option<Pushes>),
    /// Channels, and nothing else, so that it works by RESP2 too.
    Channels,
}

enum Opened {
    Commands(MultiplexedConnection, Driver),
    Channels(PubSub),
}

/// Opens connections to all servers of one Redis.
pub(super) struct Opener {
    target: RedisTarget,
    settings: RedisSettings,
    credentials: Credentials,
    sentinel_credentials: Credentials,
    tls: OnceCell<TlsConnector>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) observers: Observers,
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

impl Opener {
    pub(super) fn new(settings: RedisSettings, tasks: Arc<Tasks>, observers: Observers) -> Self {
        let limit = settings.connect_timeout;
        let target = settings.target.clone();
        Self {
            credentials: Credentials::new(&target.login, settings.password.clone(), limit),
            sentinel_credentials: Credentials::new(&target.sentinel_login, None, limit),
            target,
            settings,
            tls: OnceCell::new(),
            tasks,
            observers,
        }
    }

    pub(super) fn settings(&self) -> &RedisSettings {
        &self.settings
    }

    /// Opens a connection within `connect_timeout`. A refused password is replaced, once, by what
    /// the provider says.
    pub(super) async fn open(
        &self,
        address: &RedisAddress,
        expected: Expected,
        pushes: Option<Pushes>,
    ) -> Result<(MultiplexedConnection, Driver), Error> {
        match self
            .open_for(address, expected, Use::Commands(pushes))
            .await?
        {
            Opened::Commands(connection, driver) => Ok((connection, driver)),
            Opened::Channels(_) => Err(ended(address)),
        }
    }

    /// As [`open`](Self::open), to hear channels by.
    pub(super) async fn open_channels(&self, address: &RedisAddress) -> Result<PubSub, Error> {
        match self.open_for(address, Expected::Any, Use::Channels).await? {
            Opened::Channels(channels) => Ok(channels),
            Opened::Commands(..) => Err(ended(address)),
        }
    }

    async fn open_for(
        &self,
        address: &RedisAddress,
        expected: Expected,
        purpose: Use,
    ) -> Result<Opened, Error> {
        let limit = self.settings.connect_timeout;
        let deadline = Deadline::after(limit);
        // Boxed: it is large, and short beside a connection's life.
        let opening = Box::pin(self.open_by(deadline, address, expected, purpose));
        match deadline.run(opening).await {
            Ok(opened) => opened,
            Err(_elapsed) => {
                let text =
                    format!("Redis at {address} took longer than {limit:?} (connect_timeout)");
                Err(Error::new(ErrorKind::Timeout, text).with_retry(Retry::Safe))
            }
        }
    }

    async fn open_by(
        &self,
        deadline: Deadline,
        address: &RedisAddress,
        expected: Expected,
        purpose: Use,
    ) -> Result<Opened, Error> {
        let credentials = match expected {
            Expected::Sentinel => &self.sentinel_credentials,
            Expected::Any | Expected::Master => &self.credentials,
        };
        let password = credentials.password().await?;
        let socket = self.socket(address, deadline).await?;
        let refused = match self
            .log_in(
                (address, socket),
                expected,
                password.as_ref(),
                purpose.clone(),
            )
            .await
        {
            Err(error) if error.kind() == ErrorKind::Authentication => error,
            opened => return opened,
        };
        let Some(password) = password else {
            return Err(refused);
        };
        let Some(other) = credentials.instead_of(&password).await? else {
            return Err(refused);
        };
        let socket = self.socket(address, deadline).await?;
        let opened = self
            .log_in((address, socket), expected, Some(&other), purpose)
            .await;
        let refused = |error: &Error| error.kind() == ErrorKind::Authentication;
        self.observers.publish(Event::CredentialRefresh {
            service: Service::Redis,
            accepted: !opened.as_ref().is_err_and(refused),
        });
        opened
    }

    async fn log_in(
        &self,
        (address, socket): (&RedisAddress, Box<dyn Socket>),
        expected: Expected,
        password: Option<&Secret>,
        purpose: Use,
    ) -> Result<Opened, Error> {
        let login = self.login(expected, password);
        let refused = |error: RedisError| refused(address, &error);
        let pushes = match purpose {
            Use::Commands(pushes) => pushes,
            Use::Channels => {
                let channels = PubSub::new(&login, socket).await.map_err(refused)?;
                return Ok(Opened::Channels(channels));
            }
        };
        // Deadlines are ours: that of each call, and that of the opening as a whole.
        let mut config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        if let Some(pushes) = pushes {
            config = config.set_push_sender(pushes);
        }
        let (connection, driver) = MultiplexedConnection::new_with_config(&login, socket, config)
            .await
            .map_err(refused)?;
        let mut driver: Driver = Box::pin(driver);
        if expected == Expected::Master {
            let asked = is_master(connection.clone());
            match first(driver.as_mut(), asked).await {
                Either::Right(Ok(true)) => {}
                Either::Right(Err(error)) => return Err(refused(error)),
                Either::Right(Ok(false)) => {
                    let text = format!(
                        "Redis at {address} is a replica, though its sentinels name it the master"
                    );
                    return Err(Error::new(ErrorKind::Connection, text));
                }
                Either::Left(()) => return Err(ended(address)),
            }
        }
        Ok(Opened::Commands(connection, driver))
    }

    fn login(&self, expected: Expected, password: Option<&Secret>) -> RedisConnectionInfo {
        let user = match expected {
            Expected::Sentinel => self.sentinel_credentials.user(),
            Expected::Any | Expected::Master => self.credentials.user(),
        };
        let mut login = RedisConnectionInfo::default()
            .set_protocol(match self.target.resp3 {
                true => ProtocolVersion::RESP3,
                false => ProtocolVersion::RESP2,
            })
            .set_skip_set_lib_name();
        if let Some(password) = password {
            login = login.set_password(password.reveal());
            if let Some(user) = user {
                login = login.set_username(user);
            }
        }
        if expected != Expected::Sentinel {
            login = login.set_db(i64::from(self.target.database));
        }
        login
    }

    async fn socket(
        &self,
        address: &RedisAddress,
        deadline: Deadline,
    ) -> Result<Box<dyn Socket>, Error> {
        let unreachable = |error: std::io::Error| {
            let text = format!("Redis at {address} can't be reached: {error}");
            Error::new(ErrorKind::Connection, text).with_source(error)
        };
        match address {
            RedisAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(unreachable)?;
                Ok(Box::new(stream))
            }
            RedisAddress::Tcp { host, port } => {
                // The name is looked up anew each time, and all its addresses are tried.
                let stream = TcpStream::connect((host.as_str(), *port))
                    .await
                    .map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                match self.tls().await? {
                    None => Ok(Box::new(stream)),
                    Some(tls) => {
                        // A server in clear text waits for more, in silence.
                        let shaken = deadline.run(tls::handshake(tls, host, stream)).await;
                        let silent = || tls::silent(host, deadline.limit());
                        Ok(Box::new(shaken.unwrap_or_else(|_elapsed| Err(silent()))?))
                    }
                }
            }
        }
    }

    /// Files are read once, when they are first needed.
    async fn tls(&self) -> Result<Option<&TlsConnector>, Error> {
        let Some(files) = &self.target.tls else {
            return Ok(None);
        };
        let read = || async { tls::connector(files) };
        self.tls.get_or_try_init(read).await.map(Some)
    }
}

/// What the server says of itself; one that may not be asked is believed.
async fn is_master(mut connection: MultiplexedConnection) -> Result<bool, RedisError> {
    let answer = connection.send_packed_command(&redis::cmd("ROLE")).await?;
    let Value::Array(words) = answer else {
        return Ok(true);
    };
    let role: Option<String> = words
        .first()
        .and_then(|role| redis::from_redis_value_ref(role).ok());
    Ok(role.is_none_or(|role| role == "master"))
}

fn ended(address: &RedisAddress) -> Error {
    let text = format!(
        "Redis at {address} ended the connection before it was ready; if it speaks only TLS, begin \
         redis_url with rediss://"
    );
    Error::new(ErrorKind::Connection, text)
}

/// Why the login failed.
fn refused(address: &RedisAddress, error: &RedisError) -> Error {
    let said = error.code().unwrap_or_default();
    let by_login = error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(said, "NOAUTH" | "WRONGPASS");
    // AUTH without a user, where the server has no password.
    let superfluous = error
        .detail()
        .is_some_and(|detail| detail.contains("without any password configured"));
    if by_login || superfluous {
        let text = format!(
            "Redis at {address} refused the login; check user and password in redis_url, or the \
             password provider"
        );
        let text = match superfluous {
            true => format!("{text}: it asks for none"),
            false => text,
        };
        let refused = Error::new(ErrorKind::Authentication, text);
        return match said {
            "" => refused,
            code => refused.with_redis_code(code),
        };
    }
    if error.kind() == redis::ErrorKind::RESP3NotSupported {
        let text = format!(
            "Redis at {address} does not speak RESP3; add ?protocol=resp2 to redis_url, or use \
             Redis 6.0 or newer"
        );
        return Error::new(ErrorKind::Connection, text);
    }
    if said.is_empty() {
        return ended(address).with_source(error.clone());
    }
    let text = format!("Redis at {address} refused the connection: {error}");
    Error::new(ErrorKind::Connection, text).with_redis_code(said)
}
