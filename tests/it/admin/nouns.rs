//! Every noun's life, and what a member sees of it.

use serde_json::{Value, json};

use super::{Client, billing, not_found, sidekey};
use crate::world::{Answer, FakeUpstream, World, eventually};

fn told(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn users_and_teams_are_for_administrators_to_change() {
    let (world, _upstream) = billing();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "bob"));
    let ada = admin.sent("POST", "/users", &json!({ "name": "ada" }), 201);
    assert_eq!((&ada["role"], &ada["keys"]), (&json!("member"), &json!(0)));
    assert_eq!(admin.refused_with("POST", "/users", &json!({ "name": "ada" })), told(409, "name_taken"));
    assert_eq!(admin.sent("PATCH", "/users/ada", &json!({ "role": "admin" }), 200)["role"], "admin");
    assert_eq!(admin.refused_with("PATCH", "/users/local", &json!({ "role": "member" })), told(403, "forbidden"));
    assert_eq!(member.refused_with("POST", "/users", &json!({ "name": "eve" })), told(403, "forbidden"));
    assert_eq!(member.names("/users"), ["ada", "bob", "local"]);
    assert!(member.get("/users/ada").get("keys").is_none(), "what others own is for administrators");
    let team = admin.sent("POST", "/teams", &json!({ "name": "data", "members": ["ada"] }), 201);
    assert_eq!(team["members"], json!(["ada"]));
    let more = admin.sent("POST", "/teams/data/members", &json!({ "members": ["bob"] }), 200);
    assert_eq!(more["members"], json!(["ada", "bob"]));
    assert_eq!(member.refused_with("POST", "/teams/data/members", &json!({ "members": ["bob"] })).0, 403);
    let fewer = admin.ask("DELETE", "/teams/data/members/ada").reply();
    assert_eq!(fewer.json()["members"], json!(["bob"]));
    assert_eq!(member.get("/teams/data")["members"], json!(["bob"]));
    assert_eq!(admin.ask("DELETE", "/teams/data").reply().status, 204);
    assert_eq!(admin.refused("GET", "/teams/data"), not_found());
    member.key("his", "k");
    assert_eq!(admin.refused("DELETE", "/users/bob"), told(409, "conflict"));
    assert_eq!(admin.ask("DELETE", "/users/bob?heir=ada").reply().status, 204);
    assert_eq!(admin.get("/keys/his")["owner"], "ada");
    assert_eq!(member.refused("GET", "/whoami").0, 401, "who is gone has no token");
}

#[test]
fn a_callers_token_is_shown_by_the_api_once() {
    let (world, upstream) = billing();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    admin.key("main", "s3cret");
    let perimeter = json!({ "from": ["127.0.0.1"] });
    let etl = json!({ "name": "etl", "environment": "prod", "perimeter": perimeter });
    let added = admin.sent("POST", "/callers", &etl, 201);
    let token = added["token"].as_str().unwrap().to_owned();
    assert_eq!((&added["owner"], &added["from"]), (&json!("local"), &json!(["127.0.0.1/32"])));
    let shown = admin.get("/callers/etl");
    assert!(shown.get("token").is_none() && !shown.to_string().contains(&token));
    let used = |token: &str| world.ask("GET", "/billing/v1").header("X-API-Key", token).reply().status;
    eventually("the caller is known", || used(&token) == 200);
    assert_eq!(upstream.requests().last().unwrap().values("x-api-key"), ["s3cret"]);
    assert_eq!(member.refused("GET", "/callers/etl"), not_found());
    assert_eq!(member.refused_with("POST", "/callers/etl/rotate", &json!({})), not_found());
    let rotated = admin.sent("POST", "/callers/etl/rotate", &json!({ "overlap_s": 60 }), 200);
    assert_ne!(rotated["token"], token.as_str());
    assert!(rotated["former_token_until"].is_string());
    let edited = admin.sent("PATCH", "/callers/etl", &json!({ "environment": null }), 200);
    assert_eq!((&edited["environment"], &edited["from"]), (&Value::Null, &json!(["127.0.0.1/32"])));
    assert_eq!(admin.sent("PATCH", "/callers/etl", &json!({ "perimeter": {} }), 200)["from"], json!([]));
    member.sent("POST", "/callers", &json!({ "name": "hers" }), 201);
    assert_eq!((member.names("/callers"), admin.names("/callers").len()), (vec!["hers".to_owned()], 3));
    assert_eq!(admin.ask("DELETE", "/callers/etl").reply().status, 204);
    assert_eq!(admin.refused("DELETE", "/callers/local"), told(409, "conflict"));
}

