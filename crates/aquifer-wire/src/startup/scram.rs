//! SCRAM-SHA-256, bound to the TLS channel where both sides can.

use bytes::Bytes;
use postgres_protocol::authentication::sasl::{
    ChannelBinding as Binding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::frontend;

use super::authentication::{Login, Request};
use super::exchange::{Exchange, unexpected};
use crate::config::ChannelBinding;
use crate::frame::Body;
use crate::{Error, Kind};

/// The most rounds of key derivation that a server may ask for; PostgreSQL's default is 4,096.
/// `postgres-protocol` has the same limit, with an error that can't be told from others.
const ITERATIONS_MAX: u64 = 100_000;

/// Runs the exchange, which ends with the server's proof that it knows the password too.
pub(super) async fn authenticate(
    exchange: &mut Exchange,
    login: &Login<'_>,
    offer: &Bytes,
) -> Result<(), Error> {
    let password = login.password()?.reveal().as_bytes();
    let (mechanism, binding) = choose(login, offer)?;
    let mut scram = ScramSha256::new(password, binding);
    frontend::sasl_initial_response(mechanism, scram.message(), &mut exchange.outgoing)
        .map_err(too_long)?;
    exchange.send().await?;

    let challenge = match Request::read(&exchange.next().await?)? {
        Some(Request::SaslContinue(challenge)) => challenge,
        other => return Err(premature(other.as_ref())),
    };
    check_iterations(&challenge)?;
    // The derivation takes milliseconds of pure computing, which would hold up every other task
    // of this thread.
    let derive = move || scram.update(&challenge).map(|()| scram);
    let mut scram = tokio::task::spawn_blocking(derive)
        .await
        .map_err(|error| Error::new(Kind::Authentication, "SCRAM failed").with_source(error))?
        .map_err(|error| {
            Error::new(Kind::Protocol, "the server's SCRAM challenge is wrong").with_source(error)
        })?;
    frontend::sasl_response(scram.message(), &mut exchange.outgoing).map_err(too_long)?;
    exchange.send().await?;

    match Request::read(&exchange.next().await?)? {
        Some(Request::SaslFinal(proof)) => scram.finish(&proof).map_err(|error| {
            Error::new(
                Kind::Authentication,
                "the server could not prove that it knows the password; it may be an impostor",
            )
            .with_source(error)
        })?,
        other => return Err(premature(other.as_ref())),
    }
    match Request::read(&exchange.next().await?)? {
        Some(Request::Ok) => Ok(()),
        _ => Err(unexpected("after SCRAM was complete")),
    }
}

/// The strongest mechanism that both sides can, and what it is bound to.
fn choose(login: &Login<'_>, offer: &Bytes) -> Result<(&'static str, Binding), Error> {
    let (mut plain, mut plus) = (false, false);
    let mut mechanisms = Body(offer);
    while !mechanisms.is_empty() {
        let mechanism = mechanisms.cstr()?;
        plain |= mechanism == SCRAM_SHA_256.as_bytes();
        plus |= mechanism == SCRAM_SHA_256_PLUS.as_bytes();
    }
    let wanted = login.channel_binding();
    let end_point = match wanted {
        ChannelBinding::Disable => None,
        ChannelBinding::Prefer | ChannelBinding::Require => login.end_point.clone(),
    };
    let chosen = match end_point {
        Some(hash) if plus => (SCRAM_SHA_256_PLUS, Binding::tls_server_end_point(hash)),
        _ if wanted == ChannelBinding::Require => return Err(unbound(login, plus)),
        // Says that we could have bound: a server that offered it, but whose offer somebody
        // removed on the way, then refuses.
        Some(_) => (SCRAM_SHA_256, Binding::unrequested()),
        None => (SCRAM_SHA_256, Binding::unsupported()),
    };
    if chosen.0 == SCRAM_SHA_256 && !plain {
        return Err(Error::new(
            Kind::Authentication,
            "the server offers no SASL mechanism that is supported; supported are SCRAM-SHA-256 \
             and, over TLS and unless channel_binding=disable, SCRAM-SHA-256-PLUS",
        ));
    }
    Ok(chosen)
}

fn unbound(login: &Login<'_>, offered: bool) -> Error {
    let why = if !login.encrypted {
        "the connection has no TLS; set sslmode=require or stronger"
    } else if offered {
        "the server's certificate has a signature for which none is defined"
    } else {
        "the server does not offer SCRAM-SHA-256-PLUS"
    };
    Error::new(
        Kind::Authentication,
        format!("channel_binding=require can't be met: {why}"),
    )
}

/// Refuses to work for a server that asks for an absurd amount of it, or for none.
fn check_iterations(challenge: &[u8]) -> Result<(), Error> {
    let text = String::from_utf8_lossy(challenge);
    let iterations = text
        .rsplit(',')
        .find_map(|attribute| attribute.strip_prefix("i="))
        .and_then(|count| count.parse::<u64>().ok());
    match iterations {
        Some(1..=ITERATIONS_MAX) => Ok(()),
        Some(count) => Err(Error::new(
            Kind::Authentication,
            format!(
                "the server asks for {count} iterations of SCRAM, of which 1 to {ITERATIONS_MAX} \
                 are accepted; set the password again with a lower scram_iterations"
            ),
        )),
        None => Err(Error::new(
            Kind::Protocol,
            "the server's SCRAM challenge names no iteration count",
        )),
    }
}

fn too_long(error: std::io::Error) -> Error {
    Error::new(Kind::Protocol, "the server's SCRAM challenge is too long").with_source(error)
}

fn premature(request: Option<&Request>) -> Error {
    match request {
        Some(Request::Ok) => Error::new(
            Kind::Authentication,
            "the server let us in without proving that it knows the password; it may be an \
             impostor",
        ),
        _ => unexpected("within SCRAM"),
    }
}

#[cfg(test)]
mod tests {
    use super::check_iterations;
    use crate::Kind;

    #[test]
    fn iteration_counts_are_bounded_before_any_work() {
        for good in ["r=x,s=y,i=1", "r=x,s=y,i=4096", "r=x,s=y,i=100000"] {
            assert!(check_iterations(good.as_bytes()).is_ok(), "{good}");
        }
        for (bad, kind) in [
            ("r=x,s=y,i=0", Kind::Authentication),
            ("r=x,s=y,i=100001", Kind::Authentication),
            ("r=x,s=y,i=4294967295", Kind::Authentication),
            ("r=x,s=y,i=99999999999999999999999", Kind::Protocol),
            ("r=x,s=y", Kind::Protocol),
            ("", Kind::Protocol),
        ] {
            let error = check_iterations(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), kind, "{bad}");
        }
    }
}
