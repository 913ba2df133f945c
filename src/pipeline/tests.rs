//! The table from every fault to what the client gets. No fault is left out: the match in `name` has them all.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use http::HeaderValue;
use http::header::{CONTENT_LENGTH, PROXY_AUTHENTICATE, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::access::{Step, Unauthorized, Unidentified};
use crate::domain::{Code, Name, RequestId, ServiceName, SourceKind};
use crate::gate::{Cause, Crowd, Label, LimitOf, Obstacle, Refused};
use crate::inject::InjectError;
use crate::route::Door;
use crate::upstream::{AddressRefused, DialError, ParentError, Stage, TlsFault};
use crate::vault::VaultError;

fn service() -> ServiceName {
    ServiceName::new("billing").unwrap()
}

fn unknown(why: Unidentified, door: Door) -> ProxyError {
    CallerFault::Unknown { why, door }.into()
}

fn unauthorized(why: Unauthorized) -> ProxyError {
    CallerFault::from(why).into()
}

fn dial(error: DialError) -> ProxyError {
    ExchangeError::Dial(error).into()
}

/// What hyper says of an answer that is no HTTP.
async fn broken() -> ProxyError {
    let (client, mut server) = tokio::io::duplex(1024);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    server.write_all(b"no answer at all\r\n\r\n").await.unwrap();
    let request = Request::get("/").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    ExchangeError::Broken(sender.send_request(request).await.unwrap_err()).into()
}

/// A word for each fault. A new one does not compile until it is listed here, and then has no row in the table.
fn name(error: &ProxyError) -> &'static str {
    match error {
        ProxyError::Caller(fault) => match fault {
            CallerFault::Malformed(_) => "malformed",
            CallerFault::Browser(_) => "browser",
            CallerFault::Unknown { .. } => "unknown",
            CallerFault::NoSuchService(_) => "no such service",
            CallerFault::NoServiceForHost(_) => "no service for host",
            CallerFault::Plaintext(_) => "plaintext",
            CallerFault::NotOpened(_) => "not opened",
            CallerFault::Unauthorized(why) => match why {
                Unauthorized::ReadOnly { .. } => "read only",
                Unauthorized::Rules { .. } => "rules",
                Unauthorized::ShareRules { .. } => "share rules",
                Unauthorized::NoSuchNamed { .. } => "no such named",
                Unauthorized::Missing { .. } => "missing",
                Unauthorized::NoValue { .. } => "no value",
                Unauthorized::Ambiguous { .. } => "ambiguous",
            },
        },
        ProxyError::Gate(Refused::Limit { .. }) => "limit",
        ProxyError::Gate(Refused::Full { .. }) => "gate full",
        ProxyError::Gate(Refused::Circuit(_)) => "circuit",
        ProxyError::Gate(Refused::HeldBack) => "held back",
        ProxyError::Gate(Refused::Closing) => "closing",
        ProxyError::Upstream(fault) => match fault {
            ExchangeError::Closed => "closed",
            ExchangeError::Full => "pool full",
            ExchangeError::Broken(_) => "broken",
            ExchangeError::Unasked => "unasked",
            ExchangeError::Silent(_) => "silent",
            ExchangeError::Dial(error) => match error {
                DialError::Resolve { .. } => "resolve",
                DialError::Refused { .. } => "refused",
                DialError::Loop { .. } => "loop",
                DialError::Connect { .. } => "connect",
                DialError::Tls { .. } => "tls",
                DialError::Timeout { .. } => "dial timeout",
                DialError::Parent { .. } => "parent",
            },
        },
        ProxyError::Ours(OurFault::Vault(_)) => "vault",
        ProxyError::Ours(OurFault::Inject(_)) => "inject",
        ProxyError::Ours(OurFault::Audit) => "audit",
        ProxyError::Ours(OurFault::Authority) => "authority",
    }
}

const NAMES: usize = 35;

/// The refusal of a limit, of which nothing else is known.
fn limited(of: LimitOf, policy: &str, wait: Duration) -> Refused {
    let label = Label { of, service: service(), owner: None, bucket: None };
    let met = Obstacle { label, cause: Cause::Pace, is_late: false, patience: None };
    Refused::Limit { policy: policy.into(), wait, of, met: Box::new(met) }
}

