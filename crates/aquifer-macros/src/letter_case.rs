use syn::{Error, LitStr, Result};

/// How the words of a name are joined, with serde's names and meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetterCase {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

const NAMES: [(&str, LetterCase); 8] = [
    ("lowercase", LetterCase::Lower),
    ("UPPERCASE", LetterCase::Upper),
    ("PascalCase", LetterCase::Pascal),
    ("camelCase", LetterCase::Camel),
    ("snake_case", LetterCase::Snake),
    ("SCREAMING_SNAKE_CASE", LetterCase::ScreamingSnake),
    ("kebab-case", LetterCase::Kebab),
    ("SCREAMING-KEBAB-CASE", LetterCase::ScreamingKebab),
];

impl LetterCase {
    pub(crate) fn parse(name: &LitStr) -> Result<Self> {
        let value = name.value();
        NAMES
            .iter()
            .find(|(known, _)| *known == value)
            .map(|(_, case)| *case)
            .ok_or_else(|| {
                let known = NAMES.map(|(known, _)| known).join("`, `");
                Error::new(name.span(), format!("unknown case; use one of `{known}`"))
            })
    }

    /// `name`, which is written in `from`: `Pascal` for a variant, `Snake` for a field.
    pub(crate) fn convert(self, from: Self, name: &str) -> String {
        let words = match from {
            Self::Pascal => pascal_words(name),
            _ => name.split('_').map(str::to_lowercase).collect(),
        };
        match self {
            Self::Lower if from == Self::Pascal => words.concat(),
            Self::Upper if from == Self::Pascal => words.concat().to_uppercase(),
            Self::Lower | Self::Snake => words.join("_"),
            Self::Upper | Self::ScreamingSnake => words.join("_").to_uppercase(),
            Self::Pascal => words.iter().map(|word| capitalized(word)).collect(),
            Self::Camel => {
                let mut words = words.iter();
                let first = words.next().cloned().unwrap_or_default();
                first + &words.map(|word| capitalized(word)).collect::<String>()
            }
            Self::Kebab => words.join("-"),
            Self::ScreamingKebab => words.join("-").to_uppercase(),
        }
    }
}

/// Each capital starts a word, so `HTTPError` has five: as in serde, whose users expect the same.
fn pascal_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for character in name.chars() {
        match words.last_mut() {
            Some(word) if !character.is_uppercase() => word.push(character),
            _ => words.push(character.to_lowercase().collect()),
        }
    }
    words
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
