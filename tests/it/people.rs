//! Users, teams and sharing, through the real program: who may use which key, and what a change means for a running proxy.

use serde_json::Value;

use crate::world::{FakeUpstream, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

/// A folder with one custom service, callers prove themselves.
fn billing() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, AUTH).toml("[callers]\nmode = \"token\"\n");
    (world, upstream)
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn items(world: &World, line: &str) -> Vec<Value> {
    let shown: Value = serde_json::from_str(&sidekey(world, line)).unwrap();
    assert_eq!(shown["version"], 1, "{line}");
    shown["items"].as_array().unwrap().clone()
}

fn add_key(world: &World, line: &str, value: &str) {
    world.sidekey(format!("key add {line} --stdin").split(' ')).stdin(value).run().succeeds();
}

/// Adds a caller; its token.
fn caller(world: &World, line: &str) -> String {
    sidekey(world, &format!("caller add {line}")).trim_end().to_owned()
}

/// Which key arrives upstream when `token` asks, or the code of the refusal.
fn used(world: &World, upstream: &FakeUpstream, token: &str) -> String {
    upstream.forget();
    let reply = world.ask("GET", "/billing/v1").header("X-API-Key", token).reply();
    if reply.status == 200 { upstream.only_request().values("x-api-key").join(",") } else { reply.code() }
}

#[test]
fn users_and_teams_are_listed_in_a_stable_shape() {
    let (world, _upstream) = billing();
    assert!(items(&world, "user list --json").is_empty(), "a list makes no store");
    sidekey(&world, "user add ada --role admin");
    sidekey(&world, "user add bob");
    let said = sidekey(&world, "team add data --member bob --member ada");
    assert!(said.contains("in it: ada, bob"), "{said}");
    add_key(&world, "billing --owner bob", "k");
    let users = items(&world, "user list --json");
    let shown: Vec<_> =
        users.iter().map(|user| (user["name"].as_str().unwrap(), &user["role"], &user["keys"])).collect();
    let (admin, member) = (Value::from("admin"), Value::from("member"));
    let (none, one) = (Value::from(0), Value::from(1));
    assert_eq!(shown, [("ada", &admin, &none), ("bob", &member, &one), ("local", &admin, &none)]);
    assert_eq!(users[0]["teams"], serde_json::json!(["data"]));
    assert_eq!(items(&world, "team list --json")[0]["members"], serde_json::json!(["ada", "bob"]));
    sidekey(&world, "user role bob admin");
    sidekey(&world, "user role ada member");
    let table = sidekey(&world, "user list");
    assert!(table.lines().any(|line| line.starts_with("ada    member  data")), "{table}");
    assert!(sidekey(&world, "team remove-member data bob").contains("`data`: ada."));
    for (line, code) in [
        ("user add ada", 1),
        ("user add eve --role root", 2),
        ("user role local member", 1),
        ("user role nobody admin", 1),
        ("user delete local --yes", 1),
        ("team add data", 1),
        ("team add ops --member nobody", 1),
        ("team add-member data nobody", 1),
        ("team remove-member data bob", 1),
        ("team delete nothing --yes", 1),
        ("team delete data", 2),
        ("user delete ada", 2),
    ] {
        world.sidekey(line.split(' ')).run().fails_with(code);
    }
    assert_eq!(items(&world, "team list --json").len(), 1, "what was refused has changed nothing");
    sidekey(&world, "team delete data --yes");
    assert!(items(&world, "team list --json").is_empty());
}

