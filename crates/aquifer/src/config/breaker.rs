use aquifer_core::breaker::Limits;

use super::quantity::Quantity;
use super::{Config, Origin, knob, refusal};
use crate::Error;

/// As a file or a variable says that the circuit breakers work, and that they don't.
pub(super) const ON: &str = "on";
pub(super) const OFF: &str = "off";

impl Config {
    /// When the circuit breakers open, checked.
    pub(super) fn breaker(&self) -> Result<Limits, Error> {
        let (given, origin) = self.shown_breaker();
        if ![ON, OFF].contains(&&*given) {
            return Err(refusal(
                knob::BREAKER.name,
                &origin,
                "must be on or off; leave it out for the default, on",
            ));
        }
        let (open_min, open_max) = (
            self.time(&knob::BREAKER_OPEN_MIN)?,
            self.time(&knob::BREAKER_OPEN_MAX)?,
        );
        if open_min > open_max {
            let problem = format!(
                "is {}, but must be at most breaker_open_max, which is {}; lower the one or raise \
                 the other",
                open_min.written(),
                open_max.written()
            );
            let (_, origin) = self.time_unchecked(&knob::BREAKER_OPEN_MIN);
            return Err(refusal(knob::BREAKER_OPEN_MIN.name, &origin, problem));
        }
        let mut limits = Limits::default();
        limits.enabled = given == ON;
        limits.failure_percent = self.count(&knob::BREAKER_FAILURE_PERCENT)?;
        limits.calls_min = self.count(&knob::BREAKER_CALLS_MIN)?;
        limits.open_min = open_min;
        limits.open_max = open_max;
        Ok(limits)
    }

    /// What is shown for `breaker`.
    pub(super) fn shown_breaker(&self) -> (String, Origin) {
        let given = self.texts.get(knob::BREAKER.name);
        given.map_or_else(
            || (ON.to_owned(), Origin::Default),
            |given| (given.value.reveal().to_owned(), given.origin.clone()),
        )
    }
}
