use super::Action::{Fail, Retry, RetryTransaction, Unknown};
use super::Connection::{Close, Keep};
use super::Intent::{Commit, Idempotent, Read, TransactionBody, Write};
use super::Remedy::{BackOff, FindPrimary, OtherHost, Prepare, RefreshCredentials};
use super::{Action, Connection, Failure, Intent, Kind, Phase, Remedy, decide};

const INTENTS: [Intent; 5] = [Read, Idempotent, Write, TransactionBody, Commit];
const PHASES: [Phase; 3] = [Phase::NotSent, Phase::Sent, Phase::CommitSent];
const KINDS: [Kind; 6] = [
    Kind::Closed,
    Kind::Connect,
    Kind::Database,
    Kind::Other,
    Kind::PoolTimeout,
    Kind::Timeout,
];

/// Every SQLSTATE that the table names, and one of each class that it leaves to the rest.
const SQLSTATES: &str = "00000 08006 08007 08P01 0A000 22012 23505 23P01 25001 25006 25P02 25P03 \
    25P04 26000 28000 28P01 2D000 34000 3D000 40001 40002 40003 40P01 42601 42P01 42P05 53100 53200 \
    53300 53400 54000 55000 55P03 57014 57P01 57P02 57P03 57P04 57P05 58000 58030 F0000 HV000 P0001 \
    XX000 XX001 XX002";

/// What the table says for read, idempotent write, write, transaction body and COMMIT.
type Row = [Action; 5];

/// Again, whatever it was.
fn again(remedy: Remedy) -> Row {
    let (single, whole) = (Retry(remedy), RetryTransaction(remedy));
    [single, single, single, whole, whole]
}

/// Again, except what is unknown.
const AMBIGUOUS: Row = [
    Retry(OtherHost),
    Retry(OtherHost),
    Unknown,
    Unknown,
    Unknown,
];
const LOST: Row = [
    Retry(OtherHost),
    Retry(OtherHost),
    Unknown,
    RetryTransaction(OtherHost),
    Unknown,
];
const NEVER: Row = [Fail; 5];
const READS_ONLY: Row = [Retry(OtherHost), Fail, Fail, Fail, Fail];

fn conflict() -> Row {
    let [_, other, write, body, commit] = again(BackOff);
    [Retry(OtherHost), other, write, body, commit]
}

fn answered(sqlstate: &str) -> Failure<'_> {
    Failure::new(Phase::Sent, Kind::Database).with_sqlstate(sqlstate)
}

fn refused_at_connect(sqlstate: &str) -> Failure<'_> {
    Failure::new(Phase::NotSent, Kind::Connect)
        .with_sqlstate(sqlstate)
        .ending_session()
}

#[track_caller]
fn check(failure: Failure<'_>, row: Row, connection: Connection) {
    for (intent, action) in INTENTS.into_iter().zip(row) {
        let failure = match intent {
            // What is sent for a COMMIT is a COMMIT.
            Commit if failure.phase == Phase::Sent => Failure {
                phase: Phase::CommitSent,
                ..failure
            },
            _ => failure,
        };
        let verdict = decide(&failure, intent);
        assert_eq!(verdict.action, action, "{failure:?} {intent:?}");
        assert_eq!(verdict.connection, connection, "{failure:?} {intent:?}");
    }
}

#[test]
fn what_was_not_sent_may_always_be_sent_again() {
    check(
        Failure::new(Phase::NotSent, Kind::PoolTimeout),
        again(OtherHost),
        Keep,
    );
    check(
        Failure::new(Phase::NotSent, Kind::Connect),
        again(OtherHost),
        Close,
    );
    check(
        Failure::new(Phase::NotSent, Kind::Closed),
        again(OtherHost),
        Close,
    );
    check(
        Failure::new(Phase::NotSent, Kind::Timeout),
        again(OtherHost),
        Keep,
    );
    check(refused_at_connect("53300"), again(OtherHost), Close);
    check(refused_at_connect("57P03"), again(OtherHost), Close);
}

#[test]
fn a_refused_login_refreshes_the_credentials() {
    check(
        refused_at_connect("28P01"),
        again(RefreshCredentials),
        Close,
    );
    check(
        refused_at_connect("28000"),
        again(RefreshCredentials),
        Close,
    );
}

#[test]
fn a_database_that_is_not_there_or_not_allowed_is_not_asked_again() {
    check(refused_at_connect("3D000"), NEVER, Close);
    check(refused_at_connect("42501"), NEVER, Close);
}

#[test]
fn a_conflict_rolled_everything_back() {
    check(answered("40001"), conflict(), Keep);
    check(answered("40P01"), conflict(), Keep);
    check(answered("40001").ending_session(), conflict(), Close);
}

#[test]
fn an_outcome_that_the_server_does_not_know_is_unknown() {
    check(answered("40003"), AMBIGUOUS, Close);
    check(answered("08007"), AMBIGUOUS, Close);
}

#[test]
fn a_host_that_is_no_primary_refused_before_any_effect() {
    check(answered("25006"), again(FindPrimary), Keep);
    check(
        answered("57P04").ending_session(),
        again(FindPrimary),
        Close,
    );
}

#[test]
fn a_stale_plan_is_prepared_again() {
    let stale = answered("0A000").with_routine("RevalidateCachedQuery");
    check(stale, again(Prepare), Keep);
    check(answered("26000"), again(Prepare), Keep);
    check(answered("42P05"), again(Prepare), Keep);
    check(answered("0A000").with_routine("other"), NEVER, Keep);
    check(answered("0A000"), NEVER, Keep);
}

