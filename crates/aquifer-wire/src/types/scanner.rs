/// Reads the text form of a value front to back; `None` means that the text doesn't fit.
#[derive(Clone, Copy)]
pub(crate) struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            rest: text.as_bytes(),
        }
    }

    /// Takes `byte` if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes what comes before the first byte that doesn't fit.
    pub(crate) fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| fits(**byte)).count();
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        taken
    }

    /// Takes all digits that follow; there must be between `min` and `max` of them.
    pub(crate) fn digits(&mut self, min: usize, max: usize) -> Option<i64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.len() < min || digits.len() > max {
            return None;
        }
        digits.iter().try_fold(0_i64, |value, digit| {
            value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
        })
    }

    /// Exactly two digits, at most `max`.
    pub(crate) fn two_digits(&mut self, max: i64) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(2)?;
        let mut digits = Self { rest: digits };
        let value = digits.digits(2, 2).filter(|value| *value <= max)?;
        self.rest = rest;
        Some(value)
    }

    /// The microseconds of a fraction, if a point follows; digits beyond the sixth must be 0.
    pub(crate) fn fraction(&mut self) -> Option<i64> {
        if !self.eat(b'.') {
            return Some(0);
        }
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.iter().skip(6).any(|digit| *digit != b'0') {
            return None;
        }
        let six = digits
            .iter()
            .copied()
            .chain(std::iter::repeat(b'0'))
            .take(6);
        Some(six.fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }

    /// `value`, if nothing is left.
    pub(crate) fn finish<T>(self, value: T) -> Option<T> {
        self.rest.is_empty().then_some(value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes `text` if it is next, in any case.
    pub(crate) fn eat_text(&mut self, text: &str) -> bool {
        match self.rest.split_at_checked(text.len()) {
            Some((first, rest)) if first.eq_ignore_ascii_case(text.as_bytes()) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}
