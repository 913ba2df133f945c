//! Services that come by the command line while the proxy runs: imported, added, edited, deleted, laid over the catalogue;
//! and what the proxy does with what it cannot use.

use std::fs;

use serde_json::Value;

use crate::life::SEEN;
use crate::world::{FakeUpstream, World, eventually};

const CANARY: &str = "sk_live_C4nary0000000000000000000001";

/// An API as its owner describes it.
const BIKES: &str = "
openapi: 3.1.0
info: {title: Blue Bikes API, version: 1.0.0}
servers:
  - url: https://bikes.test/api
security: [{key: []}]
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Bike-Key}
paths:
  /me: {get: {responses: {200: {description: ok}}}}
  /rides: {get: {}, post: {}}
  /rides/{id}: {delete: {parameters: [{in: path, name: id, required: true}]}}
";

/// The flags that dial a service at `upstream`, whatever its host.
fn dialled_at(world: &World, upstream: &FakeUpstream) -> Vec<String> {
    let mut flags =
        vec!["--allow-private".to_owned(), "--set".into(), format!("upstream.connect_to = \"{}\"", upstream.address())];
    if upstream.speaks_tls() {
        world.file("upstream-ca.pem", FakeUpstream::ca_pem());
        flags.extend(["--set".into(), "upstream.ca = \"upstream-ca.pem\"".into()]);
    } else {
        flags.extend(["--set".into(), "allow_plaintext = true".into()]);
    }
    flags
}

fn does(world: &World, line: &[&str], flags: &[String]) -> String {
    world.sidekey(line.iter().copied().chain(flags.iter().map(String::as_str))).run().succeeds()
}

fn refused(world: &World, line: &[&str], code: i32) -> String {
    world.sidekey(line.iter().copied()).run().fails_with(code)
}

fn add_key(world: &World, service: &str) {
    world.sidekey(["key", "add", service, "--stdin"]).stdin(CANARY).run().succeeds();
}

/// Waits until it is so, which must be soon.
fn follows(what: &str, holds: impl FnMut() -> bool) {
    let took = eventually(what, holds);
    assert!(took < SEEN, "{what} took {took:?}");
}

fn custom(world: &World) -> Vec<(String, String)> {
    let shown = world.sidekey(["service", "list", "--custom", "--json"]).run().succeeds();
    let list: Value = serde_json::from_str(&shown).unwrap();
    let text = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(|item| (text(item, "name"), text(item, "from"))).collect()
}

#[test]
fn an_imported_service_is_called_through_every_door_of_a_running_proxy() {
    let upstream = FakeUpstream::tls();
    let world = World::new().serve();
    world.file("bikes.yaml", BIKES);
    assert_eq!(world.get("/blue-bikes/rides").code(), "service_unknown");
    let said =
        does(&world, &["service", "import", "bikes.yaml", "--allow-rules", "--yes"], &dialled_at(&world, &upstream));
    assert!(said.contains("Added the service `blue-bikes`") && said.contains("X-Bike-Key: …"), "{said}");
    add_key(&world, "blue-bikes");
    follows("the service is called", || world.get("/blue-bikes/rides").status == 200);
    let asked = [
        world.ask("GET", "/blue-bikes/rides?q=1"),
        world.ask("GET", "/rides?q=1").host("blue-bikes.localhost"),
        world.ask("GET", "http://bikes.test/api/rides?q=1"),
    ];
    for ask in asked {
        upstream.forget();
        assert_eq!(ask.header("x-bike-key", "mine").reply().status, 200);
        let seen = upstream.only_request();
        assert_eq!((seen.target.as_str(), seen.values("x-bike-key")), ("/api/rides?q=1", vec![CANARY]));
        assert_eq!(seen.sni.as_deref(), Some("bikes.test"));
    }
    assert_eq!(world.ask("DELETE", "/blue-bikes/rides/7").reply().status, 200);
    for (method, path) in
        [("DELETE", "/blue-bikes/rides"), ("GET", "/blue-bikes/rides/7"), ("GET", "/blue-bikes/admin")]
    {
        assert_eq!(world.ask(method, path).reply().code(), "not_allowed", "{method} {path}");
    }
    let explained = does(&world, &["explain", "DELETE", "/blue-bikes/rides/7"], &[]);
    assert!(explained.contains("It would be sent") && explained.contains("bikes.test"), "{explained}");
    assert_eq!(custom(&world), [("blue-bikes".to_owned(), "store".to_owned())]);
}

