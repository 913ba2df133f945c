//! Callers through the real program: tokens that overlap, perimeters, when somebody was last seen. The doors at which a token
//! may stand are in `life`.

use serde_json::Value;

use crate::world::{FakeUpstream, Reply, Wire, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

/// A folder in token mode with one service and a key for it.
fn guarded() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, AUTH).toml("[callers]\nmode = \"token\"\n");
    (world.key("billing", "billing", "value-1"), upstream)
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds().trim_end().to_owned()
}

fn ask(world: &World, wire: &mut Wire, token: &str) -> Reply {
    world.ask("GET", "/billing/v1").header("Proxy-Authorization", &format!("Bearer {token}")).reply_on(wire)
}

/// Waits until the audit says that a token, of `caller` where it is somebody's, was refused for this reason.
fn is_recorded(world: &World, caller: Option<&str>, reason: &str) {
    let fits = |request: Value| request["reason"] == reason && request["caller"].as_str() == caller;
    eventually(reason, || {
        let text = sidekey(world, "audit export --code caller_unknown");
        text.lines().any(|line| fits(serde_json::from_str(line).unwrap()))
    });
}

#[test]
fn a_rotated_token_goes_on_for_its_overlap_and_ends_by_itself() {
    let (world, _upstream) = guarded();
    let first = sidekey(&world, "caller add etl");
    let world = world.serve();
    let mut wire = world.wire();
    assert_eq!(ask(&world, &mut wire, &first).status, 200);
    let rotated = world.sidekey(["caller", "rotate", "etl", "--overlap", "1h"]).run();
    assert!(rotated.stderr.contains("the former goes on until 20"), "{}", rotated.stderr);
    let second = rotated.stdout.trim_end().to_owned();
    eventually("the new token counts", || ask(&world, &mut wire, &second).status == 200);
    assert_eq!(ask(&world, &mut wire, &first).status, 200, "both count");
    assert!(sidekey(&world, "caller list").contains("token, former until 20"));
    let third = sidekey(&world, "caller rotate etl --overlap 1s");
    eventually("only one former token goes on", || ask(&world, &mut wire, &first).status == 401);
    assert_eq!(ask(&world, &mut wire, &third).status, 200);
    eventually("the former token ends by itself", || ask(&world, &mut wire, &second).status == 401);
    assert_eq!(ask(&world, &mut wire, &third).status, 200);
    let ended = ask(&world, &mut wire, &second);
    assert_eq!(ended.code(), "caller_unknown");
    is_recorded(&world, Some("etl"), "token_ended");
    let tail = sidekey(&world, "audit tail --code caller_unknown");
    assert!(tail.contains("caller=etl  code=caller_unknown  reason=token_ended"), "{tail}");
    assert!(!sidekey(&world, "caller list").contains("former"), "what has ended is not shown");
    world.sidekey(["caller", "rotate", "etl", "--overlap", "soon"]).run().fails_with(2);
}

#[test]
fn a_token_from_outside_of_its_perimeter_is_no_token_and_the_audit_says_why() {
    let (world, upstream) = guarded();
    let away = sidekey(&world, "caller add etl --from 192.0.2.0/24 --from 2001:db8::7");
    let world = world.serve();
    let mut wire = world.wire();
    let wrong = ask(&world, &mut wire, "skc_nobodys");
    let outside = ask(&world, &mut wire, &away);
    let blind = |reply: &Reply| {
        let mut problem = reply.json();
        problem["request_id"] = Value::Null;
        (reply.status, problem, reply.value("proxy-status").map(str::to_owned))
    };
    assert_eq!((outside.status, outside.code().as_str()), (401, "caller_unknown"));
    assert_eq!(blind(&outside), blind(&wrong), "who stole a token must not learn that it is one");
    assert!(upstream.requests().is_empty());
    is_recorded(&world, Some("etl"), "outside_perimeter");
    is_recorded(&world, None, "token_wrong");
    let said = sidekey(&world, "caller edit etl --from 127.0.0.0/8 --env prod");
    assert!(said.contains("`etl` (owner local, environment prod, from 127.0.0.0/8)"), "{said}");
    eventually("it may come from here", || ask(&world, &mut wire, &away).status == 200);
    sidekey(&world, "caller edit etl --peer-uid 4294967294");
    eventually("an open connection is outside as well", || ask(&world, &mut wire, &away).status == 401);
    sidekey(&world, "caller edit etl --from-anywhere --no-env");
    eventually("it may come from anywhere", || ask(&world, &mut wire, &away).status == 200);
    for line in ["caller edit etl", "caller add x --from 10.0.0.0/40", "caller edit etl --from ::1 --from-anywhere"] {
        world.sidekey(line.split(' ')).run().fails_with(2);
    }
}

#[test]
fn a_caller_may_be_held_to_a_user_of_the_machine() {
    let (world, _upstream) = guarded();
    let own = rustix::process::getuid().as_raw();
    let both = format!("proxy = [\"{}\", \"unix:sidekey.sock\"]\n", world.proxy());
    let text = std::fs::read_to_string(world.config()).unwrap();
    let tcp = format!("proxy = \"{}\"\n", world.proxy());
    assert!(text.contains(&tcp));
    std::fs::write(world.config(), text.replace(&tcp, &both)).unwrap();
    let mine = sidekey(&world, &format!("caller add mine --peer-uid {own}"));
    let others = sidekey(&world, "caller add others --peer-uid 4294967294");
    let world = world.serve();
    let mut socket = Wire::unix(&world.path("sidekey.sock"));
    assert_eq!(ask(&world, &mut socket, &mine).status, 200);
    assert_eq!(ask(&world, &mut socket, &others).status, 401);
    assert_eq!(ask(&world, &mut world.wire(), &mine).status, 401, "by TCP nobody says which user it is");
    is_recorded(&world, Some("mine"), "outside_perimeter");
    is_recorded(&world, Some("others"), "outside_perimeter");
}

#[test]
fn when_a_caller_was_last_seen_is_kept() {
    let (world, _upstream) = guarded();
    let token = sidekey(&world, "caller add etl");
    sidekey(&world, "caller add idle");
    let mut world = world.serve();
    assert_eq!(ask(&world, &mut world.wire(), &token).status, 200);
    world.stop();
    let shown: Value = serde_json::from_str(&sidekey(&world, "caller list --json")).unwrap();
    let seen = |called: &str| {
        let items = shown["items"].as_array().unwrap();
        items.iter().find(|item| item["name"] == called).unwrap()["last_used_at"].clone()
    };
    assert!(seen("etl").as_str().unwrap().starts_with("20"), "{shown}");
    assert_eq!(seen("idle"), Value::Null);
    assert!(sidekey(&world, "caller list").contains("just now"));
}
