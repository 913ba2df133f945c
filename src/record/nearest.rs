//! The nearest known word to a mistyped one, for hints in errors. It never guesses wildly: no hint beats a wrong one.

/// The one of `known` that was probably meant by `word`; none when all are too far away.
///
/// A word counts as near when at most a third of its letters (at least one) would have to change, or when it is the
/// beginning of a known word and has three letters or more.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length == 0 || length > 64 {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let lower = candidate.to_lowercase();
        let distance = strsim::damerau_levenshtein(&word, &lower);
        let near = distance <= (length / 3).max(1);
        let opening = length >= 3 && lower.starts_with(&word);
        let distance = if near { distance } else { distance + length };
        if (near || opening) && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}