#[test]
fn an_edit_is_followed_while_the_proxy_runs() {
    let (first, second) = (FakeUpstream::plain(), FakeUpstream::plain());
    let world = World::new().serve();
    let line = ["service", "add", "billing", "--base-url", "http://billing.test", "--header", "X-API-Key"];
    does(&world, &line, &dialled_at(&world, &first));
    add_key(&world, "billing");
    follows("the service is called", || world.get("/billing/v1").status == 200);
    does(&world, &["service", "edit", "billing", "--allow", "GET /v2/**"], &[]);
    follows("the rule counts", || world.get("/billing/v1").status == 403);
    assert_eq!(world.get("/billing/v2/x").status, 200);
    does(&world, &["service", "edit", "billing", "--unset", "allow"], &[]);
    follows("the rule is gone", || world.get("/billing/v1").status == 200);
    let placed = ["service", "edit", "billing", "--query", "api_key"];
    let error = refused(&world, &placed, 2);
    assert!(error.contains("billing (of local): goes to billing.test in query ?api_key={key}"), "{error}");
    does(&world, &placed, &["--yes".to_owned()]);
    let in_query = format!("/v1?api_key={CANARY}");
    follows("the key goes into the query", || {
        first.forget();
        world.get("/billing/v1").status == 200 && first.only_request().target == in_query
    });
    let moved = format!("upstream.connect_to = \"{}\"", second.address());
    assert!(refused(&world, &["service", "edit", "billing", "--set", &moved], 2).contains("--yes"));
    does(&world, &["service", "edit", "billing", "--set", &moved, "--yes"], &[]);
    follows("requests go to the other address", || {
        world.get("/billing/v1").status == 200 && !second.requests().is_empty()
    });
    assert!(refused(&world, &["service", "delete", "billing", "--yes"], 1).contains("in use by billing"));
    does(&world, &["key", "delete", "billing", "--yes"], &[]);
    does(&world, &["service", "delete", "billing", "--yes"], &[]);
    follows("the service is gone", || world.get("/billing/v1").status == 404);
}

#[test]
fn a_built_in_service_is_overridden_and_comes_back() {
    let upstream = FakeUpstream::tls();
    let world = World::new().serve();
    assert_eq!(world.get("/stripe/v1/charges").code(), "credential_missing");
    let outcome = world.sidekey(
        ["service", "add", "stripe", "--base-url", "https://pay.test/v9"]
            .into_iter()
            .chain(dialled_at(&world, &upstream).iter().map(String::as_str)),
    );
    let outcome = outcome.run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    assert!(
        outcome.stderr.contains("`stripe` is built in") && outcome.stderr.contains("another one"),
        "{}",
        outcome.stderr
    );
    add_key(&world, "stripe");
    follows("ours is called", || world.get("/stripe/charges").status == 200);
    let seen = upstream.last_request();
    assert_eq!((seen.target.as_str(), seen.sni.as_deref()), ("/v9/charges", Some("pay.test")));
    assert_eq!(seen.values("authorization"), [format!("Bearer {CANARY}")], "the place is the built-in one");
    assert_eq!(custom(&world), [("stripe".to_owned(), "built-in, changed in the store".to_owned())]);
    does(&world, &["key", "delete", "stripe", "--yes"], &[]);
    does(&world, &["service", "delete", "stripe", "--yes"], &[]);
    assert!(custom(&world).is_empty());
    follows("the built-in one is back", || world.get("/stripe/v1/charges").status == 424);
}

#[test]
fn a_host_of_a_built_in_service_goes_to_ours_and_that_is_told() {
    let upstream = FakeUpstream::tls();
    let world = World::new().serve();
    let line = ["service", "add", "pay", "--base-url", "https://api.stripe.com", "--bearer"];
    let flags = dialled_at(&world, &upstream);
    let outcome = world.sidekey(line.into_iter().chain(flags.iter().map(String::as_str))).run();
    assert!(outcome.stderr.contains("At the proxy door api.stripe.com was the built-in `stripe`"), "{}", outcome.all());
    add_key(&world, "pay");
    follows("ours is called", || world.get("http://api.stripe.com/v1/charges").status == 200);
    assert_eq!(upstream.last_request().values("authorization"), [format!("Bearer {CANARY}")]);
}

#[test]
fn the_file_counts_before_the_store() {
    let (ours, stored) = (FakeUpstream::plain(), FakeUpstream::plain());
    let mut world = World::new().serve();
    let line = ["service", "add", "billing", "--base-url", "http://stored.test", "--bearer"];
    does(&world, &line, &dialled_at(&world, &stored));
    add_key(&world, "billing");
    follows("the stored one is called", || world.get("/billing/v1").status == 200);
    let address = ours.address();
    let table = format!(
        "[service.billing]\nbase_url = \"http://billing.test\"\nallow_plaintext = true\nauth = {{ location = \"bearer\" }}\n\
         upstream = {{ connect_to = \"{address}\", allow_private = true }}\n"
    );
    world.rewrite_toml(&table);
    eventually("the file's is called", || world.get("/billing/v1").status == 200 && !ours.requests().is_empty());
    let error = refused(&world, &["service", "edit", "billing", "--title", "x"], 2);
    assert!(error.contains("stands as [service.billing] in the configuration"), "{error}");
    world.rewrite_toml("");
    stored.forget();
    eventually("the stored one is back", || world.get("/billing/v1").status == 200 && !stored.requests().is_empty());
}

