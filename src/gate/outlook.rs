//! What a request would meet at this moment, as far as it can be told beforehand: for who asks what would become of it. Nothing
//! is used up and nothing counted by asking.

use std::sync::Arc;
use std::time::Duration;

use crate::access::{Candidate, Grant};
use crate::throttle::Family;

use super::limiter::{Gate, now, shown_bucket};
use super::owner::Route;
use super::permit::Course;
use super::refused::Refused;
use super::waiting::Comer;

/// How long `grant` would wait on its way.
///
/// # Errors
/// When that is longer than it may, or a quota has no room: as it would be refused, by the limit that holds it longest.
pub fn outlook<C: Candidate>(course: &Course<'_>, grant: &Grant<C>) -> Result<Duration, Refused> {
    let of_share = course.share.and_then(|share| share.look().err());
    let of_quotas = course.quotas.and_then(|quotas| quotas.look(course.cost).err());
    let mut longest = of_share.into_iter().chain(of_quotas).reduce(Refused::longer);
    let mut narrow = course.by_who_asks(grant);
    narrow.extend(course.share.and_then(|share| share.rate()).map(Arc::clone));
    let ways = course.learnt(&Route::of(course.family, course.method, course.path));
    let mut wait = Duration::ZERO;
    for (gate, comer) in ways.each(&narrow, course.comer(grant, now())) {
        wait = wait.max(gate.wait_of(comer));
        longest = longest.into_iter().chain(gate.foreseen(comer)).reduce(Refused::longer);
    }
    longest.map_or(Ok(wait), Err)
}

/// Whether a request may belong to this bucket of its limit owner: where the record declares its bucket, to that alone, else to
/// any that answers named, since only the process that heard them knows which. `exact` is the bucket itself where that is
/// known, beside how it is shown.
pub fn may_belong(family: &Family, (method, path): (&str, &str), exact: Option<&str>, shown: &str) -> bool {
    let route = Route::of(family, method, path);
    match route {
        Route::Declared(own) => {
            exact.map_or_else(|| shown_bucket(own.as_str()) == shown, |exact| exact == own.as_str())
        }
        Route::Learnt { major, .. } => {
            let bucket = exact.unwrap_or(shown);
            let of_a_route = bucket.starts_with("route-");
            let is_its = route.own().is_some_and(|own| own.as_str() == bucket);
            let ends_with =
                |major: &str| bucket.strip_suffix(major).is_some_and(|rest| rest.is_empty() || rest.ends_with('-'));
            let is_near = major.is_none_or(|major| ends_with(major.as_str()));
            if of_a_route { is_its } else { is_near && !family.declares(bucket) }
        }
        Route::Any => false,
    }
}

/// Whether the record declares to which bucket a request belongs, or that there is none.
pub fn is_declared(family: &Family, method: &str, path: &str) -> bool {
    !matches!(Route::of(family, method, path), Route::Learnt { .. })
}

impl Gate {
    /// How long one that comes now would wait here.
    fn wait_of(&self, comer: Comer<'_>) -> Duration {
        if self.quiet().is_some() {
            return self.look_at_rate(comer.want.cost);
        }
        self.predict(&self.lock(), now(), comer)
    }
}

#[cfg(test)]
mod tests;
