//! What callers build: one command, or several that are sent together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, ToRedisArgs, Value};

use super::execute::{self, Call};
use super::fleet::Fleet;
use super::link;
use super::node::Batch;
use super::traits::{Effect, Known};
use super::verdict::{self, Verdict};
use crate::deadline::Deadline;
use crate::{Error, ErrorKind};

/// Where commands go.
#[derive(Clone)]
pub(super) enum Via {
    Fleet(Arc<Fleet>),
    Link(Arc<link::Inner>),
}

/// One command, made by [`Redis::command`](super::Redis::command).
#[must_use = "nothing is sent until `run` is awaited"]
pub struct Command {
    via: Via,
    command: Cmd,
    options: Options,
}

/// Commands that are sent together, made by [`Redis::pipeline`](super::Redis::pipeline).
///
/// It saves round trips. The commands run in their order; in a cluster, in their order on each node.
/// One that is tried again, because its slot moves or its server says that it can't yet, runs later
/// than those behind it, unless the pipeline is [`atomic`](Self::atomic).
///
/// ```no_run
/// # use aquifer::{Error, Redis};
/// # async fn example(redis: &Redis) -> Result<(), Error> {
/// let (one, two): (i64, Option<String>) = redis
///     .pipeline()
///     .command("INCR").arg("visits")
///     .command("GET").arg("greeting")
///     .run()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until `run` is awaited"]
pub struct Pipeline {
    via: Via,
    commands: Vec<Cmd>,
    atomic: bool,
    options: Options,
}

#[derive(Clone, Copy, Default)]
struct Options {
    idempotent: bool,
    timeout: Option<Duration>,
}

impl Command {
    pub(super) fn new(via: Via, name: &str) -> Self {
        Self {
            via,
            command: redis::cmd(name),
            options: Options::default(),
        }
    }

    /// Adds a word, or several: of a list each element, of pairs both.
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    /// Says that doing it twice does no harm, so that it is tried again when its answer is lost.
    pub fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }

    /// Another deadline than `redis_timeout`.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Sends the command and reads the answer as a `T`; nil is `None` of an `Option`.
    ///
    /// # Errors
    /// [`Redis`](ErrorKind::Redis) when the server refuses it, with the
    /// [code](Error::redis_code); [`Connection`](ErrorKind::Connection) and
    /// [`Timeout`](ErrorKind::Timeout), where a retry is safe as [`Error::retry`] says;
    /// [`Unknown`](ErrorKind::Unknown) when it may have taken effect;
    /// [`Authentication`](ErrorKind::Authentication), [`Tls`](ErrorKind::Tls);
    /// [`Acquire`](ErrorKind::Acquire) when `requests_max` calls are under way;
    /// [`Decode`](ErrorKind::Decode) when the answer is no `T`; [`Usage`](ErrorKind::Usage) for
    /// commands that belong on a [`Link`](super::Link); [`Closed`](ErrorKind::Closed).
    ///
    /// # Cancel safety
    /// The command may be carried out; no other call gets its answer.
    pub async fn run<T: FromRedisValue>(self) -> Result<T, Error> {
        let name = Known::of(&self.command).name().to_owned();
        let commands = std::slice::from_ref(&self.command);
        let answers = self.via.run(commands, false, self.options).await?;
        let answer = answers.into_iter().next().unwrap_or(Ok(Value::Nil))?;
        decoded(answer, &name)
    }
}

impl Pipeline {
    pub(super) fn new(via: Via) -> Self {
        Self {
            via,
            commands: Vec::new(),
            atomic: false,
            options: Options::default(),
        }
    }

    /// Begins the next command.
    pub fn command(mut self, name: &str) -> Self {
        self.commands.push(redis::cmd(name));
        self
    }

