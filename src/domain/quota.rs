//! How much in a day or a month: a number that does not grow back before the period is over.

use std::fmt;
use std::num::NonZeroU32;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{CredentialId, Share};

/// So many in one calendar period, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: NonZeroU32,
    /// In which period.
    pub per: Period,
}

/// A calendar period in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
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

const DAY: i64 = 24 * 60 * 60;

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
    pub fn number(self, unix: i64) -> u32 {
        let number = match self {
            Self::Day => unix.div_euclid(DAY),
            Self::Month => {
                let date = date(unix);
                i64::from(date.year() - 1970) * 12 + i64::from(date.month() - 1)
            }
        };
        u32::try_from(number).unwrap_or(0)
    }

    /// When the period that `unix` lies in is over, in Unix seconds.
    pub fn end(self, unix: i64) -> i64 {
        let day_after = (unix.div_euclid(DAY) + 1) * DAY;
        match self {
            Self::Day => day_after,
            Self::Month => {
                let next = date(unix).first_of_month().checked_add(1.month()).ok();
                let midnight = next.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
                midnight.map_or(day_after, |midnight| midnight.timestamp().as_second())
            }
        }
    }
}

fn date(unix: i64) -> Date {
    Timestamp::from_second(unix).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}

/// As people write it: `1000/day`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.as_str())
    }
}
