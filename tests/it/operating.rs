//! The commands by which somebody operates limits, through the real program: what they refuse and how, and what they show of
//! keys, services and a proxy that does not run.

use serde_json::{Value, json};

use crate::world::{Answer, FakeUpstream, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

fn keyed(more: &str) -> (FakeUpstream, World) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, &format!("{AUTH}\n{more}")).key("api", "prod", "s3cret");
    (upstream, world)
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn listed(world: &World) -> Value {
    serde_json::from_str(&sidekey(world, "limits list --json")).unwrap()
}

fn states(world: &World) -> Vec<Value> {
    listed(world)["items"].as_array().unwrap().iter().map(|gate| gate["state"].clone()).collect()
}

fn refused(upstream: &FakeUpstream, world: &World, target: &str, seconds: &str) {
    upstream.then(Answer::json(429, "{}").header("Retry-After", seconds));
    assert_eq!(world.ask("GET", target).header("Sidekey-Retry", "off").reply().status, 429);
}

#[test]
fn what_is_to_be_forgotten_must_be_known_and_is_counted() {
    let (upstream, world) = keyed(r#"limits = { bucket_by = "path", buckets = { search = ["GET /search"] } }"#);
    let world = world.serve();
    refused(&upstream, &world, "/api/v1/things/83217712345", "200");
    refused(&upstream, &world, "/api/v2", "200");
    eventually("both are closed", || states(&world) == ["closed", "closed"]);
    for (line, why) in [
        ("limits reset api --owner nosuch", "no limit owner `nosuch` at `api`"),
        ("limits reset api --bucket nosuch", "nothing is known of a bucket `nosuch` of `api`"),
        ("limits reset api --bucket /v1/things/83217712345", "nothing is known of a bucket"),
    ] {
        let said = world.sidekey(line.split(' ')).run().fails_with(1);
        assert!(said.contains(why) && said.contains("sidekey limits list"), "{line}: {said}");
    }
    let owner = listed(&world)["items"][0]["owner"].as_str().unwrap().to_owned();
    let declared = sidekey(&world, &format!("limits reset api --bucket search --owner {owner}"));
    assert!(declared.contains("bucket search: nothing was noted of them."), "{declared}");
    let one = sidekey(&world, "limits reset api --bucket /v1/things/{...}");
    assert!(one.contains(": 1 gate."), "{one}");
    let gates =
        |state: &str| world.metric(&format!("sidekey_gates{{service=\"api\",bucket=\"declared\",state=\"{state}\"}}"));
    eventually("it is open again", || gates("closed") == "1");
    assert!(sidekey(&world, &format!("limits reset api --owner {owner}")).contains("of api for "));
    eventually("so are all", || gates("closed") == "0");
}

#[test]
fn what_cannot_be_pinned_is_told_with_what_can() {
    let (_upstream, world) = keyed("");
    let world = world.service("other", &FakeUpstream::plain(), AUTH).key("other", "b", "s3cret");
    for (line, code, why) in [
        ("limits pin api 1/s --concurrency 0", 2, "0 would admit no request: use 1 or more"),
        ("limits pin api 1/s --concurrency few", 2, "a whole number of requests"),
        ("limits pin api 1/s --for 0s", 2, "over at once"),
        ("limits pin api 1/s --for 2", 2, "with its unit, such as 30m"),
        ("limits pin api 1/s --until 2020-01-01", 2, "--until 2020-01-01 lies in the past"),
        ("limits pin api 1/s --until soon", 2, "--until takes a date"),
        ("limits pin api", 2, "a rate such as 100/min, --concurrency COUNT, or both"),
        ("limits pin api 1/s --key b", 2, "the key `b` is for `other`, not for `api`"),
        ("limits pin api 1/s --key nobody", 1, "there is no key `nobody`"),
        ("limits pin api 1/s --owner nobody", 1, "no limit owner `nobody` at `api`"),
        ("limits unpin api", 1, "no pinned limit on `api`; `sidekey limits list` shows"),
        ("limits unpin api --bucket search", 1, "on `api`, bucket `search`; "),
    ] {
        let said = world.sidekey(line.split(' ')).run().fails_with(code);
        assert!(said.contains(why), "{line}: {said}");
    }
    assert!(sidekey(&world, "limits pin api --concurrency 50 --for 2h").contains("Pinned: api, 50 under way until"));
    let early = world.sidekey(["limits", "pin", "api", "10/s", "--bucket", "search"]).run();
    assert!(early.stderr.contains("Nothing is known of a bucket `search` of api yet"), "{}", early.stderr);
    assert!(early.succeeds().contains("Pinned: api, bucket search, 10/s."));
    sidekey(&world, "limits pin api 10/s --bucket /things/{...}");
    let buckets: Vec<_> =
        listed(&world)["items"].as_array().unwrap().iter().map(|gate| gate["bucket"].clone()).collect();
    assert_eq!(buckets, [Value::Null, json!("/things/{…}"), json!("search")]);
    sidekey(&world, "limits unpin api --bucket /things/{...}");
}

#[test]
fn a_list_says_when_no_proxy_runs_and_shows_nobody_who_waits_for_it() {
    let (upstream, world) = keyed("");
    let notes = |world: &World| world.sidekey(["limits", "list"]).run().stderr;
    assert!(notes(&world).contains("No proxy is running, and none ran with this store before."), "{}", notes(&world));
    let mut world = world.serve();
    eventually("it runs", || listed(&world)["running"] == true);
    assert!(!notes(&world).contains("No proxy"), "{}", notes(&world));
    refused(&upstream, &world, "/api/v1", "25");
    let waiting = |world: &World| listed(world)["items"][0]["waiting"].as_array().map_or(0, Vec::len);
    let later = world.ask("GET", "/api/v1").header("Prefer", "wait=60").reply_later();
    eventually("it waits", || waiting(&world) == 1);
    assert_eq!(world.stop().0.code(), Some(0));
    assert_eq!(later.join().unwrap().code(), "overloaded");
    let said = notes(&world);
    assert!(
        said.contains("No proxy is running: this is how the last one left it, ") && said.contains(" UTC)."),
        "{said}"
    );
    let left = listed(&world);
    assert_eq!((&left["running"], &left["items"][0]["under_way"], waiting(&world)), (&json!(false), &json!(0), 0));
    assert!(left["noted_at"].is_string(), "{left}");
    // One that was killed noted it a moment before.
    world.start(&[]);
    eventually("it runs", || listed(&world)["running"] == true);
    world.kill();
    assert!(notes(&world).contains("No proxy is running: "), "{}", notes(&world));
}

#[test]
fn a_closure_whose_time_is_over_is_not_listed_as_closed() {
    let (upstream, world) = keyed("");
    let mut world = world.serve();
    refused(&upstream, &world, "/api/v1", "1");
    eventually("it is listed", || !states(&world).is_empty());
    // What was noted last was noted while it was closed, or that its time is over.
    world.kill();
    eventually("its time is over", || states(&world) == ["probing"]);
    assert_eq!(listed(&world)["items"][0]["closed_until"], Value::Null);
}

#[test]
fn a_key_is_shown_with_its_pool_and_limit_owner_and_leaves_what_was_learnt_to_the_former() {
    let (upstream, world) = keyed("");
    assert!(!sidekey(&world, "key list").contains("POOL"), "most have none");
    let world = world.serve();
    refused(&upstream, &world, "/api/v1", "290");
    let hasty = || world.ask("GET", "/api/v1").header("Prefer", "wait=0").reply();
    assert_eq!(hasty().code(), "rate_limited");
    let changed = sidekey(&world, "key edit prod --limit-owner acme --pool batch");
    assert!(changed.contains("limit owner acme, pool batch"), "{changed}");
    assert!(changed.contains("stays with its former limit owner"), "{changed}");
    assert!(!sidekey(&world, "key edit prod --limit-owner acme").contains("former"), "it is the same");
    let shown = sidekey(&world, "key show prod");
    assert!(shown.lines().any(|line| line.split_whitespace().eq(["pool", "batch"])), "{shown}");
    assert_eq!(
        serde_json::from_str::<Value>(&sidekey(&world, "key show prod --json")).unwrap()["items"][0]["pool"],
        "batch"
    );
    let list = sidekey(&world, "key list");
    assert!(["LIMIT OWNER", "POOL", "acme", "batch"].iter().all(|word| list.contains(word)), "{list}");
    eventually("the key begins with what is known of the new one", || hasty().status == 200);
    eventually("the closure stays with the former", || states(&world).contains(&json!("closed")));
}

#[test]
fn a_service_is_shown_with_its_limits_in_the_words_in_which_they_are_written() {
    let (_upstream, world) = keyed(r#"rate = { limit = "5/s", burst = 2, concurrency = 3, per_caller = "6/min" }"#);
    let facts = |world: &World, name: &str| {
        let shown = sidekey(world, &format!("service show {name}"));
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    let shown = facts(&world, "api");
    for fact in [
        "limits 5/s burst 2, 3 under way, 6/min for each caller",
        "longest wait 30 s for its turn",
        "limit mode observe, since its limit headers are not known",
    ] {
        assert!(shown.iter().any(|line| line == fact), "{fact}\n{shown:?}");
    }
    let shown = facts(&world, "github");
    assert!(shown.iter().any(|line| line == "limit mode enforce, since its limit headers are known"), "{shown:?}");
    sidekey(&world, "service edit github --set rate.mode=\"off\"");
    let shown = facts(&world, "github");
    assert!(shown.iter().any(|line| line == "limit mode off, as `rate.mode` says"), "{shown:?}");
}
