//! Values that arrive as text, and names that are nearly right.

use aquifer_wire::Secret;

use super::knob::{AnyKnob, Knob};
use super::origin::{Origin, Sourced};
use super::quantity::Quantity;
use super::{Config, refusal};
use crate::Error;

impl Config {
    /// Sets `knob` to what `text` says.
    pub(super) fn set(&mut self, knob: AnyKnob, text: &str, origin: Origin) -> Result<(), Error> {
        match knob {
            AnyKnob::Count(knob) => {
                let value = read(knob, text, &origin)?;
                self.counts.insert(knob.name, Sourced { value, origin });
            }
            AnyKnob::Time(knob) => {
                let value = read(knob, text, &origin)?;
                self.times.insert(knob.name, Sourced { value, origin });
            }
            AnyKnob::Flag(knob) => {
                let value = read(knob, text, &origin)?;
                self.flags.insert(knob.name, Sourced { value, origin });
            }
            AnyKnob::Text(knob) if text.trim().is_empty() => {
                return Err(refusal(
                    knob.name,
                    &origin,
                    "is empty; give a value, or leave it out",
                ));
            }
            AnyKnob::Text(knob) => {
                self.texts.insert(
                    knob.name,
                    Sourced {
                        value: Secret::from(text),
                        origin,
                    },
                );
            }
        }
        Ok(())
    }
}

fn read<T: Quantity>(knob: &Knob<T>, text: &str, origin: &Origin) -> Result<T, Error> {
    let written_as = T::WRITTEN_AS;
    let found = match text {
        "" => "is empty",
        text if u32::read(text).is_some() => "is a number without a unit",
        _ => "is another text",
    };
    let problem = || format!("{found}; it must be {}, {written_as}", knob.range());
    T::read(text).ok_or_else(|| refusal(knob.name, origin, problem()))
}

/// The candidate that `given` probably means, going by what `key` takes of both.
pub(super) fn nearest(
    given: &str,
    candidates: impl Iterator<Item = String>,
    key: impl Fn(&str) -> &str,
) -> Option<String> {
    let wanted = key(given);
    candidates
        .map(|candidate| (distance(wanted, key(&candidate)), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= wanted.len() / 3)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, removed or replaced to turn `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (position, from) in left.chars().enumerate() {
        let mut diagonal = position;
        let mut last = position + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(right.chars()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            last = replaced.min(last + 1).min(*cell + 1);
            *cell = last;
        }
        if let Some(first) = row.first_mut() {
            *first = position + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn the_distance_counts_edits() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("lane", "lanes", 1),
            ("kitten", "sitting", 3),
            ("é", "e", 1),
            ("flaw", "lawn", 2),
        ];
        for (left, right, edits) in cases {
            assert_eq!(distance(left, right), edits, "{left} {right}");
        }
    }
}