type Row = (ProxyError, u16, Code, &'static str);

fn of_callers() -> Vec<Row> {
    let denied = "http_request_denied";
    let names = vec!["first".to_owned(), "second".to_owned()];
    let key = Name::new("billing-prod").unwrap();
    let dry = Unauthorized::NoValue { service: service(), credential: key, kind: SourceKind::File };
    let ambiguous = Unauthorized::Ambiguous { service: service(), step: Step::Personal, names };
    vec![
        (CallerFault::Malformed("It has a fault. Mend it.").into(), 400, Code::BadRequest, "http_request_error"),
        (CallerFault::Browser("A page sent it. List it.").into(), 403, Code::BrowserRefused, denied),
        (unknown(Unidentified::Absent, Door::Forward), 407, Code::CallerUnknown, denied),
        (unknown(Unidentified::Wrong, Door::Connect), 407, Code::CallerUnknown, denied),
        (unknown(Unidentified::Absent, Door::Path), 401, Code::CallerUnknown, denied),
        (unknown(Unidentified::Wrong, Door::Host), 401, Code::CallerUnknown, denied),
        (unknown(Unidentified::Ended, Door::Path), 401, Code::CallerUnknown, denied),
        (unknown(Unidentified::Outside, Door::Forward), 407, Code::CallerUnknown, denied),
        (unknown(Unidentified::Absent, Door::Own), 401, Code::CallerUnknown, denied),
        (CallerFault::NoSuchService("x".into()).into(), 404, Code::ServiceUnknown, "destination_not_found"),
        (CallerFault::NotOpened("x.test".into()).into(), 403, Code::NotAllowed, denied),
        (CallerFault::NoServiceForHost("x.test".into()).into(), 403, Code::ServiceUnknown, "destination_not_found"),
        (CallerFault::Plaintext("billing".into()).into(), 403, Code::NotAllowed, denied),
        (unauthorized(Unauthorized::ReadOnly { service: service() }), 403, Code::NotAllowed, denied),
        (unauthorized(Unauthorized::Rules { service: service() }), 403, Code::NotAllowed, denied),
        (unauthorized(Unauthorized::ShareRules { service: service() }), 403, Code::NotAllowed, denied),
        (unauthorized(Unauthorized::NoSuchNamed { service: service() }), 403, Code::NotAllowed, denied),
        (unauthorized(Unauthorized::Missing { service: service() }), 424, Code::CredentialMissing, denied),
        (unauthorized(dry), 424, Code::CredentialMissing, denied),
        (unauthorized(ambiguous), 424, Code::CredentialAmbiguous, denied),
    ]
}

fn of_dialling() -> Vec<Row> {
    let host = || "api.test".to_owned();
    let address = "127.0.0.1:9".parse().unwrap();
    let io = || Error::from(ErrorKind::ConnectionRefused);
    let range = AddressRefused::Range { address: "10.0.0.1".parse().unwrap(), what: "a private address", fix: "mend" };
    let timeout = DialError::Timeout { host: host(), stage: Stage::Connect, after: Duration::from_secs(5) };
    let unreachable = Code::UpstreamUnreachable;
    vec![
        (dial(DialError::Resolve { host: host(), source: io() }), 502, unreachable, "dns_error"),
        (dial(DialError::Connect { host: host(), address, source: io() }), 502, unreachable, "connection_refused"),
        (
            dial(DialError::Parent { host: host(), why: ParentError::Credentials }),
            502,
            unreachable,
            "connection_refused",
        ),
        (dial(DialError::Refused { host: host(), why: range }), 502, Code::AddressRefused, "destination_ip_prohibited"),
        (
            dial(DialError::Loop { host: host(), why: AddressRefused::Ourselves { address } }),
            502,
            Code::AddressRefused,
            "proxy_loop_detected",
        ),
        (
            dial(DialError::Tls { host: host(), fault: TlsFault::Expired(None) }),
            502,
            Code::UpstreamTls,
            "tls_certificate_error",
        ),
        (dial(timeout), 504, Code::UpstreamTimeout, "connection_timeout"),
    ]
}

async fn table() -> Vec<Row> {
    let limit = limited(LimitOf::Service, "100/1s", Duration::from_millis(1500));
    let crowded = Refused::Full { crowd: Crowd::Gate, most: 1_000, wait: Duration::from_secs(1) };
    let key = Name::new("key").unwrap();
    let full = "connection_limit_reached";
    let ours = "proxy_internal_error";
    let mut rows = of_callers();
    rows.extend(of_dialling());
    rows.extend([
        (limit.into(), 429, Code::RateLimited, "http_request_denied"),
        (crowded.into(), 503, Code::Overloaded, full),
        (Refused::Closing.into(), 503, Code::Overloaded, full),
        (Refused::Circuit(Duration::from_secs(5)).into(), 503, Code::CircuitOpen, "destination_unavailable"),
        (Refused::HeldBack.into(), 503, Code::CircuitOpen, "destination_unavailable"),
        (ExchangeError::Full.into(), 503, Code::Overloaded, full),
        (ExchangeError::Closed.into(), 502, Code::UpstreamUnreachable, "connection_refused"),
        (ExchangeError::Unasked.into(), 502, Code::UpstreamBroken, "http_upgrade_failed"),
        (broken().await, 502, Code::UpstreamBroken, "connection_terminated"),
        (ExchangeError::Silent(Duration::from_secs(9)).into(), 504, Code::UpstreamTimeout, "http_response_timeout"),
        (OurFault::Audit.into(), 503, Code::StoreUnavailable, ours),
        (OurFault::Authority.into(), 503, Code::StoreUnavailable, ours),
        (OurFault::Vault(VaultError::NoValue(key.clone())).into(), 503, Code::StoreUnavailable, ours),
        (OurFault::Inject(InjectError::MissingField(key)).into(), 503, Code::StoreUnavailable, ours),
    ]);
    rows
}

#[tokio::test]
async fn every_fault_has_its_status_its_code_and_its_proxy_error() {
    let table = table().await;
    for (error, status, code, proxy_error) in &table {
        let problem = Problem::of(error);
        let got = (problem.status.as_u16(), problem.code, problem.proxy_error);
        assert_eq!(got, (*status, *code, *proxy_error), "{error:?}");
        assert!(!problem.title.is_empty() && problem.detail.len() > 20, "{problem:?}");
        assert!(problem.detail.ends_with('.'), "{problem:?}");
    }
    let names: BTreeSet<_> = table.iter().map(|(error, ..)| name(error)).collect();
    assert_eq!(names.len(), NAMES, "{names:?}");
    let codes: BTreeSet<_> = table.iter().map(|(_, _, code, _)| *code).collect();
    let missing: Vec<_> = Code::ALL.into_iter().filter(|code| !codes.contains(code)).collect();
    assert_eq!(missing, [], "codes that nothing leads to");
}

#[tokio::test]
async fn every_answer_is_a_whole_problem_document() {
    let id = RequestId::new(7, 9);
    for (error, status, code, proxy_error) in table().await {
        let answer = answer(&Problem::of(&error), id);
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(status.into()), Some(code.as_str())));
        assert_eq!(body["request_id"], id.to_string());
        let headers = answer.headers();
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(headers[CONTENT_LENGTH], answer.body().len().to_string());
        let proxy_status = headers["proxy-status"].to_str().unwrap().replace(' ', "");
        assert_eq!(proxy_status, format!("sidekey;error={proxy_error};details=\"{}\"", code.as_str()));
        assert_eq!(headers.contains_key(PROXY_AUTHENTICATE), status == 407);
        assert_eq!(headers.contains_key(WWW_AUTHENTICATE), status == 401);
        let later = matches!(code, Code::RateLimited | Code::Overloaded | Code::CircuitOpen | Code::StoreUnavailable);
        assert_eq!(headers.contains_key(RETRY_AFTER), later, "{error:?}");
    }
}

