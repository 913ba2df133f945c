//! How views are written: names as text, moments as RFC 3339 in UTC.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::domain::Name;

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A moment of the store as views have it; what no calendar knows is the epoch.
pub(super) fn moment(unix: i64) -> Timestamp {
    Timestamp::from_second(unix).unwrap_or_default()
}
