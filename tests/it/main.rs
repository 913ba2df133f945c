//! The one integration test binary: the rules of the house, and the features as seen through the doors of the real
//! program. What a test needs to stand up (a proxy, an upstream, a client on the wire) is in `world`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]
#![allow(clippy::disallowed_methods, reason = "tests are their own clock and environment")]
#![allow(clippy::format_push_string, clippy::assigning_clones, reason = "reads better, and no test is short of time")]

mod admin;
mod backup;
mod bounds;
mod ca;
mod callers;
mod cli;
mod crash;
mod custody;
mod doctor;
mod doors;
mod errors;
mod fixtures;
mod gates;
mod house;
mod hygiene;
mod intercept;
mod leak;
mod learning;
mod life;
mod limits;
mod operating;
mod outlook;
mod people;
mod placement;
mod protocols;
mod resend;
mod run;
mod services;
mod slots;
mod story;
mod story_load;
mod streaming;
mod tunnels;
mod upstream;
mod usage;
mod world;
