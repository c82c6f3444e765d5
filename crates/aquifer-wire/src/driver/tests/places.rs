//! One fault at every place of a conversation in turn.

use std::sync::Arc;

use super::backend::{Backend, Fault};
use super::{ask, pair, run};
use crate::{Client, Error, Kind, Limits, Sharing};

/// What one caller wanted and what it got.
pub(super) struct Answer {
    pub(super) wanted: Vec<String>,
    pub(super) got: Result<Vec<String>, Error>,
}

pub(super) struct Played {
    pub(super) answers: Vec<Answer>,
    pub(super) backend: Backend,
    /// What a request got afterwards.
    pub(super) after: Result<Vec<String>, Error>,
    pub(super) in_flight: usize,
}

/// Runs callers of every kind at once against a server with one fault.
pub(super) fn play(fault: Fault) -> Played {
    run(async {
        let limits = Limits {
            statements_max: 2,
            ..Limits::default()
        };
        let (client, driver, stream) = pair(&limits);
        let client = Arc::new(client);
        let driver = tokio::spawn(driver);
        let server = tokio::spawn(async move {
            let mut backend = Backend::new(stream, fault);
            backend.serve().await;
            backend
        });
        let mut callers = vec![tokio::spawn(one(
            Arc::clone(&client),
            "first",
            Sharing::Own,
        ))];
        let mut answers = collect(&mut callers).await;
        for tag in ["a", "b", "c", "d"] {
            callers.push(tokio::spawn(one(Arc::clone(&client), tag, Sharing::Shared)));
        }
        for tag in ["e", "f"] {
            callers.push(tokio::spawn(one(Arc::clone(&client), tag, Sharing::Own)));
        }
        callers.push(tokio::spawn(batch(Arc::clone(&client))));
        callers.push(tokio::spawn(script(Arc::clone(&client))));
        callers.push(tokio::spawn(nothing(Arc::clone(&client))));
        answers.extend(collect(&mut callers).await);
        let in_flight = client.in_flight();
        let after = ask(&client, "after", Sharing::Shared).await;
        drop(client);
        driver.await.unwrap();
        Played {
            answers,
            backend: server.await.unwrap(),
            after,
            in_flight,
        }
    })
}

async fn collect(callers: &mut Vec<tokio::task::JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for caller in callers.drain(..) {
        answers.push(caller.await.unwrap());
    }
    answers
}

async fn one(client: Arc<Client>, tag: &str, sharing: Sharing) -> Answer {
    Answer {
        wanted: vec![tag.to_owned()],
        got: ask(&client, tag, sharing).await,
    }
}

async fn batch(client: Arc<Client>) -> Answer {
    let replies = client
        .batch(
            &[("echo", &("g",)), ("nothing", &()), ("echo", &("h",))],
            Sharing::Own,
        )
        .await;
    let rows = replies.and_then(|replies| {
        let rows: Result<Vec<Vec<String>>, Error> = [0, 2]
            .into_iter()
            .map(|index| replies[index].decode_column())
            .collect();
        Ok(rows?.concat())
    });
    Answer {
        wanted: vec!["g".to_owned(), "h".to_owned()],
        got: rows,
    }
}

async fn script(client: Arc<Client>) -> Answer {
    Answer {
        wanted: vec!["BEGIN".to_owned(), "COMMIT".to_owned()],
        got: client.script("BEGIN;COMMIT").await,
    }
}

async fn nothing(client: Arc<Client>) -> Answer {
    let reply = client.query("nothing", &(), Sharing::Own).await;
    Answer {
        wanted: vec!["NOTHING".to_owned()],
        got: reply.map(|reply| vec![reply.tag().to_owned()]),
    }
}

/// Plays the fault at every place there is.
fn at_each_place(fault: impl Fn(usize) -> Fault, check: impl Fn(usize, &Played)) {
    let mut place = 0;
    loop {
        let played = play(fault(place));
        if !played.backend.reached {
            break;
        }
        check(place, &played);
        place += 1;
    }
    assert!(place > 30, "there are only {place} places");
}

