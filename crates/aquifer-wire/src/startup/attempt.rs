//! One host, from the socket to ReadyForQuery, with the second try that `sslmode` may allow.

use std::collections::BTreeMap;

use postgres_protocol::message::frontend;
use tokio::time::{Instant, timeout_at};

use super::authentication::{Login, authenticate};
use super::cancel::CancelRoute;
use super::encryption::{Encryption, secure};
use super::exchange::{BACKEND_KEY_DATA, Exchange, unexpected};
use super::passfile::Lookup;
use super::role::Role;
use super::{Opened, Peer, Phase, connect};
use crate::config::{Config, Target};
use crate::frame::{Body, tag};
use crate::tls::{TlsRoute, end_point, is_certificate_refusal};
use crate::transport::Transport;
use crate::{Error, Kind, SqlState};

/// Opening a session on one host.
pub(super) struct Attempt<'a> {
    pub(super) config: &'a Config,
    pub(super) target: &'a Target,
    settings: &'a [(&'a str, &'a str)],
    pub(super) deadline: Instant,
    pub(super) phase: Phase,
    /// Whether the server's role is found out, which on servers before PostgreSQL 14 and behind
    /// some poolers costs a query.
    pub(super) asks_role: bool,
    encrypted: bool,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        config: &'a Config,
        target: &'a Target,
        settings: &'a [(&'a str, &'a str)],
    ) -> Self {
        Self {
            config,
            target,
            settings,
            deadline: Instant::now(),
            phase: Phase::LookUp,
            asks_role: false,
            encrypted: false,
        }
    }

    /// Opens the session, or gives up when `connect_timeout` is over.
    pub(super) async fn within_limit(&mut self) -> Result<(Opened, Option<Role>), Error> {
        let limit = self.config.connect_limit();
        self.deadline = Instant::now() + limit;
        // Boxed: the future of a whole start-up is large, and there is one per connection, not
        // per statement.
        let result = timeout_at(self.deadline, Box::pin(self.run())).await;
        match result {
            // None of it was a request of a caller.
            Ok(result) => result.map_err(|error| error.at(self.target).with_sent(false)),
            Err(_elapsed) => Err(Error::new(
                Kind::Timeout,
                format!(
                    "{}: no session within {limit:?} (connect_timeout); the time ran out during {}",
                    self.target, self.phase
                ),
            )),
        }
    }

    async fn run(&mut self) -> Result<(Opened, Option<Role>), Error> {
        let (first, second) = Encryption::plan(self.config.sslmode_for(self.target));
        let error = match self.once(first).await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        match second {
            Some(second) if self.may_change(second, &error) => {
                self.once(second).await.map_err(|again| {
                    // What the server says tells more than that it has no TLS.
                    match again.kind() {
                        Kind::Tls => error.with_source(again),
                        _ => again.with_source(error),
                    }
                })
            }
            _ => Err(error),
        }
    }

    /// Whether `error` is a reason to try once more with or without TLS: it could not be agreed,
    /// or `pg_hba.conf` has no line for this kind of connection.
    ///
    /// Narrower than libpq, which also repeats a wrong password, and goes on in clear text after
    /// it has found the certificate wrong.
    fn may_change(&self, second: Encryption, error: &Error) -> bool {
        if self.target.socket().is_some() {
            return false;
        }
        let no_line = error.sqlstate() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
        match second {
            Encryption::Clear if error.kind() == Kind::Tls => !is_certificate_refusal(error),
            Encryption::Clear => no_line && self.encrypted,
            Encryption::IfOffered | Encryption::Required => no_line,
        }
    }

    async fn once(&mut self, encryption: Encryption) -> Result<(Opened, Option<Role>), Error> {
        self.encrypted = false;
        let (transport, peer) =
            connect::connect(self.config, self.target, self.deadline, &mut self.phase).await?;
        let (transport, route) = self.encrypt(transport, &peer, encryption).await?;
        self.encrypted = transport.is_encrypted();
        let mut exchange = Exchange::new(transport);
        self.phase = Phase::Authentication;
        self.log_in(&mut exchange).await?;
        self.phase = Phase::StartUp;
        self.until_ready(exchange, CancelRoute { peer, tls: route })
            .await
    }

    async fn encrypt(
        &mut self,
        transport: Transport,
        peer: &Peer,
        encryption: Encryption,
    ) -> Result<(Transport, Option<TlsRoute>), Error> {
        match (transport, peer) {
            (Transport::Tcp(stream), Peer::Tcp(address)) if encryption != Encryption::Clear => {
                self.phase = Phase::Tls;
                let route = self.config.tls_route(self.target, address.ip()).await?;
                let transport = secure(stream, &route, encryption).await?;
                let route = transport.is_encrypted().then_some(route);
                Ok((transport, route))
            }
            // On a unix socket there is nothing to encrypt, as in libpq.
            (transport, _) => Ok((transport, None)),
        }
    }

    async fn log_in(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let settings = &self.config.settings;
        let user = settings.user.as_deref().unwrap_or_default();
        let name = settings.application_name.as_deref();
        let mut parameters = vec![
            ("user", user),
            ("database", settings.dbname.as_deref().unwrap_or(user)),
            ("client_encoding", "UTF8"),
        ];
        if let Some(name) = name.or(settings.fallback_application_name.as_deref()) {
            parameters.push(("application_name", name));
        }
        if let Some(options) = &settings.options {
            parameters.push(("options", options));
        }
        parameters.extend(self.settings);
        frontend::startup_message(parameters, &mut exchange.outgoing).map_err(|error| {
            Error::new(Kind::Config, "a start-up setting has a NUL character in it")
                .with_source(error)
        })?;
        exchange.send().await?;
        let end_point = match exchange.transport() {
            Transport::Tls(stream) => end_point(stream),
            Transport::Tcp(_) | Transport::Unix(_) => None,
        };
        let login = Login {
            settings,
            user,
            passfile: Lookup::new(settings, self.target, user),
            end_point,
            encrypted: exchange.transport().is_encrypted(),
            local: self.target.is_local(),
        };
        authenticate(exchange, login).await
    }

    async fn until_ready(
        &self,
        mut exchange: Exchange,
        cancel: CancelRoute,
    ) -> Result<(Opened, Option<Role>), Error> {
        let mut parameters = BTreeMap::new();
        let (mut process_id, mut secret_key) = (0, Vec::new());
        loop {
            let message = exchange.next().await?;
            let mut body = Body(&message.body);
            match message.tag {
                tag::PARAMETER_STATUS => {
                    let name = body.text()?.to_owned();
                    parameters.insert(name, body.text()?.to_owned());
                }
                BACKEND_KEY_DATA => {
                    process_id = body.i32()?;
                    secret_key = body.0.to_vec();
                }
                tag::READY => break,
                _ => return Err(unexpected("between authentication and ReadyForQuery")),
            }
        }
        check_encoding(&parameters)?;
        let role = match self.asks_role {
            true => Some(Role::find_out(&mut exchange, &parameters, self.settings).await?),
            false => None,
        };
        let (transport, unread) = exchange.into_parts();
        let opened = Opened {
            transport,
            unread,
            process_id,
            secret_key,
            parameters,
            cancel,
        };
        Ok((opened, role))
    }
}

/// Text is UTF-8 on both sides, or every string would need a second look.
fn check_encoding(parameters: &BTreeMap<String, String>) -> Result<(), Error> {
    match parameters.get("client_encoding").map(String::as_str) {
        None | Some("UTF8") => Ok(()),
        Some(_) => Err(Error::new(
            Kind::Connect,
            "the session's client_encoding is not UTF8 although it was asked for; look for a \
             setting of the role, the database or a pooler",
        )),
    }
}
