use std::borrow::Cow;

use super::{Call, Column, Error, Filter, Name, Operator, Select};

/// A value, a condition, or anything else that stands where a value may stand.
#[derive(Clone, Debug)]
pub enum Expr<V> {
    /// A column.
    Column(Column),
    /// `*`, or `users.*`: in select lists and `count` only.
    All(Option<Name>),
    /// Columns that the program names, in select lists only; with their table where that is true.
    Written(&'static Written, bool),
    /// A value, which becomes a parameter.
    Value(V),
    /// A value as which nothing around it says the type: its own type is named.
    TypedValue(V),
    /// A column compared with a value: what most conditions are. Made by [`Expr::compare`].
    Compare(Column, Operator, V),
    /// Two operands.
    Binary(Box<Self>, Operator, Box<Self>),
    /// `is null` and the like.
    Test(Box<Self>, Test),
    /// `not`.
    Not(Box<Self>),
    /// `left = any (right)`, or `all`: the right side is an array or a sub-query.
    Quantified {
        /// What is compared.
        left: Box<Self>,
        /// By what.
        operator: Operator,
        /// With each of them, instead of some.
        all: bool,
        /// An array or a sub-query.
        right: Box<Self>,
    },
    /// `left in (select …)`.
    InSelect(Box<Self>, Box<Select<V>>),
    /// `between`.
    Between {
        /// What is compared.
        operand: Box<Self>,
        /// The lower end.
        low: Box<Self>,
        /// The upper end.
        high: Box<Self>,
        /// `not between`.
        negated: bool,
        /// Either end may be the lower one.
        symmetric: bool,
    },
    /// Conditions with one connective; in parentheses wherever something stands beside it.
    Group(Connective, Vec<Self>),
    /// A function or aggregate.
    Call(Box<Call<V>>),
    /// `operand::type`.
    Cast(Box<Self>, TypeName),
    /// CASE.
    Case(Box<Case<V>>),
    /// Text written by hand.
    Raw(Fragment<V>),
    /// A sub-query as a value.
    Select(Box<Select<V>>),
    /// `exists (select …)`.
    Exists(Box<Select<V>>),
    /// `array[…]`.
    Array(Vec<Self>),
    /// `(a, b)`, for comparisons of several columns at once.
    Row(Vec<Self>),
    /// A word of SQL.
    Constant(Constant),
    /// What could not be made: writing it fails by this error.
    Invalid(Error),
}

/// A list of columns as SQL has it, names quoted, written when the program was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Each behind its table, as in `"users"."id", "users"."name"`.
    pub qualified: &'static str,
    /// As in `"id", "name"`.
    pub plain: &'static str,
}

/// What a condition says about one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `is null`
    IsNull,
    /// `is not null`
    IsNotNull,
    /// `is true`
    IsTrue,
    /// `is not true`
    IsNotTrue,
    /// `is false`
    IsFalse,
    /// `is not false`
    IsNotFalse,
}

impl Test {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::IsNull => " is null",
            Self::IsNotNull => " is not null",
            Self::IsTrue => " is true",
            Self::IsNotTrue => " is not true",
            Self::IsFalse => " is false",
            Self::IsNotFalse => " is not false",
        }
    }
}

/// How the conditions of a group belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connective {
    /// All of them hold.
    And,
    /// One of them holds.
    Or,
}

/// A word of SQL that stands for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
    /// `default`: in INSERT and UPDATE only.
    Default,
    /// `current_timestamp`: when the transaction began.
    CurrentTimestamp,
    /// `current_date`
    CurrentDate,
    /// A unit of time, as the text that functions such as `date_trunc` take: a word, since what is
    /// grouped by it would be another expression with each parameter.
    Unit(TimeUnit),
    /// A text of the source code, as a quoted literal: where the server must know it when it plans,
    /// as in the condition of an index.
    Text(&'static str),
    /// A number of the source code, as a literal.
    Number(i64),
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, which begins on Monday.
    Week,
    /// A month.
    Month,
    /// Three months.
    Quarter,
    /// A year.
    Year,
}

impl TimeUnit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "'second'",
            Self::Minute => "'minute'",
            Self::Hour => "'hour'",
            Self::Day => "'day'",
            Self::Week => "'week'",
            Self::Month => "'month'",
            Self::Quarter => "'quarter'",
            Self::Year => "'year'",
        }
    }
}

impl Constant {
    pub(super) fn write(self, out: &mut String) -> Result<(), Error> {
        out.push_str(match self {
            Self::True => "true",
            Self::False => "false",
            Self::Null => "null",
            Self::Default => "default",
            Self::CurrentTimestamp => "current_timestamp",
            Self::CurrentDate => "current_date",
            Self::Unit(unit) => unit.as_str(),
            Self::Number(number) => {
                write_number(number, out);
                return Ok(());
            }
            Self::Text(text) => return write_text(text, out),
        });
        Ok(())
    }
}

