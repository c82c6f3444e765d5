//! The settings that a handle gives its transactions.

use super::Transaction;
use crate::execute::Engine;
use crate::{Error, ErrorKind};

impl Transaction {
    /// Refuses a handle whose statements must run with other settings than this transaction has.
    ///
    /// A handle without settings asks for nothing, and joins whatever there is.
    pub(crate) fn check_settings(&self, engine: &Engine) -> Result<(), Error> {
        match &engine.settings {
            None => Ok(()),
            settings if *settings == self.0.root.engine.settings => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Transaction,
                "the transaction that this task is in was begun with other settings than this \
                 handle has; begin it with the handle of `with_settings`, or use `detached()`",
            )),
        }
    }
}