#[test]
fn a_key_lives_from_its_adding_to_its_restoring() {
    let (world, upstream) = billing();
    let admin = Client::admin(&world);
    let key = admin.key("main", "first");
    let path = format!("/keys/{}", key["id"].as_str().unwrap());
    let arrives = |value: &str| {
        eventually("the value arrives", || {
            upstream.forget();
            world.get("/billing/v1").status == 200 && upstream.only_request().values("x-api-key") == [value]
        });
    };
    arrives("first");
    assert_eq!(admin.sent("POST", &format!("{path}/rotate"), &json!({ "value": "second" }), 200)["version"], 2);
    arrives("second");
    let back = admin.ask("POST", "/keys/main/rollback").reply();
    assert_eq!(back.json()["version"], 1, "{back:?}");
    arrives("first");
    let edit = json!({ "name": "renamed", "environment": "prod", "expires_at": "2040-01-01T00:00:00Z" });
    let edited = admin.sent("PATCH", &path, &edit, 200);
    assert_eq!((&edited["name"], &edited["environment"]), (&json!("renamed"), &json!("prod")));
    let open = admin.sent("PATCH", &path, &json!({ "environment": null, "expires_at": null }), 200);
    assert_eq!((&open["environment"], &open["expires_at"]), (&Value::Null, &Value::Null));
    let detail = admin.get(&path);
    let versions = detail["versions"].as_array().unwrap();
    assert_eq!(
        versions.iter().map(|version| version["current"].as_bool()).collect::<Vec<_>>(),
        [Some(true), Some(false)]
    );
    admin.sent("POST", &format!("{path}/shares"), &json!({ "with": ["everyone", "user:local"] }), 200);
    assert_eq!(admin.names("/keys?shared_with=everyone&service=billing&owner=local"), ["renamed"]);
    let fewer = admin.ask("DELETE", &format!("{path}/shares/user:local")).reply();
    assert_eq!(fewer.json()["shared_with"], json!(["everyone"]));
    assert_eq!(admin.refused("DELETE", &format!("{path}/shares/user:local")), not_found());
    eventually("the audit has the requests", || !admin.get(&format!("{path}/uses")).as_array().unwrap().is_empty());
    let usage = admin.get("/usage?by=key");
    // Those from before the key was taken up have none.
    let mut items = usage["items"].as_array().unwrap().iter();
    let has_key = items.any(|item| item["key"].is_string() && item["service"] == "billing");
    assert!(usage["total"]["calls"].as_u64() > Some(0) && has_key, "{usage}");
    let kept = admin.ask("DELETE", &path).reply();
    assert_eq!(kept.json()["used_by"][0]["caller"], "local", "{kept:?}");
    assert_eq!(super::problem(&kept), told(409, "in_use"));
    assert_eq!(admin.ask("DELETE", &format!("{path}?even_if_used=true")).reply().status, 200);
    assert!(admin.names("/keys").is_empty());
    assert_eq!(admin.refused("GET", &path), not_found());
    assert_eq!(admin.names("/keys?deleted=true"), ["renamed"]);
    assert_eq!(admin.ask("POST", &format!("{path}/restore")).reply().status, 200);
    arrives("first");
    assert_eq!(admin.refused_with("POST", "/keys", &json!({ "service": "billing" })), told(422, "invalid"));
    assert_eq!(admin.refused_with("POST", "/keys", &json!({ "service": "nothing", "value": "x" })), not_found());
    let both = json!({ "service": "billing", "value": "x", "fields": { "key": "x" } });
    assert_eq!(admin.refused_with("POST", "/keys", &both), told(422, "invalid"));
    let tenant =
        json!({ "service": "zendesk", "variables": { "subdomain": "acme", "email": "a@example.com" }, "value": "x" });
    assert_eq!(admin.sent("POST", "/keys", &tenant, 201)["variables"]["subdomain"], "acme");
}

