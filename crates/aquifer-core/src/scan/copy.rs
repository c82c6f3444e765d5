use super::lexer::{Lexer, Token};

/// Where the data of a COPY comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Copy {
    /// `COPY … FROM STDIN`: the client sends it.
    In,
    /// `COPY … TO STDOUT`: the client receives it.
    Out,
    /// A file or program of the server, or nothing that the grammar allows.
    Server,
}

/// What kind of COPY a text begins with; `None` for any other statement.
#[must_use]
pub fn copy(sql: &str) -> Option<Copy> {
    if !super::copies(sql) {
        return None;
    }
    let (mut depth, mut direction) = (0_usize, None);
    for token in Lexer::new(sql) {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 => {
                let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
                // The grammar takes either of the two words in either direction.
                match direction {
                    Some(direction) if is("stdin") || is("stdout") => return Some(direction),
                    Some(_) => return Some(Copy::Server),
                    None if is("from") => direction = Some(Copy::In),
                    None if is("to") => direction = Some(Copy::Out),
                    None => {}
                }
            }
            _ if direction.is_some() => return Some(Copy::Server),
            _ => {}
        }
    }
    Some(Copy::Server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_of_a_copy_is_told_from_its_words() {
        for (sql, kind) in [
            ("copy t from stdin", Some(Copy::In)),
            (
                "/* x */ COPY \"from\" (a, \"to\") FROM STDIN (format csv)",
                Some(Copy::In),
            ),
            ("copy t to stdout with binary", Some(Copy::Out)),
            ("copy (select 'to' from t) to stdout", Some(Copy::Out)),
            ("copy t from '/etc/passwd'", Some(Copy::Server)),
            ("copy t to program 'gzip > x'", Some(Copy::Server)),
            (
                "copy t from /* stdin */ '/x' (encoding 'stdin')",
                Some(Copy::Server),
            ),
            ("copy t", Some(Copy::Server)),
            ("select 1 from stdin", None),
        ] {
            assert_eq!(copy(sql), kind, "{sql}");
        }
    }
}
