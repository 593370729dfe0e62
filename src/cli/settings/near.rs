//! Suggests the known word that was probably meant.

/// Maximum number of characters compared: the longest domain name, which bounds the work for untrusted text.
const COMPARED: usize = 253;

/// The known word nearest to a wrong one, if it is near enough. Case is ignored.
pub(crate) fn near<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let length = wrong.chars().count();
    let most = match length {
        0..=5 => 1,
        6..=11 => 2,
        _ => 3,
    };
    known
        .filter(|word| word.chars().count().abs_diff(length) <= most)
        .map(|word| (distance(&wrong, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, word)| word)
}

/// The Levenshtein distance of two words.
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(COMPARED).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.chars().take(COMPARED).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn the_nearest_word_is_meant_and_a_strange_one_means_none() {
        let known = ["Grove School", "Grove Schools", "Harbour Clinic", "a.example"];
        let found = |wrong: &str| near(wrong, known.iter().copied());
        assert_eq!(found("Grove Scool"), Some("Grove School"));
        assert_eq!(found("grove school"), Some("Grove School"));
        assert_eq!(found("Harbor Clinic"), Some("Harbour Clinic"));
        assert_eq!(found("b.example"), Some("a.example"));
        assert_eq!(found("nothing like it"), None);
        assert_eq!(found(""), None);
    }
}
