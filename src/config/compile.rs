//! From the file's shape to the settings: addresses, the store, the master key, callers. Services and credentials have
//! their own file. Every fault carries the path of its key; nothing stops at the first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::domain::{HostRange, KeyPlace};
use crate::record::{Faults, KeyPath};

use super::Environment;
use super::services::{self, Catalogue};
use super::settings::{CallersMode, Config, Listen, ListenAddress, ParentProxies, Unmatched};
use super::tree::is_variable;
use super::wire::{FileRecord, MasterKeyRecord, ModeRecord, OneOrMany, PolicyRecord};
use super::{events, gates};

const PROXY: &str = "127.0.0.1:8080";
const CONSOLE: &str = "127.0.0.1:8081";
const STORE: &str = "data/sidekey.db";
const MASTER_KEY: &str = "data/master.key";

/// The longest path of a Unix socket on every system, in bytes.
const LONGEST_SOCKET: usize = 103;

/// What compiling a file needs besides the file.
pub(super) struct Context<'a> {
    /// The file's own folder, absolute: where relative paths start.
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Environment,
    pub(super) catalogue: &'a Catalogue,
    /// What the check of the shape has cut out, so that its absence is no second fault.
    pub(super) cut: &'a BTreeSet<KeyPath>,
}

/// Compiles a file; the settings count only when no fault was noted.
pub(super) fn compile(file: &FileRecord, context: &Context<'_>, faults: &mut Faults) -> Config {
    let store = store(file, context, faults);
    let (services, names) = services::services(file, context, faults);
    let credentials = services::credentials(file, &services, &names, context, faults);
    Config {
        listen: listen(file, context, faults),
        data: store.parent().unwrap_or(context.folder).to_owned(),
        store,
        master_key: master_key(file, context, faults),
        callers: match file.callers.mode {
            Some(ModeRecord::Token) => CallersMode::Token,
            Some(ModeRecord::Open) | None => CallersMode::Open,
        },
        unmatched: match file.unmatched.policy {
            Some(PolicyRecord::Tunnel) => Unmatched::Tunnel,
            Some(PolicyRecord::Deny) | None => Unmatched::Deny,
        },
        intercept: intercept(file, faults),
        webhook: events::webhook(file, context, faults),
        gates: gates::numbers(file, faults),
        services,
        credentials,
        parents: parents(context.environment),
    }
}

/// Reads the parent proxies; the lower-case spelling wins, as it does for most clients.
fn parents(environment: &Environment) -> ParentProxies {
    let either = |lower: &str, upper: &str| environment.filled(lower).or(environment.filled(upper)).map(str::to_owned);
    ParentProxies {
        https: either("https_proxy", "HTTPS_PROXY"),
        http: either("http_proxy", "HTTP_PROXY"),
        all: either("all_proxy", "ALL_PROXY"),
        no: either("no_proxy", "NO_PROXY"),
    }
}

/// The hosts that may be opened.
fn intercept(file: &FileRecord, faults: &mut Faults) -> Vec<HostRange> {
    let at = KeyPath::root().key("intercept").key("hosts");
    let Some(hosts) = &file.intercept.hosts else { return Vec::new() };
    if hosts.is_empty() {
        let fix = "name the hosts that may be opened, or remove the key for every host of a service";
        faults.add(at.clone(), "an empty list: no host could be opened", fix);
    }
    let mut ranges = Vec::new();
    for (index, text) in hosts.iter().enumerate() {
        if let Ok(range) = HostRange::parse(text) {
            ranges.push(range);
        } else {
            let fix = "write a host such as `api.example.com`, or `*.example.com` for every host of one label below";
            faults.add(at.clone().index(index), "neither a host nor `*.` and a host", fix);
        }
    }
    ranges
}

fn listen(file: &FileRecord, context: &Context<'_>, faults: &mut Faults) -> Listen {
    let at = KeyPath::root().key("listen");
    let proxies = match &file.listen.proxy {
        None => vec![(at.key("proxy"), PROXY)],
        Some(OneOrMany::One(text)) => vec![(at.key("proxy"), text.as_str())],
        Some(OneOrMany::Many(texts)) => {
            texts.iter().enumerate().map(|(i, text)| (at.key("proxy").index(i), text.as_str())).collect()
        }
    };
    if proxies.is_empty() {
        let fix = format!("name at least one address, such as `{PROXY}`");
        faults.add(at.key("proxy"), "an empty list: nothing could reach the proxy", fix);
    }
    let open = file.callers.mode != Some(ModeRecord::Token)
        && !context.cut.contains(&KeyPath::root().key("callers").key("mode"));
    let mut seen: Vec<ListenAddress> = Vec::new();
    for (at, text) in proxies {
        let Some(address) = address(text, &at, context, faults) else { continue };
        if open && !address.is_local() {
            let fix = "set `mode = \"token\"` under `[callers]`, or listen on 127.0.0.1, [::1] or a Unix socket";
            faults.add(at, "others on the network could use every key, since `callers.mode` is `open`", fix);
        } else if clashes(&seen, &address) {
            faults.add(at, "the same address twice", "remove one of the two");
        } else {
            seen.push(address);
        }
    }
    let text = file.listen.console.as_deref().unwrap_or(CONSOLE);
    let at_console = at.key("console");
    let console = if text == "off" { None } else { address(text, &at_console, context, faults) };
    if console.as_ref().is_some_and(|console| clashes(&seen, console)) {
        faults.add(at_console, "the address of the proxy", "give the console another port, or `off`");
    }
    Listen {
        proxy: seen,
        console,
        threads: file.listen.threads.and_then(|threads| usize::try_from(threads).ok()).unwrap_or(0),
        browser_origins: origins(file, &at.key("browser_origins"), faults),
    }
}

