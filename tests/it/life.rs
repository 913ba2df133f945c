//! What changes while the proxy lives: keys, callers and the configuration under steady load, signals, a crash, declared
//! credentials, limits. A change takes effect for the next request, and no request pays for it.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::Signal;

use crate::world::{Answer, Ask, FakeUpstream, Reply, Wire, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;
/// Within this a running proxy follows the command line and its files.
const PROMISED: Duration = Duration::from_secs(1);
/// How late any single change may be seen on a busy machine.
pub(crate) const SEEN: Duration = Duration::from_secs(4);

/// An upstream that answers with the key it was given.
fn telling() -> FakeUpstream {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| Answer::text(200, seen.values("x-api-key").join(",")));
    upstream
}

/// A proxy with one service and the key `billing`, whose value is `value-1`.
fn billing(more: &str) -> (World, FakeUpstream) {
    let upstream = telling();
    let world = World::new().service("billing", &upstream, &format!("{AUTH}\n{more}"));
    (world.key("billing", "billing", "value-1").serve(), upstream)
}

fn run(world: &World, line: &str) {
    world.sidekey(line.split(' ')).run().succeeds();
}

fn rotate(world: &World, value: &str) {
    world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin(value).run().succeeds();
}

/// Clients that ask again and again, each on a connection that it keeps.
struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<(u16, String)>>>,
    /// What each was answered last.
    latest: Vec<Arc<Mutex<String>>>,
}

impl Load {
    fn on(world: &World, clients: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let latest: Vec<_> = (0..clients).map(|_| Arc::new(Mutex::new(String::new()))).collect();
        let client = |latest: &Arc<Mutex<String>>| {
            let (over, latest, address) = (Arc::clone(&over), Arc::clone(latest), world.proxy());
            thread::spawn(move || {
                let mut wire = Wire::to(&address);
                let mut answers = Vec::new();
                while answers.len() < 2 || !over.load(Ordering::Relaxed) {
                    let reply = Ask::new(&address, "GET", "/billing/v1").reply_on(&mut wire);
                    *latest.lock().unwrap() = reply.text();
                    answers.push((reply.status, reply.text()));
                    thread::sleep(Duration::from_millis(1)); // steady, and leaves the machine to others
                }
                answers
            })
        };
        let clients = latest.iter().map(client).collect();
        Self { over, clients, latest }
    }

    /// Waits until each client was answered `value`.
    fn all_see(&self, value: &str) {
        eventually("every client sees it", || self.latest.iter().all(|latest| *latest.lock().unwrap() == value));
    }

    /// Every answer, in the order of each client. Fails the test when a connection was lost.
    fn end(self) -> Vec<Vec<(u16, String)>> {
        self.over.store(true, Ordering::Relaxed);
        self.clients.into_iter().map(|client| client.join().unwrap()).collect()
    }
}

/// The machine may be busy, so that one change may be seen late; but not all of them.
pub(crate) fn assert_followed_in_time(delays: &[Duration]) {
    assert!(delays.iter().any(|delay| *delay < PROMISED), "{delays:?}");
}

// Keys.

#[test]
fn a_key_is_rotated_under_load_without_a_wrong_answer() {
    let (world, _upstream) = billing("");
    let load = Load::on(&world, 4);
    let mut delays = Vec::new();
    load.all_see("value-1");
    let mut expect = |line: Option<&str>, value: &str| {
        match line {
            Some(line) => run(&world, line),
            None => rotate(&world, value),
        }
        delays.push(eventually(value, || world.get("/billing/v1").text() == value));
        load.all_see(value);
    };
    expect(None, "value-2");
    expect(None, "value-3");
    expect(Some("key rollback billing"), "value-2");
    let answers = load.end();
    assert_followed_in_time(&delays);
    for of_client in answers {
        let mut in_turn: Vec<&str> = of_client.iter().map(|(_, value)| value.as_str()).collect();
        assert!(of_client.iter().all(|(status, _)| *status == 200), "{in_turn:?}");
        in_turn.dedup();
        assert_eq!(in_turn, ["value-1", "value-2", "value-3", "value-2"], "each value once, in order");
    }
}

