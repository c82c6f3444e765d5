//! The whole scheme is never found wrong, and each rule that is left out is.

use super::world::{Stale, World};

/// A rule of the scheme that is left out, for the tests to find it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftOut {
    Nothing,
    /// What Redis holds is taken as it is; writers remove it, as most caches do.
    Stamps,
    StampsBeforeTheRead,
    NoteBeforeTheStamps,
    CommitBeforeTheBump,
    ChangeAfterTheBump,
    BumpBeforeTheCallerIsTold,
    NewLifeForALostStamp,
    DoubtWhenTheLinkIsLost,
    DoubtUntilTheLinkIsMade,
    TrackingBeforeTheLinkIsMade,
    PositionOfTheReplica,
    PositionOfALostStamp,
    LifeOfAKnownPosition,
    PositionsUntilOneIsKnown,
    StampsOnRenewal,
}

/// Enough that each left-out rule is found many times over.
const WORLDS: u64 = 60_000;

/// In which world the first reader sees what it may not.
fn found_in(left_out: LeftOut) -> Option<u64> {
    (0..WORLDS).find(|seed| World::new(left_out, *seed).run().is_err())
}

#[test]
fn no_reader_sees_what_it_may_not() {
    for seed in 0..WORLDS {
        if let Err(Stale { seen, least }) = World::new(LeftOut::Nothing, seed).run() {
            panic!("in world {seed} a reader saw write {seen} after write {least}");
        }
    }
}

#[test]
fn each_rule_that_is_left_out_is_found_out() {
    for left_out in [
        LeftOut::Stamps,
        LeftOut::StampsBeforeTheRead,
        LeftOut::NoteBeforeTheStamps,
        LeftOut::CommitBeforeTheBump,
        LeftOut::ChangeAfterTheBump,
        LeftOut::BumpBeforeTheCallerIsTold,
        LeftOut::NewLifeForALostStamp,
        LeftOut::DoubtWhenTheLinkIsLost,
        LeftOut::DoubtUntilTheLinkIsMade,
        LeftOut::TrackingBeforeTheLinkIsMade,
        LeftOut::PositionOfTheReplica,
        LeftOut::PositionOfALostStamp,
        LeftOut::LifeOfAKnownPosition,
        LeftOut::PositionsUntilOneIsKnown,
        LeftOut::StampsOnRenewal,
    ] {
        assert!(
            found_in(left_out).is_some(),
            "{left_out:?} is not found out"
        );
    }
}