/// Whether an address is taken; port 0 never is.
fn clashes(seen: &[ListenAddress], address: &ListenAddress) -> bool {
    let any_port = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
    !any_port && seen.contains(address)
}

fn address(text: &str, at: &KeyPath, context: &Context<'_>, faults: &mut Faults) -> Option<ListenAddress> {
    let Some(path) = text.strip_prefix("unix:") else {
        return text.parse().map(ListenAddress::Tcp).ok().or_else(|| {
            let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
            let fix = format!("write `127.0.0.1:{port}` for this machine alone, `[::1]:{port}`, or `unix:/path`");
            faults.quote(at.clone(), "not an IP address with a port", text, fix);
            None
        });
    };
    let path = context.folder.join(path);
    if text == "unix:" || path.as_os_str().len() > LONGEST_SOCKET {
        let fix = format!("write `unix:/run/sidekey.sock`, with at most {LONGEST_SOCKET} characters in all");
        faults.quote(at.clone(), "no path that a Unix socket can have", text, fix);
        return None;
    }
    Some(ListenAddress::Unix(path))
}

/// Checks each origin: a scheme and a host, in the one spelling that browsers send.
fn origins(file: &FileRecord, at: &KeyPath, faults: &mut Faults) -> Vec<String> {
    let mut out = Vec::new();
    for (i, text) in file.listen.browser_origins.iter().flatten().enumerate() {
        let parts = text.split_once("://").filter(|(scheme, host)| {
            !scheme.is_empty()
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
                && host.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'@' | b'*'))
        });
        let host = parts.and_then(|(_, host)| crate::record::host_and_port(host).ok());
        if host.is_some_and(|(host, _)| crate::domain::Host::new(host).is_ok()) {
            out.push(text.to_ascii_lowercase());
        } else {
            let fix = "write scheme and host, such as `https://app.example.com`, without a path; `*` is not accepted";
            faults.quote(at.index(i), "not the origin of a web page", text, fix);
        }
    }
    out
}

fn store(file: &FileRecord, context: &Context<'_>, faults: &mut Faults) -> PathBuf {
    let at = KeyPath::root().key("store").key("url");
    let Some(text) = file.store.url.as_deref() else { return context.folder.join(STORE) };
    let fix = format!("write `sqlite:PATH`, such as `sqlite:{STORE}`");
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        faults.add(at, "PostgreSQL is not available in this version of sidekey", fix);
        return PathBuf::new();
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        faults.quote(at, "not the URL of a store", text, fix);
        return PathBuf::new();
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') || path.starts_with(':') || path.contains('?') {
        faults.quote(at, "a store needs a file that stays", text, fix);
    }
    context.folder.join(path)
}

fn master_key(file: &FileRecord, context: &Context<'_>, faults: &mut Faults) -> KeyPlace {
    let default = KeyPlace::File(context.folder.join(MASTER_KEY));
    let Some(record) = &file.master_key else { return default };
    let at = KeyPath::root().key("master_key");
    let MasterKeyRecord { file, env, passphrase_env, command } = record;
    let given = [
        ("file", file.is_some()),
        ("env", env.is_some()),
        ("passphrase_env", passphrase_env.is_some()),
        ("command", command.is_some()),
    ];
    if !exactly_one(&given, &at, faults) {
        return default;
    }
    if let Some(path) = file_path(file.as_deref(), &at, context, faults) {
        KeyPlace::File(path)
    } else if let Some(name) = variable(env.as_deref(), &at.key("env"), faults) {
        KeyPlace::Env(name)
    } else if let Some(name) = variable(passphrase_env.as_deref(), &at.key("passphrase_env"), faults) {
        KeyPlace::PassphraseEnv(name)
    } else {
        program(command.as_deref(), &at, faults).map_or(default, KeyPlace::Command)
    }
}

/// Notes when not exactly one of the keys is there.
pub(super) fn exactly_one(given: &[(&str, bool)], at: &KeyPath, faults: &mut Faults) -> bool {
    let names: Vec<String> = given.iter().map(|(key, _)| format!("`{key}`")).collect();
    let mut there = given.iter().filter(|(_, there)| *there);
    if there.next().is_none() {
        let fix = format!("add exactly one of {}", names.join(", "));
        faults.add(at.clone(), "nothing says where the value comes from", fix);
        return false;
    }
    let mut single = true;
    for (key, _) in there {
        let fix = format!("keep exactly one of {}", names.join(", "));
        faults.add(at.key(key), "a second source of one value", fix);
        single = false;
    }
    single
}

/// A file's path, absolute.
pub(super) fn file_path(
    text: Option<&str>,
    at: &KeyPath,
    context: &Context<'_>,
    faults: &mut Faults,
) -> Option<PathBuf> {
    let text = text?;
    if text.is_empty() {
        faults.add(at.key("file"), "an empty file name", "name a file; a relative path starts at this file's folder");
    }
    Some(context.folder.join(text))
}

/// The name of an environment variable.
pub(super) fn variable(text: Option<&str>, at: &KeyPath, faults: &mut Faults) -> Option<String> {
    let text = text?;
    if !is_variable(text) {
        let fix = "write the variable's name alone, such as `BILLING_KEY`, without `$`; the value never stands here";
        faults.add(at.clone(), "not the name of an environment variable", fix);
    }
    Some(text.to_owned())
}

/// A program and its arguments.
pub(super) fn program(argv: Option<&[String]>, at: &KeyPath, faults: &mut Faults) -> Option<Vec<String>> {
    let argv = argv?;
    if argv.first().is_none_or(String::is_empty) {
        let fix = "write the program and its arguments, such as `[\"pass\", \"show\", \"sidekey\"]`";
        faults.add(at.key("command"), "an empty command", fix);
    }
    Some(argv.to_vec())
}
