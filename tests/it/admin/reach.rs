//! What the command line can do is in the API's reach: values that are tried first and overlap, reminders, bounded shares, the
//! master key.

use serde_json::{Value, json};

use super::{AUTH, Client, problem, sidekey};
use crate::world::{Answer, FakeUpstream, World, eventually};

/// A service that takes the keys that begin with `good` and refuses every other.
fn choosy() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| match seen.values("x-api-key").join(",") {
        key if key.starts_with("good") => Answer::text(200, key),
        _ => Answer::text(401, "no"),
    });
    let verify = format!("{AUTH}\nverify = {{ path = \"/v1/me\", expect = [200] }}");
    (World::new().service("billing", &upstream, &verify).serve(), upstream)
}

#[test]
fn a_value_is_tried_before_it_counts_when_that_is_asked_for() {
    let (world, _upstream) = choosy();
    let admin = Client::admin(&world);
    let new = |value: &str| json!({ "service": "billing", "name": "main", "value": value, "verify": true });
    let refused = admin.send("POST", "/keys", &new("bad-C4nary"));
    assert_eq!(problem(&refused), (409, "not_verified".to_owned()));
    assert_eq!(refused.json()["verification"]["verdict"], "refused", "{refused:?}");
    assert!(!refused.text().contains("C4nary"), "{refused:?}");
    assert!(admin.names("/keys").is_empty());
    assert_eq!(admin.sent("POST", "/keys", &new("good-1"), 201)["version"], 1);
    let refused = admin.send("POST", "/keys/main/rotate", &json!({ "value": "bad-2", "verify": true }));
    assert_eq!(problem(&refused), (409, "not_verified".to_owned()));
    assert_eq!(admin.get("/keys/main")["version"], 1);
    assert_eq!(
        admin.sent("POST", "/keys/main/rotate", &json!({ "value": "good-2", "verify": true }), 200)["version"],
        2
    );
    eventually("the value is used", || world.get("/billing/v1").text() == "good-2");
}

#[test]
fn a_rotation_by_the_api_overlaps_as_long_as_it_says() {
    let (world, _upstream) = choosy();
    let admin = Client::admin(&world);
    admin.key("main", "good-1");
    let long = json!({ "value": "x", "overlap_s": 604_801 });
    assert_eq!(admin.refused_with("POST", "/keys/main/rotate", &long), (422, "invalid".to_owned()));
    let rotated = admin.sent("POST", "/keys/main/rotate", &json!({ "value": "not-yet", "overlap_s": 3600 }), 200);
    assert!(rotated["fallback_until"].is_string(), "{rotated}");
    assert_eq!(rotated["version"], 2);
    eventually("the former helps out", || world.get("/billing/v1").text() == "good-1");
}

#[test]
fn reminders_and_tries_by_themselves_are_set_and_taken_away() {
    let (world, _upstream) = choosy();
    let admin = Client::admin(&world);
    let day = 24 * 60 * 60;
    let new = json!({ "service": "billing", "name": "main", "value": "good-1", "rotate_every_s": 90 * day });
    let added = admin.sent("POST", "/keys", &new, 201);
    assert!(added["rotation_due_at"].is_string(), "{added}");
    let edit = json!({ "rotate_every_s": null, "verify_every_s": day });
    assert!(admin.sent("PATCH", "/keys/main", &edit, 200).get("rotation_due_at").is_none());
    let acts = admin.get("/audit?limit=50");
    let edit = &acts["items"].as_array().unwrap().iter().find(|item| item["act"] == "key.edit").unwrap()["details"];
    assert_eq!((&edit["rotate_every"], &edit["verify_every"]), (&json!("never"), &json!("86400s")), "{edit}");
    for wrong in [json!({ "rotate_every_s": 0 }), json!({ "verify_every_s": -1 })] {
        assert_eq!(admin.refused_with("PATCH", "/keys/main", &wrong), (422, "invalid".to_owned()));
    }
}

#[test]
fn a_share_by_the_api_is_used_within_its_bounds() {
    let (world, _upstream) = choosy();
    let admin = Client::admin(&world);
    sidekey(&world, "user add ada");
    admin.sent(
        "POST",
        "/keys",
        &json!({ "service": "billing", "name": "main", "owner": "ada", "value": "good-1" }),
        201,
    );
    let sharing = json!({ "with": ["user:local"], "read_only": true, "allow": ["* /v1/**"], "quota": "3/day" });
    let shared = admin.sent("POST", "/keys/main/shares", &sharing, 200);
    let expected = json!({ "with": "user:local", "read_only": true, "allow": ["* /v1/**"], "quota": "3/day" });
    assert_eq!(shared["shares"][0], expected);
    eventually("it is shared", || world.get("/billing/v1/x").status == 200);
    assert_eq!(world.ask("POST", "/billing/v1/x").reply().code(), "not_allowed");
    assert_eq!(world.get("/billing/v2/x").code(), "not_allowed");
    (0..2).for_each(|_| assert_eq!(world.get("/billing/v1/x").status, 200));
    assert_eq!(world.get("/billing/v1/x").code(), "rate_limited");
    for wrong in
        [json!({ "allow": [] }), json!({ "allow": ["GET"] }), json!({ "rate": "often" }), json!({ "quota": "1/s" })]
    {
        let mut sharing = json!({ "with": ["everyone"] });
        sharing.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        assert_eq!(admin.refused_with("POST", "/keys/main/shares", &sharing), (422, "invalid".to_owned()), "{sharing}");
    }
}

#[test]
fn the_master_key_is_rotated_and_its_slots_are_told_and_removed() {
    let (world, _upstream) = choosy();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    admin.key("main", "good-1");
    sidekey(&world, "master slot add --name stick --file stick.key");
    let slots = || admin.get("/master/slots").as_array().unwrap().clone();
    let names: Vec<Value> = slots().iter().map(|slot| slot["name"].clone()).collect();
    assert_eq!(names, ["file", "stick"]);
    assert!(slots()[1]["place"].as_str().unwrap().contains("stick.key"));
    for (method, path) in [("GET", "/master/slots"), ("DELETE", "/master/slots/stick")] {
        assert_eq!(member.refused(method, path), (403, "forbidden".to_owned()));
    }
    assert_eq!(member.refused_with("POST", "/master/rotate", &json!({})), (403, "forbidden".to_owned()));
    let former = std::fs::read(world.path("data/master.key")).unwrap();
    let rotated = admin.sent("POST", "/master/rotate", &json!({}), 200);
    assert_eq!(rotated, json!({ "number": 2, "slots_ended": [] }));
    assert_ne!(std::fs::read(world.path("data/master.key")).unwrap(), former);
    eventually("the key is there", || world.get("/billing/v1").text() == "good-1");
    std::fs::remove_file(world.path("stick.key")).unwrap();
    let refused = admin.send("POST", "/master/rotate", &json!({}));
    assert_eq!(problem(&refused), (409, "conflict".to_owned()));
    assert!(refused.text().contains("`stick`"), "{refused:?}");
    let rotated = admin.sent("POST", "/master/rotate", &json!({ "drop_slots": true }), 200);
    assert_eq!(rotated, json!({ "number": 3, "slots_ended": ["stick"] }));
    assert_eq!(admin.refused("DELETE", "/master/slots/file"), (409, "conflict".to_owned()));
    assert_eq!(admin.refused("DELETE", "/master/slots/stick"), (404, "not_found".to_owned()));
    sidekey(&world, "master slot add --name stick --file stick.key");
    assert_eq!(admin.ask("DELETE", "/master/slots/stick").reply().status, 204);
    assert_eq!(slots().len(), 1);
}
