//! The numbers in force. They belong to the process, as its gates do: set once before any gate is made, and read from there.

use std::sync::OnceLock;

use crate::domain::GateNumbers;

static IN_FORCE: OnceLock<GateNumbers> = OnceLock::new();
static DEFAULT: GateNumbers = GateNumbers::DEFAULT;

/// Those in force; the defaults before any are set.
pub fn numbers() -> &'static GateNumbers {
    IN_FORCE.get().unwrap_or(&DEFAULT)
}

/// Puts `numbers` in force for as long as the process lives. False when others are already.
pub fn set_numbers(numbers: GateNumbers) -> bool {
    *IN_FORCE.get_or_init(|| numbers) == numbers
}
