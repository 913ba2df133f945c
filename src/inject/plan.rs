//! What has to be done to a request of one credential, worked out once when the snapshot is built: templates without
//! variables, header names and values ready, the upstream's forms. It holds no secret.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};

use super::basic::Basic;
use super::cookie::CookieSlot;
use super::header::{Filling, HeaderSlot};
use super::outbound::Upstream;
use super::path::PathSlot;
use super::pattern::{Encoding, Pattern};
use super::query::QuerySlot;
use super::strip::is_reserved;
use super::{InjectError, Mount, PlanError, has_dot_segments, path};
use crate::domain::{Host, HostPattern, Name, Origin, Placement, Service, Template};

/// How requests of one credential are made. Built by [`Plan::compile`], used by [`place`](super::place).
#[derive(Debug)]
pub struct Plan {
    pub(super) upstream: Upstream,
    pub(super) base_path: Box<str>,
    pub(super) headers: Vec<HeaderSlot>,
    pub(super) cookies: Vec<CookieSlot>,
    pub(super) queries: Vec<QuerySlot>,
    pub(super) path: Option<PathSlot>,
    pub(super) fixed: Vec<(HeaderName, HeaderValue)>,
    /// The names of all headers that the credential goes into.
    pub(super) shadowed: Vec<HeaderName>,
    belongs: Vec<(Belongs, Option<u16>)>,
}

/// A host pattern with the credential's variables filled in.
#[derive(Debug)]
enum Belongs {
    Exact(Host),
    AnyLabel(Host),
}

impl Plan {
    /// Works out how `service`'s placements are filled, with the credential's pinned `variables` (the service's defaults
    /// where it pins none).
    ///
    /// # Errors
    /// See [`PlanError`]: a variable that is missing or does not fit, a header that HTTP itself sets, a place filled twice.
    pub fn compile(service: &Service, variables: &BTreeMap<Name, String>) -> Result<Self, PlanError> {
        let known: BTreeMap<&str, Option<&str>> = service
            .variables
            .iter()
            .map(|v| (v.name.as_str(), variables.get(v.name.as_str()).or(v.default.as_ref()).map(String::as_str)))
            .collect();
        let host = Host::new(&text(&service.base.host, &known, "the base URL's host")?)?;
        let upstream = Upstream::new(Origin { scheme: service.base.scheme, host, port: service.base.port })?;
        let mut plan = Self {
            upstream,
            base_path: base_path(&service.base.path, &known)?,
            headers: Vec::new(),
            cookies: Vec::new(),
            queries: Vec::new(),
            path: None,
            fixed: Vec::new(),
            shadowed: Vec::new(),
            belongs: belongs(&service.hosts, &known)?,
        };
        for placement in &service.auth {
            plan.add(placement, &known)?;
        }
        plan.shadowed = plan.headers.iter().map(|slot| slot.name.clone()).collect();
        if !plan.cookies.is_empty() {
            plan.shadowed.push(COOKIE);
        }
        for (name, value) in &service.headers {
            plan.add_fixed(name, value, &known)?;
        }
        Ok(plan)
    }

    /// The base URL's upstream: where path- and host-door requests go, and most of the others.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The upstream at `origin`, when it belongs to this service with this credential's variables; `None` otherwise, since
    /// the key must not go there.
    pub fn upstream_at(&self, origin: &Origin) -> Option<Upstream> {
        let base = self.upstream.origin();
        if origin == base {
            return Some(self.upstream.clone());
        }
        let listed = self.belongs.iter().any(|(pattern, port)| {
            (origin.port == base.port || Some(origin.port) == *port) && pattern.admits(&origin.host)
        });
        let same_host = origin.host == base.host && origin.port == base.port;
        if origin.scheme == base.scheme && (listed || same_host) { Upstream::new(origin.clone()).ok() } else { None }
    }

