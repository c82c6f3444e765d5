//! Whose name the connections log in with, and by which password: asked for as rarely as can be.

use std::time::Duration;

use aquifer_wire::Secret;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::{PasswordProvider, RedisLogin};
use crate::{Error, clock, credentials};

/// While the server goes on refusing, the provider is asked at most so often.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The login that all connections of one kind use.
pub(super) struct Credentials {
    user: Option<String>,
    fixed: Option<Secret>,
    provider: Option<PasswordProvider>,
    /// How long the provider may take.
    limit: Duration,
    /// Held while the provider is asked, so that all who need a password wait for one answer.
    asked: Mutex<Option<Answered>>,
}

struct Answered {
    password: Secret,
    at: Instant,
}

impl Credentials {
    pub(super) fn new(
        login: &RedisLogin,
        provider: Option<PasswordProvider>,
        limit: Duration,
    ) -> Self {
        Self {
            user: login.user.clone(),
            fixed: login.password.clone(),
            provider,
            limit,
            asked: Mutex::new(None),
        }
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password to log in with; a provider's last answer holds until it is refused.
    pub(super) async fn password(&self) -> Result<Option<Secret>, Error> {
        let Some(provider) = &self.provider else {
            return Ok(self.fixed.clone());
        };
        let mut asked = self.asked.lock().await;
        if let Some(answered) = &*asked {
            return Ok(Some(answered.password.clone()));
        }
        let password = self.ask(provider).await?;
        let at = clock::now();
        let answer = password.clone();
        *asked = Some(Answered { password, at });
        Ok(Some(answer))
    }

    /// Another password instead of the one that was refused, if there is one: somebody else's newer
    /// answer, or the provider's new one.
    pub(super) async fn instead_of(&self, refused: &Secret) -> Result<Option<Secret>, Error> {
        let Some(provider) = &self.provider else {
            return Ok(None);
        };
        let mut asked = self.asked.lock().await;
        if let Some(answered) = &*asked {
            if answered.password != *refused {
                return Ok(Some(answered.password.clone()));
            }
            if clock::now() < answered.at + ASKED_AGAIN_AFTER {
                return Ok(None);
            }
        }
        let password = self.ask(provider).await?;
        let changed = (password != *refused).then(|| password.clone());
        let at = clock::now();
        *asked = Some(Answered { password, at });
        Ok(changed)
    }

    async fn ask(&self, provider: &PasswordProvider) -> Result<Secret, Error> {
        credentials::ask(provider, self.limit, "the password provider of Redis").await
    }
}
