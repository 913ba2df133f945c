//! Numbers as people read them: three digits that matter, and a unit.

/// A whole number with its thousands apart: `12,431`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A part of a whole: `0.4 %`; what is not nothing is never shown as nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2).checked_div(u128::from(whole)).unwrap_or(0);
    match tenths {
        0 if part > 0 => "under 0.1 %".to_owned(),
        0..100 => format!("{}.{} %", tenths / 10, tenths % 10),
        _ => format!("{} %", (tenths + 5) / 10),
    }
}

/// A duration in microseconds: `0.8 ms`, `82 ms`, `1.2 s`, `3 min`.
pub(super) fn time(micros: u64) -> String {
    match micros {
        0..9_950 => tenths(micros, 1000, "ms"),
        9_950..999_500 => format!("{} ms", (micros + 500) / 1000),
        999_500..9_950_000 => tenths(micros, 1_000_000, "s"),
        9_950_000..119_500_000 => format!("{} s", (micros + 500_000) / 1_000_000),
        _ => format!("{} min", (micros + 30_000_000) / 60_000_000),
    }
}

/// A number of bytes: `512 B`, `1.2 kB`, `34 MB`.
pub(super) fn bytes(number: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        None => format!("{number} B"),
        Some((size, unit)) if number < size / 100 * 995 => tenths(number, size, unit),
        Some((size, unit)) => format!("{} {unit}", number / size + u64::from(number % size >= size / 2)),
    }
}

/// With one digit behind the point.
fn tenths(number: u64, size: u64, unit: &str) -> String {
    let tenths = (number + size / 20) / (size / 10);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let counts =
            [(0, "0"), (999, "999"), (1000, "1,000"), (12_431, "12,431"), (u64::MAX, "18,446,744,073,709,551,615")];
        for (number, text) in counts {
            assert_eq!(count(number), text);
        }
        let shares = [
            (0, 5, "0.0 %"),
            (1, 10_000, "under 0.1 %"),
            (4, 1000, "0.4 %"),
            (1, 10, "10 %"),
            (2, 3, "67 %"),
            (5, 5, "100 %"),
        ];
        for (part, whole, text) in shares {
            assert_eq!(share(part, whole), text);
        }
        let times = [
            (0, "0.0 ms"),
            (840, "0.8 ms"),
            (9_949, "9.9 ms"),
            (9_950, "10 ms"),
            (82_300, "82 ms"),
            (999_499, "999 ms"),
            (999_500, "1.0 s"),
            (1_240_000, "1.2 s"),
            (59_600_000, "60 s"),
            (180_000_000, "3 min"),
        ];
        for (micros, text) in times {
            assert_eq!(time(micros), text);
        }
        let sizes = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_249, "1.2 kB"),
            (34_400_000, "34 MB"),
            (9_960_000, "10 MB"),
            (5_000_000_000_000, "5.0 TB"),
        ];
        for (number, text) in sizes {
            assert_eq!(bytes(number), text);
        }
    }
}