/// Whatever else happens, a caller gets its own answer or an error that tells the truth.
fn nobody_is_deceived(place: usize, played: &Played) {
    for Answer { wanted, got } in &played.answers {
        match got {
            Ok(rows) => assert!(
                rows.iter().all(|row| wanted.contains(row)),
                "place {place}: wanted {wanted:?}, got {rows:?}"
            ),
            Err(error) => {
                let executed = wanted
                    .iter()
                    .any(|tag| played.backend.executed.contains(tag));
                assert!(
                    error.sent() || !executed,
                    "place {place}: {wanted:?} was executed, but {error:?}"
                );
            }
        }
    }
    assert_eq!(played.in_flight, 0, "place {place}");
}

fn all_is_answered(place: usize, played: &Played) {
    for Answer { wanted, got } in &played.answers {
        let got = got.as_ref().unwrap_or_else(|error| {
            panic!("place {place}: wanted {wanted:?}, got {error:?}");
        });
        assert_eq!(got, wanted, "place {place}");
    }
    all_goes_on(place, played);
}

fn all_goes_on(place: usize, played: &Played) {
    nobody_is_deceived(place, played);
    let after = played.after.as_ref().unwrap();
    assert_eq!(*after, ["after"], "place {place}");
}

/// Each failed with an error of one of these kinds or has its whole answer.
fn answered_or(kinds: &[Kind], place: usize, played: &Played) {
    nobody_is_deceived(place, played);
    for Answer { wanted, got } in &played.answers {
        match got {
            Ok(rows) => assert_eq!(rows, wanted, "place {place}"),
            Err(error) => assert!(kinds.contains(&error.kind()), "place {place}: {error:?}"),
        }
    }
}

/// Once somebody knows that the connection has ended, all do.
fn later_requests_are_not_sent(place: usize, played: &Played) {
    let after = played.after.as_ref().unwrap_err();
    assert_eq!(after.kind(), Kind::Closed, "place {place}");
    let known = played.answers.iter().any(|answer| answer.got.is_err());
    assert!(!(known && after.sent()), "place {place}");
}

#[test]
fn without_a_fault_everybody_gets_an_answer() {
    let played = play(Fault::None);
    all_is_answered(0, &played);
}

#[test]
fn what_the_server_says_aside_disturbs_nobody() {
    let asides = [super::notice(), super::notification(), super::parameter()];
    for aside in &asides {
        all_is_answered(0, &play(Fault::Before(aside.clone())));
        at_each_place(|place| Fault::Insert(place, aside.clone()), all_is_answered);
    }
}

#[test]
fn an_error_at_any_place_hits_one_request() {
    at_each_place(Fault::Error, |place, played| {
        answered_or(&[Kind::Database], place, played);
        let results = played.answers.iter().map(|answer| &answer.got);
        let failed = results.chain([&played.after]).filter(|got| got.is_err());
        assert!(failed.count() <= 1, "place {place}: more than one failed");
    });
}

#[test]
fn a_fatal_error_at_any_place_ends_all_with_its_words() {
    for fault in [Fault::Fatal, Fault::FatalAndSilence] {
        at_each_place(fault, |place, played| {
            answered_or(&[Kind::Closed], place, played);
            let errors = played
                .answers
                .iter()
                .filter_map(|answer| answer.got.as_ref().err());
            for error in errors.chain([played.after.as_ref().unwrap_err()]) {
                let state = error.sqlstate().map(|state| state.code());
                assert_eq!(state, Some("57P01"), "place {place}: {error:?}");
            }
            later_requests_are_not_sent(place, played);
        });
    }
}

#[test]
fn a_connection_that_ends_at_any_place_fails_what_was_not_answered() {
    at_each_place(Fault::Cut, |place, played| {
        answered_or(&[Kind::Closed], place, played);
        later_requests_are_not_sent(place, played);
    });
}

#[test]
fn a_message_that_is_missing_at_any_place_deceives_nobody() {
    at_each_place(Fault::Drop, nobody_is_deceived);
}

#[test]
fn a_message_that_comes_twice_at_any_place_deceives_nobody() {
    at_each_place(Fault::Twice, nobody_is_deceived);
}

#[test]
fn messages_that_change_places_deceive_nobody() {
    at_each_place(Fault::Swap, nobody_is_deceived);
}
