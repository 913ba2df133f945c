//! `sidekey limits`: what the running proxy found out of the limits of services, and limits that are pinned on them.

mod list;
mod pin;
mod reset;

use clap::Subcommand;

use super::session::Session;
use crate::operations::CircuitShown;

const EXAMPLES: &str = "\
Examples:
  sidekey limits list
  sidekey limits reset github
  sidekey limits pin github 100/min --for 2h
  sidekey limits unpin github";

/// See what services were found to allow, have it forgotten, and pin limits of your own
///
/// Limits of your own are set by `rate` in proxy.toml or by `sidekey service edit`, and shown by `sidekey service show`; these are
/// those that services told of, or that were met.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    List(list::Arguments),
    Reset(reset::Arguments),
    Pin(pin::Pin),
    Unpin(pin::Unpin),
}

/// A circuit that does not let everything pass, in words.
pub(super) fn circuit(circuit: &CircuitShown, now: i64) -> String {
    let CircuitShown { origin, open_until, held_back } = circuit;
    match open_until {
        Some(until) => format!("nothing is sent to {origin} for {} s", (until.as_second() - now).max(0)),
        None => format!("{:.0} % of what is for {origin} is held back", held_back * 100.0),
    }
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(&args, session),
        Command::Reset(args) => reset::run(&args, session),
        Command::Pin(args) => pin::pin(&args, session),
        Command::Unpin(args) => pin::unpin(&args, session),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_circuit_is_told_by_how_long_it_is_open_or_by_what_it_holds_back() {
        let origin = "https://api.example.com".to_owned();
        let open_until = Some(Timestamp::from_second(105).unwrap());
        let open = CircuitShown { origin: origin.clone(), open_until, held_back: 0.0 };
        assert_eq!(circuit(&open, 100), "nothing is sent to https://api.example.com for 5 s");
        assert_eq!(circuit(&open, 200), "nothing is sent to https://api.example.com for 0 s");
        let closed = CircuitShown { origin, open_until: None, held_back: 0.37 };
        assert_eq!(circuit(&closed, 100), "37 % of what is for https://api.example.com is held back");
    }
}
