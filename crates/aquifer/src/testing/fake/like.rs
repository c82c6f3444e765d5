//! Patterns of LIKE.

/// Whether behind the last `\` of a pattern nothing stands that it could take as it is. The server
/// refuses that once it has got so far in a text.
pub(super) fn ends_escaping(pattern: &str) -> bool {
    let before = pattern.trim_end_matches('\\').len();
    (pattern.len() - before) % 2 == 1
}

/// Whether a text fits a pattern: `%` is any text, `_` any character, `\` takes the next one as it is.
pub(super) fn is_like(text: &str, pattern: &str, any_case: bool) -> bool {
    let fold = |text: &str| match any_case {
        true => text.to_lowercase(),
        false => text.to_owned(),
    };
    let text: Vec<char> = fold(text).chars().collect();
    let parts = parts(&fold(pattern));
    // Where to go on when what follows the last `%` does not fit.
    let (mut at, mut part, mut again) = (0, 0, None);
    loop {
        let fits = match (parts.get(part), text.get(at)) {
            (Some(Part::Any), _) => {
                part += 1;
                again = Some((at + 1, part));
                continue;
            }
            (None, None) => return true,
            (Some(Part::One), Some(_)) => true,
            (Some(Part::Exactly(wanted)), Some(character)) => wanted == character,
            _ => false,
        };
        if fits {
            (at, part) = (at + 1, part + 1);
            continue;
        }
        match again {
            Some((next, behind)) if next <= text.len() => {
                (at, part, again) = (next, behind, Some((next + 1, behind)));
            }
            _ => return false,
        }
    }
}

enum Part {
    Any,
    One,
    Exactly(char),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut characters = pattern.chars();
    let mut parts = Vec::new();
    while let Some(character) = characters.next() {
        parts.push(match character {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Exactly(characters.next().unwrap_or('\\')),
            character => Part::Exactly(character),
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{ends_escaping, is_like};

    #[test]
    fn a_pattern_that_ends_in_half_an_escape_is_told() {
        assert!(ends_escaping("\\") && ends_escaping("a%\\") && ends_escaping("\\\\\\"));
        assert!(!ends_escaping("") && !ends_escaping("a\\\\") && !ends_escaping("\\%"));
    }

    #[test]
    fn patterns_fit_as_in_postgresql() {
        for (text, pattern, fits) in [
            ("", "", true),
            ("", "%", true),
            ("abc", "a%", true),
            ("abc", "%b%", true),
            ("abc", "_b_", true),
            ("abc", "ab", false),
            ("abc", "%d", false),
            ("aab", "%ab", true),
            ("a%b", "a\\%b", true),
            ("axb", "a\\%b", false),
            ("abab", "%ab%ab", true),
            ("äb", "_b", true),
        ] {
            assert_eq!(is_like(text, pattern, false), fits, "{text} like {pattern}");
        }
        assert!(is_like("ABC", "%bC", true) && !is_like("ABC", "%bC", false));
    }
}
