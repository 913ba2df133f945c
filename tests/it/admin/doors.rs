//! Who gets in: tokens, codes, sessions, web pages; and what is answered to requests that are none.

use serde_json::json;

use super::{Client, billing, problem, sidekey};
use crate::world::{Ask, Reply, World, eventually};

fn whoami(world: &World, headers: &[(&str, &str)]) -> Reply {
    let ask = Ask::new(&world.console(), "GET", "/api/v1/whoami");
    headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value)).reply()
}

/// Exchanges the code in a login link; the answer and the cookie as a browser sends it back.
fn log_in(world: &World, link: &str) -> (Reply, String) {
    let code = link.rsplit('#').next().unwrap();
    let body = json!({ "code": code }).to_string();
    let ask = Ask::new(&world.console(), "POST", "/api/v1/session").header("Content-Type", "application/json");
    let reply = ask.body(body).reply();
    let cookie = reply.value("set-cookie").unwrap_or_default().split(';').next().unwrap().to_owned();
    (reply, cookie)
}

#[test]
fn nobody_gets_in_without_a_token_and_a_revoked_one_is_worth_nothing() {
    let (world, _upstream) = billing();
    for headers in [
        &[][..],
        &[("Authorization", "Bearer ska_wrong")],
        &[("Authorization", "Basic bG9jYWw6eA==")],
        &[("Cookie", "sidekey_session=sks_wrong")],
    ] {
        let reply = whoami(&world, headers);
        assert_eq!(problem(&reply), (401, "unauthenticated".to_owned()));
        assert_eq!(reply.value("www-authenticate"), Some("Bearer realm=\"sidekey\""));
    }
    let admin = Client::admin(&world);
    let me = admin.get("/whoami");
    assert_eq!((&me["user"], &me["role"], &me["by"]), (&json!("local"), &json!("admin"), &json!("token")));
    assert!(!me.to_string().contains(&admin.token));
    let member = Client::member(&world, "ada");
    assert_eq!(member.get("/whoami")["role"], "member");
    assert_eq!(member.names("/tokens"), ["of-ada"], "a member sees its own");
    assert_eq!(admin.names("/tokens"), ["tests", "of-ada"]);
    assert_eq!(member.refused("DELETE", "/tokens/tests"), super::not_found());
    sidekey(&world, "token revoke of-ada");
    assert_eq!(member.refused("GET", "/whoami").0, 401);
    let fresh = admin.sent("POST", "/tokens", &json!({ "name": "more", "user": "ada" }), 201);
    let token = fresh["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("ska_"), "{token}");
    assert_eq!(Client { world: &world, token }.get("/whoami")["user"], "ada");
    assert_eq!(admin.ask("DELETE", "/tokens/more").reply().status, 204);
    let past = json!({ "name": "late", "expires_at": "2020-01-01T00:00:00Z" });
    assert_eq!(admin.refused_with("POST", "/tokens", &past), (422, "invalid".to_owned()));
    let database = std::fs::read(world.path("data/sidekey.db")).unwrap();
    let kept = |text: &str| database.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!kept(&admin.token), "the token itself is not kept");
}

#[test]
fn a_login_code_opens_one_session_and_a_session_ends() {
    let (world, _upstream) = billing();
    let link = sidekey(&world, "login");
    assert!(link.starts_with(&format!("http://{}/login#sko_", world.console())), "{link}");
    let page = Ask::new(&world.console(), "GET", "/login").reply();
    assert!(page.status == 200 && page.text().contains("/api/v1/session"), "{page:?}");
    let (opened, cookie) = log_in(&world, &link);
    assert_eq!(opened.status, 201, "{opened:?}");
    let set = opened.value("set-cookie").unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(attribute), "{set}");
    }
    let (again, _) = log_in(&world, &link);
    assert_eq!(problem(&again), (401, "unauthenticated".to_owned()), "it works once");
    let me = whoami(&world, &[("Cookie", &cookie)]).json();
    assert_eq!((&me["user"], &me["by"]), (&json!("local"), &json!("session")));
    let second = log_in(&world, &sidekey(&world, "login")).1;
    let admin = Client::admin(&world);
    let sessions = admin.get("/sessions")["items"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    let id = sessions[1]["id"].as_str().unwrap();
    assert_eq!(admin.ask("DELETE", &format!("/sessions/{id}")).reply().status, 204);
    assert_eq!(whoami(&world, &[("Cookie", &second)]).status, 401);
    let log_out = |headers: &[(&str, &str)]| {
        let ask = Ask::new(&world.console(), "DELETE", "/api/v1/session").header("Cookie", &cookie);
        headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value)).reply()
    };
    assert_eq!(problem(&log_out(&[])), (403, "browser_refused".to_owned()), "nothing says that a page of ours asks");
    assert_eq!(log_out(&[("Sec-Fetch-Site", "same-origin")]).status, 204);
    assert_eq!(whoami(&world, &[("Cookie", &cookie)]).status, 401);
}

#[test]
fn a_session_outlives_the_process_and_not_its_user() {
    let (mut world, _upstream) = billing();
    sidekey(&world, "user add ada");
    let (_, cookie) = log_in(&world, &sidekey(&world, "login --user ada"));
    world.stop();
    world.start(&[]);
    assert_eq!(whoami(&world, &[("Cookie", &cookie)]).json()["user"], "ada");
    sidekey(&world, "user delete ada --yes");
    assert_eq!(whoami(&world, &[("Cookie", &cookie)]).status, 401);
}