#[test]
fn a_key_is_tried_at_its_service_and_the_answer_is_not_shown() {
    let upstream = FakeUpstream::plain();
    let auth = "auth = { location = \"header\", name = \"X-API-Key\" }\nverify = { path = \"/me\" }";
    let world = World::new().service("billing", &upstream, auth).serve();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    admin.key("main", "k3y");
    upstream.then(Answer::json(200, "{\"you_are\":\"k3y\"}")).then(Answer::json(401, "{}"));
    let works = admin.ask("POST", "/keys/main/verify").reply();
    assert_eq!((works.status, &works.json()["verdict"]), (200, &json!("works")), "{works:?}");
    assert!(!works.text().contains("k3y"), "{works:?}");
    assert_eq!(upstream.only_request().values("x-api-key"), ["k3y"]);
    assert_eq!(admin.ask("POST", "/keys/main/verify").reply().json()["verdict"], "refused");
    assert_eq!(member.refused("POST", "/keys/main/verify"), not_found());
}

#[test]
fn a_strangers_thing_is_as_if_it_did_not_exist() {
    let (world, _upstream) = billing();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    let id = admin.key("main", "k")["id"].as_str().unwrap().to_owned();
    let paths = [format!("/keys/{id}"), "/keys/main".to_owned(), "/keys/main?owner=local".to_owned()];
    for path in &paths {
        assert_eq!(member.refused("GET", path), not_found(), "{path}");
        assert_eq!(member.refused("DELETE", path), not_found(), "{path}");
    }
    let detail =
        |path: &str| member.ask("GET", path).reply().json()["detail"].as_str().unwrap().replace("main", "none");
    assert_eq!(detail("/keys/main"), detail("/keys/none"));
    for act in ["rollback", "restore"] {
        assert_eq!(member.refused("POST", &format!("/keys/{id}/{act}")), not_found());
    }
    assert_eq!(member.refused_with("POST", &format!("/keys/{id}/rotate"), &json!({ "value": "x" })), not_found());
    assert!(member.names("/keys").is_empty());
    admin.sent("POST", "/keys/main/shares", &json!({ "with": ["user:ada"] }), 200);
    let seen = member.get("/keys/main");
    assert!(seen.get("version").is_none() && seen.get("versions").is_none(), "{seen}");
    assert_eq!(member.refused_with("PATCH", "/keys/main", &json!({ "name": "mine" })), told(403, "forbidden"));
    assert_eq!(member.refused("GET", "/audit"), told(403, "forbidden"));
    let explain = json!({ "method": "GET", "url": "/billing/v1", "caller": "local" });
    assert_eq!(member.refused_with("POST", "/explain", &explain), not_found());
}

#[test]
fn services_are_searched_added_changed_and_deleted() {
    let (world, _upstream) = billing();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    assert!(admin.names("/services?search=stripe").contains(&"stripe".to_owned()));
    assert_eq!(admin.names("/services?custom=true"), ["billing"]);
    let record = json!({ "base_url": "https://forge.example.com", "auth": { "location": "bearer" } });
    let new = json!({ "name": "forge", "record": record });
    assert_eq!(member.refused_with("POST", "/services", &new), told(403, "forbidden"));
    assert_eq!(admin.sent("POST", "/services", &new, 201)["service"]["stored"], true);
    let shown = member.get("/services/forge");
    assert_eq!((&shown["revision"], &shown["record"]["base_url"]), (&json!(1), &record["base_url"]));
    admin.sent("POST", "/keys", &json!({ "service": "forge", "value": "k" }), 201);
    let moved = json!({ "base_url": "https://elsewhere.example.com", "auth": { "location": "bearer" } });
    let edit = |revision: u32, agreed: bool| json!({ "revision": revision, "record": moved, "agreed": agreed });
    let refused = admin.send("PUT", "/services/forge", &edit(1, false));
    assert_eq!(refused.status, 409, "{refused:?}");
    let changed = admin.sent("PUT", "/services/forge", &edit(1, true), 200);
    assert_eq!(changed["concerned"][0]["key"], "forge");
    assert_eq!(admin.refused_with("PUT", "/services/forge", &edit(1, true)), told(409, "conflict"));
    assert_eq!(admin.refused("DELETE", "/services/forge"), told(409, "conflict"));
    admin.ask("DELETE", "/keys/forge").reply();
    assert_eq!(admin.ask("DELETE", "/services/forge").reply().status, 204);
    assert_eq!(admin.refused("GET", "/services/forge"), not_found());
    let document = json!({ "openapi": "3.1.0", "info": { "title": "Petstore", "version": "1" },
        "servers": [{ "url": "https://pets.example.com/v1" }], "paths": {} });
    let draft = admin.sent("POST", "/services/draft", &json!({ "document": document }), 200);
    assert_eq!(
        (&draft["name"], &draft["record"]["base_url"]),
        (&json!("petstore"), &json!("https://pets.example.com/v1"))
    );
}