/// A number; a negative one in parentheses, so that no operator before it becomes a comment.
fn write_number(number: i64, out: &mut String) {
    let text = number.to_string();
    if number < 0 {
        out.push('(');
        out.push_str(&text);
        out.push(')');
    } else {
        out.push_str(&text);
    }
}

/// A literal that means the same whatever `standard_conforming_strings` says.
fn write_text(text: &str, out: &mut String) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(Error::new(
            "a literal contains NUL, which no text of PostgreSQL does",
            "take it out",
        ));
    }
    out.push_str(if text.contains('\\') { "E'" } else { "'" });
    for character in text.chars() {
        if matches!(character, '\'' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    out.push('\'');
    Ok(())
}

/// CASE: the first condition that holds says which value it is.
#[derive(Clone, Debug)]
pub struct Case<V> {
    /// Conditions and what each leads to.
    pub branches: Vec<Branch<V>>,
    /// What it is when none holds; NULL without one.
    pub otherwise: Option<Expr<V>>,
}

/// One branch of a CASE.
#[derive(Clone, Debug)]
pub struct Branch<V> {
    /// When it is taken.
    pub when: Filter<V>,
    /// What the CASE is then.
    pub then: Expr<V>,
}

/// Text written by hand, with values at its `{}`.
///
/// As a condition or operand it is put into parentheses; in lists it stands as it is.
#[derive(Clone, Debug)]
pub struct Fragment<V> {
    /// The text; `{}` stands for the next value, `{{` and `}}` for one brace each.
    pub template: Cow<'static, str>,
    /// As many values as there are `{}`.
    pub values: Vec<V>,
}

/// The name of a type, for casts: `bigint`, `text[]`, `numeric(10, 2)`, `app.mood`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName(String);

/// Names of types that are more than one word.
const TYPES_OF_WORDS: [&str; 8] = [
    "bit varying",
    "character varying",
    "double precision",
    "time with time zone",
    "time without time zone",
    "timestamp with time zone",
    "timestamp without time zone",
    "interval day to second",
];

impl TypeName {
    /// Reads a type's name: one word, or one of those of several words that SQL knows; with its
    /// schema, its length or precision, and `[]`, where it has them. Upper case is kept, in quotes.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refused = || {
            Error::new(
                format!("{text:.40?} is no name of a type"),
                "write it as in `bigint`, `text[]`, `numeric(10, 2)` or `app.mood`; for others use raw!",
            )
        };
        let mut base = text;
        let mut end = String::new();
        while let Some(rest) = base.strip_suffix("[]") {
            end.push_str("[]");
            base = rest;
        }
        let mut modifier = "";
        if let Some(at) = base.find('(') {
            let inner = base.get(at..).unwrap_or_default();
            let digits = inner
                .strip_prefix('(')
                .and_then(|rest| rest.strip_suffix(')'));
            let well = digits.is_some_and(|digits| {
                digits.split(',').all(|part| {
                    let part = part.trim();
                    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
                })
            });
            if !well {
                return Err(refused());
            }
            modifier = inner;
            base = base.get(..at).unwrap_or_default();
        }
        let mut written = String::with_capacity(text.len() + 4);
        if TYPES_OF_WORDS.contains(&base) {
            written.push_str(base);
        } else {
            for (number, part) in base.splitn(2, '.').enumerate() {
                if number > 0 {
                    written.push('.');
                }
                write_word(part, &mut written).ok_or_else(refused)?;
            }
        }
        written.push_str(modifier);
        written.push_str(&end);
        Ok(Self(written))
    }

    /// As SQL has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A word of a type's name: bare where quotes would change its meaning, since `"char"` is another
/// type than `char`; else in quotes.
fn write_word(word: &str, out: &mut String) -> Option<()> {
    let simple = word
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && word.starts_with(|first: char| !first.is_ascii_digit());
    if simple && !word.is_empty() {
        out.push_str(word);
        return Some(());
    }
    if word.contains([' ', '(', ')', '[', ']', '"', '.', ';', '\'']) {
        return None;
    }
    Name::new(word.to_owned()).ok()?.write(out);
    Some(())
}

impl<V> Expr<V> {
    /// `left operator right`.
    #[must_use]
    pub fn binary(left: Self, operator: Operator, right: Self) -> Self {
        Self::Binary(Box::new(left), operator, Box::new(right))
    }

    /// The expression as a value of that type.
    #[must_use]
    pub fn cast(self, to: TypeName) -> Self {
        Self::Cast(Box::new(self), to)
    }

    /// Whether it is a condition that always holds, and so none.
    #[must_use]
    pub fn is_always_true(&self) -> bool {
        match self {
            Self::Constant(Constant::True) => true,
            Self::Group(Connective::And, list) => list.iter().all(Self::is_always_true),
            Self::Group(Connective::Or, list) => list.iter().any(Self::is_always_true),
            _ => false,
        }
    }
}

impl<V> From<Column> for Expr<V> {
    fn from(column: Column) -> Self {
        Self::Column(column)
    }
}
