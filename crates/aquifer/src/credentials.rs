//! The password of a login, and what happens when it is refused: a new one is asked for once, and
//! who goes on being refused does not storm the server, which counts refusals and locks roles.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aquifer_wire::{Secret, SqlState};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::PasswordProvider;
use crate::deadline::Deadline;
use crate::observe::{Event, Observers, Service};
use crate::wait::unless_panic;
use crate::{Error, ErrorKind, Retry, clock};

/// Between two logins while they are refused.
const PAUSE: Duration = Duration::from_secs(1);

/// How all that log in to one database come by the password; cheap to clone.
#[derive(Clone)]
pub(crate) struct Credentials(Arc<Inner>);

struct Inner {
    provider: Option<PasswordProvider>,
    /// For one answer of the provider.
    timeout: Duration,
    observers: Observers,
    /// The last login was refused, with a new password too if there is a provider.
    barred: AtomicBool,
    /// Held by whoever logs in with a new password, and by each login while it is barred.
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    /// When somebody who had it logged in last.
    last: Option<Instant>,
    /// The password that was accepted after another had been refused.
    accepted: Option<Secret>,
}

impl Credentials {
    pub(crate) fn new(
        provider: Option<PasswordProvider>,
        timeout: Duration,
        observers: Observers,
    ) -> Self {
        Self(Arc::new(Inner {
            provider,
            timeout,
            observers,
            barred: AtomicBool::new(false),
            turn: Mutex::default(),
        }))
    }

    /// The same for another host: what one refuses says nothing about the others.
    pub(crate) fn apart(&self) -> Self {
        let inner = &self.0;
        Self::new(
            inner.provider.clone(),
            inner.timeout,
            inner.observers.clone(),
        )
    }

    /// Logs in with what the provider says, if there is one; after a refusal once more, with what it
    /// says then.
    ///
    /// Of several that are refused together one asks, and the others use what it got. While logins are
    /// refused there is one in a second, whoever makes it.
    ///
    /// Cancellation: a login that is under way is given up.
    pub(crate) async fn log_in<T, F>(&self, login: impl Fn(Option<Secret>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        if self.is_barred() {
            let mut turn = self.0.turn.lock().await;
            if self.is_barred() {
                turn.wait().await;
                let password = self.ask().await?;
                let outcome = login(password).await;
                if outcome.is_ok() {
                    self.set_barred(false);
                    self.tell(true);
                }
                return outcome;
            }
        }
        let password = self.ask().await?;
        let outcome = login(password.clone()).await;
        let refused = outcome.as_ref().is_err_and(is_refused);
        match password {
            Some(password) if refused => Box::pin(self.log_in_anew(password, outcome, login)).await,
            _ => {
                if refused {
                    self.set_barred(true);
                }
                outcome
            }
        }
    }

    /// Logs in with another password than the one that was refused, if there is another.
    async fn log_in_anew<T, F>(
        &self,
        refused: Secret,
        outcome: Result<T, Error>,
        login: impl Fn(Option<Secret>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut turn = self.0.turn.lock().await;
        if self.is_barred() {
            return outcome;
        }
        let known = turn.accepted.clone().filter(|known| *known != refused);
        let is_known = known.is_some();
        let password = match known {
            Some(known) => Some(known),
            None => self.ask().await?,
        };
        turn.last = Some(clock::now());
        let outcome = if password.as_ref() == Some(&refused) {
            outcome
        } else {
            login(password.clone()).await
        };
        let accepted = !outcome.as_ref().is_err_and(is_refused);
        turn.accepted = password.filter(|_| accepted);
        self.set_barred(!accepted);
        if !is_known {
            self.tell(accepted);
        }
        outcome
    }

    fn is_barred(&self) -> bool {
        self.0.barred.load(Ordering::Acquire)
    }

    fn set_barred(&self, barred: bool) {
        self.0.barred.store(barred, Ordering::Release);
    }

    fn tell(&self, accepted: bool) {
        if self.0.provider.is_some() {
            let service = Service::Postgres;
            let event = Event::CredentialRefresh { service, accepted };
            self.0.observers.publish(event);
        }
    }

    /// The password, if there is a provider.
    async fn ask(&self) -> Result<Option<Secret>, Error> {
        let Some(provider) = &self.0.provider else {
            return Ok(None);
        };
        let password = ask(provider, self.0.timeout, "the password provider").await?;
        Ok(Some(password))
    }
}

/// Asks for a password; a provider that hangs or panics fails this one login, not the task.
pub(crate) async fn ask(
    provider: &PasswordProvider,
    timeout: Duration,
    whose: &str,
) -> Result<Secret, Error> {
    let failed = |what| Error::new(ErrorKind::Authentication, format!("{whose} {what}"));
    match Deadline::after(timeout)
        .run(unless_panic(|| provider()))
        .await
    {
        Ok(Some(answer)) => answer.map_err(|cause| failed("failed").with_source(cause)),
        Ok(None) => Err(failed("panicked")),
        Err(_elapsed) => {
            let text = format!("{whose} did not answer within {timeout:?} (connect_timeout)");
            Err(Error::new(ErrorKind::Timeout, text).with_retry(Retry::Safe))
        }
    }
}

impl Turn {
    /// Waits until another login may be made.
    async fn wait(&mut self) {
        let last = self.last.unwrap_or_else(clock::now);
        tokio::time::sleep_until(last + PAUSE).await;
        self.last = Some(clock::now());
    }
}

/// Whether the server refused the login, rather than the provider to help.
fn is_refused(error: &Error) -> bool {
    matches!(
        error.sqlstate(),
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
    )
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .finish_non_exhaustive()
    }
}
