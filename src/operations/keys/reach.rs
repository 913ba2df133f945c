//! Asking without a key: whether a service can be reached on the very way that the proxy goes (address guard, parent proxy,
//! `connect_to`, trust), and what time it is there. Blocks as long as the calls take, on threads of their own.
//!
//! Invariant: no key and no caller's word is in what is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{ACCEPT, DATE, USER_AGENT};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};

use crate::domain::{Clock, Name, Service, Timeouts};
use crate::inject::{self, Plan};
use crate::operations::OperationError;
use crate::upstream::{Destination, Outgoing};

use super::verify::{PATIENCE, Probe, WHO, with_causes};

/// How many services are asked at the same time.
const AT_ONCE: usize = 8;
/// The most of an answer that is read.
const MOST: usize = 64 * 1024;

/// What was answered, whatever the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The status.
    pub status: StatusCode,
    /// The time there (its `Date`, RFC 9110 §6.6.1) less the time here, in seconds; exact to about one.
    pub ahead: Option<i64>,
    /// The text; empty for HEAD.
    pub text: String,
}

/// A service, and what it answered to a request without a key, or why it did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Where it was looked for: scheme, host and port; none when the record makes no address.
    pub origin: Option<String>,
    /// What came of it.
    pub answer: Result<Asked, String>,
}

impl Probe {
    /// Sends `HEAD /` without a key to each of these services, at the base URL's host for these variables.
    pub fn reach(&self, services: &[(Arc<Service>, BTreeMap<Name, String>)], clock: &dyn Clock) -> Vec<Reached> {
        let ask = |(service, variables): &(Arc<Service>, BTreeMap<Name, String>)| self.one(service, variables, clock);
        let groups = services.chunks(AT_ONCE).map(|group| {
            std::thread::scope(|scope| {
                let asking: Vec<_> = group.iter().map(|one| scope.spawn(move || ask(one))).collect();
                asking
                    .into_iter()
                    .map(|one| one.join().unwrap_or_else(|_| Reached::failed("the thread ended")))
                    .collect()
            })
        });
        groups.flat_map(|group: Vec<Reached>| group).collect()
    }

    fn one(&self, service: &Service, variables: &BTreeMap<Name, String>, clock: &dyn Clock) -> Reached {
        let destination = Plan::compile(service, variables)
            .map_err(|error| error.to_string())
            .and_then(|plan| self.destination(service, &plan).map_err(|error| error.to_string()));
        let destination = match destination {
            Ok(destination) => destination,
            Err(why) => return Reached::failed(&why),
        };
        let origin = destination.origin();
        let shown = format!("{}://{}", origin.scheme.as_str(), origin.authority());
        let answer = self.ask(&destination, service.timeouts.connect, &Method::HEAD, "/", clock);
        Reached { origin: Some(shown), answer: answer.unwrap_or_else(|error| Err(error.to_string())) }
    }

    /// Asks `destination` for `path` without a key. The inner error says why there was no answer.
    ///
    /// # Errors
    /// When the request cannot be made, or there is no thread for it.
    pub fn ask(
        &self,
        destination: &Arc<Destination>,
        connect: Duration,
        method: &Method,
        path: &str,
        clock: &dyn Clock,
    ) -> Result<Result<Asked, String>, OperationError> {
        let unfit = || OperationError::Invalid(format!("{path} makes no request"));
        let request = Request::builder().method(method.clone()).uri(path);
        let request = request.header(USER_AGENT, WHO).header(ACCEPT, "*/*").body(()).map_err(|_| unfit())?;
        let outbound = inject::unkeyed(request.into_parts().0, destination.origin()).map_err(|_| unfit())?;
        let parts: Parts = outbound.into_parts();
        let request = Box::new(Request::from_parts(parts, Outgoing::default()));
        let timeouts = Timeouts { connect, first_byte: PATIENCE, idle: PATIENCE };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(OperationError::NoThread).map(|runtime| {
            runtime.block_on(async {
                let began = clock.wall();
                let answer = self.upstream().exchange(destination, &timeouts, request).await;
                let (head, body) = answer.map_err(|failed| with_causes(&failed.error))?.into_parts();
                let now = began + (clock.wall().saturating_sub(began)) / 2;
                let there = head.headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
                let ahead = there.and_then(|there| there.duration_since(UNIX_EPOCH).ok()).map(|there| {
                    i64::try_from(there.as_secs()).unwrap_or(i64::MAX)
                        - i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
                });
                let body = tokio::time::timeout(PATIENCE, Limited::new(body, MOST).collect()).await;
                // Who has sent a head is there, whatever becomes of the rest.
                let text = body.ok().and_then(Result::ok).map(Collected::to_bytes).unwrap_or_default();
                Ok(Asked { status: head.status, ahead, text: String::from_utf8_lossy(&text).into_owned() })
            })
        })
    }
}

impl Reached {
    fn failed(why: &str) -> Self {
        Self { origin: None, answer: Err(why.to_owned()) }
    }
}