#[test]
fn a_key_that_is_added_or_deleted_counts_without_a_restart() {
    let upstream = telling();
    let world = World::new().service("billing", &upstream, AUTH).serve();
    let mut delays = Vec::new();
    for round in ["one", "two"] {
        assert_eq!(world.get("/billing/v1").code(), "credential_missing");
        let value = format!("value-{round}");
        world.sidekey(["key", "add", "billing", "--name", round, "--stdin"]).stdin(&value).run().succeeds();
        delays.push(eventually("the key is there", || world.get("/billing/v1").text() == value));
        run(&world, &format!("key delete {round} --yes"));
        delays.push(eventually("the key is gone", || world.get("/billing/v1").status == 424));
    }
    assert_followed_in_time(&delays);
}

#[test]
fn a_request_under_way_finishes_with_the_value_it_began_with() {
    let (world, upstream) = billing("");
    let (answer, feed) = Answer::fed(200, "text/event-stream");
    upstream.then(answer);
    let mut wire = world.wire();
    wire.send(world.ask("GET", "/billing/stream").bytes("keep-alive"));
    assert_eq!(wire.head().status, 200);
    feed.send("before");
    assert_eq!(wire.chunk().unwrap(), b"before");
    rotate(&world, "value-2");
    eventually("the new value", || world.get("/billing/v1").text() == "value-2");
    run(&world, "key delete billing --yes");
    eventually("the key is gone", || world.get("/billing/v1").status == 424);
    feed.send("after");
    assert_eq!(wire.chunk().unwrap(), b"after");
    drop(feed);
    assert_eq!(wire.chunk(), None, "the answer is whole");
    assert_eq!(upstream.requests()[0].values("x-api-key"), ["value-1"]);
}

#[test]
fn a_request_that_waits_for_its_turn_takes_the_value_of_that_moment() {
    let upstream = telling();
    let limited = format!("{AUTH}\nrate = {{ concurrency = 1 }}");
    let world = World::new().service("billing", &upstream, &limited).service("marker", &upstream, AUTH);
    let world = world.key("billing", "billing", "value-1").serve();
    let (answer, feed) = Answer::fed(200, "text/plain");
    upstream.then(answer);
    let holder = world.ask("GET", "/billing/holder").reply_later();
    upstream.wait_for(1);
    let queued = world.ask("GET", "/billing/queued").reply_later();
    rotate(&world, "value-2");
    // A later change of another service is seen, so the rotation is taken up too.
    let world = world.key("marker", "marker", "value-m");
    eventually("the rotation is taken up", || world.get("/marker/v1").status == 200);
    drop(feed);
    assert_eq!(holder.join().unwrap().status, 200);
    assert_eq!(queued.join().unwrap().text(), "value-2");
}

#[test]
fn an_expired_key_is_used_no_more() {
    let upstream = telling();
    let world = World::new().service("billing", &upstream, AUTH).key("billing", "short", "value-1").serve();
    assert_eq!(world.get("/billing/v1").status, 200);
    world.sidekey("key edit short --expires 3s".split(' ')).run().succeeds();
    eventually("the key has expired", || world.get("/billing/v1").status == 424);
    assert_eq!(world.get("/billing/v1").code(), "credential_missing");
}

// The configuration.

/// The value of the fixed header that the upstream saw on a fresh request.
fn edition(world: &World, upstream: &FakeUpstream) -> String {
    assert_eq!(world.get("/billing/edition").status, 200);
    let seen = upstream.requests().into_iter().rfind(|seen| seen.target == "/edition").unwrap();
    seen.values("x-edition").join(",")
}

/// Writes over a file as it stands. It is never empty meanwhile: that would be a valid proxy.toml, without a service.
fn write_in_place(path: &Path, text: &str) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.set_len(text.len().try_into().unwrap()).unwrap();
}

/// The file's text with another fixed header.
fn text_of(world: &World, edition: &str) -> String {
    let text = fs::read_to_string(world.config()).unwrap();
    let at = text.find("X-Edition\" = \"").unwrap() + "X-Edition\" = \"".len();
    let end = at + text[at..].find('"').unwrap();
    format!("{}{edition}{}", &text[..at], &text[end..])
}

