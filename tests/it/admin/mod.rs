//! The admin API through the real program: who may ask, what each noun's life is, what a member cannot see, and that no key's
//! value ever comes out.

mod backup;
mod doors;
mod nouns;
mod reach;
mod secrets;

use serde_json::{Value, json};

use crate::world::{Ask, FakeUpstream, Reply, World};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

/// A running proxy with one custom service.
fn billing() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, AUTH).serve();
    (world, upstream)
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds().trim_end().to_owned()
}

/// Whoever asks with a token.
struct Client<'a> {
    world: &'a World,
    token: String,
}

impl<'a> Client<'a> {
    /// The user `local`.
    fn admin(world: &'a World) -> Self {
        Self { world, token: sidekey(world, "token add tests") }
    }

    /// A user who was added as a member.
    fn member(world: &'a World, name: &str) -> Self {
        sidekey(world, &format!("user add {name}"));
        Self { world, token: sidekey(world, &format!("token add of-{name} --user {name}")) }
    }

    fn ask(&self, method: &str, path: &str) -> Ask {
        let bearer = format!("Bearer {}", self.token);
        Ask::new(&self.world.console(), method, &format!("/api/v1{path}")).header("Authorization", &bearer)
    }

    /// `GET path`.
    fn get(&self, path: &str) -> Value {
        let reply = self.ask("GET", path).reply();
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert_eq!(reply.value("content-type"), Some("application/json"), "{reply:?}");
        reply.json()
    }

    /// The names of a list.
    fn names(&self, path: &str) -> Vec<String> {
        let items = self.get(path)["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A request with a body.
    fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.ask(method, path).header("Content-Type", "application/json").body(body.to_string()).reply()
    }

    /// The same, which must be answered with `status`.
    fn sent(&self, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let reply = self.send(method, path, body);
        assert_eq!(reply.status, status, "{method} {path} {body}: {reply:?}");
        reply.json()
    }

    /// Adds a key; what is shown of it.
    fn key(&self, name: &str, value: &str) -> Value {
        self.sent("POST", "/keys", &json!({ "service": "billing", "name": name, "value": value }), 201)
    }

    /// The status and the code of a refusal of `method path`.
    fn refused(&self, method: &str, path: &str) -> (u16, String) {
        problem(&self.ask(method, path).reply())
    }

    /// The same for a request with a body.
    fn refused_with(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        problem(&self.send(method, path, body))
    }
}

/// The status and the code of a problem document, which has everything that one must have.
fn problem(reply: &Reply) -> (u16, String) {
    assert_eq!(reply.value("content-type"), Some("application/problem+json"), "{reply:?}");
    let document = reply.json();
    assert_eq!(document["status"], reply.status, "{reply:?}");
    assert_eq!(document["request_id"], reply.value("x-request-id").unwrap(), "{reply:?}");
    assert!(document["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{reply:?}");
    (reply.status, document["code"].as_str().unwrap().to_owned())
}

fn not_found() -> (u16, String) {
    (404, "not_found".to_owned())
}