#[test]
fn a_lost_answer_is_known_only_before_a_commit() {
    check(Failure::new(Phase::Sent, Kind::Closed), LOST, Close);
    check(Failure::new(Phase::Sent, Kind::Timeout), LOST, Close);
    for sqlstate in ["57P01", "57P02", "57P03"] {
        check(answered(sqlstate).ending_session(), LOST, Close);
        let last_words = Failure::new(Phase::Sent, Kind::Closed).with_sqlstate(sqlstate);
        check(last_words, LOST, Close);
    }
    check(answered("53100").ending_session(), LOST, Close);
    check(answered("08P01").ending_session(), LOST, Close);
}

#[test]
fn a_session_that_ended_for_idleness_did_nothing() {
    let ended = Failure::new(Phase::Sent, Kind::Closed).with_sqlstate("57P05");
    check(ended, again(OtherHost), Close);
    check(answered("57P05").ending_session(), again(OtherHost), Close);
}

#[test]
fn a_time_limit_is_not_tried_twice() {
    check(answered("57014"), NEVER, Keep);
    check(answered("55P03"), NEVER, Keep);
    check(answered("25P03").ending_session(), NEVER, Close);
    check(answered("25P04").ending_session(), NEVER, Close);
    let last_words = Failure::new(Phase::Sent, Kind::Closed).with_sqlstate("25P03");
    check(last_words, NEVER, Close);
}

#[test]
fn an_ailing_host_is_left_to_other_reads() {
    for sqlstate in ["53100", "53200", "53400"] {
        check(answered(sqlstate), READS_ONLY, Keep);
    }
    for sqlstate in ["58000", "58030", "XX000"] {
        check(answered(sqlstate), READS_ONLY, Close);
    }
}

#[test]
fn a_statement_at_fault_is_never_sent_again() {
    for sqlstate in [
        "22012", "23505", "23P01", "42601", "42P01", "P0001", "XX001", "XX002", "25P02",
    ] {
        check(answered(sqlstate), NEVER, Keep);
    }
    for phase in PHASES {
        check(Failure::new(phase, Kind::Other), NEVER, Keep);
    }
}

/// Calls `visit` with every failure that can be told apart.
fn every_failure(mut visit: impl FnMut(Failure<'_>)) {
    let sqlstates = SQLSTATES.split_ascii_whitespace().map(Some).chain([None]);
    for sqlstate in sqlstates {
        for phase in PHASES {
            for kind in KINDS {
                for routine in [None, Some("RevalidateCachedQuery")] {
                    for fatal in [false, true] {
                        visit(Failure {
                            phase,
                            kind,
                            sqlstate,
                            routine,
                            fatal,
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn a_transaction_is_repeated_as_a_whole_and_a_statement_by_itself() {
    every_failure(|failure| {
        for intent in INTENTS {
            let action = decide(&failure, intent).action;
            let fits = match intent {
                Read | Write | Idempotent => !matches!(action, RetryTransaction(_)),
                TransactionBody | Commit => !matches!(action, Retry(_)),
            };
            assert!(fits, "{failure:?} {intent:?}: {action:?}");
        }
    });
}

#[test]
fn a_write_without_an_answer_is_never_repeated() {
    // The server said these only before it did anything, or after it had undone it.
    let nothing_done = [
        "25006", "26000", "40001", "40P01", "42P05", "57P04", "57P05",
    ];
    every_failure(|failure| {
        let unanswered = matches!(failure.kind, Kind::Closed | Kind::Timeout) || failure.fatal;
        let named = failure
            .sqlstate
            .is_some_and(|code| nothing_done.contains(&code));
        let stale = failure.sqlstate == Some("0A000") && failure.routine.is_some();
        let open = !matches!(failure.kind, Kind::Connect | Kind::PoolTimeout);
        if failure.phase == Phase::NotSent || !unanswered || !open || named || stale {
            return;
        }
        for intent in [Write, Commit] {
            let action = decide(&failure, intent).action;
            assert!(matches!(action, Unknown | Fail), "{failure:?}: {action:?}");
        }
    });
}

#[test]
fn silence_after_a_write_is_unknown() {
    for kind in [Kind::Closed, Kind::Timeout] {
        for phase in [Phase::Sent, Phase::CommitSent] {
            let silence = Failure::new(phase, kind);
            assert_eq!(decide(&silence, Write).action, Unknown);
            assert_eq!(decide(&silence, Commit).action, Unknown);
        }
        let commit_in_batch = Failure::new(Phase::CommitSent, kind);
        assert_eq!(decide(&commit_in_batch, TransactionBody).action, Unknown);
    }
}

#[test]
fn what_may_be_repeated_is_never_unknown() {
    every_failure(|failure| {
        for intent in [Read, Idempotent] {
            assert_ne!(decide(&failure, intent).action, Unknown, "{failure:?}");
        }
    });
}

#[test]
fn a_session_that_the_server_ended_is_closed() {
    every_failure(|failure| {
        let ended = failure.fatal || failure.kind == Kind::Closed;
        for intent in INTENTS.into_iter().filter(|_| ended) {
            let connection = decide(&failure, intent).connection;
            assert_eq!(connection, Close, "{failure:?} {intent:?}");
        }
    });
}
