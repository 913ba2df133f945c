//! Tests of the doors that need neither a service nor the whole program.

mod carry;
mod framing;
