//! The TOML file.
//!
//! It is walked by hand and not deserialized: the errors of serde repeat the value, which may be a
//! password, and each value must remember its line.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::knob::{self, AnyKnob};
use super::origin::{Origin, Sourced};
use super::text::nearest;
use super::{Config, refusal};
use crate::{Error, ErrorKind};

const SECTION: &str = "advanced";

/// Sets in `config` what the file says.
pub(super) fn read(config: &mut Config, path: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let problem = format!(
            "the file {} can't be read; check its path and its rights",
            path.display()
        );
        Error::new(ErrorKind::Config, problem).with_source(error)
    })?;
    let file = File { path, text: &text };
    let table = DeTable::parse(&text).map_err(|error| {
        let origin = file.origin(error.span().map_or(0, |span| span.start));
        // Not the error itself, which shows the line.
        let problem = format!("{origin} is no TOML: {}; texts are quoted", error.message());
        Error::new(ErrorKind::Config, problem)
    })?;
    for (key, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Table(section) if key.get_ref() == SECTION => {
                for (key, value) in section {
                    let name = format!("{SECTION}.{}", key.get_ref());
                    file.apply(config, &name, key.span().start, value)?;
                }
            }
            _ => file.apply(config, key.get_ref(), key.span().start, value)?,
        }
    }
    Ok(())
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    /// The line that holds the byte at `offset`.
    fn origin(&self, offset: usize) -> Origin {
        let line = 1 + self
            .text
            .bytes()
            .take(offset)
            .filter(|byte| *byte == b'\n')
            .count();
        Origin::File {
            path: self.path.into(),
            line,
        }
    }

    fn apply(
        &self,
        config: &mut Config,
        name: &str,
        offset: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), Error> {
        let origin = self.origin(offset);
        let Some(knob) = knob::ALL.into_iter().find(|knob| knob.name() == name) else {
            return Err(unknown(name, &origin));
        };
        match (knob, value.get_ref()) {
            (AnyKnob::Count(knob), DeValue::Integer(integer)) => {
                let Ok(value) = u32::from_str_radix(integer.as_str(), integer.radix()) else {
                    let problem = format!("is out of range; it must be {}", knob.range());
                    return Err(refusal(name, &origin, problem));
                };
                config.counts.insert(knob.name, Sourced { value, origin });
                Ok(())
            }
            (AnyKnob::Flag(knob), DeValue::Boolean(value)) => {
                let value = *value;
                config.flags.insert(knob.name, Sourced { value, origin });
                Ok(())
            }
            (AnyKnob::Time(_) | AnyKnob::Text(_), DeValue::String(text)) => {
                config.set(knob, text, origin)
            }
            (knob, value) => Err(refusal(name, &origin, other_kind(knob, value))),
        }
    }
}

fn other_kind(knob: AnyKnob, value: &DeValue<'_>) -> String {
    let found = match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time of day",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    };
    let wanted = match knob {
        AnyKnob::Count(knob) => format!("{}, without quotes", knob.range()),
        AnyKnob::Time(knob) => {
            format!(
                "{} as a text with a unit, such as \"5s\" or \"500ms\"",
                knob.range()
            )
        }
        AnyKnob::Flag(_) => "true or false, without quotes".to_owned(),
        AnyKnob::Text(_) => "a text in quotes".to_owned(),
    };
    format!("is {found}, but must be {wanted}")
}

fn unknown(name: &str, origin: &Origin) -> Error {
    let names = || knob::ALL.into_iter().map(|knob| knob.name().to_owned());
    let meant = nearest(name, names(), |name| {
        name.rsplit('.').next().unwrap_or(name)
    });
    let meant = match meant
        .as_deref()
        .map(|name| (name, name.strip_prefix("advanced.")))
    {
        Some((_, Some(name))) => format!(" did you mean {name} in the section [{SECTION}]?"),
        Some((name, None)) => format!(" did you mean {name}, before any section?"),
        None => String::new(),
    };
    let known: Vec<_> = names().collect();
    refusal(
        name,
        origin,
        format_args!("is unknown;{meant} known are: {}", known.join(", ")),
    )
}
