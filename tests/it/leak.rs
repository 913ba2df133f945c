//! A canary in every key: after everything that can happen to a request, no form of it is anywhere but at the upstream. Not
//! in an answer, a log line, a metric, the audit, a file, or what the system shows of the process.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use rustix::process::Signal;

use crate::world::{Answer, Ask, FakeUpstream, Reply, Wire, World, eventually, free_port};

/// With bytes that have another form in base64, in a URL and in JSON.
const CANARIES: [&str; 3] = ["can4ry/one+Tweet?of=Key%01", "can4ry/two+Chirp?of=Key%02", "can4ry/two+Chirp?of=Key%03"];
const FILED: &str = "can4ry-filed-Whistle-7f3a9";
const USER: &str = "can4ry-user-Warble-1b2c3";

fn percent(value: &str) -> String {
    value
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect::<Vec<String>>()
        .concat()
}

/// Every form in which a value could be written by mistake, with a name for each.
fn forms(value: &str) -> Vec<(&'static str, String)> {
    let (first, second) = value.split_at(value.len() / 2);
    let hex = value.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    // In base64 the same bytes look in three ways, as their place in what is encoded has it; the ends depend on neighbours.
    let shifted = |shift: usize| {
        let padded = format!("{}{value}", "x".repeat(shift));
        let encoded = STANDARD_NO_PAD.encode(padded);
        encoded[(shift * 4).div_ceil(3)..encoded.len() - 2].to_owned()
    };
    vec![
        ("plain", value.to_owned()),
        ("first half", first.to_owned()),
        ("second half", second.to_owned()),
        ("backwards", value.chars().rev().collect()),
        ("halves swapped", format!("{second}{first}")),
        ("hex", hex.clone()),
        ("HEX", hex.to_uppercase()),
        ("percent", percent(value)),
        ("percent, lower case", percent(value).to_lowercase()),
        ("base64", STANDARD.encode(value)),
        ("base64url", URL_SAFE.encode(value)),
        ("base64url, bare", URL_SAFE_NO_PAD.encode(value)),
        ("base64, shifted by 0", shifted(0)),
        ("base64, shifted by 1", shifted(1)),
        ("base64, shifted by 2", shifted(2)),
        ("JSON", value.replace('/', "\\/")),
        ("bytes in Debug", format!("{:?}", value.as_bytes()).trim_matches(['[', ']']).to_owned()),
    ]
}

/// Everything that was seen of the proxy, by where.
#[derive(Default)]
struct Witness(Vec<(String, Vec<u8>)>);

impl Witness {
    fn note(&mut self, place: &str, bytes: impl AsRef<[u8]>) {
        self.0.push((place.to_owned(), bytes.as_ref().to_vec()));
    }

    fn reply(&mut self, place: &str, reply: &Reply) -> u16 {
        self.note(place, format!("{reply:?}{:?}", reply.trailers));
        reply.status
    }

    /// Every file below `folder`, the write-ahead log of the store among them.
    fn folder(&mut self, folder: &Path, leave_out: &[PathBuf]) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.folder(&path, leave_out);
            } else if !leave_out.contains(&path) {
                self.note(&path.display().to_string(), fs::read(&path).unwrap_or_default());
            }
        }
    }

    /// Where a form of `value` was seen, if anywhere.
    fn saw(&self, value: &str) -> Option<String> {
        forms(value).into_iter().find_map(|(form, text)| {
            let (place, bytes) = self.0.iter().find(|(_, bytes)| memory_find(bytes, text.as_bytes()))?;
            Some(format!("`{value}` stands in {place}, {form}:\n{}", String::from_utf8_lossy(bytes)))
        })
    }
}

