//! The line of a statement that matters.

/// Most characters of it that are shown.
const WIDTH: usize = 100;

/// One line of a statement, and where in it something stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Its number, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    /// Characters in front of the place.
    pub(super) caret: Option<usize>,
}

/// The line with the character at `position`, from 1, or the first one; long ones shortened.
pub(super) fn excerpt(sql: &str, position: Option<u32>) -> Excerpt {
    let at = position.map(|position| usize::try_from(position).unwrap_or(usize::MAX).max(1) - 1);
    let mut before = 0;
    let (mut number, mut shown) = (1, "");
    for (line, text) in (1..).zip(sql.split('\n')) {
        (number, shown) = (line, text);
        let length = text.chars().count();
        match at {
            Some(at) if at > before + length => before += length + 1,
            _ => break,
        }
    }
    let length = shown.chars().count();
    let caret = at.map(|at| at.saturating_sub(before).min(length));
    // The place in the middle, where there is enough on both sides.
    let middle = caret.unwrap_or(0).saturating_sub(WIDTH / 2);
    let start = middle.min(length.saturating_sub(WIDTH));
    let mut text: String = shown
        .chars()
        .skip(start)
        .take(WIDTH)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    let mut caret = caret.map(|caret| caret - start);
    if start + WIDTH < length {
        text.push('…');
    }
    if start > 0 {
        text.insert(0, '…');
        caret = caret.map(|caret| caret + 1);
    }
    Excerpt {
        line: number,
        text,
        caret,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str, position: u32) -> (usize, String, char) {
        let found = excerpt(sql, Some(position));
        let at = found.text.chars().nth(found.caret.unwrap());
        (found.line, found.text, at.unwrap_or('$'))
    }

    #[test]
    fn the_caret_stands_below_the_character_that_the_server_names() {
        assert_eq!(shown("select x", 8), (1, "select x".into(), 'x'));
        let sql = "select 'ä',\n\tno\nfrom t";
        assert_eq!(shown(sql, 14), (2, " no".into(), 'n'));
        assert_eq!(shown(sql, 22).2, 't');
        // At the end of the input there is no character.
        assert_eq!(shown("select (", 9), (1, "select (".into(), '$'));
        assert_eq!(shown("select", 4_000_000_000).2, '$');
    }

    #[test]
    fn a_long_line_is_shortened_around_the_place() {
        let sql = format!("select {}, no, {}", "a".repeat(300), "b".repeat(300));
        let (_, text, at) = shown(&sql, 310);
        assert_eq!((text.chars().count(), at), (WIDTH + 2, 'n'));
        let first = excerpt(&sql, None);
        assert!(first.text.starts_with("select a") && first.text.ends_with("a…"));
        assert_eq!(first.caret, None);
    }
}
