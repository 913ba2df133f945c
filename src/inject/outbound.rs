//! A request that may go upstream, and the upstream it may go to. Only `inject` makes one.

use std::fmt;
use std::sync::Arc;

use http::header::{CONNECTION, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::PlanError;
use crate::domain::{Origin, Scheme};

/// Where a request goes, in the forms that the request and the dialer need. A clone costs one reference count.
#[derive(Clone)]
pub struct Upstream(Arc<Forms>);

struct Forms {
    origin: Origin,
    authority: Authority,
    host: HeaderValue,
}

impl Upstream {
    /// Makes the forms once.
    pub(super) fn new(origin: Origin) -> Result<Self, PlanError> {
        let text = origin.authority();
        let unfit = |why| PlanError::Text { place: format!("the upstream `{text}`"), why };
        let authority = Authority::try_from(text.as_str()).map_err(|_| unfit("it is no authority of a URL"))?;
        let host = HeaderValue::try_from(text.as_str()).map_err(|_| unfit("it cannot stand in a Host header"))?;
        Ok(Self(Arc::new(Forms { origin, authority, host })))
    }

    /// What is to be dialled: the same that stands in the request.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({}://{})", self.0.origin.scheme.as_str(), self.0.authority)
    }
}

/// A request as it goes upstream. It may hold a secret in headers, path or query, so it prints only where it goes.
pub struct Outbound {
    parts: Parts,
    upstream: Upstream,
    upgrade: bool,
}

impl Outbound {
    /// Puts the pieces together. `parts.uri` is replaced by `target`; a `Host` that is there is replaced in its place.
    pub(super) fn new(mut parts: Parts, target: PathAndQuery, upstream: Upstream, upgrade: bool) -> Self {
        parts.uri = Uri::from(target);
        if parts.headers.contains_key(HOST) {
            parts.headers.insert(HOST, upstream.0.host.clone());
        }
        Self { parts, upstream, upgrade }
    }

    /// What is to be dialled.
    pub fn origin(&self) -> &Origin {
        self.upstream.origin()
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Whether it asks to change the protocol (WebSocket): it needs an HTTP/1.1 connection of its own.
    pub fn wants_upgrade(&self) -> bool {
        self.upgrade
    }

    /// Says that the body has no declared length. Needed for a caller's HTTP/2 body on GET and HEAD, which hyper would
    /// otherwise drop on an HTTP/1.1 connection; harmless elsewhere.
    pub fn declare_chunked(&mut self) {
        self.parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }

    /// For an HTTP/1.1 connection to the upstream: target in origin-form, `Host` present (RFC 9112 §3.2.1).
    pub fn into_parts(mut self) -> Parts {
        self.parts.version = Version::HTTP_11;
        self.host_first();
        self.parts
    }

    /// For an HTTP/2 connection: target with scheme and authority, no `Host` and no connection fields (RFC 9113 §8.2.2, §8.3.1).
    pub fn into_h2_parts(mut self) -> Parts {
        self.parts.version = Version::HTTP_2;
        self.absolute_target();
        let fields = &mut self.parts.headers;
        if [HOST, CONNECTION, UPGRADE, TRANSFER_ENCODING].iter().any(|name| fields.contains_key(name)) {
            retain(fields, |name| !matches!(*name, HOST | CONNECTION | UPGRADE | TRANSFER_ENCODING));
        }
        self.parts
    }

    /// For an HTTP/1.1 connection to a parent proxy that forwards plain HTTP: target in absolute-form (RFC 9112 §3.2.2).
    pub fn into_forward_parts(mut self, authorization: Option<HeaderValue>) -> Parts {
        self.parts.version = Version::HTTP_11;
        self.absolute_target();
        self.host_first();
        if let Some(value) = authorization {
            self.parts.headers.insert(PROXY_AUTHORIZATION, value);
        }
        self.parts
    }

    /// A caller's HTTP/2 request has no `Host`; HTTP/1.1 wants it, and wants it first (RFC 9110 §7.2).
    fn host_first(&mut self) {
        if self.parts.headers.contains_key(HOST) {
            return;
        }
        let rest = std::mem::take(&mut self.parts.headers);
        let headers = &mut self.parts.headers;
        headers.reserve(rest.keys_len() + 1);
        headers.insert(HOST, self.upstream.0.host.clone());
        refill(headers, rest, |_| true);
    }

    fn absolute_target(&mut self) {
        let mut forms = std::mem::take(&mut self.parts.uri).into_parts();
        let target = forms.path_and_query.clone();
        forms.scheme = Some(match self.upstream.origin().scheme {
            Scheme::Http => UriScheme::HTTP,
            Scheme::Https => UriScheme::HTTPS,
        });
        forms.authority = Some(self.upstream.0.authority.clone());
        // With all three there it is a URI. Should that ever fail, hyper refuses the origin-form on HTTP/2.
        self.parts.uri = Uri::from_parts(forms).unwrap_or_else(|_| target.map(Uri::from).unwrap_or_default());
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbound({} to {:?})", self.parts.method, self.upstream)
    }
}

/// Removes what `keep` refuses and leaves the order of the rest. `HeaderMap::remove` would move the last field into the gap.
pub(super) fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool) {
    let old = std::mem::take(headers);
    headers.reserve(old.keys_len());
    refill(headers, old, keep);
}

/// Appends the fields of `old` in order.
fn refill(headers: &mut HeaderMap, old: HeaderMap, keep: impl Fn(&HeaderName) -> bool) {
    if old.len() == old.keys_len() {
        // No field has two lines, the usual case: names are moved. Cloning one allocates.
        for (name, value) in old {
            if let Some(name) = name.filter(&keep) {
                headers.insert(name, value);
            }
        }
        return;
    }
    let mut current: Option<HeaderName> = None;
    for (name, value) in old {
        // A further line of the same field comes without its name.
        if let Some(name) = name {
            current = keep(&name).then_some(name);
        }
        if let Some(name) = &current {
            headers.append(name, value);
        }
    }
}