#[test]
fn proxy_toml_is_followed_however_it_is_written_and_no_request_is_dropped() {
    let (world, upstream) = billing(r#"headers = { "X-Edition" = "first" }"#);
    assert_eq!(edition(&world, &upstream), "first");
    let load = Load::on(&world, 3);
    let mut delays = Vec::new();
    let mut follows = |name: &str| delays.push(eventually(name, || edition(&world, &upstream) == name));

    write_in_place(&world.config(), &text_of(&world, "in-place"));
    follows("in-place");

    let fresh = world.file("proxy.toml.new", text_of(&world, "renamed"));
    fs::rename(fresh, world.config()).unwrap();
    follows("renamed");

    // As Kubernetes does: a link to a folder's file, and the link to the folder is swapped.
    world.file("v1/proxy.toml", text_of(&world, "linked"));
    world.file("v2/proxy.toml", text_of(&world, "swapped"));
    symlink("v1", world.path("current")).unwrap();
    symlink("current/proxy.toml", world.path("link.new")).unwrap();
    fs::rename(world.path("link.new"), world.config()).unwrap();
    follows("linked");
    symlink("v2", world.path("current.new")).unwrap();
    fs::rename(world.path("current.new"), world.path("current")).unwrap();
    follows("swapped");

    let answers = load.end();
    assert!(answers.iter().flatten().all(|(status, value)| (*status, value.as_str()) == (200, "value-1")));
    assert_followed_in_time(&delays);
}

#[test]
fn a_bad_proxy_toml_is_reported_with_its_place_and_the_old_one_stays() {
    let (world, upstream) = billing(r#"headers = { "X-Edition" = "first" }"#);
    let good = text_of(&world, "second");
    let load = Load::on(&world, 2);
    for bad in [good.replace("base_url", "base_ulr"), good.replace("[listen]", "[listen"), String::from("\0")] {
        let before = world.log().matches("the old one stays").count();
        write_in_place(&world.config(), &bad);
        eventually("the report", || world.log().matches("the old one stays").count() > before);
        assert_eq!(edition(&world, &upstream), "first");
    }
    assert!(world.log().contains("proxy.toml:") && world.log().contains("base_ulr"), "{}", world.log());
    fs::remove_file(world.config()).unwrap();
    assert_eq!(edition(&world, &upstream), "first");
    let mended = world.file("proxy.toml.new", good);
    fs::rename(mended, world.config()).unwrap();
    eventually("the mended file", || edition(&world, &upstream) == "second");
    assert!(load.end().iter().flatten().all(|(status, _)| *status == 200));
}

#[test]
fn a_service_comes_and_goes_with_the_file() {
    let (mut world, upstream) = billing("");
    let tables = world.tables().to_owned();
    let second = tables.replace("service.billing", "service.second").replace("billing.test", "second.test");
    world.rewrite_toml(&format!("{tables}\n{second}"));
    eventually("the service is known", || world.get("/second/v1").status == 424);
    world.rewrite_toml(&tables);
    eventually("the service is unknown", || world.get("/second/v1").status == 404);
    assert_eq!(world.get("/billing/v1").status, 200);
    drop(upstream);
}

// Signals and ends.

#[test]
fn sighup_reads_again_what_no_event_tells_of() {
    let upstream = telling();
    let world = World::new().service("billing", &upstream, AUTH);
    let told = world.file("told", "value-1\n");
    let table = format!("[credential.told]\nservice = \"billing\"\ncommand = [\"cat\", {:?}]", told.to_str().unwrap());
    let world = world.toml(&table).serve();
    assert_eq!(world.get("/billing/v1").text(), "value-1");
    fs::write(&told, "value-2\n").unwrap();
    assert_eq!(world.get("/billing/v1").text(), "value-1", "a command runs when the configuration is read");
    let load = Load::on(&world, 2);
    world.signal(Signal::HUP);
    eventually("the command ran again", || world.get("/billing/v1").text() == "value-2");
    assert!(load.end().iter().flatten().all(|(status, _)| *status == 200));
}

#[test]
fn sigterm_lets_requests_finish_and_takes_no_more() {
    let (mut world, upstream) = billing("");
    let (answer, feed) = Answer::fed(200, "text/plain");
    upstream.then(answer);
    let under_way = world.ask("GET", "/billing/slow").reply_later();
    upstream.wait_for(1);
    let mut idle = world.wire();
    assert_eq!(world.ask("GET", "/billing/v1").reply_on(&mut idle).status, 200);
    world.signal(Signal::TERM);
    eventually("new connections are refused", || Wire::try_to(world.proxy()).is_none());
    assert!(idle.is_closed(), "an idle connection is not waited for");
    feed.send("whole");
    drop(feed);
    assert_eq!(under_way.join().unwrap().text(), "whole");
    let (status, log) = world.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("SIGTERM") && log.contains("\"ended\""), "{log}");
    assert!(world.sidekey(["audit", "verify"]).run().succeeds().contains("holds"));
}

#[test]
fn after_a_crash_keys_and_audit_are_there() {
    let (mut world, _upstream) = billing("");
    let load_until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < load_until {
        assert_eq!(world.get("/billing/v1").status, 200);
    }
    rotate(&world, "value-2");
    world.kill();
    assert!(world.sidekey(["audit", "verify"]).run().succeeds().contains("holds"));
    world.start(&[]);
    assert_eq!(world.get("/billing/v1").text(), "value-2");
    let (status, _) = world.stop();
    assert_eq!(status.code(), Some(0));
    let verified = world.sidekey(["audit", "verify"]).run().succeeds();
    assert!(verified.contains("holds") && !verified.contains("not sealed"), "{verified}");
    let acts = world.sidekey(["audit", "export"]).run().succeeds();
    assert!(acts.contains("key.rotate") && acts.contains("/v1"), "{acts}");
}

// Declared credentials.

#[test]
fn declared_keys_come_from_the_environment_a_file_or_a_command() {
    let upstream = telling();
    let mut world = World::new();
    for service in ["from-env", "from-file", "from-command"] {
        world = world.service(service, &upstream, AUTH);
    }
    world.file("secret", "of-the-file\n");
    let world = world.toml(
        "[credential.a]\nservice = \"from-env\"\nenv = \"BILLING_KEY\"\n\
         [credential.b]\nservice = \"from-file\"\nfile = \"secret\"\n\
         [credential.c]\nservice = \"from-command\"\ncommand = [\"printf\", \"of-the-command\"]\n",
    );
    let world = world.serve_with(&[("BILLING_KEY", "of-the-environment")]);
    assert_eq!(world.get("/from-env/").text(), "of-the-environment");
    assert_eq!(world.get("/from-command/").text(), "of-the-command");
    assert_eq!(world.get("/from-file/").text(), "of-the-file");
    let mut delays = Vec::new();
    for value in ["second", "third", "fourth"] {
        let fresh = world.file("secret.new", value);
        fs::rename(fresh, world.path("secret")).unwrap();
        delays.push(eventually("the file is read again", || world.get("/from-file/").text() == value));
    }
    assert_followed_in_time(&delays);
    fs::remove_file(world.path("secret")).unwrap();
    eventually("a key without a value is not used", || world.get("/from-file/").status == 424);
    eventually("it is in the log", || world.log().contains("a declared credential has no value"));
    for named in ["", "b"] {
        let ask = world.ask("GET", "/from-file/");
        let reply = if named.is_empty() { ask } else { ask.header("Sidekey-Credential", named) }.reply();
        assert_eq!(reply.code(), "credential_missing");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("`b`") && detail.contains("its file yields no value"), "{detail}");
        assert!(!detail.contains("secret"), "the path is the operator's: {detail}");
    }
    let path = world.path("secret").to_str().unwrap().to_owned();
    let explained = world.sidekey(["explain", "GET", "/from-file/"]).run().succeeds();
    assert!(explained.contains("its file yields no value") && explained.contains(&path), "{explained}");
    let checked = world.sidekey(["check"]).run();
    assert!(checked.all().contains("the file of [credential.b] yields no value here"), "{}", checked.all());
    assert!(checked.all().contains("the environment variable of [credential.a]"), "{}", checked.all());
    assert!(!checked.all().contains(&path), "{}", checked.all());
    checked.succeeds();
    world.file("secret", "fifth");
    eventually("the file is there again", || world.get("/from-file/").text() == "fifth");
}

