use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp};

use super::foreign;
use crate::types::{Interval, OutOfRange};

// Infinities, years beyond jiff's range and 24:00:00 are refused; fractions of microseconds are
// rounded.
foreign!(Date, DateTime, Time, Timestamp);

/// Refused where the parts have different signs, which a span can't have.
impl TryFrom<Interval> for Span {
    type Error = OutOfRange;

    fn try_from(interval: Interval) -> Result<Self, OutOfRange> {
        let Interval {
            months,
            days,
            microseconds,
        } = interval;
        let negative = months < 0 || days < 0 || microseconds < 0;
        let positive = months > 0 || days > 0 || microseconds > 0;
        if negative && positive {
            return Err(OutOfRange);
        }
        Self::new()
            .try_months(months)
            .and_then(|span| span.try_days(days))
            .and_then(|span| span.try_microseconds(microseconds))
            .map_err(|_out_of_range| OutOfRange)
    }
}

/// Years are 12 months and weeks 7 days; refused where nanoseconds make no whole microsecond.
impl TryFrom<Span> for Interval {
    type Error = OutOfRange;

    fn try_from(span: Span) -> Result<Self, OutOfRange> {
        let months = i32::from(span.get_years()) * 12 + span.get_months();
        let days = span.get_weeks() * 7 + span.get_days();
        let seconds = (i64::from(span.get_hours()) * 60 + span.get_minutes())
            .checked_mul(60)
            .and_then(|seconds| seconds.checked_add(span.get_seconds()))
            .ok_or(OutOfRange)?;
        if span.get_nanoseconds() % 1_000 != 0 {
            return Err(OutOfRange);
        }
        let microseconds = seconds
            .checked_mul(1_000_000)
            .and_then(|sum| sum.checked_add(span.get_milliseconds().checked_mul(1_000)?))
            .and_then(|sum| sum.checked_add(span.get_microseconds()))
            .and_then(|sum| sum.checked_add(span.get_nanoseconds() / 1_000))
            .ok_or(OutOfRange)?;
        Ok(Self {
            months,
            days,
            microseconds,
        })
    }
}
