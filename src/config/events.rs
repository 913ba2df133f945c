//! `[events]`: where an operator is told of what happens. Every fault carries the path of its key; no message holds the URL,
//! whose path may be a secret.

use http::Uri;

use crate::domain::{EventKind, Host, Origin, Scheme};
use crate::record::{Faults, KeyPath, host_and_port};

use super::compile::{Context, exactly_one, file_path, variable};
use super::settings::{ValueSource, Webhook};
use super::wire::{EventsRecord, FileRecord, KindRecord, SigningRecord};

impl KindRecord {
    const fn kind(self) -> EventKind {
        match self {
            Self::NewEndpoint => EventKind::NewEndpoint,
            Self::AuthFailures => EventKind::AuthFailures,
            Self::UpstreamThrottled => EventKind::UpstreamThrottled,
            Self::UnusualVolume => EventKind::UnusualVolume,
            Self::KeyExpiring => EventKind::KeyExpiring,
            Self::KeyExpired => EventKind::KeyExpired,
            Self::RotationDue => EventKind::RotationDue,
            Self::UnknownCallers => EventKind::UnknownCallers,
        }
    }
}

/// The webhook, when there is one.
pub(super) fn webhook(file: &FileRecord, context: &Context<'_>, faults: &mut Faults) -> Option<Webhook> {
    let at = KeyPath::root().key("events");
    let EventsRecord { webhook, kinds, secret, allow_private } = &file.events;
    let Some(url) = webhook else {
        let given =
            [("kinds", kinds.is_some()), ("secret", secret.is_some()), ("allow_private", allow_private.is_some())];
        // A webhook that was cut out as no text is one fault already.
        let cut = context.cut.contains(&at.key("webhook"));
        for (key, _) in given.iter().filter(|(_, given)| *given && !cut) {
            let fix = "add `webhook = \"https://…\"`, or remove this";
            faults.add(at.key(key), "it says something of a webhook, and there is none", fix);
        }
        return None;
    };
    if kinds.as_ref().is_some_and(Vec::is_empty) {
        let fix = "name the kinds that you want, or remove the key for all of them";
        faults.add(at.key("kinds"), "an empty list: nothing would ever be posted", fix);
    }
    let kinds = kinds.as_ref().map_or(EventKind::ALL.to_vec(), |kinds| kinds.iter().map(|kind| kind.kind()).collect());
    let secret = secret.as_ref().and_then(|record| signing(record, &at.key("secret"), context, faults));
    match parsed(url) {
        Ok((origin, target)) => {
            Some(Webhook { origin, target, kinds, secret, allow_private: allow_private.unwrap_or(false) })
        }
        Err((problem, fix)) => {
            faults.add(at.key("webhook"), problem, fix);
            None
        }
    }
}

fn signing(record: &SigningRecord, at: &KeyPath, context: &Context<'_>, faults: &mut Faults) -> Option<ValueSource> {
    let SigningRecord { env, file } = record;
    if !exactly_one(&[("env", env.is_some()), ("file", file.is_some())], at, faults) {
        return None;
    }
    if let Some(path) = file_path(file.as_deref(), at, context, faults) {
        return Some(ValueSource::File(path));
    }
    variable(env.as_deref(), &at.key("env"), faults).map(ValueSource::Env)
}

/// Where a URL leads: its origin, and its path with the query. Else what is wrong with it and what to write.
fn parsed(url: &str) -> Result<(Origin, String), (&'static str, &'static str)> {
    const FIX: &str = "write the whole URL, such as `https://hooks.example.com/sidekey`";
    let none = ("not a URL that can be posted to", FIX);
    let uri: Uri = url.parse().map_err(|_| none)?;
    let scheme = match uri.scheme_str() {
        Some("https") => Scheme::Https,
        Some("http") => Scheme::Http,
        _ => return Err(none),
    };
    let authority = uri.authority().ok_or(none)?;
    if authority.as_str().contains('@') {
        return Err(("a user or password in the URL", "remove it; to prove where a post comes from, use `secret`"));
    }
    let (host, port) = host_and_port(authority.as_str()).map_err(|_| none)?;
    let host = Host::new(host).map_err(|_| none)?;
    let is_loopback = host.as_str() == "localhost" || host.ip().is_some_and(|ip| ip.is_loopback());
    if scheme == Scheme::Http && !is_loopback {
        let fix = "write `https://`; plain HTTP goes to this machine alone";
        return Err(("events name keys and workflows, and would go over the network in the clear", fix));
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    Ok((Origin { scheme, host, port: port.unwrap_or(scheme.default_port()) }, target.to_owned()))
}
