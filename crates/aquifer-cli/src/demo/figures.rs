//! Numbers as people read them.

use std::time::Duration;

/// `1,234,567`.
pub(super) fn count(number: impl TryInto<u64>) -> String {
    let Ok(number) = number.try_into() else {
        return "?".to_owned();
    };
    let digits: u64 = number;
    let digits = digits.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits in the unit that suits: `0.42 ms`, `98 ms`, `1.25 s`.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.01 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}

/// `one row`, `2 rows`: `noun` is the singular and takes an `s`.
pub(super) fn plural(number: impl TryInto<u64>, noun: &str) -> String {
    let text = count(number);
    let ending = if text == "1" { "" } else { "s" };
    format!("{text} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        assert_eq!(count(0_u64), "0");
        assert_eq!(count(999_u64), "999");
        assert_eq!(count(1_000_i64), "1,000");
        assert_eq!(count(1_234_567_usize), "1,234,567");
        assert_eq!(count(-1_i64), "?");
    }

    #[test]
    fn times_are_short_in_every_unit() {
        assert_eq!(time(Duration::from_micros(420)), "0.42 ms");
        assert_eq!(time(Duration::from_millis(98)), "98 ms");
        assert_eq!(time(Duration::from_millis(1_250)), "1.25 s");
    }
}
