//! The one table from a fault to what the client gets: status, code, prose for the person who must act, Proxy-Status.
//! Nothing here repeats a value that the caller or the upstream sent, except names that the caller chose itself, and
//! nothing tells addresses behind them.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, PROXY_AUTHENTICATE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use sfv::{
    BareItem, FieldType as _, Integer, Item, ItemSerializer, List, ListEntry, Parser, StringRef, TokenRef, key_ref,
    token_ref,
};

use crate::access::{Unauthorized, Unidentified};
use crate::domain::{Code, RequestId, SourceKind};
use crate::gate::{LimitOf, Refused};
use crate::upstream::{DialError, ExchangeError};

use super::error::{CallerFault, OurFault, ProxyError};

mod limits;

pub(super) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// Our name in it.
const OURSELVES: &str = "sidekey";
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What a client is told.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// The stable code.
    pub code: Code,
    /// A short title, the same for every case of the code.
    pub title: &'static str,
    /// What, why, and what to do.
    pub detail: String,
    /// The error type of RFC 9209 §2.3.
    pub proxy_error: &'static str,
    /// For `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The name of the limit, for `RateLimit`.
    pub policy: Option<String>,
    /// And how much of that limit is left.
    pub left: u32,
}

impl Problem {
    /// The problem of an error.
    pub fn of(error: &ProxyError) -> Self {
        let code = error.code();
        let (status, title) = status(code, error);
        let policy = match error {
            // The service that has it is the whole name of a limit that was learnt.
            ProxyError::Gate(Refused::Limit { policy, of: LimitOf::Upstream, .. }) => Some(policy.clone()),
            ProxyError::Gate(Refused::Limit { policy, of, .. }) => Some(format!("{} {policy}", of.as_str())),
            _ => None,
        };
        let left = match error {
            ProxyError::Gate(refused) => limits::left(refused),
            _ => 0,
        };
        let (retry_after, proxy_error) = (error.retry_after(), proxy_error(code, error));
        Self { status, code, title, detail: detail(error), proxy_error, retry_after, policy, left }
    }
}

fn status(code: Code, error: &ProxyError) -> (StatusCode, &'static str) {
    let proxy_door = match error {
        ProxyError::Caller(CallerFault::Unknown { door, .. }) => door.is_proxy(),
        ProxyError::Caller(CallerFault::NoServiceForHost(_)) => true,
        _ => false,
    };
    match code {
        Code::BadRequest => (StatusCode::BAD_REQUEST, "Request refused"),
        Code::BrowserRefused => (StatusCode::FORBIDDEN, "Web pages may not call this proxy"),
        Code::CallerUnknown if proxy_door => (StatusCode::PROXY_AUTHENTICATION_REQUIRED, "Caller unknown"),
        Code::CallerUnknown => (StatusCode::UNAUTHORIZED, "Caller unknown"),
        Code::NotAllowed => (StatusCode::FORBIDDEN, "Not allowed"),
        Code::ServiceUnknown if proxy_door => (StatusCode::FORBIDDEN, "Service unknown"),
        Code::ServiceUnknown => (StatusCode::NOT_FOUND, "Service unknown"),
        Code::CredentialMissing => (StatusCode::FAILED_DEPENDENCY, "No key for this service"),
        Code::CredentialAmbiguous => (StatusCode::FAILED_DEPENDENCY, "Several keys fit"),
        Code::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Rate limited"),
        Code::UpstreamUnreachable => (StatusCode::BAD_GATEWAY, "Upstream unreachable"),
        Code::UpstreamTls => (StatusCode::BAD_GATEWAY, "No safe connection to the upstream"),
        Code::UpstreamBroken => (StatusCode::BAD_GATEWAY, "Upstream broke off"),
        Code::AddressRefused => (StatusCode::BAD_GATEWAY, "Address refused"),
        Code::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "Too much at once"),
        Code::CircuitOpen => (StatusCode::SERVICE_UNAVAILABLE, "Upstream is failing"),
        Code::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not able to serve safely"),
        Code::UpstreamTimeout => (StatusCode::GATEWAY_TIMEOUT, "Upstream too slow"),
    }
}

