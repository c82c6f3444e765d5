mod rules;
mod world;

use proptest::prelude::*;

use super::*;

const TAG: u64 = 7;

fn linked() -> Board {
    let board = Board::new();
    board.link_made();
    board
}

fn proof(board: &Board, tags: &[u64]) -> Proof {
    let stamps: Vec<_> = tags.iter().map(|tag| Stamp::first(*tag)).collect();
    board
        .note(tags.iter().copied())
        .with(&stamps)
        .expect("a stamp for each tag")
        .proof()
}

#[test]
fn a_value_holds_until_one_of_its_tags_changes() {
    let board = linked();
    let (one, both) = (proof(&board, &[1]), proof(&board, &[1, 2]));
    board.changed(3);
    assert!(one.holds(&board) && both.holds(&board));
    board.changed(2);
    assert!(one.holds(&board) && !both.holds(&board));
}

#[test]
fn a_change_between_the_note_and_the_proof_counts() {
    let board = linked();
    let noted = board.note([TAG]);
    board.changed(TAG);
    let ticket = noted.with(&[Stamp::first(1)]).expect("one stamp");
    assert!(!ticket.proof().holds(&board));
}

#[test]
fn a_note_tells_changes_of_this_process_from_announced_ones() {
    let board = linked();
    let (noted, both) = (board.note([TAG]), board.note([8, TAG]));
    board.announced(TAG);
    assert!(!noted.is_unchanged() && !both.is_unchanged());
    assert!(noted.is_unchanged_here() && both.is_unchanged_here());
    board.changed(8);
    assert!(noted.is_unchanged_here() && !both.is_unchanged_here());
    board.changed(TAG);
    assert!(!noted.is_unchanged_here());
    assert!(board.note([TAG]).is_unchanged_here());
}

#[test]
fn a_note_tells_whether_something_changed_since_and_whether_that_would_have_been_told() {
    let board = linked();
    let (noted, changed) = (board.note([TAG]), board.note([TAG, 8]));
    board.changed(8);
    assert!(noted.is_unchanged() && noted.holds(&board));
    assert!(!changed.is_unchanged() && !changed.holds(&board));
    board.link_lost();
    assert!(noted.is_unchanged() && !noted.holds(&board));
    board.link_made();
    assert!(noted.is_unchanged() && !noted.holds(&board));
}

#[test]
fn of_two_marks_of_one_life_the_later_is_the_greater_text() {
    let first = Stamp::first(7);
    let texts: Vec<String> = (0..300)
        .scan(first, |stamp, _| {
            *stamp = stamp.next(0);
            Some(stamp.mark().to_string())
        })
        .collect();
    assert!(texts.is_sorted() && texts.iter().all(|text| text.len() == 32));
}

#[test]
fn nothing_holds_while_the_link_is_lost_nor_what_was_read_meanwhile_when_it_is_back() {
    let board = linked();
    let before = proof(&board, &[TAG]);
    board.link_lost();
    board.link_lost();
    let meanwhile = proof(&board, &[TAG]);
    assert!(!before.holds(&board) && !meanwhile.holds(&board) && !board.is_linked());
    board.link_made();
    board.link_made();
    assert!(!before.holds(&board) && !meanwhile.holds(&board) && board.is_linked());
    assert!(proof(&board, &[TAG]).holds(&board));
}

#[test]
fn a_flush_is_a_change_of_every_tag() {
    let board = linked();
    let before = proof(&board, &[TAG]);
    board.all_changed();
    assert!(!before.holds(&board));
    assert!(proof(&board, &[TAG]).holds(&board));
}

#[test]
fn a_value_is_renewed_by_the_stamps_that_it_was_read_under_and_by_no_others() {
    let board = linked();
    let (stamp, other) = (Stamp::first(1), Stamp::first(1).known(5).next(4));
    let ticket = |stamp| board.note([TAG]).with(&[stamp]).expect("one stamp");
    let kept = ticket(stamp).proof();
    board.all_changed();
    let again = kept.note(&board).with(&[stamp]).expect("one stamp");
    assert!(kept.renewed(again).expect("the same stamp").holds(&board));
    let refused = kept.renewed(ticket(other)).expect_err("another stamp");
    assert_eq!(refused.position(), Some(5));
    let of_another_tag = board.note([TAG + 1]).with(&[stamp]).expect("one stamp");
    assert!(kept.renewed(of_another_tag).is_err());
}

#[test]
fn only_the_primary_knows_what_was_written_before_a_stamp_was_lost() {
    let board = linked();
    let position = |stamps: &[Stamp]| board.note([1, 2]).with(stamps).expect("two").position();
    let (lost, known) = (Stamp::first(1).next(9), Stamp::first(2).known(3).next(2));
    assert_eq!(position(&[known, known.next(7)]), Some(7));
    assert_eq!(position(&[known, lost]), None);
    assert_eq!(lost.known(4).mark(), lost.mark());
    assert_eq!(position(&[known, lost.known(4)]), Some(9));
    assert_eq!(position(&[known, lost.known(12)]), Some(12));
}

#[test]
fn there_is_a_stamp_for_each_tag_or_no_ticket() {
    let board = linked();
    assert!(board.note([1, 2]).with(&[Stamp::first(1)]).is_none());
}

#[test]
fn tags_that_nothing_depends_on_are_forgotten() {
    let board = linked();
    let kept: Vec<_> = (0..100).map(|tag| proof(&board, &[tag])).collect();
    for tag in 0..100_000 {
        let _passing = proof(&board, &[1_000 + tag]);
    }
    assert!(board.tags() < 5_000, "{} tags are known", board.tags());
    assert!(kept.iter().all(|proof| proof.holds(&board)));
    board.changed(99);
    assert_eq!(kept.iter().filter(|proof| !proof.holds(&board)).count(), 1);
}

proptest! {
    #[test]
    fn a_stamp_is_read_back_from_its_text(life: u64, versions in 0_u8..20, known: Option<u64>) {
        let first = Stamp::first(life);
        let first = known.map_or(first, |position| first.known(position));
        let stamp = (0..versions).fold(first, |stamp, _| stamp.next(1));
        prop_assert_eq!(Stamp::parse(stamp.to_string().as_bytes()), Some(stamp));
    }

    #[test]
    fn other_texts_are_no_stamps(text in "[0-9a-f:+ -]{0,40}") {
        if let Some(stamp) = Stamp::parse(text.as_bytes()) {
            prop_assert_eq!(stamp.to_string().len(), text.len());
        }
    }
}