#[test]
fn lists_come_in_pages_that_nothing_shifts() {
    let (world, _upstream) = billing();
    let admin = Client::admin(&world);
    for name in ["b", "d", "f"] {
        admin.key(name, "k");
    }
    let first = admin.get("/keys?limit=2");
    assert_eq!((first["items"][0]["name"].as_str(), first["items"][1]["name"].as_str()), (Some("b"), Some("d")));
    admin.key("a", "k");
    admin.ask("DELETE", "/keys/d").reply();
    let next = first["next"].as_str().unwrap();
    let second = admin.get(&format!("/keys?limit=2&after={next}"));
    assert_eq!((second["items"][0]["name"].as_str(), &second["next"]), (Some("f"), &Value::Null));
    let mut seen = Vec::new();
    let mut path = "/services?limit=100".to_owned();
    loop {
        let page = admin.get(&path);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/services?limit=100&after={next}");
    }
    assert!(seen.len() > 300 && seen.is_sorted(), "{}", seen.len());
    let acts = admin.get("/audit?limit=50");
    let newest = acts["items"].as_array().unwrap().iter().find(|item| item["act"].is_string()).unwrap();
    assert_eq!((&newest["act"], &newest["actor"]), (&json!("key.delete"), &json!("user:local")));
    let newest = admin.get("/audit?limit=2");
    let older = admin.get(&format!("/audit?limit=2&before={}", newest["next"]));
    assert!(older["items"][0]["seq"].as_u64() < newest["items"][1]["seq"].as_u64());
}

#[test]
fn explain_and_limits_tell_what_the_running_proxy_knows() {
    let (mut world, upstream) = billing();
    let rate = "rate = { limit = \"100/s\", burst = 20, max_wait = \"3s\" }";
    let tables = world.tables().replace("[service.billing]", &format!("[service.billing]\n{rate}"));
    world.rewrite_toml(&tables);
    let admin = Client::admin(&world);
    eventually("the limit is known", || !admin.get("/limits")["items"].as_array().unwrap().is_empty());
    let limit = admin.get("/limits")["items"][0].clone();
    let expected = json!({ "service": "billing", "count": 100, "period_s": 1, "burst": 20, "concurrency": null,
        "max_wait_ms": 3000, "waiting": 0, "quotas": [], "quota_timezone": null });
    assert_eq!(limit, expected);
    let question = json!({ "method": "get", "url": "/billing/v1/x" });
    let missing = admin.sent("POST", "/explain", &question, 200);
    assert_eq!((&missing["outcome"], &missing["code"]), (&json!("refused"), &json!("credential_missing")));
    admin.key("main", "k");
    eventually("the key is known", || admin.sent("POST", "/explain", &question, 200)["outcome"] == "sent");
    let sent = admin.sent("POST", "/explain", &question, 200);
    assert_eq!((&sent["key"], &sent["candidates"][0]["verdict"]), (&json!("main"), &json!("eligible")));
    assert_eq!(
        admin.refused_with("POST", "/explain", &json!({ "method": "GET", "url": "nothing" })),
        told(422, "invalid")
    );
    assert_eq!((&sent["wait_s"], &sent["stands_in_for"]), (&json!(0), &Value::Null));
    assert_eq!(sent["gates"], json!([]), "nothing is known of its limits");
    upstream.then(Answer::json(429, "{}").header("Retry-After", "200"));
    assert_eq!(world.ask("GET", "/billing/v1/x").header("Sidekey-Retry", "off").reply().status, 429);
    let held = admin.sent("POST", "/explain", &question, 200);
    assert_eq!((&held["outcome"], &held["code"]), (&json!("refused"), &json!("rate_limited")), "at once: {held}");
    assert!((100..=203).contains(&held["wait_s"].as_u64().unwrap()), "{held}");
    let gate = || admin.sent("POST", "/explain", &question, 200)["gates"][0].clone();
    eventually("the closed gate is told", || gate()["state"] == "closed");
    assert_eq!(
        (&gate()["key"], &gate()["reason"], &gate()["of"]),
        (&json!("main"), &json!("throttled"), &json!("upstream"))
    );
    for (owner, bucket) in [(gate()["owner"].clone(), json!("nothing")), (json!("nobody"), Value::Null)] {
        let order = json!({ "service": "billing", "owner": owner, "bucket": bucket });
        assert_eq!(admin.refused_with("POST", "/gates/reset", &order), told(404, "not_found"));
    }
    let ada = Client::member(&world, "ada");
    ada.sent("POST", "/callers", &json!({ "name": "adas" }), 201);
    let hers = json!({ "method": "GET", "url": "/billing/v1/x", "caller": "adas" });
    eventually("her caller is known", || ada.send("POST", "/explain", &hers).status == 200);
    assert_eq!(ada.sent("POST", "/explain", &hers, 200)["gates"], Value::Null, "what gates know is for administrators");
    assert_eq!(gate()["state"], "closed", "nothing of it was to forget");
    assert_eq!(admin.get("/health")["ready"], true);
    sidekey(&world, "key delete main --yes");
    eventually("the command line is followed", || {
        admin.sent("POST", "/explain", &question, 200)["outcome"] == "refused"
    });
}