/// The error types of RFC 9209 §2.3.
fn proxy_error(code: Code, error: &ProxyError) -> &'static str {
    match code {
        Code::BadRequest => "http_request_error",
        Code::BrowserRefused
        | Code::CallerUnknown
        | Code::NotAllowed
        | Code::CredentialMissing
        | Code::CredentialAmbiguous
        | Code::RateLimited => "http_request_denied",
        Code::ServiceUnknown => "destination_not_found",
        Code::UpstreamUnreachable => match error {
            ProxyError::Upstream(ExchangeError::Dial(DialError::Resolve { .. })) => "dns_error",
            _ => "connection_refused",
        },
        Code::UpstreamTls => "tls_certificate_error",
        Code::UpstreamBroken => match error {
            ProxyError::Upstream(ExchangeError::Unasked) => "http_upgrade_failed",
            _ => "connection_terminated",
        },
        Code::AddressRefused => match error {
            ProxyError::Upstream(ExchangeError::Dial(DialError::Loop { .. })) => "proxy_loop_detected",
            _ => "destination_ip_prohibited",
        },
        Code::Overloaded => "connection_limit_reached",
        Code::CircuitOpen => "destination_unavailable",
        Code::StoreUnavailable => "proxy_internal_error",
        Code::UpstreamTimeout => match error {
            ProxyError::Upstream(ExchangeError::Dial(_)) => "connection_timeout",
            _ => "http_response_timeout",
        },
    }
}

fn detail(error: &ProxyError) -> String {
    match error {
        ProxyError::Caller(fault) => caller_detail(fault),
        ProxyError::Gate(refused) => limits::detail(refused),
        ProxyError::Upstream(fault) => upstream_detail(fault),
        ProxyError::Ours(OurFault::Audit) => {
            "sidekey cannot write its audit log, so it lets nothing pass. Free disk space or mend the audit folder's permissions; it recovers by itself.".into()
        }
        ProxyError::Ours(OurFault::Authority) => {
            "sidekey's certificate authority cannot be used. See its log for the reason; `sidekey ca rotate --now` makes another one.".into()
        }
        ProxyError::Ours(OurFault::Vault(_)) => {
            "The key of this service could not be opened. See sidekey's log for the reason; storing the key anew (`sidekey key rotate`) mends a damaged one.".into()
        }
        ProxyError::Ours(OurFault::Inject(_)) => {
            "The key of this service cannot be put where the service wants it. Check the service's `auth` and store the key anew with `sidekey key rotate`.".into()
        }
    }
}

fn caller_detail(fault: &CallerFault) -> String {
    match fault {
        CallerFault::Malformed(why) | CallerFault::Browser(why) => (*why).into(),
        CallerFault::Unknown { why: Unidentified::Absent, door } if door.is_proxy() => {
            "This proxy asks who calls. Put the caller's name and token in the proxy address, `http://NAME:TOKEN@HOST:PORT`, or send Proxy-Authorization.".into()
        }
        CallerFault::Unknown { why: Unidentified::Absent, .. } => {
            "This proxy asks who calls. Give the caller's token (`skc_…`) where the service's own key would stand, or send Proxy-Authorization.".into()
        }
        // Why a token does not count is for the operator, in the audit: a thief must not learn that it is a real one.
        CallerFault::Unknown { why: Unidentified::Wrong | Unidentified::Ended | Unidentified::Outside, .. } => {
            "The caller's token is not valid: it was mistyped, rotated or deleted. Ask for a new one (`sidekey caller rotate NAME`).".into()
        }
        CallerFault::NoSuchService(name) => format!(
            "No service is called `{name}`. `sidekey service search {name}` looks in the catalogue; `sidekey service add {name}` or [service.{name}] in proxy.toml adds a custom API."
        ),
        CallerFault::NoServiceForHost(host) => format!(
            "The host `{host}` belongs to no service, and this proxy passes nothing else. Make one with `sidekey service add NAME --base-url URL`, add it to the `hosts` of a service, or set policy = \"tunnel\" under [unmatched]."
        ),
        CallerFault::NotOpened(host) => format!(
            "The host `{host}` is not among those that may be opened by CONNECT ([intercept] hosts in proxy.toml; `sidekey ca show` says what the certificate authority may vouch for). Call it by its base URL at this proxy, or add it there and run `sidekey ca rotate --now`."
        ),
        CallerFault::Plaintext(service) => format!(
            "The base URL of service `{service}` is plain http to another machine, so its key would be readable on the way. Use https, or set allow_plaintext = true for this service."
        ),
        CallerFault::Unauthorized(why) => unauthorized_detail(why),
    }
}

