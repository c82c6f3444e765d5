//! Callers of one lane, by turns as they like, against a model of what each must be told.

use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::task::JoinHandle;

use super::backend::{Backend, Fault};
use super::{ask, echo, pair, run, statement};
use crate::{Client, Error, Kind, Limits, Sharing};

/// What happens next on the lane.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Somebody asks, and waits for the answer.
    Ask(Question),
    /// Somebody asks and goes away.
    AskAndDrop(Question),
    /// Everything else may run for a while.
    Pause,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Question {
    Read,
    Fail,
    Own,
    OwnFail,
    /// In the turn of the transaction that is on.
    Within,
    /// In a turn that is over, or never was.
    Overtaken,
    /// Begins the next turn.
    Control,
}

impl Step {
    fn fails(&self) -> bool {
        match self {
            Self::Ask(question) | Self::AskAndDrop(question) => question.fails(),
            Self::Pause => false,
        }
    }
}

const QUESTIONS: [Question; 7] = [
    Question::Read,
    Question::Fail,
    Question::Own,
    Question::OwnFail,
    Question::Within,
    Question::Overtaken,
    Question::Control,
];

type Answer = Result<Vec<String>, Error>;
type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

impl Question {
    fn ask(self, client: Arc<Client>, tag: String) -> Asking {
        let turn = client.turn();
        Box::pin(async move {
            match self {
                Self::Read => ask(&client, &tag, Sharing::Shared).await,
                Self::Own => ask(&client, &tag, Sharing::Own).await,
                Self::Within => ask(&client, &tag, Sharing::Within(turn)).await,
                Self::Overtaken => ask(&client, &tag, Sharing::Within(turn + 1)).await,
                Self::Control => client.control(&tag).await,
                Self::Fail => fail(&client, &tag, Sharing::Shared).await,
                Self::OwnFail => fail(&client, &tag, Sharing::Own).await,
            }
        })
    }

    /// Compares an answer with what this caller, who asked with `tag`, must get.
    fn check(self, tag: &str, answer: Answer) {
        match self {
            Self::Read | Self::Own | Self::Within | Self::Control => {
                assert_eq!(answer.unwrap(), [tag], "{self:?}");
            }
            Self::Fail | Self::OwnFail => {
                let error = answer.unwrap_err();
                assert_eq!((error.kind(), error.sent()), (Kind::Database, true));
                assert_eq!(error.sqlstate().unwrap().code(), "22012", "{error}");
            }
            Self::Overtaken => {
                let error = answer.unwrap_err();
                assert_eq!((error.kind(), error.sent()), (Kind::Overtaken, false));
            }
        }
    }

    /// How often the server must have executed it, where it counts that.
    fn executions(self) -> Option<usize> {
        match self {
            Self::Control => None,
            Self::Overtaken => Some(0),
            _ => Some(1),
        }
    }

    fn fails(self) -> bool {
        matches!(self, Self::Fail | Self::OwnFail)
    }
}

async fn fail(client: &Client, tag: &str, sharing: Sharing) -> Answer {
    let reply = client.query("fail", &(tag,), sharing).await;
    reply.map(|reply| vec![reply.tag().to_owned()])
}

/// Lets a future go its first step here and now, and the others in a task of its own.
pub(super) async fn start(mut asking: Asking) -> JoinHandle<Answer> {
    match first_step(&mut asking).await {
        Some(answer) => tokio::spawn(ready(answer)),
        None => tokio::spawn(asking),
    }
}

async fn first_step(asking: &mut Asking) -> Option<Answer> {
    poll_fn(|context| match asking.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Plays the steps on one lane and holds everything that comes of it against the model.
fn play(steps: &[Step], statements_max: usize) {
    let executions = run(async {
        let limits = Limits {
            statements_max,
            ..Limits::default()
        };
        let (client, driver, stream) = pair(&limits);
        let (client, driver) = (Arc::new(client), tokio::spawn(driver));
        client.catalog().keep(echo());
        client.catalog().keep(statement("fail"));
        let server = tokio::spawn(async move {
            let mut backend = Backend::new(stream, Fault::None);
            backend.serve().await;
            backend.executions
        });
        let mut waiting = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let tag = number.to_string();
            match *step {
                Step::Ask(question) => {
                    let asking = question.ask(Arc::clone(&client), tag);
                    waiting.push((number, question, start(asking).await));
                }
                Step::AskAndDrop(question) => {
                    let mut asking = question.ask(Arc::clone(&client), tag);
                    drop(first_step(&mut asking).await);
                }
                Step::Pause => tokio::task::yield_now().await,
            }
        }
        for (number, question, answer) in waiting {
            question.check(&number.to_string(), answer.await.unwrap());
        }
        let after = ask(&client, "after", Sharing::Shared).await;
        assert_eq!(after.unwrap(), ["after"]);
        assert_eq!(client.in_flight(), 0);
        drop(client);
        assert!(driver.await.unwrap().by_us());
        server.await.unwrap()
    });
    check_executions(steps, &executions);
}

fn check_executions(steps: &[Step], executions: &[String]) {
    let mut in_order = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let tag = number.to_string();
        let count = executions
            .iter()
            .filter(|executed| **executed == tag)
            .count();
        match step {
            Step::Ask(question) => {
                let wanted = question.executions().unwrap_or(count);
                assert_eq!(count, wanted, "{question:?} was executed {count} times");
            }
            Step::AskAndDrop(_) => assert!(count <= 1, "nobody has asked again"),
            Step::Pause => assert_eq!(count, 0),
        }
        in_order.extend((count > 0).then_some(tag));
    }
    in_order.push("after".to_owned());
    // Only what a neighbour's failure skipped is sent again, and so comes later.
    if !steps.iter().any(Step::fails) {
        assert_eq!(executions, in_order);
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let question = || select(QUESTIONS.to_vec());
    prop_oneof![
        6 => Just(Step::Ask(Question::Read)),
        2 => Just(Step::Ask(Question::Fail)),
        4 => question().prop_map(Step::Ask),
        3 => question().prop_map(Step::AskAndDrop),
        3 => Just(Step::Pause),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_caller_is_told_what_the_model_says(
        steps in vec(any_step(), 0..40),
        statements_max in 1_usize..3,
    ) {
        play(&steps, statements_max);
    }
}

/// All sequences of three steps behind one that makes the lane busy.
#[test]
fn no_short_sequence_is_told_anything_else() {
    let mut steps = vec![Step::Pause];
    steps.extend(QUESTIONS.map(Step::Ask));
    steps.extend([Question::Read, Question::Fail, Question::Control].map(Step::AskAndDrop));
    for first in &steps {
        for second in &steps {
            for third in &steps {
                play(&[Step::Ask(Question::Read), *first, *second, *third], 2);
            }
        }
    }
}

/// More than stand under one Sync, with failures among them.
#[test]
fn groups_that_are_full_are_told_the_same() {
    for distance in [1, 2, 7, 63, 64, 65, 300] {
        let step = |number: usize| match number % distance {
            0 => Step::Ask(Question::Fail),
            _ if number % 11 == 3 => Step::AskAndDrop(Question::Read),
            _ => Step::Ask(Question::Read),
        };
        play(&(0..200).map(step).collect::<Vec<_>>(), 2);
    }
}
