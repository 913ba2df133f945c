//! The program. It hands its arguments to the command line and ends with the exit code that comes back; nothing else is here.

use std::process::ExitCode;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sidekey::cli::main()
}
