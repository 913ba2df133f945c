//! What a process that holds keys asks of the kernel: no core files, no debugger, private files, small pages,
//! enough descriptors.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask};

/// Asks for small pages, before anything else: the allocator asks for huge ones, which make half-used buffers resident by
/// two megabytes, and what is mapped once stays. A kernel that knows no such wish has no huge pages either.
pub fn prefer_small_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Asks for the rest of it. What the kernel refuses is logged and does not stop the proxy.
pub fn harden() {
    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core files and debuggers could not be switched off");
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core files could not be switched off");
    }
    let files = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
