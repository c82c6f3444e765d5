//! Connection strings of the form `key=value key='another value'`, as libpq reads them.

use std::iter::Peekable;
use std::str::Chars;

use super::Pairs;
use crate::{Error, Kind};

/// Reads the pairs in their order; errors never repeat the text, which may hold a password.
pub(super) fn parse(text: &str) -> Result<Pairs, Error> {
    let mut rest = text.chars().peekable();
    let mut pairs = Vec::new();
    loop {
        skip_spaces(&mut rest);
        if rest.peek().is_none() {
            return Ok(pairs);
        }
        let key = key(&mut rest);
        skip_spaces(&mut rest);
        if rest.next() != Some('=') {
            return Err(malformed(pairs.len(), "has a key without `=`"));
        }
        skip_spaces(&mut rest);
        let value = if rest.next_if_eq(&'\'').is_some() {
            let Some(value) = quoted(&mut rest) else {
                return Err(malformed(
                    pairs.len(),
                    "has a quoted value without its end quote",
                ));
            };
            value
        } else {
            bare(&mut rest)
        };
        pairs.push((key, value));
    }
}

fn key(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut key = String::new();
    while let Some(character) = rest.next_if(|next| *next != '=' && !is_space(*next)) {
        key.push(character);
    }
    key
}

/// A value up to the next space; a backslash takes the character after it as it is.
fn bare(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    while let Some(character) = rest.next_if(|next| !is_space(*next)) {
        match character {
            '\\' => value.extend(rest.next()),
            _ => value.push(character),
        }
    }
    value
}

/// A value up to the closing quote, which is consumed; `None` if there is none.
fn quoted(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut value = String::new();
    loop {
        match rest.next()? {
            '\'' => return Some(value),
            '\\' => value.push(rest.next()?),
            character => value.push(character),
        }
    }
}

fn skip_spaces(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|next| is_space(*next)).is_some() {}
}

/// What `isspace` takes for a space in the C locale, by which libpq goes.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn malformed(complete: usize, problem: &str) -> Error {
    Error::new(
        Kind::Config,
        format!(
            "the connection string {problem} (setting number {}); write `key=value` pairs, quote \
             values that hold spaces with ', and put \\ before ' and \\",
            complete + 1
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::parse;

    type Expected<'a> = &'a [(&'a str, &'a str)];

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn pairs_are_read_as_libpq_reads_them() {
        let cases: &[(&str, Expected<'_>)] = &[
            ("", &[]),
            ("  \n\t ", &[]),
            ("host=a port=1", &[("host", "a"), ("port", "1")]),
            ("host = a\tport\n=\r1", &[("host", "a"), ("port", "1")]),
            ("host='a b'port=1", &[("host", "a b"), ("port", "1")]),
            ("password='it\\'s'", &[("password", "it's")]),
            ("password='back\\\\slash'", &[("password", "back\\slash")]),
            ("password=it\\'s\\ fine", &[("password", "it's fine")]),
            ("password=a'b=c", &[("password", "a'b=c")]),
            ("password=end\\", &[("password", "end")]),
            ("user='' dbname=x", &[("user", ""), ("dbname", "x")]),
            ("password=é✓", &[("password", "é✓")]),
            ("=value", &[("", "value")]),
        ];
        for (text, expected) in cases {
            assert_eq!(pairs(text), owned(expected), "{text:?}");
        }
    }

    #[test]
    fn malformed_text_is_refused_without_being_repeated() {
        for text in [
            "canary",
            "user=a canary b",
            "password='canary",
            "a='canary\\",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
