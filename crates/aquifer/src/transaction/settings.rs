//! The settings that a handle gives its transactions.

use aquifer_wire::Sharing;

use super::{Transaction, TransactionOptions};
use crate::execute::Engine;
use crate::pool::Checkout;
use crate::settings::Settings;
use crate::{Error, ErrorKind};

impl Transaction {
    /// Refuses a handle whose statements must run with other settings than this transaction has.
    ///
    /// A handle without settings asks for nothing, and joins whatever there is.
    pub(crate) fn check_settings(&self, engine: &Engine) -> Result<(), Error> {
        match &engine.settings {
            None => Ok(()),
            settings if *settings == self.0.engine.settings => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Transaction,
                "the transaction that this task is in was begun with other settings than this \
                 handle has; begin it with the handle of `with_settings`, or use `detached()`",
            )),
        }
    }
}

/// Sends BEGIN, and the settings of the handle behind it.
pub(super) async fn begin(
    engine: &Engine,
    checkout: &Checkout,
    options: TransactionOptions,
) -> Result<(), aquifer_wire::Error> {
    let client = checkout.client();
    client.control(&options.begin()).await?;
    if let Some((sql, values)) = engine.settings.as_ref().map(Settings::statement) {
        Box::pin(client.query(sql, values, Sharing::Own)).await?;
    }
    Ok(())
}
