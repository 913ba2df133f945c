//! No value of a key in any answer, log or audit line, whatever is done with it and however wrong it is sent.

use serde_json::json;

use super::{Client, billing};

const CANARY: &str = "sk_live_C4naryInTheAdminApi00000000000000001";
const SECOND: &str = "sk_live_C4naryInTheAdminApi00000000000000002";

#[test]
fn no_value_that_was_sent_to_the_api_comes_out_of_it() {
    let (mut world, _upstream) = billing();
    let admin = Client::admin(&world);
    let mut said = Vec::new();
    let mut send = |method: &str, path: &str, body: String| {
        let ask = admin.ask(method, path).header("Content-Type", "application/json").body(body);
        let reply = ask.reply();
        said.push(format!("{reply:?}"));
        reply.status
    };
    let add = json!({ "service": "billing", "name": "main", "value": CANARY }).to_string();
    assert_eq!(send("POST", "/keys", add.clone()), 201);
    assert_eq!(send("POST", "/keys", add), 409);
    assert_eq!(send("POST", "/keys/main/rotate", json!({ "value": SECOND }).to_string()), 200);
    assert_eq!(send("POST", "/keys/main/rotate", json!({ "fields": { "key": CANARY } }).to_string()), 200);
    for (path, wrong) in [
        ("/keys", format!("{{\"service\":\"billing\",\"value\":\"{CANARY}")),
        ("/keys", json!({ "service": CANARY, "value": "x" }).to_string()),
        ("/keys", json!({ "service": "billing", CANARY: "x" }).to_string()),
        ("/keys", json!({ "service": "billing", "value": [CANARY] }).to_string()),
        ("/keys", json!({ "service": "billing", "value": format!("{CANARY}\n\n") }).to_string()),
        ("/keys", json!({ "service": "billing", "fields": { CANARY: "x" } }).to_string()),
        ("/keys", json!({ "service": "billing", "expires_at": CANARY, "value": "x" }).to_string()),
        ("/keys/main/rotate", json!(CANARY).to_string()),
        ("/users", json!({ "name": "ada", "role": CANARY }).to_string()),
        ("/session", json!({ "code": CANARY }).to_string()),
        ("/keys/main/shares", json!({ "with": [CANARY] }).to_string()),
    ] {
        assert!((400..500).contains(&send("POST", path, wrong.clone())), "{wrong}");
    }
    let get = |path: &str| format!("{:?}", admin.ask("GET", path).reply());
    said.extend(["/keys", "/keys/main", "/audit?limit=500", "/keys/main/uses"].map(get));
    let metrics = crate::world::Ask::new(&world.console(), "GET", "/metrics").reply();
    said.push(format!("{metrics:?}"));
    said.push(world.stop().1);
    said.push(super::sidekey(&world, "audit tail -n 500 --json"));
    assert!(said.iter().any(|text| text.contains("key.rotate")), "the audit was looked at");
    for text in said {
        assert!(!text.contains("C4nary"), "{text}");
    }
}

#[test]
fn every_act_through_the_api_is_recorded_under_its_user() {
    let (world, _upstream) = billing();
    let admin = Client::member(&world, "ada");
    admin.key("main", "k");
    admin.sent("POST", "/tokens", &json!({ "name": "more" }), 201);
    let acts = super::sidekey(&world, "audit tail -n 500");
    for expected in ["act  key.add main  by user:ada", "act  token.add more  by user:ada"] {
        assert!(acts.contains(expected), "{acts}");
    }
}

#[test]
fn the_committed_description_is_the_generated_one() {
    let generated = sidekey::admin::document();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("SIDEKEY_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let same = std::fs::read_to_string(path).unwrap_or_default() == generated;
    assert!(same, "run this test once with SIDEKEY_WRITE_SCHEMA=1 and commit openapi.json");
}

#[test]
fn the_description_names_every_operation_with_all_its_answers() {
    let (world, _upstream) = billing();
    let served = crate::world::Ask::new(&world.console(), "GET", "/api/v1/openapi.json").reply();
    assert_eq!(served.text(), sidekey::admin::document());
    let document = served.json();
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id"));
            assert!(ids.insert(id.to_owned()), "{id} stands there twice");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{id}");
            let answers = operation["responses"].as_object().unwrap();
            let has = |status: &str| answers.contains_key(status);
            assert!(has("403") && has("406") && has("500") && has("503"), "{id}");
            assert!(answers.keys().any(|status| status.starts_with('2')), "{id}");
            assert_eq!(operation.get("requestBody").is_some(), has("415"), "{id}");
        }
    }
    assert!(ids.len() > 40, "{ids:?}");
    let text = document.to_string();
    assert!(!text.contains("sk_live"), "no example looks like a key");
}
