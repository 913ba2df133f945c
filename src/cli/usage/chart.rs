//! Charts of one line: bars, and the course of calls over time. With Unicode's blocks on a terminal that wants to be pretty,
//! else in ASCII.

/// What is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Unicode's block elements.
    Blocks,
    /// ASCII.
    Plain,
}

/// Parts of a full block, from one eighth on.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
/// Blocks by height.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PLAIN_HEIGHTS: [char; 8] = ['.', ':', '-', '=', '+', '*', '%', '#'];

/// A bar for `value` where `most` is `width` wide. Whatever is not nothing can be seen.
pub(super) fn bar(value: u64, most: u64, width: usize, ink: Ink) -> String {
    if value == 0 || most == 0 {
        return String::new();
    }
    let steps = if ink == Ink::Blocks { 8 } else { 1 };
    let length = scaled(value, most, width * steps);
    match ink {
        Ink::Plain => "#".repeat(length),
        Ink::Blocks => {
            let rest = (length % steps).checked_sub(1).and_then(|part| EIGHTHS.get(part));
            std::iter::repeat_n('█', length / steps).chain(rest.copied()).collect()
        }
    }
}

/// A block for each value, as high as it is among them; a blank for nothing. Where there are more values than `width`, each
/// block is for several, all for as many but the last.
pub(super) fn course(values: &[u64], width: usize, ink: Ink) -> String {
    let together = values.len().div_ceil(width.max(1)).max(1);
    let values: Vec<u64> =
        values.chunks(together).map(|some| some.iter().fold(0_u64, |a, b| a.saturating_add(*b))).collect();
    let most = values.iter().max().copied().unwrap_or(0);
    let heights = if ink == Ink::Blocks { HEIGHTS } else { PLAIN_HEIGHTS };
    let height = |value: &u64| {
        let place = scaled(*value, most, heights.len()).checked_sub(1);
        place.filter(|_| *value > 0).and_then(|place| heights.get(place)).copied().unwrap_or(' ')
    };
    values.iter().map(height).collect()
}

/// `value` of `most` in steps of `width`, at least one.
fn scaled(value: u64, most: u64, width: usize) -> usize {
    let exact = u128::from(value) * width as u128 / u128::from(most.max(1));
    usize::try_from(exact).unwrap_or(width).clamp(1, width.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bars = |ink| [100, 50, 49, 1, 0].map(|value| bar(value, 100, 8, ink));
        assert_eq!(bars(Ink::Blocks), ["████████", "████", "███▉", "▏", ""]);
        assert_eq!(bars(Ink::Plain), ["########", "####", "###", "#", ""]);
        assert_eq!(bar(5, 0, 8, Ink::Blocks), "");
        assert_eq!(bar(u64::MAX, u64::MAX, 2, Ink::Blocks), "██");
    }

    #[test]
    fn a_course_is_as_long_as_its_values() {
        let values = [0, 1, 50, 100, 8];
        assert_eq!(course(&values, 5, Ink::Blocks), " ▁▄█▁");
        assert_eq!(course(&values, 80, Ink::Plain), " .=#.");
        assert_eq!(course(&[0, 0], 2, Ink::Blocks), "  ");
        assert_eq!(course(&[], 80, Ink::Plain), "");
    }

    #[test]
    fn a_long_course_is_narrowed_to_its_width() {
        assert_eq!(course(&[10, 0, 5, 5, 0, 0, 20], 4, Ink::Plain), "== #");
        assert_eq!(course(&[1, 1, 1], 0, Ink::Plain), "#");
        for length in [1, 95, 96, 97, 191, 192, 193, 730, 2161] {
            let drawn = course(&vec![1; length], 96, Ink::Plain).len();
            assert!(drawn <= 96 && (length < 96 || drawn > 48), "{length}: {drawn}");
        }
    }
}
