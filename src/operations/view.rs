//! How views are written: names as text, moments as RFC 3339 in UTC.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::Name;

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PartialSchema for Name {
    fn schema() -> RefOr<Schema> {
        let pattern = "^[a-z0-9][a-z0-9._-]{0,63}$";
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).max_length(Some(64)).into()
    }
}

impl ToSchema for Name {
    fn name() -> Cow<'static, str> {
        "Name".into()
    }
}

/// A moment of the store as views have it; what no calendar knows is the epoch.
pub(super) fn moment(unix: i64) -> Timestamp {
    Timestamp::from_second(unix).unwrap_or_default()
}
