use super::{Config, Origin, knob, refusal};
use crate::Error;

/// Whether a pooler stands between the layer and PostgreSQL that lends a session for one
/// transaction at a time, such as PgBouncer with `pool_mode = transaction`.
///
/// Behind one, nothing lasts in a session: no start-up settings are sent, statements are parsed anew
/// with each run, each read on a lane brings its guard along, and what needs a session of its own
/// ([`Db::dedicated`](crate::Db::dedicated), [`Db::listen`](crate::Db::listen), SET, temporary
/// tables, session locks) is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pooler {
    /// Find out when connecting: a pooler refuses, or drops, start-up settings.
    #[default]
    Auto,
    /// There is none, or one that lends sessions for good.
    None,
    /// There is one.
    Transaction,
}

impl Pooler {
    const ALL: [Self; 3] = [Self::Auto, Self::None, Self::Transaction];

    /// As a file or a variable would say it.
    pub(super) fn written(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::Transaction => "transaction",
        }
    }
}

impl Config {
    /// What stands in the way to the server, checked.
    pub(super) fn pooler(&self) -> Result<Pooler, Error> {
        let Some(given) = self.texts.get(knob::POOLER.name) else {
            return Ok(Pooler::default());
        };
        let text = given.value.reveal();
        let known = Pooler::ALL
            .into_iter()
            .find(|pooler| pooler.written() == text);
        known.ok_or_else(|| {
            refusal(
                knob::POOLER.name,
                &given.origin,
                "must be auto, none or transaction; leave it out for the default, auto",
            )
        })
    }

    /// What is shown for it.
    pub(super) fn shown_pooler(&self) -> (String, Origin) {
        let given = self.texts.get(knob::POOLER.name);
        given.map_or_else(
            || (Pooler::default().written().to_owned(), Origin::Default),
            |given| (given.value.reveal().to_owned(), given.origin.clone()),
        )
    }
}
