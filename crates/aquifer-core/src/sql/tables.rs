use super::Table;

/// The tables that a statement reads or writes, each once.
///
/// Holds one without an allocation, since most statements have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    first: Option<Table>,
    rest: Vec<Table>,
}

impl Tables {
    /// Adds a table, unless it is there.
    pub fn add(&mut self, table: Table) {
        if self.iter().any(|known| *known == table) {
            return;
        }
        match self.first {
            None => self.first = Some(table),
            Some(_) => self.rest.push(table),
        }
    }

    /// In the order in which they were met.
    pub fn iter(&self) -> impl Iterator<Item = &Table> {
        self.first.iter().chain(&self.rest)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }
}
