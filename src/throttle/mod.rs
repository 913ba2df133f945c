//! What an upstream's answer says of its limits, and what follows from it for the next attempt. Pure: answers and times come
//! in as parameters, no clock is read, nothing waits. Who keeps a gate closed is in `gate`.

mod body;
mod budget;
pub mod circuit;
mod family;
mod grpc;
mod invalid;
mod numbers;
mod overload;
pub mod places;
mod quote;
mod reading;
mod resend;
mod scan;
pub mod state;
mod structured;
mod when;

pub use body::{LARGEST_BODY, most_tokens};
pub use budget::{Budget, Cost, pause};
pub use family::{Family, Sample};
pub use invalid::Invalid;
pub use numbers::{numbers, set_numbers};
pub use reading::{Bucket, Class, Dimension, DimensionName, Dimensions, Met, Reading, Scope, Unit, Word};
pub use resend::{Asked, Cause, Client, Repeats, is_vetoed, may_resend};
pub use when::retry_after;

#[cfg(test)]
mod tests;
