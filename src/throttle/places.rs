//! How many requests may be under way at once: a configured number, and a lower one that is found when an upstream refuses
//! for too many at once. Halved by a wave of refusals, one more after as many successes as there are places. Pure.

use std::num::NonZeroU32;

/// The places of one gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Places {
    /// What is configured; none: as many as come.
    most: Option<NonZeroU32>,
    /// What was found; none: nothing was.
    found: Option<u32>,
    /// Successes since the last change.
    fine: u32,
    /// So many that were sent before what was found have no answer yet.
    echoes: u32,
}

impl Places {
    /// So many, or as many as come.
    pub const fn new(most: Option<NonZeroU32>) -> Self {
        Self { most, found: None, fine: 0, echoes: 0 }
    }

    /// How many there are; none: as many as come.
    pub fn limit(&self) -> Option<u32> {
        let most = self.most.map(NonZeroU32::get);
        match (most, self.found) {
            (Some(most), Some(found)) => Some(found.min(most)),
            (most, found) => most.or(found),
        }
    }

    /// What is configured.
    pub const fn configured(&self) -> Option<NonZeroU32> {
        self.most
    }

    /// Whether nothing was found besides what is configured.
    pub const fn is_settled(&self) -> bool {
        self.found.is_none()
    }

    /// The upstream refused one for too many at once, of `under_way` that it had with it. Those others were sent under the same
    /// count: that some of them are refused too says nothing new. Where none was under way, the refusal was another gate's.
    pub fn refused(&mut self, under_way: u32) {
        if under_way == 0 || self.is_echo(under_way) {
            return;
        }
        let had = self.limit().map_or(under_way, |limit| limit.min(under_way));
        self.found = Some((had / 2).max(1));
        self.fine = 0;
        self.echoes = under_way - 1;
    }

    /// One went well while `under_way` were. What was found is forgotten once it is far above what is used.
    pub fn went_well(&mut self, under_way: u32) {
        let Some(found) = self.found else { return };
        if self.is_echo(under_way) {
            return;
        }
        self.fine += 1;
        if self.fine < found {
            return;
        }
        self.fine = 0;
        let more = found.saturating_add(1);
        let beyond = self.most.is_some_and(|most| more >= most.get()) || more > under_way.saturating_mul(4).max(64);
        self.found = (!beyond).then_some(more);
    }

    /// Whether an answer is taken for one to a request that was sent before what was found; of those there are never more than
    /// are under way.
    fn is_echo(&mut self, under_way: u32) -> bool {
        let echoes = self.echoes.min(under_way);
        self.echoes = echoes.saturating_sub(1);
        echoes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_halves_the_places_and_success_gives_them_back_one_by_one() {
        let mut places = Places::new(None);
        assert_eq!(places.limit(), None);
        places.refused(20);
        assert_eq!(places.limit(), Some(10));
        (1..20).rev().for_each(|under_way| places.went_well(under_way));
        assert_eq!(places.limit(), Some(10), "these were sent before");
        (0..10).for_each(|_| places.went_well(10));
        assert_eq!(places.limit(), Some(11));
        places.refused(11);
        assert_eq!(places.limit(), Some(5));
        (0..10).for_each(|_| places.refused(1));
        assert_eq!(places.limit(), Some(1), "one always goes");
    }

    #[test]
    fn one_wave_of_refusals_halves_the_places_once() {
        let mut places = Places::new(None);
        (51..=100).rev().for_each(|under_way| places.refused(under_way));
        assert_eq!(places.limit(), Some(50), "of 100 under way 50 are refused");
        (1..=50).rev().for_each(|under_way| places.went_well(under_way));
        assert_eq!(places.limit(), Some(50), "the rest of the wave");
        (26..=50).rev().for_each(|under_way| places.refused(under_way));
        assert_eq!(places.limit(), Some(25), "the next wave");
    }

    #[test]
    fn a_refusal_that_was_only_overheard_says_nothing_of_how_many_fit() {
        let mut places = Places::new(None);
        places.refused(0);
        assert!(places.is_settled());
    }

    #[test]
    fn what_is_found_never_exceeds_what_is_configured_and_is_forgotten_there() {
        let mut places = Places::new(NonZeroU32::new(4));
        assert_eq!(places.limit(), Some(4));
        places.refused(4);
        assert_eq!(places.limit(), Some(2));
        (1..4).rev().for_each(|under_way| places.refused(under_way));
        (0..2 + 3).for_each(|_| places.went_well(4));
        assert_eq!((places.limit(), places.is_settled()), (Some(4), true));
    }
}