#[test]
fn who_is_deleted_hands_over_keys_and_callers_that_go_on_working() {
    let (world, upstream) = billing();
    sidekey(&world, "user add ada");
    sidekey(&world, "user add bob");
    add_key(&world, "billing --owner ada", "adas");
    let token = caller(&world, "etl --owner ada");
    let world = world.serve();
    assert_eq!(used(&world, &upstream, &token), "adas");
    let kept = world.sidekey(["user", "delete", "ada", "--yes"]).run().fails_with(1);
    assert!(kept.contains("the key `billing`, the caller `etl`") && kept.contains("--give-to"), "{kept}");
    assert_eq!(used(&world, &upstream, &token), "adas");
    let said = sidekey(&world, "user delete ada --give-to bob --yes");
    assert!(said.contains("`bob` owns 1 key and 1 caller of it now"), "{said}");
    eventually("bob's key is used", || {
        let shown = sidekey(&world, "explain --as etl GET /billing/v1");
        shown.contains("owned by bob") && used(&world, &upstream, &token) == "adas"
    });
    assert!(!sidekey(&world, "user list").contains("ada"));
}

#[test]
fn a_key_is_shared_in_every_way_and_a_running_proxy_follows() {
    let (world, upstream) = billing();
    for line in ["user add ada", "user add bob", "team add data --member bob"] {
        sidekey(&world, line);
    }
    add_key(&world, "billing --owner ada", "adas");
    let (bobs, evil) = (caller(&world, "bobs --owner bob"), caller(&world, "strangers"));
    let world = world.serve();
    assert_eq!(used(&world, &upstream, &bobs), "credential_missing");
    for with in ["caller:bobs", "user:bob", "team:data", "everyone"] {
        let said = sidekey(&world, &format!("key share billing --with {with}"));
        assert!(said.contains(&format!("(owner ada) is shared with {with}.")), "{said}");
        eventually(with, || used(&world, &upstream, &bobs) == "adas");
        let strangers = if with == "everyone" { "adas" } else { "credential_missing" };
        assert_eq!(used(&world, &upstream, &evil), strangers, "{with}");
        let filtered = format!("key list --shared-with {with} --json");
        assert_eq!(items(&world, &filtered)[0]["shared_with"], serde_json::json!([with]));
        let said = sidekey(&world, &format!("key unshare billing --with {with}"));
        assert!(said.contains("with nobody: it is personal"), "{said}");
        eventually(with, || used(&world, &upstream, &bobs) == "credential_missing");
    }
    sidekey(&world, "key share billing --with user:bob --with team:data");
    assert!(sidekey(&world, "key list --owner ada").contains("team:data, user:bob"));
    assert!(sidekey(&world, "key show billing").contains("team:data, user:bob"));
    sidekey(&world, "team remove-member data bob");
    sidekey(&world, "key unshare billing --with user:bob");
    eventually("who left the team has nothing", || used(&world, &upstream, &bobs) == "credential_missing");
    for (line, code) in [
        ("key share billing --with user:nobody", 1),
        ("key share nothing --with everyone", 1),
        ("key share billing --with bob", 2),
        ("key share billing", 2),
        ("key unshare billing --with everyone", 1),
        ("key list --shared-with team:none", 1),
    ] {
        world.sidekey(line.split(' ')).run().fails_with(code);
    }
}

#[test]
fn a_key_is_renamed_and_moved_to_another_environment_without_a_new_value() {
    let (world, upstream) = billing();
    add_key(&world, "billing", "k");
    let token = caller(&world, "etl --env prod");
    let world = world.serve();
    let said = sidekey(&world, "key edit billing --name main --env staging --expires 2999-12-31");
    assert!(said.contains("`main` (owner local, environment staging, until 3000-01-01 00:00 UTC)"), "{said}");
    eventually("it is not for prod any more", || used(&world, &upstream, &token) == "credential_missing");
    sidekey(&world, "key edit main --no-env --no-expires");
    eventually("it is for all", || used(&world, &upstream, &token) == "k");
    let shown = &items(&world, "key show main --json")[0];
    assert_eq!(
        (&shown["environment"], &shown["expires_at"], &shown["version"]),
        (&Value::Null, &Value::Null, &1.into())
    );
    for (line, code) in
        [("key edit main", 2), ("key edit billing --no-env", 1), ("key edit main --expires 1999-01-01", 2)]
    {
        world.sidekey(line.split(' ')).run().fails_with(code);
    }
}
