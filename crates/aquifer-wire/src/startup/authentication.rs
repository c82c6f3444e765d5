//! Proves to the server who we are, in a way that both sides consent to.

use bytes::Bytes;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::frontend;

use super::exchange::{AUTHENTICATION, Exchange, Message, unexpected};
use super::passfile::Lookup;
use super::scram;
use crate::config::{AuthMethod, ChannelBinding, Settings};
use crate::frame::Body;
use crate::secret::Secret;
use crate::{Error, Kind};

/// Who logs in, and over what.
pub(super) struct Login<'a> {
    pub(super) settings: &'a Settings,
    pub(super) user: &'a str,
    pub(super) passfile: Option<Lookup>,
    /// What SCRAM can be bound to.
    pub(super) end_point: Option<Vec<u8>>,
    pub(super) encrypted: bool,
    pub(super) local: bool,
}

impl Login<'_> {
    pub(super) fn channel_binding(&self) -> ChannelBinding {
        let binding = self.settings.channel_binding;
        binding.unwrap_or(ChannelBinding::Prefer)
    }

    pub(super) fn password(&self) -> Result<&Secret, Error> {
        let found = self.passfile.as_ref().and_then(|file| file.found.as_ref());
        self.settings.password.as_ref().or(found).ok_or_else(|| {
            let in_file = match self.passfile {
                Some(_) => {
                    ", and the password file has none for this host, port, database and user"
                }
                None => "",
            };
            let text = format!(
                "the server asks for a password, but none is set{in_file}; give it in the URL, as \
                 `password=…`, in PGPASSWORD or in a password file"
            );
            Error::new(Kind::Authentication, text)
        })
    }

    /// Refuses methods that `require_auth` excludes, that can't be bound although they must be, or
    /// that would show the password to whoever listens.
    pub(super) fn permit(&self, method: AuthMethod) -> Result<(), Error> {
        let list = self.settings.require_auth.as_ref();
        if list.is_some_and(|list| !list.allows(method)) {
            return Err(Error::new(
                Kind::Authentication,
                format!("the server wants authentication by {method}, which require_auth excludes"),
            ));
        }
        let required = self.channel_binding() == ChannelBinding::Require;
        if required && method != AuthMethod::ScramSha256 {
            return Err(Error::new(
                Kind::Authentication,
                "channel_binding=require needs SCRAM-SHA-256-PLUS, but the server wants another \
                 authentication method",
            ));
        }
        let named = list.is_some_and(|list| list.names(method));
        let exposed = matches!(method, AuthMethod::Password | AuthMethod::Md5);
        if exposed && !self.encrypted && !self.local && !named {
            return Err(Error::new(
                Kind::Authentication,
                format!(
                    "the server wants authentication by {method} on a connection without TLS, \
                     which would give the password away; use TLS or SCRAM, or set \
                     require_auth={method} if the network is trusted"
                ),
            ));
        }
        Ok(())
    }
}

/// What an Authentication message asks for.
pub(super) enum Request {
    /// Nothing more.
    Ok,
    Cleartext,
    Md5([u8; 4]),
    /// The names of the mechanisms, each ended by NUL.
    Sasl(Bytes),
    SaslContinue(Bytes),
    SaslFinal(Bytes),
    /// A method that we do not speak, by name.
    Unsupported(&'static str),
}

impl Request {
    /// `None` if `message` is none.
    pub(super) fn read(message: &Message) -> Result<Option<Self>, Error> {
        if message.tag != AUTHENTICATION {
            return Ok(None);
        }
        let mut body = Body(&message.body);
        let number = body.u32()?;
        let data = || message.body.slice_ref(body.0);
        Ok(Some(match number {
            0 => Self::Ok,
            2 => Self::Unsupported("Kerberos V5"),
            3 => Self::Cleartext,
            5 => Self::Md5(body.u32()?.to_be_bytes()),
            6 => Self::Unsupported("SCM credentials"),
            7 => Self::Unsupported("GSSAPI"),
            9 => Self::Unsupported("SSPI"),
            10 => Self::Sasl(data()),
            11 => Self::SaslContinue(data()),
            12 => Self::SaslFinal(data()),
            _ => Self::Unsupported("a method of unknown number"),
        }))
    }
}

/// Answers what the server asks until it says AuthenticationOk.
pub(super) async fn authenticate(
    exchange: &mut Exchange,
    mut login: Login<'_>,
) -> Result<(), Error> {
    let request = Request::read(&exchange.next().await?)?;
    let method = match &request {
        Some(Request::Ok) => AuthMethod::None,
        Some(Request::Cleartext) => AuthMethod::Password,
        Some(Request::Md5(_)) => AuthMethod::Md5,
        Some(Request::Sasl(_)) => AuthMethod::ScramSha256,
        Some(Request::Unsupported(method)) => return Err(unsupported(method)),
        _ => return Err(unexpected("where the server says how to authenticate")),
    };
    login.permit(method)?;
    if method != AuthMethod::None
        && let Some(passfile) = &mut login.passfile
    {
        passfile.find().await?;
    }
    let answer = match request {
        Some(Request::Sasl(offer)) => return scram::authenticate(exchange, &login, &offer).await,
        Some(Request::Cleartext) => login.password()?.reveal().to_owned(),
        Some(Request::Md5(salt)) => {
            let password = login.password()?.reveal().as_bytes();
            md5_hash(login.user.as_bytes(), password, salt)
        }
        _ => return Ok(()),
    };
    frontend::password_message(answer.as_bytes(), &mut exchange.outgoing).map_err(|error| {
        Error::new(Kind::Config, "password has a NUL character in it").with_source(error)
    })?;
    exchange.send().await?;
    match Request::read(&exchange.next().await?)? {
        Some(Request::Ok) => Ok(()),
        _ => Err(unexpected("after the password was sent")),
    }
}

fn unsupported(method: &str) -> Error {
    Error::new(
        Kind::Authentication,
        format!(
            "the server wants authentication by {method}, which is not supported; let pg_hba.conf \
             ask for scram-sha-256"
        ),
    )
}