fn memory_find(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

const PLACES: [(&str, &str); 6] = [
    ("header", r#"auth = { location = "header", name = "X-API-Key" }"#),
    ("bearer", r#"auth = { location = "bearer" }"#),
    ("query", r#"auth = { location = "query", name = "api_key" }"#),
    ("basic", r#"auth = { location = "basic", username = "{user}", password = "{secret}" }"#),
    ("cookie", r#"auth = { location = "cookie", name = "session" }"#),
    ("path", r#"auth = { location = "path", template = "/bot{key}" }"#),
];

/// Where the requests of the aviary go.
struct Upstreams {
    upstream: FakeUpstream,
    /// Never answers.
    silent: FakeUpstream,
    /// Has a certificate for another name.
    liar: FakeUpstream,
    /// Of the webhook.
    receiver: FakeUpstream,
}

impl Upstreams {
    fn new() -> Self {
        let [upstream, silent, receiver] = std::array::from_fn(|_| FakeUpstream::plain());
        silent.always(|_| Answer::stall());
        Self { upstream, silent, liar: FakeUpstream::tls_claiming("other.test"), receiver }
    }
}

/// The service with the key at the same place as `place`, and a silent upstream.
fn silent(place: &str) -> String {
    format!("{place}-silent")
}

/// Services with a key at every place, and some that fail.
fn aviary(Upstreams { upstream, silent: never, liar, receiver }: &Upstreams) -> World {
    let mut world = World::new();
    for (name, auth) in PLACES {
        let brief = format!("{auth}\ntimeouts = {{ first_byte = \"150ms\" }}");
        world = world.service(name, upstream, auth).service(&silent(name), never, &brief);
    }
    let header = PLACES[0].1;
    let closed = free_port();
    world.file("filed", FILED);
    world
        .service("liar", liar, header)
        .service("narrow", upstream, &format!("{}\nrate = {{ limit = \"1/h\", max_wait = \"0s\" }}", PLACES[2].1))
        .service("ruled", upstream, &format!("{}\nallow = [\"GET /open\"]", PLACES[5].1))
        .service("declared", upstream, header)
        .toml(&format!(
            "[service.closed]\nbase_url = \"http://127.0.0.1:{closed}\"\nupstream.allow_private = true\n{}\n\
             [credential.filed]\nservice = \"declared\"\nfile = \"filed\"\n\
             [events]\nwebhook = \"http://{}/\"\nallow_private = true\n",
            PLACES[2].1,
            receiver.address()
        ))
}

/// What is given for a service: Basic takes two fields.
fn value_for(service: &str, canary: &str) -> String {
    if service.starts_with("basic") { format!("user={USER}\nsecret={canary}") } else { canary.to_owned() }
}

const KEYED: [&str; 10] = ["header", "bearer", "query", "basic", "cookie", "path", "liar", "narrow", "ruled", "closed"];

fn give_keys(world: &World, command: &str, canary: &str, witness: &mut Witness) {
    let silent = PLACES.map(|(name, _)| silent(name));
    for service in KEYED.into_iter().chain(silent.iter().map(String::as_str)) {
        let line: Vec<&str> = match command {
            "add" => vec!["key", "add", service, "--name", service, "--stdin"],
            _ => vec!["key", command, service, "--stdin"],
        };
        let said = world.sidekey(line).stdin(value_for(service, canary)).run();
        witness.note(&format!("what `key {command} {service}` said"), said.all());
        said.succeeds();
    }
}

/// Success, refusal and failure of every kind, at every door.
fn everything(world: &World, upstream: &FakeUpstream, witness: &mut Witness) {
    for (service, _) in PLACES {
        let path = format!("/{service}/v1?own=1");
        assert_eq!(witness.reply("an answer", &world.get(&path)), 200, "{service}");
        assert_eq!(witness.reply("an answer", &world.get(&format!("http://{service}.test/v1"))), 200);
        let host = world.ask("POST", "/v1").host(&format!("{service}.localhost")).body("body").reply();
        assert_eq!(witness.reply("an answer", &host), 200);
        assert_eq!(witness.reply("an answer over h2", &world.h2().get(&path)), 200);
        let unanswered = world.get(&format!("/{}/v1?own=1", silent(service)));
        assert_eq!(witness.reply("a failure", &unanswered), 504, "{service}");
        let failures = [Answer::reset(), Answer::raw("garbage\r\n\r\n"), Answer::json(401, "{}")];
        for (failure, status) in failures.into_iter().zip([502, 502, 401]) {
            upstream.then(failure);
            let reply = world.ask("GET", &path).header("Sidekey-Retry", "off").reply();
            assert_eq!(witness.reply("a failure", &reply), status, "{service}");
        }
        upstream.then(Answer::reset());
        assert_eq!(witness.reply("a second attempt", &world.get(&path)), 200, "{service}");
        upstream.then(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"));
        let mut wire = world.wire();
        witness.note("a broken answer", wire.send(world.ask("GET", &path).bytes("close")).rest());
        let foul = world.ask("GET", &path).header("Transfer-Encoding", "gzip").reply();
        witness.reply("a refusal", &foul);
        witness.reply("a refusal", &world.ask("TRACE", &path).reply());
    }
    let targets = [
        "/liar/",
        "/narrow/",
        "/narrow/",
        "/ruled/closed",
        "/closed/",
        "/declared/",
        "/nobody/",
        "/-/whoami",
        "/-/ready",
    ];
    for target in targets {
        witness.reply(target, &world.get(target));
    }
    witness.note("nonsense", world.wire().send("nonsense\r\n\r\n").rest());
}

fn pages(world: &World, witness: &mut Witness) {
    for page in ["/metrics", "/", "/-/ready", "/none"] {
        let reply = Ask::new(&world.console(), "GET", page).reply();
        witness.reply(&format!("the console's {page}"), &reply);
    }
    for line in [
        "key list --json",
        "key show header",
        "service show header",
        "audit tail",
        "audit export",
        "caller list",
        "usage --json",
        "usage --by endpoint",
    ] {
        witness.note(&format!("`sidekey {line}`"), world.sidekey(line.split(' ')).run().all());
    }
    let line = ["explain", "GET", "http://query.test/v1"];
    witness.note("explain", world.sidekey(line).run().all());
}

/// What the system tells of the process to those who may ask.
fn process(world: &World, witness: &mut Witness) {
    for name in ["cmdline", "environ", "status", "maps", "stat"] {
        let path = format!("/proc/{}/{name}", world.pid());
        witness.note(&path, fs::read(&path).unwrap_or_default());
    }
}

#[test]
fn a_leak_would_be_seen_in_every_form() {
    for value in CANARIES.iter().chain([&FILED, &USER]) {
        for (form, text) in forms(value) {
            let mut witness = Witness::default();
            witness.note("a line", format!("before {text} after"));
            assert!(witness.saw(value).is_some(), "{value} as {form}");
        }
        for before in ["", "a", "ab", "user:"] {
            let mut witness = Witness::default();
            witness.note("a line", format!("Basic {}", STANDARD.encode(format!("{before}{value}:after"))));
            assert!(witness.saw(value).is_some(), "{value} behind {before}");
        }
        assert_eq!(Witness(vec![("a line".to_owned(), b"can4ry".to_vec())]).saw(value), None);
    }
}

#[test]
fn no_form_of_a_key_is_seen_anywhere_but_at_the_upstream() {
    let upstreams = Upstreams::new();
    let Upstreams { upstream, receiver, .. } = &upstreams;
    let mut witness = Witness::default();
    let mut world = aviary(&upstreams);
    give_keys(&world, "add", CANARIES[0], &mut witness);
    world = world.serve_with(&[("SIDEKEY_LOG", "trace")]);
    everything(&world, upstream, &mut witness);
    assert!(upstream.requests().iter().any(|seen| seen.has("x-api-key") && seen.mentions(CANARIES[0])), "it was there");

    give_keys(&world, "rotate", CANARIES[1], &mut witness);
    eventually("the rotation", || {
        world.get("/header/v1").status == 200 && upstream.last_request().mentions(CANARIES[1])
    });
    everything(&world, upstream, &mut witness);
    let rejected = world.sidekey(["key", "rotate", "header", "--stdin"]).stdin(format!("{}\n\u{1}", CANARIES[2])).run();
    witness.note("a value that is refused", rejected.all());

    let tables = world.tables().to_owned();
    world.rewrite_toml(&tables.replace("first_byte", "frist_byte"));
    eventually("the report", || world.log().contains("the old one stays"));
    world.rewrite_toml(&tables);
    world.signal(Signal::HUP);
    fs::write(world.path("filed"), format!("{FILED}\n{FILED}\u{1}\n")).unwrap();
    eventually("the file is refused", || world.log().contains("a declared credential has no value"));

    for path in ["/header/denied", "/path/denied"] {
        for _ in 0..8 {
            upstream.then(Answer::json(401, "{}"));
            witness.reply("a failed authentication", &world.get(path));
        }
    }
    for (number, seen) in receiver.wait_for(2).iter().enumerate() {
        witness.note(&format!("event {number} at the webhook"), format!("{seen:?}{}", seen.text()));
    }
    pages(&world, &mut witness);
    process(&world, &mut witness);
    witness.folder(world.dir(), &[world.path("filed")]);
    let (status, log) = world.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("TRACE"), "the log is at its most talkative");
    for line in log.lines() {
        witness.note("the log", line);
    }
    witness.folder(world.dir(), &[world.path("filed")]);
    for value in CANARIES.iter().chain([&FILED, &USER]) {
        assert_eq!(witness.saw(value), None);
    }
}

#[test]
fn the_proxy_leaves_no_core_and_keeps_its_files_to_itself() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let upstream = FakeUpstream::plain();
    let world = World::new().service("header", &upstream, PLACES[0].1).key("header", "header", CANARIES[0]).serve();
    assert_eq!(world.get("/header/").status, 200);
    let limits = fs::read_to_string(format!("/proc/{}/limits", world.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<&str> = core.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
    // What is not dumpable belongs to root in /proc, whoever runs it; to root itself there is no difference to see.
    assert_eq!(fs::metadata(format!("/proc/{}/environ", world.pid())).unwrap().uid(), 0);
    let mut folders = vec![world.path("data")];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[test]
fn a_deleted_key_and_a_crash_leave_nothing_behind() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("header", &upstream, PLACES[0].1).key("header", "header", CANARIES[0]);
    let mut world = world.serve_with(&[("SIDEKEY_LOG", "sidekey=trace")]);
    assert_eq!(world.get("/header/").status, 200);
    upstream.then(Answer::stall());
    let address = world.proxy();
    let under_way = thread::spawn(move || {
        let mut wire = Wire::to(&address);
        wire.send(Ask::new(&address, "GET", "/header/").bytes("close")).rest()
    });
    upstream.wait_for(2);
    let mut witness = Witness::default();
    let deleted = world.sidekey(["key", "delete", "header", "--yes"]).run();
    witness.note("what `key delete` said", deleted.all());
    eventually("the key is gone", || world.get("/header/").status == 424);
    witness.note("the log", world.log());
    world.kill();
    witness.note("what the crash left of an answer", under_way.join().unwrap());
    witness.folder(world.dir(), &[]);
    assert_eq!(witness.saw(CANARIES[0]), None);
}
