//! This machine's clock, against the `Date` of the services that answered. What matters: services refuse signed requests that
//! are minutes old (AWS Signature Version 4: five), certificates have a beginning and an end, expiry dates of keys are days.

use crate::operations::Reached;

use super::finding::{Finding, Findings};

const CHECK: &str = "clock";
/// How far off is nothing: a `Date` has whole seconds, and answers are on their way for some.
const GOOD: u64 = 30;
/// From here on, services refuse what is signed with a time.
const BAD: u64 = 5 * 60;

/// Compares the clock with what most services say.
pub(super) fn examine(reached: &[(String, Reached)], findings: &mut Findings) {
    let told = |(name, reached): &(String, Reached)| Some((reached.answer.as_ref().ok()?.ahead?, name.clone()));
    findings.add(judge(reached.iter().filter_map(told).collect()));
}

/// `told`: how many seconds the clock of which service is ahead of ours. One whose own clock is wrong does not count where
/// others say something else.
fn judge(mut told: Vec<(i64, String)>) -> Finding {
    told.sort();
    let (lower, upper) = (told.len().saturating_sub(1) / 2, told.len() / 2);
    let middle = told.get(lower).into_iter().chain(told.get(upper));
    let Some((ahead, name)) = middle.min_by_key(|(ahead, _)| ahead.unsigned_abs()) else {
        return Finding::unchecked(CHECK, "no service that answered said what time it is there");
    };
    let off = ahead.unsigned_abs();
    let others = if told.len() > 1 { format!(", as {} services say", told.len()) } else { String::new() };
    let found = match off {
        0..=GOOD => return Finding::fine(CHECK, format!("within {GOOD} s of `{name}`{others}")),
        _ if *ahead > 0 => format!("this machine's clock is {off} s behind that of `{name}`{others}"),
        _ => format!("this machine's clock is {off} s ahead of that of `{name}`{others}"),
    };
    let finding = if off >= BAD { Finding::problem(CHECK, found) } else { Finding::warning(CHECK, found) };
    finding.mended_by("timedatectl set-ntp true")
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::judge;

    #[test]
    fn the_clock_is_compared_with_what_most_services_say() {
        let of = |seconds: &[i64]| judge(seconds.iter().map(|ahead| (*ahead, "x".to_owned())).collect()).verdict;
        for (told, verdict) in [
            (&[][..], Verdict::Unchecked),
            (&[0], Verdict::Fine),
            (&[-30], Verdict::Fine),
            (&[31], Verdict::Warning),
            (&[-299], Verdict::Warning),
            (&[300], Verdict::Problem),
            (&[-3600], Verdict::Problem),
            (&[1, 86_400, 0], Verdict::Fine),
            (&[0, -86_400], Verdict::Fine),
            (&[600, 601, 602, 0], Verdict::Problem),
        ] {
            assert_eq!(of(told), verdict, "{told:?}");
        }
    }
}
