//! `sidekey demo`: the whole story on this machine, without an account and without the internet. A local API demands a key, a
//! workflow has none, and sidekey stands between them. Everything lives in a throwaway folder; the user's own is not touched.

mod api;
mod client;
mod folder;

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::app::Running;
use crate::config::Loaded;
use crate::crypto::{digest, random};
use crate::domain::{Fields, Name, Secret};
use crate::operations::NewKey;

use super::opened::Opened;
use super::session::{Screen, Session};
use api::{Api, Seen};
use client::{Answer, Ask};
use folder::Folder;

const EXAMPLES: &str = "\
Examples:
  sidekey demo";

/// The name under which the local API plays.
const HOST: &str = "api.weather.example";
/// What the workflow wants from it.
const PATH: &str = "/v1/today";

/// See what sidekey does, without an account and without the internet
///
/// Starts a small local API that demands a key, seals a key for it in a throwaway folder, starts the proxy on free ports, and
/// sends one request through it in each way that a workflow can. For each it prints what the workflow sent, what the service
/// received (the key masked) and what came back; at the end, the same request without sidekey. Your own data is not touched.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {}

/// One way to call the API.
struct Scene {
    title: &'static str,
    why: &'static str,
    ask: Ask,
}

pub(super) fn run(_arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let key = format!("demo_{}", digest::hex(&random::bytes::<16>().context("no random bytes can be had")?));
    let api = Api::start(key.clone()).context("the local API does not start")?;
    let folder = Folder::make(&session.environment)?;
    let loaded = prepare(&folder, api.address(), &key, session)?;
    let running = Running::start(loaded, &session.environment).context("the proxy does not start")?;
    let told = first_address(&running).and_then(|proxy| tell(proxy, &api, &key, &mut session.screen));
    running.stopper().cancel();
    running.wait();
    told?;
    finish(&mut session.screen)
}

/// Writes the demo's configuration and seals its key.
fn prepare(folder: &Folder, api: SocketAddr, key: &str, session: &Session) -> anyhow::Result<Loaded> {
    let file = folder.write("proxy.toml", &configuration(api))?;
    let demo = Session {
        config: Some(file),
        environment: session.environment.clone().in_folder(folder.path()),
        ..Session::of_process()
    };
    let Opened { operations, actor, .. } = Opened::or_make(&demo)?;
    let new = NewKey { service: Name::new("weather")?, name: None, owner: None, environment: None, expires: None };
    let fields = Fields::new(vec![(Name::new(Fields::SINGLE)?, Secret::new(key.as_bytes().to_vec()))]);
    operations.add_key(&actor, operations.draft_key(&actor, new)?, &fields)?;
    Ok(demo.load()?)
}

fn configuration(api: SocketAddr) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\nconsole = \"off\"\n\n[service.weather]\nbase_url = \"http://{HOST}\"\n\
         auth = {{ location = \"header\", name = \"X-Api-Key\" }}\nallow_plaintext = true\n\
         upstream = {{ connect_to = \"{api}\", allow_private = true }}\n"
    )
}

fn first_address(running: &Running) -> anyhow::Result<SocketAddr> {
    let address = running.addresses().first().context("the proxy listens nowhere")?;
    address.parse().with_context(|| format!("the proxy listens on {address}"))
}

/// Plays every scene, then the one without sidekey.
fn tell(proxy: SocketAddr, api: &Api, key: &str, screen: &mut Screen) -> anyhow::Result<()> {
    let title = screen.bold("A workflow calls an API that demands a key. The workflow has none.");
    screen.say(title)?;
    screen.say("")?;
    screen.say(format!("  the API   listens on {} and wants the header X-Api-Key", api.address()))?;
    screen.say(format!("  sidekey   listens on {proxy}, with that key sealed in a throwaway folder"))?;
    for (number, scene) in (1..).zip(scenes(proxy)) {
        head(number, &scene, screen)?;
        let answer = scene.ask.send(proxy)?;
        let seen = api.next().context("the API received nothing")?;
        show("workflow sent", &scene.ask.lines(), screen)?;
        show("service received", &received(&seen, key), screen)?;
        show("came back", &[answer.summary()], screen)?;
        ensure!(answer.status == 200, "this should have been 200: {}", answer.summary());
        ensure!(!answer.holds(key), "the answer holds the key, which must never happen");
    }
    let bare = Scene {
        title: "Without sidekey",
        why: "The same request, straight to the API.",
        ask: Ask::new(PATH, &api.address().to_string()),
    };
    head(4, &bare, screen)?;
    let answer: Answer = bare.ask.send(api.address())?;
    show("workflow sent", &bare.ask.lines(), screen)?;
    show("came back", &[answer.summary()], screen)?;
    ensure!(answer.status == 401, "this should have been 401: {}", answer.summary());
    Ok(())
}

fn scenes(proxy: SocketAddr) -> [Scene; 3] {
    [
        Scene {
            title: "By base URL",
            why: "The workflow's client is given another base URL; the service is the first part of the path.",
            ask: Ask::new(&format!("/weather{PATH}"), &proxy.to_string()),
        },
        Scene {
            title: "By host name",
            why: "For clients whose base URL takes no path; the service is the first part of the host.",
            ask: Ask::new(PATH, &format!("weather.localhost:{}", proxy.port())),
        },
        Scene {
            title: "As an HTTP proxy",
            why: "The workflow keeps its URL and has HTTP_PROXY set.",
            ask: Ask::new(&format!("http://{HOST}{PATH}"), HOST),
        },
    ]
}

fn head(number: u32, scene: &Scene, screen: &mut Screen) -> anyhow::Result<()> {
    let title = screen.bold(scene.title);
    let why = screen.dim(scene.why);
    screen.say("")?;
    screen.say(format!("{number}  {title}"))?;
    Ok(screen.say(format!("   {why}"))?)
}

/// A label and its lines beside it.
fn show(label: &str, lines: &[String], screen: &mut Screen) -> anyhow::Result<()> {
    let mut label = screen.dim(&format!("{label:<16}"));
    for line in lines {
        screen.say(format!("   {label}   {line}"))?;
        label = " ".repeat(16);
    }
    Ok(())
}

/// The request as the API saw it; of the key only the ends.
fn received(seen: &Seen, key: &str) -> Vec<String> {
    let (front, back) = (key.get(..5).unwrap_or_default(), key.get(key.len().saturating_sub(4)..).unwrap_or_default());
    let masked = format!("{front}••••••••{back}   ← added by sidekey");
    let header = |(name, value): &(String, String)| format!("{name}: {}", value.replace(key, &masked));
    std::iter::once(seen.line.clone()).chain(seen.headers.iter().map(header)).collect()
}

fn finish(screen: &mut Screen) -> anyhow::Result<()> {
    let next = screen.bold("Next");
    screen.say("")?;
    screen.say("The key was in none of the answers. The demo's folder is gone; nothing of yours was touched.")?;
    screen.say("")?;
    screen.say(next)?;
    screen.say("  sidekey service search mail     find your API among the built-in ones")?;
    screen.say("  sidekey key add stripe          seal your key; the value is asked for")?;
    screen.say("  sidekey up                      start, and call http://127.0.0.1:8080/stripe/…")?;
    Ok(())
}