fn unauthorized_detail(why: &Unauthorized) -> String {
    match why {
        Unauthorized::ReadOnly { service } => format!(
            "Service `{service}` is for reading only: GET, HEAD and OPTIONS. `sidekey service edit {service} --set 'read_only = false'` or proxy.toml changes that."
        ),
        Unauthorized::Rules { service } => format!(
            "The `allow` rules of service `{service}` do not admit this method and path. `sidekey explain METHOD URL` shows the rules; `sidekey service edit {service}` or proxy.toml changes them."
        ),
        Unauthorized::ShareRules { service } => format!(
            "The key of service `{service}` is shared with this caller for other methods and paths. `sidekey explain METHOD URL` shows what for; the key's owner widens it with `sidekey key share`."
        ),
        Unauthorized::NoSuchNamed { service } => format!(
            "The credential named in Sidekey-Credential is not one that this caller may use on service `{service}`. Leave the header out, or name one that `sidekey explain` lists."
        ),
        Unauthorized::Missing { service } => format!(
            "Service `{service}` is known, but this caller has no key for it. Add one with `sidekey key add {service}`, or declare one under [credential.*] in proxy.toml."
        ),
        Unauthorized::NoValue { service, credential, kind } => format!(
            "The key `{credential}` of service `{service}` is declared in proxy.toml, but its {} yields no value. {} The log says why, and so does `sidekey explain METHOD URL`.",
            kind.describe(),
            mending(*kind),
        ),
        Unauthorized::Ambiguous { service, step, names } => format!(
            "Several keys of service `{service}` fit equally ({}): {}. Choose one with the header `Sidekey-Credential: NAME`, or give them environments.",
            step.describe(),
            names.join(", ")
        ),
    }
}

/// What takes up a declared value that was mended.
fn mending(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Env => "Once it is set, sidekey must be started anew.",
        SourceKind::File => "Once the file is right, it is taken up by itself.",
        SourceKind::Command => "Once the command works, SIGHUP has sidekey run it again.",
    }
}

fn upstream_detail(fault: &ExchangeError) -> String {
    match fault {
        ExchangeError::Dial(error) => format!("{}.", error.to_callers()),
        ExchangeError::Closed => {
            "The upstream closed the connection as soon as it was opened; nothing was sent. Check that it is up and that the port is the right one.".into()
        }
        ExchangeError::Full => {
            "Every connection that sidekey may open to this upstream is in use. Try again in a moment, or send fewer at once.".into()
        }
        ExchangeError::Broken(_) => {
            "The upstream closed the connection before it answered, or what it sent was no HTTP. The request may have been carried out: check before sending it again.".into()
        }
        ExchangeError::Unasked => {
            "The upstream answered 101 and switched to another protocol, which this request did not ask for. Send `Upgrade` with it, or have the service's operator look at it.".into()
        }
        ExchangeError::Silent(limit) => format!(
            "The upstream sent no answer within {} s. The request may have been carried out. A slower service needs a longer `timeouts.first_byte` (`sidekey service edit`, or proxy.toml).",
            limit.as_secs()
        ),
    }
}