#[test]
fn limits_are_pinned_and_taken_back_by_administrators() {
    let (world, _upstream) = billing();
    let admin = Client::admin(&world);
    let order = json!({ "service": "billing", "rate": "5/min", "concurrency": 2, "until": "2999-01-01T00:00:00Z" });
    let pinned = admin.sent("POST", "/gates/pin", &order, 200);
    let expected =
        json!({ "limit": "5/min, 2 under way", "rate": "5/min", "concurrency": 2, "until": "2999-01-01T00:00:00Z" });
    assert_eq!(pinned, expected);
    let gate = admin.get("/gates")["items"][0].clone();
    assert_eq!((&gate["service"], &gate["owner"], &gate["pin"]), (&json!("billing"), &json!("*"), &expected));
    for (body, status, code) in [
        (json!({ "service": "billing" }), 422, "invalid"),
        (json!({ "service": "billing", "rate": "often" }), 422, "invalid"),
        (json!({ "service": "billing", "rate": "1/s", "owner": "nobody" }), 404, "not_found"),
        (json!({ "service": "nobody", "rate": "1/s" }), 404, "not_found"),
        (json!({ "service": "billing", "rate": "1/s", "until": "2020-01-01T00:00:00Z" }), 422, "invalid"),
    ] {
        assert_eq!(admin.refused_with("POST", "/gates/pin", &body), (status, code.to_owned()), "{body}");
    }
    let ada = Client::member(&world, "ada");
    let (whole, forbidden) = (json!({ "service": "billing" }), (403, "forbidden".to_owned()));
    assert_eq!(ada.refused_with("POST", "/gates/pin", &order), forbidden);
    assert_eq!(ada.refused_with("POST", "/gates/unpin", &whole), forbidden);
    assert_eq!(admin.send("POST", "/gates/unpin", &whole).status, 204);
    assert_eq!(admin.refused_with("POST", "/gates/unpin", &whole), (404, "not_found".to_owned()));
    // Turns are taken from others: who gets more of them is an administrator's business.
    let etl = json!({ "name": "etl", "weight": 4 });
    assert_eq!(ada.refused_with("POST", "/callers", &etl), forbidden);
    assert_eq!(admin.sent("POST", "/callers", &etl, 201)["weight"], 4);
    assert_eq!(admin.sent("PATCH", "/callers/etl", &json!({ "weight": 1 }), 200)["weight"], 1);
    assert_eq!(admin.refused_with("PATCH", "/callers/etl", &json!({ "weight": 11 })).0, 422);
}
