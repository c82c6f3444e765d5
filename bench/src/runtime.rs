//! The runtimes on which contenders run.

use tokio::runtime::{Builder, Runtime};

use crate::Error;

/// One thread (tokio's current_thread), or two workers.
///
/// # Errors
/// When the system gives no thread.
pub fn start(one_thread: bool) -> Result<Runtime, Error> {
    let mut builder = if one_thread {
        Builder::new_current_thread()
    } else {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2);
        builder
    };
    Ok(builder.enable_all().build()?)
}
