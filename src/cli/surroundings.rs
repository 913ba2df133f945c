//! The variables with which a program calls through the proxy and trusts its certificate authority, and the files that they
//! name. Which programs read which is told in docs/ca.md. It changes nothing but these files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::around;
use super::ca;
use super::opened::Opened;
use super::session::Session;
use super::ways::proxy_address;
use crate::config::{Config, Environment};
use crate::operations::{KeyFilter, KeyView};

/// What takes one file in the place of the system's authorities.
const BUNDLES: [&str; 11] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NIX_SSL_CERT_FILE",
    "PERL_LWP_SSL_CA_FILE",
    "npm_config_cafile",
];
/// What takes one more authority.
const AUTHORITIES: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];
/// What goes through the proxy; programs read the one case or the other.
const PROXIES: [&str; 8] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "WSS_PROXY", "wss_proxy", "ALL_PROXY", "all_proxy"];
/// What an SDK that insists on a key is given; the proxy replaces it.
const DUMMY: &str = "sidekey";

/// What Node loads first.
const NODE: &str = include_str!("proxied.cjs");

/// The folder, beside the store, of the files.
const FOLDER: &str = "trust";

/// A variable and its value.
pub(super) type Variable = (String, String);

/// How programs reach the proxy.
pub(super) struct Way {
    /// What stands before the proxy's address in its URL: `NAME:TOKEN@` or nothing.
    pub(super) user: String,
    /// Where those go that cannot show a token; when absent, to the proxy itself.
    pub(super) mute: Option<SocketAddr>,
}

/// Where this machine reaches the proxy.
///
/// # Errors
/// When it listens on Unix sockets alone.
pub(super) fn proxy(config: &Config) -> anyhow::Result<SocketAddr> {
    proxy_address(&config.listen.proxy).context(
        "the proxy listens on Unix sockets alone, which proxy variables cannot name; add an address under [listen]",
    )
}

/// Writes the files and gives the variables.
///
/// # Errors
/// When a file cannot be written, or the store cannot be read.
pub(super) fn variables(opened: &Opened, way: &Way, session: &mut Session) -> anyhow::Result<Vec<Variable>> {
    let (proxy, user) = (proxy(&opened.config)?, &way.user);
    let keys = opened.operations.keys(&opened.actor, &KeyFilter::default())?;
    let direct = around::direct(&session.environment);
    for (service, host) in around::lost(&opened.config, &keys, &direct) {
        session.screen.note(format!(
            "warning: NO_PROXY has {host} called without the proxy, and so without a key of the service `{service}`"
        ))?;
    }
    let trust = Trust::write(opened, session)?;
    let to = |names: &[&str], value: String| -> Vec<Variable> {
        names.iter().map(|name| ((*name).to_owned(), value.clone())).collect()
    };
    let mut all = [
        to(&PROXIES, format!("http://{user}{proxy}")),
        to(&["NO_PROXY", "no_proxy"], direct.clone()),
        to(&["NODE_USE_ENV_PROXY", "PERL_LWP_ENV_PROXY"], "1".to_owned()),
        to(&["NODE_OPTIONS"], node_options(&trust.node, &session.environment)),
        to(&BUNDLES, shown(&trust.bundle)),
        to(&AUTHORITIES, shown(&trust.authority)),
    ]
    .concat();
    if let Some(store) = &trust.java {
        all.push((
            "JAVA_TOOL_OPTIONS".to_owned(),
            java_options(way.mute.unwrap_or(proxy), &around::of_java(&direct), store, &session.environment),
        ));
    }
    let named = keys_of_sdks(&opened.config, &keys);
    let absent = named.into_iter().filter(|name| session.environment.filled(name).is_none());
    all.extend(absent.map(|name| (name, DUMMY.to_owned())));
    Ok(all)
}

