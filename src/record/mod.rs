//! The service record as written: one shape for catalogue files, `[service.*]` tables and the store.
//! `wire` is the text's shape, `overlay` lays one record over another, `compile` turns it into a `domain::Service`.
//! It reads no file and knows no position in one: an error names the key path, and who read the file turns that into a
//! line and a column.

mod base;
mod compile;
mod error;
mod gating;
mod nearest;
mod overlay;
mod place;
mod signals;
mod text;
mod units;
mod wire;

pub use compile::compile;
pub(crate) use error::Faults;
pub use error::{KeyPath, RecordError, RecordErrors, Step};
pub use nearest::nearest;
pub use text::{RecordText, TextError, from_toml, to_table, to_toml};
pub use units::{UnitError, bytes, duration, host_and_port, in_one_unit, level, quota, rate};
pub use wire::{
    Auth, AuthList, BodyRuleRecord, LimitsRecord, RateRecord, RetryRecord, ServiceRecord, TimeoutsRecord,
    UpstreamRecord, VariableRecord, VerifyRecord,
};

#[cfg(test)]
mod tests;