/// The answer for `problem`.
pub fn answer(problem: &Problem, id: RequestId) -> Response<Bytes> {
    let mut body = serde_json::json!({
        "type": problem_type(problem.code),
        "title": problem.title,
        "status": problem.status.as_u16(),
        "detail": problem.detail,
        "code": problem.code.as_str(),
        "request_id": id.to_string(),
    });
    if let (Some(policy), Some(members)) = (&problem.policy, body.as_object_mut()) {
        members.insert("violated-policies".into(), serde_json::json!([policy]));
    }
    let bytes = Bytes::from(body.to_string());
    let mut response = Response::new(bytes.clone());
    *response.status_mut() = problem.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(value) = proxy_status(problem) {
        headers.insert(PROXY_STATUS, value);
    }
    if problem.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sidekey\", charset=\"UTF-8\""));
    } else if problem.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sidekey\""));
    }
    if let Some(wait) = problem.retry_after {
        let seconds = seconds(wait);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        if let Some(value) = problem.policy.as_deref().and_then(|policy| rate_limit(policy, problem.left, seconds)) {
            headers.insert(RATE_LIMIT, value);
        }
    }
    response
}

/// A URI that names the problem (RFC 9457 §3.1.1). The one for limits is registered with IANA.
fn problem_type(code: Code) -> String {
    match code {
        Code::RateLimited => "https://iana.org/assignments/http-problem-types#quota-exceeded".into(),
        other => format!("urn:sidekey:problem:{}", other.as_str()),
    }
}

/// What is to be said of an answer in `Proxy-Status`, kept with it until what the upstream says there was looked at.
#[derive(Debug, Clone)]
pub(super) struct Received(pub(super) HeaderValue);

/// `sidekey;received-status=429;details="3 attempts"`: the answer is the upstream's own, and the last of so many.
pub(super) fn received(status: StatusCode, attempts: u32) -> Option<Received> {
    let status = Integer::from(i16::try_from(status.as_u16()).ok()?);
    let item = ItemSerializer::new().bare_item(token_ref(OURSELVES)).parameter(key_ref("received-status"), status);
    let details = format!("{attempts} attempts");
    let item = match StringRef::from_str(&details) {
        Ok(details) if attempts > 1 => item.parameter(key_ref("details"), details),
        _ => item,
    };
    HeaderValue::try_from(item.finish()).ok().map(Received)
}

/// What proxies of other names say in a line of `Proxy-Status`: nobody but us speaks in our name, for whoever looks for `error=`
/// beside it looks for what happened here. None when nothing is left, or it is no list (RFC 9209 §2).
pub(super) fn of_others(line: &HeaderValue) -> Option<HeaderValue> {
    if memchr::memmem::find(line.as_bytes(), OURSELVES.as_bytes()).is_none() {
        return Some(line.clone());
    }
    let mut list = Parser::new(line.as_bytes()).parse::<List>().ok()?;
    list.retain(|member| match member {
        ListEntry::Item(Item { bare_item: BareItem::Token(name), .. }) => name.as_str() != OURSELVES,
        ListEntry::Item(Item { bare_item: BareItem::String(name), .. }) => name.as_str() != OURSELVES,
        _ => true,
    });
    HeaderValue::try_from(list.serialize()?).ok()
}

/// Whole seconds, rounded up, at least one.
pub(super) fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// `sidekey; error=…; details="code"` (RFC 9209).
fn proxy_status(problem: &Problem) -> Option<HeaderValue> {
    let error = TokenRef::from_str(problem.proxy_error).ok()?;
    let details = StringRef::from_str(problem.code.as_str()).ok()?;
    let item = ItemSerializer::new().bare_item(token_ref(OURSELVES)).parameter(key_ref("error"), error);
    HeaderValue::try_from(item.parameter(key_ref("details"), details).finish()).ok()
}

/// `"policy";r=LEFT;t=SECONDS`.
fn rate_limit(policy: &str, left: u32, seconds: u64) -> Option<HeaderValue> {
    let policy = StringRef::from_str(policy).ok()?;
    let item = ItemSerializer::new().bare_item(policy).parameter(key_ref("r"), Integer::from(left));
    HeaderValue::try_from(item.parameter(key_ref("t"), Integer::try_from(seconds).ok()?).finish()).ok()
}
