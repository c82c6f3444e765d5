use super::super::knob::{self, AnyKnob, Knob};
use super::super::quantity::Quantity;

fn limits<T: Quantity>(knob: &Knob<T>) -> String {
    let (least, most) = (knob.least.written(), knob.most.written());
    format!("| {} | {least} to {most} |", knob.default.written())
}

#[test]
fn the_table_of_knobs_says_what_the_knobs_say() {
    let page = include_str!("../../config.rs");
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("/// | [`"))
        .collect();
    assert_eq!(rows.len(), knob::ALL.len());
    for (row, knob) in rows.iter().zip(knob::ALL) {
        let name = knob.name();
        assert!(
            row.starts_with(&format!("/// | [`{name}`](")),
            "{name}: {row}"
        );
        assert!(
            row.ends_with(&format!(" | `{}` |", knob.variable())),
            "{name}: {row}"
        );
        let limits = match knob {
            AnyKnob::Count(knob) => limits(knob),
            AnyKnob::Time(knob) => limits(knob),
            AnyKnob::Flag(knob) => limits(knob),
            AnyKnob::Text(_) => continue,
        };
        assert!(row.contains(&limits), "{name}: {limits} is not in {row}");
    }
}

#[test]
fn every_default_is_in_its_own_range() {
    for knob in knob::ALL {
        match knob {
            AnyKnob::Count(knob) => assert!((knob.least..=knob.most).contains(&knob.default)),
            AnyKnob::Time(knob) => assert!((knob.least..=knob.most).contains(&knob.default)),
            AnyKnob::Flag(knob) => assert!((knob.least..=knob.most).contains(&knob.default)),
            AnyKnob::Text(_) => {}
        }
    }
}