    /// Whether `host` is one of the service's hosts, with this credential's variables filled in.
    pub fn admits(&self, host: &Host) -> bool {
        self.belongs.iter().any(|(pattern, _)| pattern.admits(host))
    }

    /// The path as it goes upstream but without the credential's own segments: what `allow` rules are matched against.
    ///
    /// # Errors
    /// [`InjectError::Target`] when `mount` skips past the path or into a segment.
    pub fn ruled_path<'a>(&'a self, path: &'a str, mount: &Mount<'_>) -> Result<Cow<'a, str>, InjectError> {
        path::ruled(path, mount, self)
    }

    /// Whether a dot segment in the caller's path could leave the place that the service or its key's segments fix. Then
    /// such a path is to be refused, as it is where `allow` rules apply.
    pub fn fixes_path(&self) -> bool {
        !self.base_path.is_empty() || self.path.is_some()
    }

    fn add(&mut self, placement: &Placement, known: &BTreeMap<&str, Option<&str>>) -> Result<(), PlanError> {
        let place = placement.describe();
        let compile = |template, encoding| Pattern::compile(template, known, encoding, &place);
        match placement {
            Placement::Header { name, value, .. } => {
                self.add_header(name, Filling::Text(header_text(compile(value, Encoding::Raw)?, &place)?))?;
            }
            Placement::Basic { username, password } => {
                let basic =
                    Basic { username: compile(username, Encoding::Raw)?, password: compile(password, Encoding::Raw)? };
                self.add_header(&AUTHORIZATION, Filling::Basic(basic))?;
            }
            Placement::Cookie { name, value } => {
                let pattern = header_text(compile(value, Encoding::Raw)?, &place)?;
                let unfit = |b: u8| b.is_ascii_control() || matches!(b, b';' | b'=' | b',' | b' ');
                if name.is_empty() || name.bytes().any(unfit) {
                    return Err(PlanError::Text { place, why: "a cookie's name has no `;`, `=`, `,` or white space" });
                }
                if self.cookies.iter().any(|slot| slot.name == *name) {
                    return Err(PlanError::Twice(place));
                }
                self.cookies.push(CookieSlot { name: name.clone(), value: pattern });
            }
            Placement::Query { name, value } => {
                if self.queries.iter().any(|slot| slot.name == *name) {
                    return Err(PlanError::Twice(place));
                }
                let mut encoded = Vec::new();
                Encoding::Query.write(name.as_bytes(), &mut encoded);
                let value = compile(value, Encoding::Query)?;
                self.queries.push(QuerySlot { name: name.clone(), encoded: encoded.into(), value });
            }
            Placement::Path { template } => {
                if self.path.is_some() {
                    return Err(PlanError::Twice(place));
                }
                self.path = Some(PathSlot::new(segments(compile(template, Encoding::Segment)?, &place)?));
            }
        }
        Ok(())
    }

    fn add_header(&mut self, name: &HeaderName, value: Filling) -> Result<(), PlanError> {
        if is_reserved(name) || *name == COOKIE {
            return Err(PlanError::Reserved(name.clone()));
        }
        if self.headers.iter().any(|slot| slot.name == *name) {
            return Err(PlanError::Twice(format!("header {name}")));
        }
        self.headers.push(HeaderSlot { name: name.clone(), value });
        Ok(())
    }

    fn add_fixed(
        &mut self,
        name: &HeaderName,
        value: &Template,
        known: &BTreeMap<&str, Option<&str>>,
    ) -> Result<(), PlanError> {
        let place = format!("the fixed header `{name}`");
        if is_reserved(name) {
            return Err(PlanError::Reserved(name.clone()));
        }
        if self.shadowed.contains(name) {
            return Err(PlanError::Twice(format!("header {name}")));
        }
        let filled = text(value, known, &place)?;
        let value = HeaderValue::try_from(filled)
            .map_err(|_| PlanError::Text { place, why: "a header has no control characters" })?;
        self.fixed.push((name.clone(), value));
        Ok(())
    }
}