#[test]
fn a_command_runs_at_the_start_on_sighup_and_when_the_configuration_changed_and_not_otherwise() {
    let upstream = telling();
    let mut world = World::new().service("by-command", &upstream, AUTH).service("by-file", &upstream, AUTH);
    world.file("secret", "first");
    let script = |value: &str| format!("[\"sh\", \"-c\", \"echo run >> runs; printf {value}\"]");
    let tables = format!(
        "{}\n[credential.c]\nservice = \"by-command\"\ncommand = {}\n\
         [credential.f]\nservice = \"by-file\"\nfile = \"secret\"\n",
        world.tables(),
        script("value")
    );
    world.rewrite_toml(&tables);
    let mut world = world.serve();
    let runs = |world: &World| fs::read_to_string(world.path("runs")).unwrap().lines().count();
    assert_eq!((world.get("/by-command/").text().as_str(), runs(&world)), ("value", 1));

    // The store changes, and a file that has nothing to do with it.
    for name in ["one", "two"] {
        world.sidekey(["key", "add", "by-file", "--name", name, "--stdin"]).stdin(name).run().succeeds();
        let asks = || world.ask("GET", "/by-file/").header("Sidekey-Credential", name).reply().text();
        eventually("the store is followed", || asks() == name);
    }
    world.file("secret", "second");
    let by_file = || world.ask("GET", "/by-file/").header("Sidekey-Credential", "f").reply().text();
    eventually("the file is followed", || by_file() == "second");
    assert_eq!((world.get("/by-command/").text().as_str(), runs(&world)), ("value", 1));

    world.signal(Signal::HUP);
    eventually("it ran on SIGHUP", || runs(&world) == 2);
    world.rewrite_toml(&tables.replace("printf value", "printf other"));
    eventually("its table changed", || world.get("/by-command/").text() == "other");
    assert_eq!(runs(&world), 3);
    world.stop();
}

