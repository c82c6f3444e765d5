use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use aquifer_wire::{Catalog, Client, Config, Driver, Limits, Secret};

use crate::config::PasswordProvider;
use crate::deadline::Deadline;
use crate::{Error, ErrorKind, Retry};

/// Start-up settings of a shared lane: the server refuses writes that the router did not see.
const LANE: &[(&str, &str)] = &[("default_transaction_read_only", "on")];

/// Opens connections to one database.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Arc<Config>,
    catalog: Arc<Catalog>,
    limits: Limits,
    password: Option<PasswordProvider>,
    connect_timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        config: Config,
        limits: Limits,
        password: Option<PasswordProvider>,
        connect_timeout: Duration,
    ) -> Self {
        let catalog = Arc::new(Catalog::new(DESCRIPTIONS_MAX));
        Self {
            config: Arc::new(config),
            catalog,
            limits,
            password,
            connect_timeout,
        }
    }

    pub(crate) async fn open(&self, shared: bool) -> Result<(Client, Driver), Error> {
        let settings = if shared { LANE } else { &[] };
        let config = match &self.password {
            None => Arc::clone(&self.config),
            Some(provider) => {
                let password = self.ask(provider).await?;
                Arc::new(Config::clone(&self.config).password(password))
            }
        };
        let opened = Client::connect(&config, &self.catalog, &self.limits, settings).await;
        opened.map_err(|error| Error::from_wire(error, false))
    }

    /// The password; a provider that hangs or panics fails this one opening, not the task.
    async fn ask(&self, provider: &PasswordProvider) -> Result<Secret, Error> {
        let failed = |text| Error::new(ErrorKind::Authentication, text);
        let asked = async {
            let mut answer = caught(|| provider())?;
            let answered = poll_fn(|context| match caught(|| answer.as_mut().poll(context)) {
                Some(Poll::Pending) => Poll::Pending,
                Some(Poll::Ready(answer)) => Poll::Ready(Some(answer)),
                None => Poll::Ready(None),
            });
            answered.await
        };
        match Deadline::after(self.connect_timeout).run(asked).await {
            Ok(Some(answer)) => {
                answer.map_err(|cause| failed("the password provider failed").with_source(cause))
            }
            Ok(None) => Err(failed("the password provider panicked")),
            Err(_) => {
                let text = format!(
                    "the password provider did not answer within {:?} (connect_timeout)",
                    self.connect_timeout
                );
                Err(Error::new(ErrorKind::Timeout, text).with_retry(Retry::Safe))
            }
        }
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
}

/// What `call` returns, unless it panics.
fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Most statement descriptions kept per database.
const DESCRIPTIONS_MAX: usize = 2048;

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connector")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