#[test]
fn a_limit_rounds_its_wait_up_to_whole_seconds() {
    for (wait, shown) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60")] {
        let limit = limited(LimitOf::Share, "1/1m", Duration::from_millis(wait));
        let answer = answer(&Problem::of(&limit.into()), RequestId::new(0, 0));
        assert_eq!(answer.headers()[RETRY_AFTER], shown);
        assert_eq!(answer.headers()["ratelimit"], format!("\"share 1/1m\";r=0;t={shown}"));
    }
}

#[test]
fn nobody_else_speaks_in_our_name() {
    for (line, left) in [
        ("edge;received-status=429", Some("edge;received-status=429")),
        ("sidekey;error=destination_timeout", None),
        ("\"sidekey\";error=destination_timeout", None),
        (
            "edge, sidekey;error=dns_error;details=\"a, b\", \"cdn\";error=dns_error",
            Some("edge, \"cdn\";error=dns_error"),
        ),
        ("sidekey-edge;error=dns_error", Some("sidekey-edge;error=dns_error")),
        ("edge;details=\"beside sidekey\"", Some("edge;details=\"beside sidekey\"")),
        ("sidekey;error=", None),
        ("sidekey;error=a b", None),
        ("of no form ;;", Some("of no form ;;")),
    ] {
        let found = respond::of_others(&HeaderValue::from_static(line));
        assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), left, "{line}");
    }
}
