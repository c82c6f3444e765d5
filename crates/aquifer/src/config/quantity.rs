//! Numbers, times and truth values: how they are written in files and variables.

use std::time::Duration;

/// What a [`Knob`](super::knob::Knob) can hold.
pub(super) trait Quantity: Copy + PartialOrd {
    /// What it is called in an error.
    const KIND: &'static str;
    /// How it is written, for an error.
    const WRITTEN_AS: &'static str;

    /// Reads what [`written`](Self::written) writes.
    fn read(text: &str) -> Option<Self>;

    /// As a file or a variable would say it.
    fn written(self) -> String;
}

impl Quantity for u32 {
    const KIND: &'static str = "a whole number";
    const WRITTEN_AS: &'static str = "written in digits only";

    fn read(text: &str) -> Option<Self> {
        // `parse` takes a sign, which has no place here.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_number| digits)
    }

    fn written(self) -> String {
        self.to_string()
    }
}

impl Quantity for bool {
    const KIND: &'static str = "a truth value";
    const WRITTEN_AS: &'static str = "written as true or false";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn written(self) -> String {
        self.to_string()
    }
}

/// The units of time, the largest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Quantity for Duration {
    const KIND: &'static str = "a time";
    const WRITTEN_AS: &'static str = "with a unit, such as 500ms, 5s, 2m or 1h";

    fn read(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        number
            .parse::<u64>()
            .ok()?
            .checked_mul(factor)
            .map(Self::from_millis)
    }

    fn written(self) -> String {
        let whole = u64::try_from(self.as_millis())
            .ok()
            .filter(|millis| *millis > 0 && Self::from_millis(*millis) == self);
        let fitting = whole.and_then(|millis| {
            let (unit, factor) = UNITS
                .into_iter()
                .find(|(_, factor)| millis.is_multiple_of(*factor))?;
            Some(format!("{}{unit}", millis / factor))
        });
        // A builder may say what no unit here divides; it is shown as Rust does.
        fitting.unwrap_or_else(|| format!("{self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Quantity;

    #[test]
    fn times_are_a_whole_number_and_a_unit() {
        let cases = [
            ("500ms", 500),
            ("5s", 5_000),
            ("0s", 0),
            ("90s", 90_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ];
        for (text, millis) in cases {
            assert_eq!(
                Duration::read(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "", "5", "s", "5 s", "-5s", "+5s", "1.5s", "5S", "5s ", "1m30s", "5d", "é", "5µs",
        ] {
            assert_eq!(Duration::read(text), None, "{text:?}");
        }
        assert_eq!(Duration::read("18446744073709551615h"), None);
        assert_eq!(Duration::read("99999999999999999999s"), None);
    }

    #[test]
    fn times_are_written_in_the_largest_unit_that_fits() {
        for text in ["1ms", "999ms", "5s", "90s", "2m", "24h"] {
            assert_eq!(Duration::read(text).unwrap().written(), text);
        }
        assert_eq!(Duration::from_secs(60).written(), "1m");
        assert_eq!(Duration::from_micros(1500).written(), "1.5ms");
        assert_eq!(Duration::ZERO.written(), "0ns");
        assert!(!Duration::MAX.written().is_empty());
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(u32::read("010"), Some(10));
        for text in [
            "",
            "+1",
            "-1",
            "1_000",
            "1.0",
            "1e3",
            " 1",
            "4294967296",
            "ten",
        ] {
            assert_eq!(u32::read(text), None, "{text:?}");
        }
    }
}
