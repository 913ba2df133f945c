//! What a test stands on: a `World` is a folder of its own with a proxy.toml, the real `sidekey` program run in it, and
//! clients on its doors. Upstreams are `FakeUpstream`s, which keep every request as they saw it.
//!
//! ```ignore
//! let billing = FakeUpstream::tls();
//! let world = World::new()
//!     .service("billing", &billing, r#"auth = { location = "header", name = "X-API-Key" }"#)
//!     .serve()
//!     .key("billing", "billing-prod", "s3cret");
//! let reply = world.get("/billing/v1/charges");
//! assert_eq!(reply.status, 200);
//! assert_eq!(billing.only_request().values("x-api-key"), ["s3cret"]);
//! ```
//!
//! Everything blocks and has a deadline, so that a test is plain sequential code and none hangs. A world that is dropped
//! takes its processes and files along.

#![allow(
    dead_code,
    unused_imports,
    reason = "the fixtures offer a whole set of moves, whichever of them the tests need today"
)]

mod h2_client;
mod ports;
mod process;
mod tls;
mod upstream;
mod wire;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) use h2_client::H2;
pub(crate) use ports::free_port;
pub(crate) use process::{Outcome, Run};
pub(crate) use tls::client as tls_client;
pub(crate) use upstream::{Answer, FakeUpstream, Feed, Seen};
pub(crate) use wire::{Ask, Reply, Wire};

use process::Running;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a proxy.toml, and the program in it.
pub(crate) struct World {
    dir: TempDir,
    port: u16,
    console_port: u16,
    listen: String,
    rest: String,
    running: Option<Running>,
}