impl Belongs {
    fn admits(&self, host: &Host) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::AnyLabel(suffix) => host
                .as_str()
                .strip_suffix(suffix.as_str())
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        }
    }
}

/// A template of variables alone, filled. A hole that is no variable of the service is missing as well.
fn text(template: &Template, known: &BTreeMap<&str, Option<&str>>, place: &str) -> Result<String, PlanError> {
    let value = |name: &Name| known.get(name.as_str()).copied().flatten();
    template.fill(value).ok_or_else(|| {
        let missing = template.holes().find(|name| value(name).is_none());
        match missing {
            Some(name) => PlanError::MissingVariable { place: place.to_owned(), name: name.clone() },
            None => PlanError::Text { place: place.to_owned(), why: "a variable has no value" },
        }
    })
}

/// The host patterns with their variables filled in.
fn belongs(
    hosts: &[(HostPattern, Option<u16>)],
    known: &BTreeMap<&str, Option<&str>>,
) -> Result<Vec<(Belongs, Option<u16>)>, PlanError> {
    let mut out = Vec::with_capacity(hosts.len());
    for (pattern, port) in hosts {
        let belongs = match pattern {
            HostPattern::Exact(host) => Belongs::Exact(host.clone()),
            HostPattern::AnyLabel(suffix) => Belongs::AnyLabel(suffix.clone()),
            HostPattern::Tenant(template) => {
                Belongs::Exact(Host::new(&text(template, known, "a host of the service")?)?)
            }
        };
        out.push((belongs, *port));
    }
    Ok(out)
}

/// The base URL's path with its variables encoded into it.
fn base_path(template: &Template, known: &BTreeMap<&str, Option<&str>>) -> Result<Box<str>, PlanError> {
    let place = "the base URL's path";
    if let Some(name) = template.holes().find(|name| !known.contains_key(name.as_str())) {
        return Err(PlanError::MissingVariable { place: place.to_owned(), name: name.clone() });
    }
    let pattern = Pattern::compile(template, known, Encoding::Segment, place)?;
    let bytes: Vec<u8> = pattern.literals().flatten().copied().collect();
    let unfit = |why| PlanError::Text { place: place.to_owned(), why };
    let path = String::from_utf8(bytes).map_err(|_| unfit("it must be ASCII; percent-encode the rest"))?;
    if path.is_empty() {
        return Ok(path.into());
    }
    check_path(&path).map_err(unfit)?;
    Ok(path.into())
}

/// A path placement's template, checked.
fn segments(pattern: Pattern, place: &str) -> Result<Pattern, PlanError> {
    let unfit = |why| PlanError::Text { place: place.to_owned(), why };
    // Holes stand for a letter here: only the literal text can be judged now, values are when they are filled in.
    let mut sample = Vec::new();
    for piece in pattern.pieces() {
        match piece {
            super::pattern::Piece::Literal(bytes) => sample.extend_from_slice(bytes),
            super::pattern::Piece::Field(_) => sample.push(b'x'),
        }
    }
    let sample = String::from_utf8(sample).map_err(|_| unfit("it must be ASCII; percent-encode the rest"))?;
    check_path(&sample).map_err(unfit)?;
    Ok(pattern)
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') || path.ends_with('/') {
        return Err("it must start with `/` and not end with one");
    }
    if path.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'?' | b'#' | b'<' | b'>' | b'"' | b'`' | b'\\')) {
        return Err("it has a character that a path cannot have; percent-encode it");
    }
    if has_dot_segments(path) { Err("it has a dot segment") } else { Ok(()) }
}

/// A header's template, checked: its literal text must be able to stand in a header.
fn header_text(pattern: Pattern, place: &str) -> Result<Pattern, PlanError> {
    for literal in pattern.literals() {
        if HeaderValue::from_bytes(literal).is_err() {
            return Err(PlanError::Text { place: place.to_owned(), why: "a header has no control characters" });
        }
    }
    Ok(pattern)
}
