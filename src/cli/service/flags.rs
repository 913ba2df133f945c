//! What a service is, as far as flags say it: the same keys as in proxy.toml, the frequent ones as flags and every other one
//! by `--set`. A record comes out that is laid over what is there; whether it holds together is the compiler's to say.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use crate::cli::failure::wrong_use;
use crate::domain::Template;
use crate::record::{self, Auth, AuthList, ServiceRecord, UpstreamRecord, VariableRecord, VerifyRecord};

const PLACE: &str = "Where the key goes (several flags place it several times)";

/// Flags that describe a service.
#[derive(Debug, Args)]
pub(super) struct Described {
    /// Where requests go: scheme, host, optional port and path; `{tenant}` stands for a part that each key pins
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// In this header; `{key}` is the key, other names in braces make a key of several values
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = PLACE)]
    header: Vec<String>,
    /// In this query parameter
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = PLACE)]
    query: Vec<String>,
    /// In `Authorization`, after `Bearer `
    #[arg(long, help_heading = PLACE)]
    bearer: bool,
    /// As Basic authentication, such as `{username}:{password}` or `{key}:`
    #[arg(long, value_name = "USER:PASSWORD", help_heading = PLACE)]
    basic: Option<String>,
    /// In this cookie
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = PLACE)]
    cookie: Vec<String>,
    /// In the path before the caller's, such as `/bot{key}`
    #[arg(long, value_name = "TEMPLATE", help_heading = PLACE)]
    path: Option<String>,
    /// What stands before the key in the one header, such as `Token `
    #[arg(long, value_name = "TEXT", help_heading = PLACE)]
    prefix: Option<String>,
    /// A host that belongs to it at the proxy door; repeatable [default: the base URL's]
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// What callers may do, such as `GET /v1/**`; repeatable [default: everything]
    #[arg(long, value_name = "RULE")]
    allow: Vec<String>,
    /// A harmless call that tells whether a key works, such as `GET /me`
    #[arg(long, value_name = "CALL")]
    verify: Option<String>,
    /// What people call it
    #[arg(long)]
    title: Option<String>,
    /// Where its documentation is
    #[arg(long, value_name = "URL")]
    docs: Option<String>,
    /// A variable of the base URL or a host, with what it is unless given; repeatable
    #[arg(long, value_name = "NAME[=DEFAULT]")]
    var: Vec<String>,
    /// Loopback and private addresses may be dialled for it
    #[arg(long)]
    allow_private: bool,
    /// Any other key as proxy.toml has it, such as `rate.limit = "100/s"`; repeatable
    #[arg(long, value_name = "KEY = VALUE")]
    set: Vec<String>,
}

impl Described {
    /// Whether they say where the key goes.
    fn has_place(&self) -> bool {
        let listed = !self.header.is_empty() || !self.query.is_empty() || !self.cookie.is_empty();
        listed || self.bearer || self.basic.is_some() || self.path.is_some()
    }

    /// Whether no flag was given at all.
    pub(super) fn is_empty(&self) -> bool {
        let lists = [&self.host, &self.allow, &self.var, &self.set];
        let texts = [&self.base_url, &self.verify, &self.title, &self.docs, &self.prefix];
        !self.has_place()
            && !self.allow_private
            && lists.iter().all(|list| list.is_empty())
            && texts.iter().all(|text| text.is_none())
    }

    /// The record that the flags make. Relative file names start at `folder`.
    ///
    /// # Errors
    /// When a flag has not the form that its help shows.
    pub(super) fn record(&self, folder: &Path) -> anyhow::Result<ServiceRecord> {
        let list = |texts: &[String]| (!texts.is_empty()).then(|| texts.to_vec());
        let allow_private =
            self.allow_private.then(|| UpstreamRecord { allow_private: Some(true), ..UpstreamRecord::default() });
        let mut record = ServiceRecord {
            title: self.title.clone(),
            docs: self.docs.clone(),
            base_url: self.base_url.clone(),
            hosts: list(&self.host),
            auth: self.auth()?,
            allow: list(&self.allow),
            upstream: allow_private,
            vars: self.vars()?,
            verify: self.verify.as_deref().map(call),
            ..ServiceRecord::default()
        };
        for text in &self.set {
            let more = record::from_toml(text)
                .map_err(|error| wrong_use(format!("--set takes a key and a value as in proxy.toml: {error}")))?;
            record = record.overlaid(more);
        }
        if let Some(ca) = record.upstream.as_mut().and_then(|upstream| upstream.ca.as_mut()) {
            *ca = folder.join(&*ca).to_string_lossy().into_owned();
        }
        Ok(record)
    }

    /// The places, in the order header, query, bearer, basic, cookie, path.
    fn auth(&self) -> anyhow::Result<Option<AuthList>> {
        let place = |location: &str| Auth { location: Some(location.to_owned()), ..Auth::default() };
        let named = |location: &str, text: &String| {
            let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
            Auth { name: Some(name.to_owned()), value: value.map(str::to_owned), ..place(location) }
        };
        let mut places: Vec<Auth> = self.header.iter().map(|text| named("header", text)).collect();
        places.extend(self.query.iter().map(|text| named("query", text)));
        places.extend(self.bearer.then(|| place("bearer")));
        places.extend(self.basic.as_deref().map(|text| {
            let (username, password) = text.split_once(':').unwrap_or((text, ""));
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Auth { username: given(username), password: given(password), ..place("basic") }
        }));
        places.extend(self.cookie.iter().map(|text| named("cookie", text)));
        places.extend(self.path.iter().map(|text| Auth { template: Some(text.clone()), ..place("path") }));
        if let Some(prefix) = &self.prefix {
            match places.as_mut_slice() {
                [one] if one.location.as_deref() == Some("header") => one.prefix = Some(prefix.clone()),
                _ => return Err(wrong_use("--prefix goes with one --header and no other place")),
            }
        }
        Ok(match places.len() {
            0 => None,
            1 => places.pop().map(AuthList::One),
            _ => Some(AuthList::Several(places)),
        })
    }

    /// The variables: those that `--var` names, and every hole of the address and the hosts.
    fn vars(&self) -> anyhow::Result<Option<BTreeMap<String, VariableRecord>>> {
        let mut vars = holes(self.base_url.iter().chain(&self.host));
        for text in &self.var {
            let (name, default) = text.split_once('=').map_or((text.as_str(), None), |(name, v)| (name, Some(v)));
            if name.is_empty() {
                return Err(wrong_use("--var takes NAME or NAME=DEFAULT"));
            }
            let variable = VariableRecord { default: default.map(str::to_owned), ..VariableRecord::default() };
            vars.insert(name.to_owned(), variable);
        }
        Ok(Some(vars).filter(|vars| !vars.is_empty()))
    }
}

/// A variable for each hole of addresses and hosts. What is no template is the compiler's to refuse, with its place.
pub(super) fn holes<'a>(texts: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, VariableRecord> {
    let templates = texts.into_iter().filter_map(|text| Template::parse(text).ok());
    let names = templates.flat_map(|template| template.holes().map(ToString::to_string).collect::<Vec<_>>());
    names.map(|name| (name, VariableRecord::default())).collect()
}

/// `GET /me`, or the path alone.
fn call(text: &str) -> VerifyRecord {
    let (method, path) = match text.trim().split_once(char::is_whitespace) {
        Some((method, path)) => (Some(method.to_owned()), path.trim()),
        None => (None, text.trim()),
    };
    VerifyRecord { method, path: Some(path.to_owned()), ..VerifyRecord::default() }
}
