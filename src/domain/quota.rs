//! How much in a day or a month: a number that does not grow back before the period is over.

use std::fmt;
use std::num::NonZeroU32;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{CredentialId, ServiceName, Share};

/// So many in one calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: NonZeroU32,
    /// In which period.
    pub per: Period,
}

/// A calendar period. Where it begins and ends is a matter of the time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

/// The quotas of a service, for each limit owner by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// At most one for each kind of period.
    pub each: Vec<Quota>,
    /// In whose days and months.
    pub zone: TimeZone,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { each: Vec::new(), zone: TimeZone::UTC }
    }
}

/// What was used of a share's quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaUse {
    /// Of which credential.
    pub credential: CredentialId,
    /// By which share of it.
    pub share: Share,
    /// In which period, by its number.
    pub period: u32,
    /// How much.
    pub used: u32,
}

/// What was used of a service's quota by one limit owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerQuotaUse {
    /// At which service.
    pub service: ServiceName,
    /// Which limit owner, by its identifier.
    pub owner: String,
    /// In what kind of period.
    pub per: Period,
    /// In which of them, by its number.
    pub period: u32,
    /// How much.
    pub used: u32,
}

impl Period {
    /// The text that the store keeps; never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The period of that text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Day, Self::Month].into_iter().find(|period| period.as_str() == text)
    }

    /// The number of the period that `unix` (seconds) lies in, counted from 1970; those of days and of months never meet.
    pub fn number(self, unix: i64, zone: &TimeZone) -> u32 {
        let date = date(unix, zone);
        let number = match self {
            Self::Day => date.since(Date::constant(1970, 1, 1)).map_or(0, |span| i64::from(span.get_days())),
            Self::Month => i64::from(date.year() - 1970) * 12 + i64::from(date.month() - 1),
        };
        u32::try_from(number).unwrap_or(0)
    }

    /// When the period that `unix` lies in is over, in Unix seconds. Where midnight is skipped, the day begins with the first
    /// moment after it.
    pub fn end(self, unix: i64, zone: &TimeZone) -> i64 {
        let date = date(unix, zone);
        let next = match self {
            Self::Day => date.checked_add(1.day()),
            Self::Month => date.first_of_month().checked_add(1.month()),
        };
        let midnight = next.and_then(|date| date.to_zoned(zone.clone()));
        midnight.map_or(i64::MAX, |midnight| midnight.timestamp().as_second())
    }
}

fn date(unix: i64, zone: &TimeZone) -> Date {
    zone.to_datetime(Timestamp::from_second(unix).unwrap_or_default()).date()
}

/// As people write it: `1000/day`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.as_str())
    }
}