// Callers.

/// A proxy in token mode, and the token of its caller `etl`.
fn guarded() -> (World, FakeUpstream, String) {
    let upstream = telling();
    let world = World::new().toml("[callers]\nmode = \"token\"").service("billing", &upstream, AUTH);
    let world = world.key("billing", "billing", "value-1").serve();
    let token = world.sidekey(["caller", "add", "etl"]).run().succeeds().trim().to_owned();
    assert!(token.starts_with("skc_"));
    eventually("the caller is known", || bearer(&world, "/billing/v1", &token).status == 200);
    upstream.forget();
    (world, upstream, token)
}

fn bearer(world: &World, target: &str, token: &str) -> Reply {
    world.ask("GET", target).header("Proxy-Authorization", &format!("Bearer {token}")).reply()
}

#[test]
fn a_caller_proves_itself_in_every_promised_way() {
    let (world, upstream, token) = guarded();
    let basic = |name: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let forward = "http://billing.test/v1";
    let ways = [
        world.ask("GET", forward).header("Proxy-Authorization", &basic("etl")),
        world.ask("GET", forward).header("Proxy-Authorization", &format!("Bearer {token}")),
        world.ask("GET", "/billing/v1").header("Proxy-Authorization", &basic("etl")),
        world.ask("GET", "/billing/v1").header("Authorization", &format!("Bearer {token}")),
        world.ask("GET", "/billing/v1").header("Authorization", &basic("etl")),
        world.ask("GET", "/billing/v1").header("X-API-Key", &token),
        world.ask("GET", "/v1").host("billing.localhost").header("x-api-key", &token),
        world.ask("GET", &format!("/billing/v1?api_key={token}")),
    ];
    let count = ways.len();
    for way in ways {
        assert_eq!((way.reply().text()), "value-1");
    }
    assert_eq!(upstream.requests().len(), count);
    let who = world.ask("GET", "/-/whoami").header("Proxy-Authorization", &basic("etl")).reply().json();
    assert_eq!((who["caller"].as_str(), who["owner"].as_str()), (Some("etl"), Some("local")));
    let header = |name: &str, value: &str| world.ask("GET", forward).header(name, value).reply().status;
    assert_eq!(header("Proxy-Authorization", &basic("other")), 407, "the name must be the caller's");
    assert_eq!(header("X-API-Key", &token), 407, "at the proxy doors only Proxy-Authorization counts");
    for seen in upstream.requests() {
        assert!(!seen.mentions("skc_") && !seen.has("proxy-authorization"), "a token never goes upstream: {seen:?}");
    }
}