    /// Adds a word, or several, to the command begun last; without one, it begins one.
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        if self.commands.is_empty() {
            self.commands.push(Cmd::new());
        }
        if let Some(command) = self.commands.last_mut() {
            command.arg(argument);
        }
        self
    }

    /// All or nothing, and nobody sees a part: MULTI and EXEC. In a cluster all keys must be in one
    /// slot.
    pub fn atomic(mut self) -> Self {
        self.atomic = true;
        self
    }

    /// As [`Command::idempotent`], for all commands.
    pub fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }

    /// As [`Command::timeout`], for the pipeline as a whole.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Sends the commands and reads the answers as a tuple or a list.
    ///
    /// # Errors
    /// As [`Command::run`]: that of the first command that failed; others may have taken effect.
    ///
    /// # Cancel safety
    /// As [`Command::run`].
    pub async fn run<T: FromRedisValue>(self) -> Result<T, Error> {
        let answers = self.run_each().await?;
        let answers: Result<Vec<Value>, Error> = answers.into_iter().collect();
        decoded(Value::Array(answers?), "the pipeline")
    }

    /// Sends the commands; returns the answer or the error of each, in their order.
    ///
    /// # Errors
    /// Only what concerns all: [`Usage`](ErrorKind::Usage), [`Acquire`](ErrorKind::Acquire) and
    /// [`Closed`](ErrorKind::Closed).
    ///
    /// # Cancel safety
    /// As [`Command::run`].
    pub async fn run_each(self) -> Result<Vec<Result<Value, Error>>, Error> {
        if self.commands.is_empty() {
            return Ok(Vec::new());
        }
        self.via
            .run(&self.commands, self.atomic, self.options)
            .await
    }
}

impl Via {
    async fn run(
        &self,
        commands: &[Cmd],
        atomic: bool,
        options: Options,
    ) -> Result<Vec<Result<Value, Error>>, Error> {
        match self {
            Self::Fleet(fleet) => {
                let timeout = options
                    .timeout
                    .unwrap_or_else(|| fleet.opener.settings().timeout);
                let call = Call {
                    commands,
                    atomic,
                    idempotent: options.idempotent,
                    timeout,
                };
                execute::run(fleet, &call).await
            }
            Self::Link(link) => {
                let timeout = options.timeout.unwrap_or(link.timeout);
                Ok(on_link(link, commands, atomic, timeout).await)
            }
        }
    }
}

/// Sends commands on a link, once.
async fn on_link(
    link: &link::Inner,
    commands: &[Cmd],
    atomic: bool,
    timeout: Duration,
) -> Vec<Result<Value, Error>> {
    let batch = Batch {
        commands: commands.iter().collect(),
        atomic,
        asking: false,
    };
    let sent = Deadline::after(timeout)
        .run(batch.send(link.connection.clone()))
        .await;
    let judged = |(position, command): (usize, &Cmd)| {
        let known = Known::of(command);
        let (name, effect) = (known.name(), known.effect());
        match &sent {
            Err(_elapsed) => Verdict::Failed(verdict::late(name, effect, timeout)),
            Ok(Err(error)) => verdict::of_failure(error, name, effect, &link.address),
            Ok(Ok(answers)) => match answers.get(position) {
                Some(answer) => verdict::of_answer(answer.clone(), name, &link.address),
                None => verdict::of_failure(
                    &redis::RedisError::from((redis::ErrorKind::Parse, "no answer")),
                    name,
                    Effect::Changes,
                    &link.address,
                ),
            },
        }
    };
    let verdicts = commands.iter().enumerate().map(judged);
    verdicts
        .map(|verdict| match verdict {
            Verdict::Answer(answer) => Ok(answer),
            Verdict::Failed(error) | Verdict::Again(_, error) => Err(error),
        })
        .collect()
}

/// Reads an answer; the error does not repeat it, since it may be a secret.
fn decoded<T: FromRedisValue>(answer: Value, name: &str) -> Result<T, Error> {
    let kind = match &answer {
        Value::Nil => "nil",
        Value::Int(_) => "an integer",
        Value::BulkString(_) | Value::SimpleString(_) | Value::VerbatimString { .. } => "a text",
        Value::Okay => "OK",
        Value::Array(_) | Value::Set(_) => "a list",
        Value::Map(_) => "a map",
        Value::Double(_) => "a number",
        Value::Boolean(_) => "a truth value",
        _ => "something else",
    };
    T::from_redis_value(answer).map_err(|_holds_the_value| {
        let text = format!(
            "the answer to {name} is {kind}, which can't be read as {}",
            std::any::type_name::<T>()
        );
        Error::new(ErrorKind::Decode, text)
    })
}

impl From<Arc<Fleet>> for Via {
    fn from(fleet: Arc<Fleet>) -> Self {
        Self::Fleet(fleet)
    }
}

impl From<Arc<link::Inner>> for Via {
    fn from(link: Arc<link::Inner>) -> Self {
        Self::Link(link)
    }
}

/// Values stay out.
impl fmt::Debug for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Command({})", Known::of(&self.command).name())
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .commands
            .iter()
            .map(|command| Known::of(command).name().to_owned());
        formatter.debug_list().entries(names).finish()
    }
}
