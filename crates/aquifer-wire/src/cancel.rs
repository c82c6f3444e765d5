use crate::startup::{self, CancelRoute, Opened};
use crate::{Error, Kind};

/// How a session's statement is cancelled: by a socket of its own to the same server.
#[derive(Debug)]
pub(crate) struct Cancel {
    route: CancelRoute,
    process_id: i32,
    secret_key: Vec<u8>,
}

impl Cancel {
    pub(crate) fn new(opened: &Opened) -> Self {
        Self {
            route: opened.cancel.clone(),
            process_id: opened.process_id,
            secret_key: opened.secret_key.clone(),
        }
    }

    pub(crate) fn process_id(&self) -> i32 {
        self.process_id
    }

    /// Sends the request and waits until the server has taken it in.
    pub(crate) async fn send(&self) -> Result<(), Error> {
        if self.secret_key.is_empty() {
            return Err(Error::new(
                Kind::Limit,
                "the server gave this session no key to cancel with",
            ));
        }
        startup::send_cancel(&self.route, self.process_id, &self.secret_key).await
    }
}