impl World {
    /// An empty folder, ports of its own, nothing running.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("sidekey-world-").tempdir().unwrap();
        let (port, console_port) = (free_port(), free_port());
        let listen = format!("proxy = \"127.0.0.1:{port}\"\nconsole = \"127.0.0.1:{console_port}\"\n");
        let world = Self { dir, port, console_port, listen, rest: String::new(), running: None };
        world.write_toml();
        world
    }

    /// Adds lines to the `[listen]` table.
    pub(crate) fn listen(mut self, lines: &str) -> Self {
        self.listen.push_str(lines);
        self.listen.push('\n');
        self.write_toml();
        self
    }

    /// Adds tables to proxy.toml.
    pub(crate) fn toml(mut self, tables: &str) -> Self {
        self.rest.push_str(tables);
        self.rest.push('\n');
        self.write_toml();
        self
    }

    /// Adds the service `name` on the host `NAME.test`, which is dialled at `upstream`; `more` are lines for its table
    /// (`auth = …`).
    pub(crate) fn service(self, name: &str, upstream: &FakeUpstream, more: &str) -> Self {
        let scheme = if upstream.speaks_tls() { "https" } else { "http" };
        let plain = if upstream.speaks_tls() { "" } else { "allow_plaintext = true\n" };
        let base = format!("base_url = \"{scheme}://{name}.test\"\n{plain}{more}");
        self.dialled_at(name, upstream, &base)
    }

    /// Lays over the built-in service `name` only where it is dialled: at `upstream`, which must speak TLS.
    pub(crate) fn catalogued(self, name: &str, upstream: &FakeUpstream) -> Self {
        self.dialled_at(name, upstream, "")
    }

    fn dialled_at(self, name: &str, upstream: &FakeUpstream, more: &str) -> Self {
        let address = upstream.address();
        let mut table = format!("[service.{name}]\n{more}\nupstream.connect_to = \"{address}\"\n");
        table.push_str("upstream.allow_private = true\n");
        if upstream.speaks_tls() {
            self.file("upstream-ca.pem", tls::authority().pem());
            table.push_str("upstream.ca = \"upstream-ca.pem\"\n");
        }
        self.toml(&table)
    }

    /// Replaces everything but `[listen]` in proxy.toml, in one move, as an editor does.
    pub(crate) fn rewrite_toml(&mut self, tables: &str) {
        tables.clone_into(&mut self.rest);
        self.write_toml();
    }

    /// What stands in proxy.toml, `[listen]` left out.
    pub(crate) fn tables(&self) -> &str {
        &self.rest
    }

    fn write_toml(&self) {
        let text = format!("[listen]\n{}\n{}", self.listen, self.rest);
        let fresh = self.path("proxy.toml.new");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.config()).unwrap();
    }

    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Makes an executable of the folder. Another process writes it: this one would have it open for writing, and with it whatever
    /// process another test starts at this moment, and a file that is being written cannot be run.
    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(&path).stdin(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        path
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path of proxy.toml.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("proxy.toml")
    }

    /// `sidekey --config proxy.toml ARGS…`, in the folder, with an environment of its own; nothing runs before `.run()`.
    pub(crate) fn sidekey<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Run {
        let config = self.config().to_string_lossy().into_owned();
        let args = ["--config".to_owned(), config].into_iter().chain(args.into_iter().map(str::to_owned));
        Run::new(self.dir(), args.collect())
    }

    /// Adds the key `name` for `service` by the command line.
    pub(crate) fn key(self, service: &str, name: &str, value: &str) -> Self {
        self.sidekey(["key", "add", service, "--name", name, "--stdin"]).stdin(value).run().succeeds();
        self
    }

    /// Starts the proxy and waits until it is ready.
    pub(crate) fn serve(self) -> Self {
        self.serve_with(&[])
    }

    /// Starts the proxy with more environment variables and waits until it is ready.
    pub(crate) fn serve_with(mut self, environment: &[(&str, &str)]) -> Self {
        self.start(environment);
        self
    }

    /// Starts the proxy again after `stop` or `kill`.
    pub(crate) fn start(&mut self, environment: &[(&str, &str)]) {
        assert!(self.running.is_none(), "the proxy is running already");
        let run = environment.iter().fold(self.sidekey(["serve"]), |run, (name, value)| run.env(name, value));
        let mut running = run.start();
        let started = Instant::now();
        while !self.is_ready() {
            if let Some(status) = running.ended() {
                panic!("`sidekey serve` ended with {status} before it was ready:\n{}", running.log());
            }
            assert!(started.elapsed() < PATIENCE, "`sidekey serve` is not ready:\n{}", running.log());
            thread::sleep(Duration::from_millis(5));
        }
        self.running = Some(running);
    }

    fn is_ready(&self) -> bool {
        Wire::try_to(self.proxy()).is_some_and(|mut wire| {
            wire.send(format!("GET /-/ready HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.proxy()));
            wire.try_reply().is_some_and(|reply| reply.status == 200)
        })
    }

    /// Asks the proxy to end (SIGTERM), waits, and returns its status and all that it logged.
    pub(crate) fn stop(&mut self) -> (ExitStatus, String) {
        self.running.take().expect("the proxy runs").stop()
    }

    /// Waits until the proxy, told to end by `signal`, has ended; returns its status and all that it logged.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        self.running.take().expect("the proxy runs").wait()
    }

    /// The proxy's process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().expect("the proxy runs").pid()
    }

    /// The most memory that the proxy had so far, in bytes.
    pub(crate) fn peak(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Ends the proxy without a chance to tidy up (SIGKILL).
    pub(crate) fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Sends the running proxy a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.running.as_ref().expect("the proxy runs").signal(signal);
    }

    /// What the proxy wrote on its standard output and error so far.
    pub(crate) fn log(&self) -> String {
        self.running.as_ref().map(Running::log).unwrap_or_default()
    }

    /// `host:port` of the proxy's doors.
    pub(crate) fn proxy(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` of the console.
    pub(crate) fn console(&self) -> String {
        format!("127.0.0.1:{}", self.console_port)
    }

    /// The value of a metric with these labels, as the console's page has it; empty when it is not there.
    pub(crate) fn metric(&self, series: &str) -> String {
        let page = Ask::new(&self.console(), "GET", "/metrics").reply().text();
        let mut values = page.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        values.next().unwrap_or_default().to_owned()
    }

    /// A bare connection to the doors, for tests that care about bytes.
    pub(crate) fn wire(&self) -> Wire {
        Wire::to(self.proxy())
    }

    /// A request on a connection of its own; see [`Ask`].
    pub(crate) fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(&self.proxy(), method, target)
    }

    /// `GET target` and the answer. `target` is a path, or a whole URL for the forward door.
    pub(crate) fn get(&self, target: &str) -> Reply {
        self.ask("GET", target).reply()
    }

    /// An HTTP/2 connection to the doors (prior knowledge).
    pub(crate) fn h2(&self) -> H2 {
        H2::prior_knowledge(&self.proxy())
    }

    /// Sidekey's own certificate authority.
    pub(crate) fn ca_pem(&self) -> String {
        let reply = self.get("/-/ca.pem");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.text()
    }

    /// A tunnel: `CONNECT host:port` and its answer, with `fields` in the request.
    pub(crate) fn tunnel(&self, authority: &str, fields: &str) -> Wire {
        let mut wire = self.wire();
        let answer = wire.send(connect(authority, fields)).reply_to("CONNECT");
        assert_eq!(answer.status, 200, "{answer:?}");
        wire
    }

    /// A TLS connection through the intercept door: `CONNECT host:port`, then a handshake that trusts sidekey's CA.
    pub(crate) fn intercepted(&self, authority: &str) -> Wire {
        let (ca, wire) = (self.ca_pem(), self.tunnel(authority, ""));
        let (host, _) = authority.rsplit_once(':').expect("host:port");
        wire.tls(host, &ca, &["http/1.1"])
    }
}

/// The bytes of a CONNECT.
pub(crate) fn connect(authority: &str, fields: &str) -> String {
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n")
}

/// Asks again and again until `holds`, for what a running proxy picks up on its own time. Fails after `PATIENCE`.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "still not so: {what}");
        thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}

/// Says that a test cannot run here, past the harness's capture. With `SIDEKEY_NO_SKIP=1` that is a failure.
pub(crate) fn skip(why: &str) {
    let test = thread::current().name().unwrap_or("?").to_owned();
    assert!(std::env::var("SIDEKEY_NO_SKIP").as_deref() != Ok("1"), "{test} must not be skipped: {why}");
    let line = format!("SKIPPED {test}: {why}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
}
