//! Posting events to the operator's webhook, one after the other, from the control thread. What waits is bounded, each event
//! is tried three times, and a webhook that is slow, dead or refused costs nobody anything but its own events. The address
//! guard judges it as it judges every upstream.
//!
//! Invariant: neither the URL's path nor the secret is in a log or an error.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Notify;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::config::{self, Config, Environment, ValueSource};
use crate::crypto::digest::hex;
use crate::crypto::hmac;
use crate::domain::{Clock, EventKind, Http2, SystemClock, UpstreamOptions};
use crate::metrics::{Delivery, Metrics};
use crate::pipeline::Line;
use crate::upstream::{Reach, TlsConfigs};
use crate::usage::ledger::Told;

use super::parts::Parts;

/// How many events may wait.
const MOST_WAITING: usize = 256;
/// How long one try may take, dialling included.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pauses between the tries; there is one try more.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The way to the webhook, if there is one.
#[derive(Default)]
pub(super) struct Webhook {
    hook: Mutex<Option<Arc<Hook>>>,
    waiting: Mutex<VecDeque<Post>>,
    more: Notify,
}

/// Where events go, as the configuration of the moment has it.
struct Hook {
    reach: Reach,
    target: String,
    kinds: Vec<EventKind>,
    secret: Option<Zeroizing<Vec<u8>>>,
}

/// An event on its way.
struct Post {
    kind: EventKind,
    body: Bytes,
}

/// An event as the webhook gets it.
#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    id: String,
    kind: &'static str,
    at: Timestamp,
    count: u64,
    key: Option<&'a str>,
    caller: Option<&'a str>,
    service: Option<&'a str>,
    text: &'a str,
}

impl Webhook {
    /// Goes on with another configuration. One that cannot be used is said, and events are not posted until it is mended.
    pub(super) fn follow(&self, config: &Config, environment: &Environment, tls: &TlsConfigs) {
        let hook = config.webhook.as_ref().and_then(|webhook| match Hook::new(webhook, environment, tls) {
            Ok(hook) => Some(Arc::new(hook)),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "events are not posted to the webhook");
                None
            }
        });
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    /// Puts an event in the queue when the webhook is to have its kind.
    pub(super) fn post(&self, told: &Told, metrics: &Metrics) {
        let event = &told.event;
        if !self.hook().is_some_and(|hook| hook.kinds.contains(&event.kind)) {
            return;
        }
        let Some(post) = Post::new(told) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST_WAITING {
            metrics.delivery(Delivery::Dropped);
            tracing::warn!(kind = event.kind.as_str(), "an event is not posted: too many wait for the webhook already");
            return;
        }
        waiting.push_back(post);
        self.more.notify_one();
    }

    fn hook(&self) -> Option<Arc<Hook>> {
        self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next(&self) -> Option<Post> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Posts what is put in the queue, until the control thread ends.
pub(super) async fn deliver(parts: Arc<Parts>) {
    let webhook = &parts.observer.webhook;
    loop {
        let Some(post) = webhook.next() else {
            webhook.more.notified().await;
            continue;
        };
        let delivery = try_thrice(webhook, &parts.line, &post).await;
        parts.metrics.delivery(delivery);
    }
}

async fn try_thrice(webhook: &Webhook, line: &Line, post: &Post) -> Delivery {
    let mut pauses = PAUSES.into_iter();
    loop {
        // Asked anew each time: it may have been mended, moved or taken away meanwhile.
        let Some(hook) = webhook.hook() else { return Delivery::Failed };
        let tried = tokio::time::timeout(PATIENCE, hook.send(line, post)).await;
        let error = match tried.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs()))) {
            Ok(()) => return Delivery::Ok,
            Err(error) => format!("{error:#}"),
        };
        let kind = post.kind.as_str();
        let Some(pause) = pauses.next() else {
            tracing::warn!(kind, error, "an event could not be posted to the webhook");
            return Delivery::Failed;
        };
        tracing::debug!(kind, error, "an event could not be posted to the webhook yet");
        tokio::time::sleep(pause).await;
    }
}

impl Post {
    fn new(told: &Told) -> Option<Self> {
        let event = &told.event;
        let body = Body {
            version: 1,
            id: Uuid::now_v7().to_string(),
            kind: event.kind.as_str(),
            at: Timestamp::from_second(event.last_at).ok()?,
            count: told.count,
            key: filled(&event.credential_name),
            caller: filled(&event.caller_name),
            service: filled(&event.service),
            text: &event.message,
        };
        Some(Self { kind: event.kind, body: serde_json::to_vec(&body).ok()?.into() })
    }
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl Hook {
    fn new(webhook: &config::Webhook, environment: &Environment, tls: &TlsConfigs) -> anyhow::Result<Self> {
        let options =
            UpstreamOptions { allow_private: webhook.allow_private, http2: Http2::Never, ..UpstreamOptions::default() };
        let reach = Reach::new(webhook.origin.clone(), &options, PATIENCE, tls)?;
        let secret = webhook.secret.as_ref().map(|source| secret(source, environment)).transpose()?;
        Ok(Self { reach, target: webhook.target.clone(), kinds: webhook.kinds.clone(), secret })
    }

    /// Posts once. Any answer of the class 2xx will do; its body is not read.
    async fn send(&self, line: &Line, post: &Post) -> anyhow::Result<()> {
        let stream = line.dial_tunnel(&self.reach).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut answer = std::pin::pin!(sender.send_request(self.request(post)?));
        // The connection is driven until the answer is there. It may end with the answer, or before it, which the answer says.
        let answer = tokio::select! {
            answer = &mut answer => answer?,
            _ended = connection => answer.await?,
        };
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "it answered {}", status.as_u16());
        Ok(())
    }

    fn request(&self, post: &Post) -> anyhow::Result<Request<Full<Bytes>>> {
        let builder = Request::post(self.target.as_str())
            .header(HOST, self.reach.origin.authority())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, concat!("sidekey/", env!("CARGO_PKG_VERSION")))
            .header("Sidekey-Event", post.kind.as_str());
        let builder = match &self.secret {
            None => builder,
            Some(secret) => {
                let time = SystemClock.wall().as_secs().to_string();
                let signature = hmac::sha256(secret, &[time.as_bytes(), b".", &post.body]);
                builder
                    .header("Sidekey-Timestamp", time)
                    .header("Sidekey-Signature", format!("sha256={}", hex(&signature)))
            }
        };
        builder.body(Full::new(post.body.clone())).map_err(|_| anyhow::anyhow!("the URL cannot be requested"))
    }
}

/// What posts are signed with.
fn secret(source: &ValueSource, environment: &Environment) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let bytes = match source {
        ValueSource::Env(name) => {
            let value = environment.filled(name).map(|value| Zeroizing::new(value.as_bytes().to_vec()));
            value.with_context(|| format!("the environment variable `{name}` of its secret is not set"))?
        }
        ValueSource::File(path) => {
            let read = std::fs::read(path).map(Zeroizing::new);
            let mut bytes =
                read.with_context(|| format!("the file of its secret, {}, cannot be read", path.display()))?;
            let line_end =
                [b"\r\n".as_slice(), b"\n"].into_iter().find(|end| bytes.ends_with(end)).map_or(0, <[u8]>::len);
            let length = bytes.len() - line_end;
            bytes.truncate(length);
            bytes
        }
        ValueSource::Command(_) => anyhow::bail!("its secret comes from a variable or a file"),
    };
    anyhow::ensure!(!bytes.is_empty(), "its secret is empty");
    Ok(bytes)
}