#[test]
fn what_cannot_be_trusted_or_used_is_left_out_with_a_warning_and_everything_else_works() {
    let upstream = FakeUpstream::plain();
    let world = World::new();
    let line = ["service", "add", "billing", "--base-url", "http://billing.test", "--bearer"];
    does(&world, &line, &dialled_at(&world, &upstream));
    let address = upstream.address();
    let forged = format!(
        "base_url = \"http://evil.test\"\nallow_plaintext = true\ntitle = \"sh4red\"\n\
         upstream = {{ connect_to = \"{address}\", allow_private = true }}"
    );
    let store = rusqlite::Connection::open(world.path("data/sidekey.db")).unwrap();
    store.execute("INSERT INTO services VALUES ('stripe', ?1, 1, 1, 1)", [&forged]).unwrap();
    let ca = world.file("own-ca.pem", FakeUpstream::ca_pem());
    let ca = format!("upstream.ca = \"{}\"", ca.display());
    does(&world, &["service", "add", "lost", "--base-url", "https://lost.test", "--set", &ca], &[]);
    fs::remove_file(world.path("own-ca.pem")).unwrap();
    let mut world = world.serve();
    add_key(&world, "billing");
    follows("everything else works", || world.get("/billing/v1").status == 200);
    upstream.forget();
    for name in ["stripe", "lost"] {
        assert_eq!(world.get(&format!("/{name}/v1")).code(), "service_unknown");
    }
    assert!(upstream.requests().is_empty());
    let outcome = world.sidekey(["service", "list", "--custom"]).run();
    assert!(outcome.stderr.contains("`stripe` of the store is left out"), "{}", outcome.all());
    let kept: String =
        store.query_row("SELECT record FROM services WHERE name = 'stripe'", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, forged, "it stays as it is");
    let (_, log) = world.stop();
    assert!(
        log.contains("a service of the store is left out") && log.contains("stripe") && log.contains("lost"),
        "{log}"
    );
    assert!(!(log + &outcome.all()).contains("sh4red"));
}

#[test]
fn the_authority_of_a_stored_service_is_followed_when_its_file_changes() {
    let upstream = FakeUpstream::tls();
    let world = World::new();
    let line = ["service", "add", "billing", "--base-url", "https://billing.test", "--bearer"];
    does(&world, &line, &dialled_at(&world, &upstream));
    let other = rcgen::generate_simple_self_signed(vec!["other.test".to_owned()]).unwrap().cert.pem();
    world.file("upstream-ca.pem", other);
    add_key(&world, "billing");
    let world = world.serve();
    assert_eq!(world.get("/billing/v1").code(), "upstream_tls");
    world.file("upstream-ca.pem", FakeUpstream::ca_pem());
    eventually("the new authority counts", || world.get("/billing/v1").status == 200);
    // One that comes while the proxy runs is watched too.
    let line = ["service", "add", "late", "--base-url", "https://late.test", "--bearer"];
    let flags = dialled_at(&world, &upstream);
    let flags: Vec<String> = flags.into_iter().map(|flag| flag.replace("upstream-ca", "late-ca")).collect();
    let other = rcgen::generate_simple_self_signed(vec!["other.test".to_owned()]).unwrap().cert.pem();
    world.file("late-ca.pem", other);
    does(&world, &line, &flags);
    add_key(&world, "late");
    follows("it is there", || world.get("/late/v1").code() == "upstream_tls");
    world.file("late-ca.pem", FakeUpstream::ca_pem());
    eventually("its new authority counts", || world.get("/late/v1").status == 200);
}

#[test]
fn every_act_on_a_service_is_in_the_audit() {
    let world = World::new();
    world.file("bikes.yaml", BIKES);
    does(&world, &["service", "import", "bikes.yaml", "--yes"], &[]);
    does(&world, &["service", "edit", "blue-bikes", "--title", "Bikes"], &[]);
    does(&world, &["service", "delete", "blue-bikes", "--yes"], &[]);
    let shown: Value = serde_json::from_str(&does(&world, &["audit", "tail", "--json"], &[])).unwrap();
    let acts: Vec<_> =
        shown["items"].as_array().unwrap().iter().map(|entry| (&entry["act"], &entry["object"])).collect();
    let name = Value::from("blue-bikes");
    let expected = ["service.add", "service.edit", "service.delete"].map(Value::from);
    assert_eq!(acts, expected.iter().map(|act| (act, &name)).collect::<Vec<_>>());
}
