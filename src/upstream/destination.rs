//! Where connections go and how: the pool's key. Built with the snapshot, with its hash and its TLS configuration, so that
//! a request computes neither.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::uri::{Authority, InvalidUri};
use rustls::ClientConfig;

use super::dial::{Layer, Reach};
use super::tls::{TlsConfigs, TlsSetupError};
use crate::domain::{ConnectTo, Http2, Origin, Scheme, UpstreamOptions};

/// One destination. Two are the same when a connection of one may serve the other.
#[derive(Debug)]
pub struct Destination {
    reach: Reach,
    authority: Authority,
    tls_http1: Option<Arc<ClientConfig>>,
    hash: u64,
    http1_only: OnceLock<Arc<Self>>,
}

/// How the hosts of one service are approached, whichever of them it is.
#[derive(Debug, Clone)]
pub struct Approach {
    tls: Arc<ClientConfig>,
    tls_http1: Arc<ClientConfig>,
    connect_to: Option<ConnectTo>,
    http2: Http2,
    allow_private: bool,
    timeout: Duration,
}

impl Approach {
    /// From a service's options. Reads its `ca` file. `timeout` is for resolving, connecting and shaking hands together.
    ///
    /// # Errors
    /// [`TlsSetupError`] when the `ca` file cannot be used.
    pub fn new(options: &UpstreamOptions, timeout: Duration, configs: &TlsConfigs) -> Result<Self, TlsSetupError> {
        let ca = options.ca.as_deref();
        Ok(Self {
            tls: configs.config(ca, options.http2)?,
            tls_http1: configs.config(ca, Http2::Never)?,
            connect_to: options.connect_to.clone(),
            http2: options.http2,
            allow_private: options.allow_private,
            timeout,
        })
    }
}

impl Destination {
    /// The destination `origin`.
    ///
    /// # Errors
    /// When the origin's host and port make no authority.
    pub fn new(origin: Origin, approach: &Approach) -> Result<Self, InvalidUri> {
        let authority = Authority::try_from(origin.authority())?;
        let Approach { connect_to, http2, allow_private, timeout, .. } = approach.clone();
        let mut hasher = DefaultHasher::new();
        (&origin, &connect_to, http2, allow_private).hash(&mut hasher);
        let secure = origin.scheme == Scheme::Https;
        let layer = if secure { Layer::Tls(Arc::clone(&approach.tls)) } else { Layer::Plain };
        let tls_http1 = secure.then(|| Arc::clone(&approach.tls_http1));
        let reach = Reach { origin, connect_to, layer, http2, allow_private, timeout };
        Ok(Self { reach, authority, tls_http1, hash: hasher.finish(), http1_only: OnceLock::new() })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &Origin {
        &self.reach.origin
    }

    /// What the dialer needs.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Host and port as they stand in a request.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The same destination for upgrades, which need HTTP/1.1.
    pub fn http1_only(self: &Arc<Self>) -> Arc<Self> {
        let http2 = self.reach.http2;
        if http2 == Http2::Never || (http2 == Http2::Auto && self.tls_http1.is_none()) {
            return Arc::clone(self);
        }
        let make = || {
            let layer = self.tls_http1.clone().map_or(Layer::Plain, Layer::Tls);
            Arc::new(Self {
                reach: Reach { layer, http2: Http2::Never, ..self.reach.clone() },
                authority: self.authority.clone(),
                tls_http1: self.tls_http1.clone(),
                hash: self.hash.wrapping_add(1),
                http1_only: OnceLock::new(),
            })
        };
        Arc::clone(self.http1_only.get_or_init(make))
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        if std::ptr::eq(self, other) {
            return true;
        }
        let (own, their) = (&self.reach, &other.reach);
        let same_layer = match (&own.layer, &their.layer) {
            (Layer::Tls(a), Layer::Tls(b)) => Arc::ptr_eq(a, b),
            (Layer::Plain, Layer::Plain) => true,
            _ => false,
        };
        same_layer
            && self.hash == other.hash
            && own.http2 == their.http2
            && own.allow_private == their.allow_private
            && own.origin == their.origin
            && own.connect_to == their.connect_to
    }
}

impl Eq for Destination {}

impl Hash for Destination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}