#[test]
fn strangers_pages_neither_use_a_session_nor_open_one() {
    let (world, _upstream) = billing();
    let (_, cookie) = log_in(&world, &sidekey(&world, "login"));
    let own = format!("http://{}", world.console());
    let add = |headers: &[(&str, &str)]| {
        let ask = Ask::new(&world.console(), "POST", "/api/v1/teams").header("Content-Type", "application/json");
        let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
        ask.header("Cookie", &cookie).body(r#"{"name":"data"}"#).reply()
    };
    for foreign in [
        &[("Origin", "http://evil.example")][..],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")],
        &[("Origin", "http://127.0.0.1:1")],
        &[("Sec-Fetch-Site", "none")],
        &[],
    ] {
        assert_eq!(problem(&add(foreign)), (403, "browser_refused".to_owned()), "{foreign:?}");
    }
    assert_eq!(add(&[("Origin", &own)]).status, 201);
    let code = sidekey(&world, "login").rsplit('#').next().unwrap().to_owned();
    let ask = Ask::new(&world.console(), "POST", "/api/v1/session").header("Content-Type", "application/json");
    let stranger = ask.header("Origin", "http://evil.example").body(json!({ "code": code }).to_string()).reply();
    assert_eq!(problem(&stranger), (403, "browser_refused".to_owned()));
    let admin = Client::admin(&world);
    let rebound = admin.ask("GET", "/whoami").host("evil.example:8081").reply();
    assert_eq!(problem(&rebound), (403, "browser_refused".to_owned()));
}

#[test]
fn what_is_no_request_is_answered_with_a_problem() {
    let (world, _upstream) = billing();
    let admin = Client::admin(&world);
    let of = |reply: Reply| problem(&reply);
    let told = |code: &str, status: u16| (status, code.to_owned());
    assert_eq!(of(admin.ask("GET", "/nothing").reply()), told("not_found", 404));
    assert_eq!(of(Ask::new(&world.console(), "GET", "/api/v2/keys").reply()), told("not_found", 404));
    let other = admin.ask("PUT", "/users").reply();
    assert_eq!(other.value("allow").map(|allow| allow.contains("POST")), Some(true), "{other:?}");
    assert_eq!(of(other), told("method_not_allowed", 405));
    assert_eq!(of(admin.ask("GET", "/users").header("Accept", "text/html").reply()), told("not_acceptable", 406));
    let send = |kind: &str, body: &str| admin.ask("POST", "/users").header("Content-Type", kind).body(body).reply();
    assert_eq!(of(send("text/plain", "{}")), told("unsupported_media_type", 415));
    let json = "application/json; charset=utf-8";
    let broken = send(json, "{\n  \"name\": ada\n}");
    assert!(broken.json()["detail"].as_str().unwrap().contains("line 2, column 11"), "{broken:?}");
    assert_eq!(of(broken), told("malformed", 400));
    assert_eq!(of(send(json, "{\"name\":")), told("malformed", 400));
    let unknown = send(json, r#"{"name":"ada","colour":"red"}"#);
    assert!(unknown.json()["detail"].as_str().unwrap().contains("`colour` is not known here"), "{unknown:?}");
    assert_eq!(of(unknown), told("invalid", 422));
    let unfit = send(json, r#"{"name":"Ada Lovelace"}"#);
    assert!(unfit.json()["detail"].as_str().unwrap().contains("`name`: a name is"), "{unfit:?}");
    assert_eq!(of(send(json, &format!("{{\"name\":\"{}\"}}", "a".repeat(1 << 20)))), told("too_large", 413));
    for query in ["limit=0", "limit=501", "limit=x", "after=%21", "colour=red"] {
        assert_eq!(of(admin.ask("GET", &format!("/users?{query}")).reply()), told("invalid", 422), "{query}");
    }
    let reply = admin.ask("GET", "/health").reply();
    assert_eq!(reply.value("cache-control"), Some("no-store"));
    assert_eq!(reply.value("x-content-type-options"), Some("nosniff"));
}

#[test]
fn metrics_and_probes_stay_as_they_are_and_a_socket_serves_too() {
    let (world, _upstream) = billing();
    let get = |path: &str| Ask::new(&world.console(), "GET", path).reply();
    assert!(get("/metrics").text().contains("sidekey_build_info"));
    assert_eq!((get("/-/health").text(), get("/-/ready").text()), ("ok\n".to_owned(), "ready\n".to_owned()));
    assert_eq!(Ask::new(&world.console(), "POST", "/metrics").reply().status, 405);
    assert_eq!(get("/metrics").status, 200);
    let hidden = World::new();
    let socket = hidden.path("console.sock");
    let toml = std::fs::read_to_string(hidden.config()).unwrap();
    let own = format!("console = \"unix:{}\"", socket.display());
    std::fs::write(hidden.config(), toml.replace(&format!("console = \"{}\"", hidden.console()), &own)).unwrap();
    let token = sidekey(&hidden, "token add tests");
    let mut hidden = hidden;
    hidden.start(&[]);
    eventually("the socket is there", || socket.exists());
    let head = format!("GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_eq!(crate::world::Wire::unix(&socket).send(head).reply().json()["user"], "local");
}
