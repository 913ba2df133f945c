//! What the measurements are made on: services, callers and keys as a snapshot has them, in any number.

#![allow(dead_code, clippy::expect_used, reason = "each measurement takes what it needs, and may stop at it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::request::Parts;
use sidekey::access::{Callers, Sightings};
use sidekey::domain::{
    Allowed, BaseUrl, Caller, CallerId, Credential, CredentialId, Host, HostPattern, Limits, Name, Peer, Perimeter,
    Placement, Retry, Role, Scheme, Sealed, Service, Share, Shared, Signals, Source, TeamId, Template, Timeouts,
    UpstreamOptions, User, UserId, Weight,
};
use sidekey::gate::Course;
use sidekey::pipeline::Held;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub(crate) fn host(text: &str) -> Host {
    Host::new(text).expect("a host")
}

pub(crate) fn template(text: &str) -> Template {
    Template::parse(text).expect("a template")
}

/// A key in `Authorization: Bearer`.
pub(crate) fn bearer() -> Placement {
    Placement::Header {
        name: http::header::AUTHORIZATION,
        spelled: "Authorization".into(),
        value: template("Bearer {key}"),
    }
}

/// A service at `https://HOST`, to which that host belongs.
pub(crate) fn service(called: &str, at: &str, auth: Vec<Placement>) -> Service {
    Service {
        name: name(called),
        title: String::new(),
        built_in: false,
        declared: true,
        stored: false,
        base: BaseUrl { scheme: Scheme::Https, host: template(at), port: 443, path: template("") },
        hosts: vec![(HostPattern::Exact(host(at)), None)],
        paths: vec![],
        auth,
        headers: vec![],
        allowed: Allowed::default(),
        limits: Limits::default(),
        gating: sidekey::domain::Gating::default(),
        retry: Retry::default(),
        timeouts: Timeouts::default(),
        upstream: UpstreamOptions::default(),
        allow_plaintext: false,
        variables: vec![],
        verify: None,
        signals: Signals::default(),
        docs: None,
        key_url: None,
        key_help: None,
        env: vec![],
        aliases: vec![],
        category: None,
    }
}

/// A key of `service` without a value.
pub(crate) fn credential(called: &str, service: &str, owner: &str, shares: Vec<Share>) -> Credential {
    Credential {
        limit_owner: None,
        pool: None,
        id: CredentialId::new(called),
        name: name(called),
        owner: UserId::new(owner),
        service: name(service),
        environment: None,
        shares: shares.into_iter().map(|with| Shared { with, bounds: None }).collect(),
        variables: BTreeMap::new(),
        expires: None,
        version: 1,
        sealed: None,
        source: Source::Store,
    }
}

/// A key of `admin`'s for `service` with a value that nobody opens.
pub(crate) fn keyed(called: &str, service: &str, shares: Vec<Share>) -> Credential {
    let sealed = Sealed { master: 1, wrapped_key: Box::new([]), fields: Box::new([]) };
    Credential { sealed: Some(Arc::new(sealed)), ..credential(called, service, "admin", shares) }
}

/// The callers `caller-N`, each with an owner `user-N` in the teams `team-N`, `ops` and `all`; the token of the first has
/// the digest of sevens, and of the Nth that of N.
pub(crate) fn callers(count: usize) -> Callers {
    let teams = |n: usize| [format!("team-{n}"), "ops".to_owned(), "all".to_owned()];
    let user = |n| User {
        id: UserId::new(&format!("user-{n}")),
        name: name(&format!("user-{n}")),
        role: Role::Member,
        teams: teams(n).iter().map(|team| TeamId::new(team)).collect(),
    };
    let caller = |n: usize| Caller {
        id: CallerId::new(&format!("caller-{n}")),
        name: name(&format!("caller-{n}")),
        owner: UserId::new(&format!("user-{n}")),
        environment: Some(name("prod")),
        token_digest: Some(digest(n)),
        former: None,
        perimeter: Perimeter::default(),
        weight: Weight::ONE,
    };
    let (users, callers) = ((0..count).map(user).collect(), (0..count).map(caller).collect());
    Callers::new(users, callers, None, sidekey::crypto::digest::sha256, &Sightings::default())
}

/// Where they come from.
pub(crate) fn peer() -> Peer {
    Peer::tcp(([127, 0, 0, 1], 40_000).into())
}

/// What stands for the digest of the Nth caller's token.
pub(crate) fn digest(n: usize) -> [u8; 32] {
    let mut digest = [7; 32];
    for (byte, of_number) in digest.iter_mut().zip(n.to_le_bytes()) {
        *byte ^= of_number;
    }
    digest
}

/// How a request with the key `held` comes to the gates on its way.
pub(crate) fn course(held: &Held) -> Course<'_> {
    Course {
        gates: &held.entry.gates,
        share: None,
        levels: None,
        owner: held.owner(),
        owner_name: held.limit_owner(),
        pins: &held.entry.pins,
        quotas: held.quotas(),
        service: held.entry.gate.as_ref(),
        family: &held.entry.family,
        method: "GET",
        path: "/v1/charges/ch_1",
        cost: 1,
        tokens: 0,
        most_tokens: 0,
        is_repeatable: true,
        patience: Duration::from_secs(30),
        is_resend: false,
    }
}

/// A typical request of ten headers.
pub(crate) fn request(target: &str) -> Parts {
    let request = Request::builder()
        .uri(target)
        .header("host", "127.0.0.1:8080")
        .header("user-agent", "python-requests/2.32.3")
        .header("accept-encoding", "gzip, deflate, br")
        .header("accept", "application/json")
        .header("x-request-source", "nightly")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("idempotency-key", "9c5f1f0a")
        .header("content-type", "application/json")
        .header("content-length", "120")
        .header("authorization", "Bearer placeholder");
    request.body(()).expect("a request").into_parts().0
}