/// The variables in which SDKs look for a key, of the services that there is a key for.
fn keys_of_sdks(config: &Config, keys: &[KeyView]) -> Vec<String> {
    let services = keys.iter().filter_map(|key| config.service(key.service.as_str()));
    let mut names: Vec<String> = services.flat_map(|entry| entry.service.env.iter().map(ToString::to_string)).collect();
    names.sort();
    names.dedup();
    names
}

fn node_options(first: &Path, environment: &Environment) -> String {
    let before = environment.filled("NODE_OPTIONS").map(|options| format!("{options} ")).unwrap_or_default();
    let path = shown(first);
    // Node takes words apart at spaces, but for those in double quotes.
    let is_plain = !path.contains([' ', '"', '\\']);
    let path = if is_plain { path } else { format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"")) };
    format!("{before}--require {path}")
}

fn java_options(proxy: SocketAddr, around: &str, store: &Path, environment: &Environment) -> String {
    let (host, port) = (proxy.ip(), proxy.port());
    let before = environment.filled("JAVA_TOOL_OPTIONS").map(|options| format!("{options} ")).unwrap_or_default();
    format!(
        "{before}-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} \
         -Dhttp.nonProxyHosts={around} -Djavax.net.ssl.trustStore={} \
         -Djavax.net.ssl.trustStorePassword=changeit",
        store.display()
    )
}

/// The files by which programs trust the authority.
struct Trust {
    authority: PathBuf,
    bundle: PathBuf,
    node: PathBuf,
    /// Where there is Java.
    java: Option<PathBuf>,
}

impl Trust {
    fn write(opened: &Opened, session: &mut Session) -> anyhow::Result<Self> {
        let folder = opened.config.data.join(FOLDER);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        // Relative paths would be another program's own.
        let folder = folder.canonicalize().with_context(|| format!("{} cannot be read", folder.display()))?;
        let authorities = ca::trusted(opened)?;
        let own: String = authorities.iter().map(|one| one.certificate.as_str()).collect();
        let (authority, bundle) = (folder.join("sidekey-ca.pem"), folder.join("bundle.pem"));
        let node = folder.join("proxied.cjs");
        place(&node, NODE)?;
        place(&authority, &own)?;
        place(&bundle, &ca::bundle(&own, session)?)?;
        let short: Vec<String> = authorities.iter().map(|one| one.fingerprint.chars().take(8).collect()).collect();
        let java = ca::keytool(session).and_then(|keytool| {
            let store = folder.join(format!("java-{}.jks", short.join("-")));
            let pems: Vec<&str> = authorities.iter().map(|one| one.certificate.as_str()).collect();
            (store.is_file() || java_store(&keytool, &store, &pems).is_ok()).then_some(store)
        });
        Ok(Self { authority, bundle, node, java })
    }
}

/// Writes a file in one move, so that who reads it meanwhile sees the former or the new one whole.
fn place(path: &Path, text: &str) -> anyhow::Result<()> {
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&fresh, text)
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Java's own store of authorities with ours besides.
fn java_store(keytool: &Path, store: &Path, pems: &[&str]) -> anyhow::Result<()> {
    let program = keytool.canonicalize()?;
    let home = program.parent().and_then(Path::parent).context("keytool stands in no Java")?;
    let fresh = store.with_extension(format!("{}.new", std::process::id()));
    std::fs::copy(home.join("lib/security/cacerts"), &fresh)?;
    for (number, pem) in pems.iter().enumerate() {
        let file = store.with_extension(format!("{}.pem", std::process::id()));
        std::fs::write(&file, pem)?;
        let imported = Command::new(keytool)
            .args(["-importcert", "-noprompt", "-storepass", "changeit", "-alias", &format!("sidekey-{number}")])
            .args([Path::new("-keystore"), &fresh, Path::new("-file"), &file])
            .output()?;
        std::fs::remove_file(&file)?;
        anyhow::ensure!(imported.status.success(), "keytool failed");
    }
    Ok(std::fs::rename(&fresh, store)?)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
