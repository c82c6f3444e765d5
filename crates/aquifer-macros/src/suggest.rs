/// The one of `known` that was probably meant by `given`, if any is near enough.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters may be wrong: of three letters one, of nine three.
    let most = given.chars().count().div_ceil(3);
    known
        .into_iter()
        .map(|known| (distance(given, known), known))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// ` did you mean …?` where something is near, else nothing; for the end of an error.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(given, known) {
        Some(known) => format!("; did you mean `{known}`?"),
        None => String::new(),
    }
}

/// How many letters must be added, left out, changed or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // Rows of the table of distances between the beginnings of both words.
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, against) in other.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let changed = at(&last, column) + usize::from(letter != *against);
            let added = at(&last, column + 1).min(at(&current, column)) + 1;
            let mut best = changed.min(added);
            let swapped = column
                .checked_sub(1)
                .filter(|left| previous == Some(*against) && other.get(*left) == Some(&letter));
            if let Some(left) = swapped {
                best = best.min(at(&before_last, left) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_suggested_and_what_is_not_is_not() {
        let known = ["table", "rename_all", "soft_delete", "version"];
        assert_eq!(nearest("tabel", known), Some("table"));
        assert_eq!(nearest("soft_deleted", known), Some("soft_delete"));
        assert_eq!(nearest("vresion", known), Some("version"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(distance("tabel", "table"), 1);
        assert_eq!(distance("", "key"), 3);
    }
}
