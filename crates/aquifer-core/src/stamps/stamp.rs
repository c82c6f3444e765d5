use std::fmt;

/// What tells one write from the next: no two states of what a tag stands for have the same.
///
/// A stamp's key in Redis may be evicted, expire or be flushed. The one that is made in its place begins
/// another life, drawn at random, so that no mark comes again, as it would from a counter that starts
/// anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    life: u64,
    version: u64,
}

/// The current mark of a tag, and how far a replica must have come to know the last write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    mark: Mark,
    /// Of the last write of this life.
    position: u64,
    /// Whether that is known to be the last write of all: not while nobody has asked what was written
    /// before this life began.
    is_last: bool,
}

/// As it stands beside a value: 32 hexadecimal digits, so that of two marks of one life the later one is
/// the greater text.
impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}{:016x}", self.life, self.version)
    }
}

impl Stamp {
    /// The first of a life that is drawn at random. What was written before is forgotten, so a replica
    /// can't be told from one that is behind until somebody says [`known`](Self::known).
    #[must_use]
    pub fn first(life: u64) -> Self {
        Self {
            mark: Mark { life, version: 0 },
            position: 0,
            is_last: false,
        }
    }

    /// The next one, after a write that was committed at `position` of the write-ahead log.
    #[must_use]
    pub fn next(self, position: u64) -> Self {
        let Mark { life, version } = self.mark;
        Self {
            mark: Mark {
                life,
                version: version.wrapping_add(1),
            },
            position: self.position.max(position),
            ..self
        }
    }

    /// The same stamp, once the primary's position was read after this life had begun: all that was
    /// written before it is older.
    #[must_use]
    pub fn known(self, position: u64) -> Self {
        Self {
            position: self.position.max(position),
            is_last: true,
            ..self
        }
    }

    /// Whether it is of the life of this mark: only then was the primary's position that somebody read
    /// under the mark read after this stamp's life had begun.
    #[must_use]
    pub fn is_of_the_life_of(self, mark: Mark) -> bool {
        self.mark.life == mark.life
    }

    /// What tells it from others.
    #[must_use]
    pub fn mark(self) -> Mark {
        self.mark
    }

    /// Up to which position of the write-ahead log a replica must have come to know the last write. None
    /// if nobody knows: then only the primary does.
    #[must_use]
    pub fn position(self) -> Option<u64> {
        self.is_last.then_some(self.position)
    }

    /// Reads the text that [`Display`](fmt::Display) writes; nothing if it is another text.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split(':');
        let (life, version, position) = (parts.next()?, parts.next()?, parts.next()?);
        let decimal = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || !decimal {
            return None;
        }
        let (position, is_last) = match position.strip_suffix('?') {
            Some(position) => (position, false),
            None => (position, true),
        };
        Some(Self {
            mark: Mark {
                life: hexadecimal(life)?,
                version: version.parse().ok()?,
            },
            position: hexadecimal(position)?,
            is_last,
        })
    }
}

/// As Redis keeps it: `life:version:position`. The version is decimal, since a script counts it up; life
/// and position have 16 hexadecimal digits, so that a script compares positions as texts. A `?` behind
/// the position says that there may have been a later write.
impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { life, version } = self.mark;
        let doubt = if self.is_last { "" } else { "?" };
        write!(
            formatter,
            "{life:016x}:{version}:{:016x}{doubt}",
            self.position
        )
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok())?
}
