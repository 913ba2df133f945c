//! The load generator of `scripts/bench` for what wrk cannot do: it reads one plan as JSON, does it from one thread and prints
//! what it saw as JSON. Every proxy gets the same client: TLS 1.3, X25519, AES-128-GCM; a proxy with a CONNECT door is asked
//! for a tunnel first, and that is the only difference.

mod client;
mod far_end;
mod works;

use std::error::Error;
use std::io::Write as _;
use std::rc::Rc;

use client::{Client, Door};
use serde::Deserialize;

/// Any failure: this program has nobody to tell apart kinds for.
type Failure = Box<dyn Error + Send + Sync>;

/// What is to be done.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Plan {
    /// A server to the far side of blind tunnels.
    FarEnd { bytes: u64 },
    /// Requests on connections that stay.
    Kept { door: Door, connections: usize, streams: usize, seconds: f64 },
    /// A connection, a handshake and one request, again and again.
    Fresh { door: Door, at_once: usize, count: Option<usize>, seconds: f64 },
    /// One large answer.
    Download { door: Door },
    /// Bytes through a tunnel that nobody looks into.
    Blind { address: String, bytes: u64 },
}

fn main() -> Result<(), Failure> {
    let plan = std::env::args().nth(1).ok_or("usage: bench-generator PLAN, as JSON")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = match serde_json::from_str(&plan)? {
        Plan::FarEnd { bytes } => return far_end::serve(bytes),
        Plan::Kept { door, connections, streams, seconds } => {
            runtime.block_on(works::kept(&Rc::new(Client::new(door)?), connections, streams, seconds))?
        }
        Plan::Fresh { door, at_once, count, seconds } => runtime.block_on(works::fresh(
            &Rc::new(Client::new(door)?),
            at_once,
            count.unwrap_or(usize::MAX),
            seconds,
        ))?,
        Plan::Download { door } => runtime.block_on(works::download(&Client::new(door)?))?,
        Plan::Blind { address, bytes } => runtime.block_on(works::blind(&address, bytes))?,
    };
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

/// Says that everything is prepared, and waits for the word: what came before is not measured.
fn wait_for_the_word() -> Result<(), Failure> {
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
