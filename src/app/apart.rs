//! Work on a thread that ends with it: what reading a configuration and building tables leaves behind in the allocator is
//! given back with the thread's heap, instead of staying with a thread that lives as long as the process.

use anyhow::Context;

/// Runs `work` on a thread of its own, and waits for it.
///
/// # Errors
/// What `work` fails with, and when the system gives no thread.
pub fn apart<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("load".to_owned());
        let thread = thread.spawn_scoped(scope, work).context("cannot start a thread")?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
