use std::time::Duration;

use tokio::sync::watch;

use crate::wait::{Either, first};
use crate::{Error, ErrorKind};

/// How long a call takes at least that is refused, so that a loop of such calls leaves time to others.
const REFUSAL: Duration = Duration::from_millis(1);

/// Whether Redis is known to be away. Then nobody asks it but the keeper of the link, who says when it is
/// back: each call would find out for itself by its deadline.
#[derive(Debug)]
pub(super) struct Away(watch::Sender<bool>);

impl Away {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(super) fn set(&self, is_away: bool) {
        self.0
            .send_if_modified(|was| std::mem::replace(was, is_away) != is_away);
    }

    /// What `asked` says, unless Redis is away, or turns out to be before it answers: then `asked` is
    /// dropped, and what it was to change may have been changed.
    pub(super) async fn unless<R>(
        &self,
        asked: impl Future<Output = Result<R, Error>> + Send,
    ) -> Result<R, Error> {
        let mut away = self.0.subscribe();
        if *away.borrow_and_update() {
            tokio::time::sleep(REFUSAL).await;
            return Err(is_away());
        }
        match first(Box::pin(asked).as_mut(), away.wait_for(|away| *away)).await {
            Either::Left(answer) => answer,
            Either::Right(_) => Err(is_away()),
        }
    }
}

fn is_away() -> Error {
    let text = "Redis is away, as the cache found out before";
    Error::new(ErrorKind::Connection, text)
}
