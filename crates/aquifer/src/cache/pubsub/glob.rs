/// What is left of a pattern and of a channel.
type Rest<'a> = (&'a [u8], &'a [u8]);

/// Whether a channel fits a pattern, as Redis means it: `*` for any text, `?` for one byte, `[ab]`,
/// `[a-z]` and `[^a]` for one of a set, `\` before what is meant as it stands.
pub(super) fn fits(pattern: &[u8], channel: &[u8]) -> bool {
    let (mut pattern, mut rest) = (pattern, channel);
    // Where to go on when what followed the last `*` does not fit.
    let mut last: Option<Rest<'_>> = None;
    loop {
        let stepped = match pattern.split_first() {
            Some((b'*', behind)) => {
                last = Some((behind, rest));
                pattern = behind;
                continue;
            }
            Some(_) => step(pattern, rest),
            None if rest.is_empty() => return true,
            None => None,
        };
        let Some((behind, left)) = stepped else {
            let Some((behind, from)) = last else {
                return false;
            };
            let Some((_, from)) = from.split_first() else {
                return false;
            };
            last = Some((behind, from));
            (pattern, rest) = (behind, from);
            continue;
        };
        (pattern, rest) = (behind, left);
    }
}

/// What is left of both after one byte that fits.
fn step<'a>(pattern: &'a [u8], channel: &'a [u8]) -> Option<Rest<'a>> {
    let (byte, left) = channel.split_first()?;
    let (behind, fits) = match pattern {
        [b'?', behind @ ..] => (behind, true),
        [b'[', set @ ..] => of_set(set, *byte),
        [b'\\', escaped, behind @ ..] => (behind, escaped == byte),
        [wanted, behind @ ..] => (behind, wanted == byte),
        [] => return None,
    };
    fits.then_some((behind, left))
}

/// What is behind a set, and whether a byte is in it; one that is not closed ends with the pattern.
fn of_set(set: &[u8], byte: u8) -> (&[u8], bool) {
    let (mut set, is_negated) = match set {
        [b'^', set @ ..] => (set, true),
        set => (set, false),
    };
    let mut is_in = false;
    loop {
        set = match set {
            [] | [b']'] => break (&[] as &[u8], is_in != is_negated),
            [b']', behind @ ..] => break (behind, is_in != is_negated),
            [b'\\', escaped, behind @ ..] => {
                is_in |= *escaped == byte;
                behind
            }
            [from, b'-', to, behind @ ..] => {
                is_in |= (*from.min(to)..=*from.max(to)).contains(&byte);
                behind
            }
            [one, behind @ ..] => {
                is_in |= *one == byte;
                behind
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    /// A pattern, what it fits, and what it does not.
    type Case = (
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
    );

    #[test]
    fn patterns_fit_as_in_redis() {
        let cases: [Case; 12] = [
            ("news", &["news"], &["new", "newss", ""]),
            ("", &[""], &["a"]),
            ("*", &["", "a", "a:b"], &[]),
            ("user:*", &["user:", "user:1"], &["user", "a user:1"]),
            ("*:end", &[":end", "a:end:end"], &["end", "a:end:"]),
            ("a*b*c", &["abc", "axbxc", "abbcc"], &["ac", "abcx"]),
            ("h?llo", &["hello", "h?llo"], &["hllo", "heello"]),
            ("h[ae]llo", &["hello", "hallo"], &["hillo"]),
            ("h[^e]llo", &["hallo"], &["hello"]),
            ("h[a-c]x", &["hax", "hbx", "hcx"], &["hdx", "h-x"]),
            (r"a\*b", &["a*b"], &["axb", r"a\*b"]),
            (r"[\]]x", &["]x"], &["x", r"\x"]),
        ];
        for (pattern, fitting, others) in cases {
            for channel in fitting {
                let fits = fits(pattern.as_bytes(), channel.as_bytes());
                assert!(fits, "{pattern} {channel}");
            }
            for channel in others {
                let fits = fits(pattern.as_bytes(), channel.as_bytes());
                assert!(!fits, "{pattern} {channel}");
            }
        }
        // Many stars take no long time.
        let (pattern, channel) = ("*a".repeat(30), "a".repeat(5_000) + "b");
        assert!(!fits(pattern.as_bytes(), channel.as_bytes()));
    }
}
