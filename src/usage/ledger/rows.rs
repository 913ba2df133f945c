//! Between counts and columns.

use rusqlite::Row;

use super::LedgerError;
use crate::usage::counts::Counts;
use crate::usage::latency::Latency;

/// What a row of sums is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl Span {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// How long it is, in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 60 * 60,
            Self::Day => 24 * 60 * 60,
        }
    }

    /// When the span began that `at` is in, in Unix seconds.
    pub const fn start(self, at: i64) -> i64 {
        at - at.rem_euclid(self.seconds())
    }
}

/// The columns of numbers, in the order of [`numbers`].
pub(super) const COLUMNS: [&str; 17] = [
    "answered_none",
    "answered_1xx",
    "answered_2xx",
    "answered_3xx",
    "answered_4xx",
    "answered_5xx",
    "unauthorized",
    "forbidden",
    "throttled",
    "refused",
    "limited",
    "strangers",
    "failed",
    "waits",
    "wait_us",
    "bytes_in",
    "bytes_out",
];

/// Every number of `counts`.
pub(super) fn numbers(counts: &Counts) -> [i64; COLUMNS.len()] {
    let [none, informed, good, moved, wrong, failed] = counts.answered;
    [
        none,
        informed,
        good,
        moved,
        wrong,
        failed,
        counts.unauthorized,
        counts.forbidden,
        counts.throttled,
        counts.refused,
        counts.limited,
        counts.strangers,
        counts.failed,
        counts.waits,
        counts.wait_us,
        counts.bytes_in,
        counts.bytes_out,
    ]
    .map(signed)
}

/// The counts of a row whose columns are [`COLUMNS`] and `latency`, from `first` on.
pub(super) fn counts(row: &Row<'_>, first: usize) -> Result<Counts, LedgerError> {
    let number = |column: usize| row.get::<_, i64>(first + column).map(i64::cast_unsigned);
    let blob = row.get_ref(first + COLUMNS.len())?.as_blob().map_err(|_| LedgerError::Damaged("a histogram"))?;
    Ok(Counts {
        answered: [number(0)?, number(1)?, number(2)?, number(3)?, number(4)?, number(5)?],
        unauthorized: number(6)?,
        forbidden: number(7)?,
        throttled: number(8)?,
        refused: number(9)?,
        limited: number(10)?,
        strangers: number(11)?,
        failed: number(12)?,
        waits: number(13)?,
        wait_us: number(14)?,
        bytes_in: number(15)?,
        bytes_out: number(16)?,
        latency: Latency::from_bytes(blob).ok_or(LedgerError::Damaged("a histogram"))?,
    })
}

/// SQLite knows no number beyond.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
