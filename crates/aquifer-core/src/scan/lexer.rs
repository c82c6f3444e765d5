use std::borrow::Cow;

/// One piece of SQL text, as far as routing needs to tell pieces apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An identifier without quotes, or a keyword, as written.
    Word(&'a str),
    /// An identifier in quotes, without the outer ones.
    Quoted(&'a str),
    /// `U&"…"` as written: what it names depends on an escape character that may follow.
    Escaped(&'a str),
    /// A string, a number, a bit string or a parameter.
    Value,
    Open,
    Close,
    /// `]`
    SubscriptEnd,
    Comma,
    Dot,
    Semicolon,
    /// `::`
    Cast,
    /// One character of an operator, or anything else.
    Operator,
}

/// Splits SQL text by the rules of PostgreSQL's own lexer (`scan.l`), for
/// `standard_conforming_strings = on`.
///
/// Text that ends inside a string or a comment ends there; the server refuses it anyway. Every
/// character is looked at a bounded number of times.
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self { rest: sql }
    }

    /// The next piece as it is written, and the space and comments before it.
    pub(super) fn written(&mut self) -> Option<(&'a str, &'a str, Token<'a>)> {
        let start = self.rest;
        self.skip_space_and_comments();
        let (space, piece) = split(start, start.len() - self.rest.len());
        let token = self.next()?;
        Some((space, split(piece, piece.len() - self.rest.len()).0, token))
    }

    /// Takes the characters that `belongs` accepts.
    fn take_run(&mut self, belongs: fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !belongs(character));
        let (taken, rest) = split(self.rest, end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Goes on behind `start` if the text begins with it.
    fn accept(&mut self, start: &str) -> bool {
        self.rest
            .strip_prefix(start)
            .map(|rest| self.rest = rest)
            .is_some()
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            let _space = self.take_run(is_space);
            if self.accept("--") {
                let _line = self.take_run(|character| !is_newline(character));
            } else if self.accept("/*") {
                self.skip_block_comment();
            } else {
                return;
            }
        }
    }

    /// Goes on behind a comment whose opening was taken; comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            let _text = self.take_run(|character| !matches!(character, '*' | '/'));
            if self.accept("/*") {
                depth += 1;
            } else if self.accept("*/") {
                depth -= 1;
            } else if !self.accept("*") && !self.accept("/") {
                return;
            }
        }
    }

    /// Goes on behind a string whose opening quote was taken.
    fn skip_string(&mut self) {
        loop {
            let _text = self.take_run(|character| character != '\'');
            // Two quotes are one in the string.
            if !self.accept("'") || !self.accept("'") {
                return;
            }
        }
    }

    /// Goes on behind a string with backslash escapes whose opening quote was taken.
    fn skip_escape_string(&mut self) {
        loop {
            let _text = self.take_run(|character| !matches!(character, '\'' | '\\'));
            if self.accept("\\") {
                let mut characters = self.rest.chars();
                let _escaped = characters.next();
                self.rest = characters.as_str();
                continue;
            }
            let quoted = self.accept("'") && (self.accept("'") || self.skip_continuation());
            if !quoted {
                return;
            }
        }
    }

    /// Goes on inside a string that continues behind a line break, where the escapes stay in force.
    fn skip_continuation(&mut self) -> bool {
        let mut ahead = Lexer::new(self.rest);
        let mut broken = false;
        loop {
            broken |= ahead.take_run(is_space).contains(is_newline);
            if !ahead.accept("--") {
                break;
            }
            let _line = ahead.take_run(|character| !is_newline(character));
        }
        let continues = broken && ahead.accept("'");
        if continues {
            self.rest = ahead.rest;
        }
        continues
    }

    /// Takes a quoted identifier whose opening quote was taken.
    fn quoted(&mut self) -> &'a str {
        let start = self.rest;
        loop {
            let _text = self.take_run(|character| character != '"');
            let length = start.len() - self.rest.len();
            if !self.accept("\"") || !self.accept("\"") {
                return split(start, length).0;
            }
        }
    }

    /// Takes what follows a `$`: a parameter, a string `$tag$…$tag$`, or nothing of the kind.
    fn dollar(&mut self) -> Token<'a> {
        if self.rest.starts_with(|next: char| next.is_ascii_digit()) {
            let _number = self.take_run(|character| character.is_ascii_digit());
            return Token::Value;
        }
        let mut ahead = Lexer::new(self.rest);
        let _tag = ahead.take_run(|character| is_word(character) && character != '$');
        if !ahead.accept("$") {
            return Token::Operator;
        }
        let delimiter_length = self.rest.len() - ahead.rest.len();
        let (tag, text) = split(self.rest, delimiter_length);
        let end = find_dollar_delimiter(text, tag).unwrap_or(text.len());
        self.rest = split(text, end).1;
        Token::Value
    }

    /// Takes an identifier, a keyword, or a literal that begins with a letter.
    fn word(&mut self) -> Token<'a> {
        let start = self.rest;
        let word = self.take_run(is_word);
        let is = |prefix: &str| word.eq_ignore_ascii_case(prefix);
        if is("e") && self.accept("'") {
            self.skip_escape_string();
            return Token::Value;
        }
        if (is("b") || is("x") || is("n")) && self.accept("'") || is("u") && self.accept("&'") {
            self.skip_string();
            return Token::Value;
        }
        if is("u") && self.accept("&\"") {
            let _name = self.quoted();
            return Token::Escaped(split(start, start.len() - self.rest.len()).0);
        }
        Token::Word(word)
    }

    fn symbol(&mut self, symbol: char) -> Token<'a> {
        self.rest = split(self.rest, symbol.len_utf8()).1;
        match symbol {
            '\'' => {
                self.skip_string();
                Token::Value
            }
            '"' => Token::Quoted(self.quoted()),
            '$' => self.dollar(),
            '(' => Token::Open,
            ')' => Token::Close,
            ']' => Token::SubscriptEnd,
            ',' => Token::Comma,
            '.' => Token::Dot,
            ';' => Token::Semicolon,
            ':' if self.accept(":") => Token::Cast,
            _ => Token::Operator,
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_space_and_comments();
        let first = self.rest.chars().next()?;
        Some(if first.is_ascii_digit() {
            // Letters are left for the next token: older servers read `1from` as two.
            let _number = self.take_run(|character| matches!(character, '0'..='9' | '.'));
            Token::Value
        } else if is_word(first) && first != '$' {
            self.word()
        } else {
            self.symbol(first)
        })
    }
}

/// Whether an identifier may contain the character; any but a digit and `$` may begin it.
fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii()
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn is_newline(character: char) -> bool {
    matches!(character, '\n' | '\r')
}

/// Where the text behind the closing delimiter of a dollar-quoted string begins; `tag` ends in `$`.
fn find_dollar_delimiter(text: &str, tag: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        from += split(text, from).1.find('$')? + 1;
        if split(text, from).1.starts_with(tag) {
            return Some(from + tag.len());
        }
    }
}

/// Splits where the caller knows a character to begin.
fn split(text: &str, at: usize) -> (&str, &str) {
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// The lower case that PostgreSQL gives to names without quotes: of ASCII letters only.
pub(super) fn fold(word: &str) -> Cow<'_, str> {
    if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Borrowed(word)
    }
}
