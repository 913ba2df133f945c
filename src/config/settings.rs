//! The configuration as everything above uses it: complete, checked, every path absolute. It holds no secret's value but
//! what `${VAR}` put into a text, and therefore prints nothing of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::{
    Credential, CredentialId, EventKind, GateNumbers, HostRange, KeyPlace, Name, Origin, Service, ServiceName, Share,
    Source, UserId,
};
use crate::record::RecordText;
use crate::store::LOCAL;

/// A whole configuration.
#[derive(Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// The SQLite file.
    pub store: PathBuf,
    /// The folder of the store, in which audit segments, the CA and the like are kept too; to be created with mode 0700.
    pub data: PathBuf,
    /// Where the key is kept that opens the master key.
    pub master_key: KeyPlace,
    /// Whether callers must prove who they are.
    pub callers: CallersMode,
    /// What happens to hosts that belong to no service.
    pub unmatched: Unmatched,
    /// The only hosts whose tunnels are opened; empty for every host of a service.
    pub intercept: Vec<HostRange>,
    /// Where events are posted; nowhere when there is none.
    pub webhook: Option<Webhook>,
    /// The numbers by which all gates work.
    pub gates: GateNumbers,
    /// Every service of the catalogue, with the file's tables laid over them, and the custom ones; by name. Shared by all
    /// configurations that were made of one another.
    pub services: Vec<Arc<ServiceEntry>>,
    /// The keys that the file declares; by name.
    pub credentials: Vec<DeclaredCredential>,
    /// The proxies that sidekey itself goes through.
    pub parents: ParentProxies,
}

impl Config {
    /// The service called `name`.
    pub fn service(&self, name: &str) -> Option<&ServiceEntry> {
        let at = self.services.binary_search_by(|entry| entry.service.name.as_str().cmp(name)).ok()?;
        self.services.get(at).map(|entry| &**entry)
    }

    /// The files besides proxy.toml whose content matters: those of declared credentials and more certificate authorities.
    pub fn watched_files(&self) -> Vec<PathBuf> {
        let values = self
            .credentials
            .iter()
            .flat_map(|credential| &credential.fields)
            .filter_map(|(_, source)| if let ValueSource::File(path) = source { Some(path.clone()) } else { None });
        let signing = self.webhook.as_ref().and_then(|webhook| webhook.secret.clone());
        let signing = signing.and_then(|source| if let ValueSource::File(path) = source { Some(path) } else { None });
        let authorities = self.services.iter().filter_map(|entry| entry.service.upstream.ca.clone());
        let mut files: Vec<PathBuf> = values.chain(authorities).chain(signing).collect();
        files.sort();
        files.dedup();
        files
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config({} services, {} declared credentials)", self.services.len(), self.credentials.len())
    }
}

/// Where sidekey listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The four doors; never empty.
    pub proxy: Vec<ListenAddress>,
    /// The console and the admin API; none when it is switched off.
    pub console: Option<ListenAddress>,
    /// How many threads carry requests; 0 means one for each core.
    pub threads: usize,
    /// Web pages that may call the proxy, as browsers write an origin: `https://app.example.com`, without a path.
    pub browser_origins: Vec<String>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket's path, absolute.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for ListenAddress {
    /// As it is written in proxy.toml.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether callers must prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallersMode {
    /// No: a caller without proof is `local`. Only with listeners that this machine alone can reach.
    #[default]
    Open,
    /// Yes, by their token.
    Token,
}

/// What happens to hosts that belong to no service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unmatched {
    /// They are refused.
    #[default]
    Deny,
    /// They pass unopened and without a key.
    Tunnel,
}

/// Where events are posted. Its path may be a secret of the receiver's, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Scheme, host and port.
    pub origin: Origin,
    /// Path and query.
    pub target: String,
    /// Which kinds are posted; never empty.
    pub kinds: Vec<EventKind>,
    /// What posts are signed with: a variable or a file.
    pub secret: Option<ValueSource>,
    /// It may be at a private address.
    pub allow_private: bool,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.origin.host)
    }
}

/// A service and the record that it was compiled from.
#[derive(Clone)]
pub struct ServiceEntry {
    /// The service; `built_in` and `declared` are set.
    pub service: Arc<Service>,
    /// The whole record: the catalogue's with the file's table laid over it.
    pub record: RecordText,
}

impl fmt::Debug for ServiceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceEntry({})", self.service.name)
    }
}

/// A key declared in proxy.toml: where its values come from, not the values.
#[derive(Clone, PartialEq, Eq)]
pub struct DeclaredCredential {
    /// What it is called: `[credential.NAME]`.
    pub name: Name,
    /// The one service it is for; exists.
    pub service: ServiceName,
    /// When set, only callers of this environment, or of none, see it.
    pub environment: Option<Name>,
    /// Whom the service counts when it is used.
    pub limit_owner: Option<Name>,
    /// The keys that it stands in for, and they for it.
    pub pool: Option<Name>,
    /// Every field that the service's placements need, in their order, and where its value comes from.
    pub fields: Vec<(Name, ValueSource)>,
    /// A value for each of the service's tenant variables: the given one or the default.
    pub variables: BTreeMap<Name, String>,
}

impl DeclaredCredential {
    /// The identifier of the key that is declared under `name`: it has no other that stays.
    pub fn id_of(name: &Name) -> CredentialId {
        CredentialId::new(&format!("declared:{name}"))
    }

    /// The credential that it declares, without a value yet: owned by the user `local` and shared with everyone, as one key
    /// for all who use this proxy. `version` counts how often its value was read.
    pub fn credential(&self, version: u32) -> Credential {
        Credential {
            id: Self::id_of(&self.name),
            name: self.name.clone(),
            owner: UserId::new(LOCAL),
            service: self.service.clone(),
            environment: self.environment.clone(),
            shares: vec![Share::Everyone.into()],
            variables: self.variables.clone(),
            expires: None,
            limit_owner: self.limit_owner.clone(),
            pool: self.pool.clone(),
            version,
            sealed: None,
            source: Source::Declared { dry: None },
        }
    }
}

impl fmt::Debug for DeclaredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeclaredCredential({} for {})", self.name, self.service)
    }
}

/// Where the value of one field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// An environment variable.
    Env(String),
    /// A file, absolute; read again when it changes.
    File(PathBuf),
    /// A program and its arguments, whose standard output is the value; never empty.
    Command(Vec<String>),
}

/// The proxies that sidekey itself goes through, as its environment names them. They may hold a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ParentProxies {
    /// `HTTPS_PROXY`: for https upstreams.
    pub https: Option<String>,
    /// `HTTP_PROXY`: for plain upstreams.
    pub http: Option<String>,
    /// `ALL_PROXY`: for both, when there is none for the scheme.
    pub all: Option<String>,
    /// `NO_PROXY`: the hosts that are reached directly.
    pub no: Option<String>,
}

impl fmt::Debug for ParentProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [&self.https, &self.http, &self.all].into_iter().flatten().count();
        write!(f, "ParentProxies({named} named)")
    }
}
