use super::Error;

macro_rules! operators {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal $(| $alias:literal)*;)+) => {
        /// What stands between two operands: a closed list, so that no text from outside becomes SQL.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operator {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Operator {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As SQL has it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            fn find(text: &str) -> Option<Self> {
                match text {
                    $($text $(| $alias)* => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

operators! {
    /// `=`; with NULL it becomes `is null`.
    Equal = "=" | "==";
    /// `<>`, also written `!=`; with NULL it becomes `is not null`.
    NotEqual = "<>" | "!=";
    /// `<`
    Less = "<";
    /// `<=`
    LessOrEqual = "<=";
    /// `>`
    Greater = ">";
    /// `>=`
    GreaterOrEqual = ">=";
    /// `like`, with a pattern.
    Like = "like";
    /// `not like`
    NotLike = "not like";
    /// `ilike`: `like` without regard to case.
    ILike = "ilike";
    /// `not ilike`
    NotILike = "not ilike";
    /// `similar to`
    SimilarTo = "similar to";
    /// `not similar to`
    NotSimilarTo = "not similar to";
    /// `~`: matches a regular expression.
    Matches = "~";
    /// `~*`: matches a regular expression without regard to case.
    MatchesAnyCase = "~*";
    /// `!~`
    NotMatches = "!~";
    /// `!~*`
    NotMatchesAnyCase = "!~*";
    /// `is`: NULL, true, false.
    Is = "is";
    /// `is not`: NULL, true, false.
    IsNot = "is not";
    /// `is distinct from`: `<>` that takes NULL for a value.
    IsDistinctFrom = "is distinct from";
    /// `is not distinct from`: `=` that takes NULL for a value.
    IsNotDistinctFrom = "is not distinct from";
    /// `in`: one of a list, which travels as one array.
    In = "in";
    /// `not in`: none of a list.
    NotIn = "not in";
    /// `between`: two values.
    Between = "between";
    /// `not between`
    NotBetween = "not between";
    /// `@>`: an array, range or document contains another.
    Contains = "@>";
    /// `<@`
    ContainedBy = "<@";
    /// `&&`: arrays or ranges have something in common.
    Overlaps = "&&";
    /// `?`: a document has that key.
    HasKey = "?";
    /// `?|`: it has one of these keys.
    HasAnyKey = "?|";
    /// `?&`: it has all of these keys.
    HasAllKeys = "?&";
    /// `@@`: a text matches a search.
    MatchesSearch = "@@";
    /// `@?`: a JSON path finds something.
    PathExists = "@?";
    /// `<<`: a range, box or address lies strictly before the other, or within it.
    LeftOf = "<<";
    /// `>>`
    RightOf = ">>";
    /// `&<`: a range does not extend beyond the other's end.
    NotRightOf = "&<";
    /// `&>`: a range does not extend beyond the other's start.
    NotLeftOf = "&>";
    /// `-|-`: ranges are next to each other.
    Adjacent = "-|-";
    /// `->`: an element of a document.
    Element = "->";
    /// `->>`: an element of a document as text.
    ElementText = "->>";
    /// `#>`: what a path leads to in a document.
    Path = "#>";
    /// `#>>`: what a path leads to in a document, as text.
    PathText = "#>>";
    /// `#-`: a document without what a path leads to.
    WithoutPath = "#-";
    /// `||`: texts, arrays or documents one behind the other.
    Concat = "||";
    /// `+`
    Add = "+";
    /// `-`
    Subtract = "-";
    /// `*`
    Multiply = "*";
    /// `/`
    Divide = "/";
    /// `%`
    Modulo = "%";
}

impl Operator {
    /// Reads an operator: one of the list, in any case, words one blank apart.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::find(text)
            .or_else(|| Self::find(&text.to_ascii_lowercase()))
            .ok_or_else(|| unknown(text))
    }

    /// Whether it gives a truth value, so that it can stand in WHERE.
    #[must_use]
    pub fn is_condition(self) -> bool {
        !matches!(
            self,
            Self::Element
                | Self::ElementText
                | Self::Path
                | Self::PathText
                | Self::WithoutPath
                | Self::Concat
                | Self::Add
                | Self::Subtract
                | Self::Multiply
                | Self::Divide
                | Self::Modulo
        )
    }

    /// Whether what stands on its right is made of values, and no expression.
    #[must_use]
    pub fn takes_values(self) -> bool {
        matches!(
            self,
            Self::In | Self::NotIn | Self::Is | Self::IsNot | Self::Between | Self::NotBetween
        )
    }
}

/// Most characters that an error shows of what was given.
const SHOWN: usize = 20;

#[cold]
fn unknown(text: &str) -> Error {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let meant = meant(text).map_or_else(String::new, |meant| {
        format!("did you mean {:?}? Or ", meant.as_str())
    });
    Error::new(
        format!("{shown:?} is no operator"),
        format!(
            "{meant}use = <> < <= > >= like ilike in between is, another of `Operator`, or raw!"
        ),
    )
}

/// How other languages and libraries write some of them.
const ELSEWHERE: [(&str, Operator); 27] = [
    ("!==", Operator::NotEqual),
    ("!~~", Operator::NotLike),
    ("!~~*", Operator::NotILike),
    ("=<", Operator::LessOrEqual),
    ("===", Operator::Equal),
    ("=>", Operator::GreaterOrEqual),
    ("contains", Operator::Contains),
    ("eq", Operator::Equal),
    ("equals", Operator::Equal),
    ("ge", Operator::GreaterOrEqual),
    ("gt", Operator::Greater),
    ("gte", Operator::GreaterOrEqual),
    ("is not null", Operator::IsNot),
    ("is null", Operator::Is),
    ("isnull", Operator::Is),
    ("le", Operator::LessOrEqual),
    ("lt", Operator::Less),
    ("lte", Operator::LessOrEqual),
    ("ne", Operator::NotEqual),
    ("neq", Operator::NotEqual),
    ("nin", Operator::NotIn),
    ("notin", Operator::NotIn),
    ("notnull", Operator::IsNot),
    ("regexp", Operator::Matches),
    ("rlike", Operator::Matches),
    ("~~", Operator::Like),
    ("~~*", Operator::ILike),
];

/// The one that was probably meant.
fn meant(text: &str) -> Option<Operator> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_ascii_lowercase();
    let elsewhere = || {
        let mut known = ELSEWHERE.iter();
        known
            .find(|(name, _)| *name == text)
            .map(|(_, known)| *known)
    };
    let near = || {
        let mut all = Operator::ALL.iter().copied();
        all.find(|known| is_near(&text, known.as_str()))
    };
    Operator::find(&text).or_else(elsewhere).or_else(near)
}

/// Whether one letter of a word is missing, too much or another one, or two have changed places.
fn is_near(given: &str, known: &str) -> bool {
    if known.len() < 4 {
        return false;
    }
    let (given, known): (Vec<char>, Vec<char>) = (given.chars().collect(), known.chars().collect());
    let same = |(one, other): &(&char, &char)| one == other;
    let start = given.iter().zip(&known).take_while(same).count();
    let (given, known) = (given.get(start..), known.get(start..));
    let (Some(given), Some(known)) = (given, known) else {
        return false;
    };
    let pairs = given.iter().rev().zip(known.iter().rev());
    let end = pairs.take_while(same).count();
    let (given, known) = (
        given.get(..given.len() - end),
        known.get(..known.len() - end),
    );
    match (given, known) {
        (Some([one, two]), Some([first, second])) => one == second && two == first,
        (Some(given), Some(known)) => given.len() <= 1 && known.len() <= 1,
        _ => false,
    }
}

/// A text as part of a LIKE pattern that finds the text itself: `\`, `%` and `_` lose their meaning.
///
/// ```
/// assert_eq!(aquifer_core::sql::escape_like("50%_\\"), r"50\%\_\\");
/// ```
#[must_use]
pub fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        if matches!(character, '\\' | '%' | '_') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