#[test]
fn a_token_at_the_place_of_a_key_ends_at_the_proxy_and_is_not_written_down() {
    let upstream = telling();
    let world = World::new()
        .toml("[callers]\nmode = \"token\"")
        .service("chat", &upstream, r#"auth = { location = "path", template = "/bot{key}" }"#)
        .service("shop", &upstream, r#"auth = { location = "cookie", name = "session" }"#);
    let mut world = world.key("chat", "chat", "42:abc").key("shop", "shop", "42-abc").serve();
    let token = world.sidekey(["caller", "add", "etl"]).run().succeeds().trim().to_owned();
    eventually("the caller is known", || bearer(&world, "/shop/", &token).status == 200);
    upstream.forget();
    assert_eq!(world.get(&format!("/chat/bot{token}/getMe")).status, 200);
    let cookies = format!("theme=dark; session={token}; old={token}; a=b");
    assert_eq!(world.ask("GET", "/shop/?x=1").header("Cookie", &cookies).reply().status, 200);
    assert_eq!(world.get(&format!("/shop/?x=1&key={token}&y=2")).status, 200);
    let refused = world.get(&format!("/shop/{token}/cart"));
    assert_eq!((refused.status, refused.code().as_str()), (400, "bad_request"));
    let seen = upstream.requests();
    assert_eq!(seen[0].target, "/bot42:abc/getMe");
    assert_eq!(seen[1].values("cookie"), ["theme=dark; a=b; session=42-abc"]);
    assert_eq!((seen.len(), seen[2].target.as_str()), (3, "/?x=1&y=2"));
    let (_, log) = world.stop();
    let audit = world.sidekey(["audit", "export"]).run().succeeds();
    let random = &token["skc_".len()..];
    assert!(audit.contains("/botskc_") && !audit.contains(random) && !log.contains(random), "{audit}");
}

#[test]
fn a_deleted_or_rotated_caller_is_refused_on_the_next_request_of_an_open_connection() {
    let (world, _upstream, token) = guarded();
    let ask = |wire: &mut Wire, token: &str| {
        let ask = world.ask("GET", "/billing/v1").header("Proxy-Authorization", &format!("Bearer {token}"));
        ask.reply_on(wire).status
    };
    let mut wire = world.wire();
    assert_eq!(ask(&mut wire, &token), 200);
    let fresh = world.sidekey(["caller", "rotate", "etl"]).run().succeeds().trim().to_owned();
    let mut delays = vec![eventually("the old token is refused", || ask(&mut wire, &token) == 401)];
    assert_eq!(ask(&mut wire, &fresh), 200);
    run(&world, "caller delete etl --yes");
    delays.push(eventually("the deleted caller is refused", || ask(&mut wire, &fresh) == 401));
    assert_followed_in_time(&delays);
}

// Limits.

#[test]
fn concurrency_queues_and_serves_everyone_in_the_end() {
    let (world, upstream) = billing("rate = { concurrency = 1 }");
    let (answer, feed) = Answer::fed(200, "text/plain");
    upstream.then(answer);
    let first = world.ask("GET", "/billing/first").reply_later();
    upstream.wait_for(1);
    let second = world.ask("GET", "/billing/second").reply_later();
    let refused = world.ask("GET", "/billing/third").header("Prefer", "wait=0").reply();
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert!(refused.value("retry-after").is_some(), "{refused:?}");
    assert_eq!(upstream.requests().len(), 1, "the place is taken");
    drop(feed);
    assert_eq!((first.join().unwrap().status, second.join().unwrap().status), (200, 200));
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(world.ask("GET", "/billing/fourth").header("Prefer", "wait=0").reply().status, 200);
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let (world, upstream) = billing("rate = { concurrency = 1 }");
    upstream.then(Answer::stall());
    let mut leaving = world.wire();
    leaving.send(world.ask("GET", "/billing/first").bytes("close"));
    upstream.wait_for(1);
    drop(leaving);
    let reply = world.ask("GET", "/billing/second").reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, "value-1"));
}

#[test]
fn a_rate_spaces_requests_and_loses_none() {
    let (world, upstream) = billing(r#"rate = { limit = "20/s", burst = 1 }"#);
    let began = Instant::now();
    let asked: Vec<_> = (0..6).map(|n| world.ask("GET", &format!("/billing/{n}")).reply_later()).collect();
    assert!(asked.into_iter().all(|reply| reply.join().unwrap().status == 200));
    assert!(began.elapsed() >= Duration::from_millis(5 * 50 - 20), "{:?}", began.elapsed());
    assert_eq!(upstream.requests().len(), 6);
}
