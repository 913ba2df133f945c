//! sidekey, an outbound credential proxy: the map of the house. Floors from the ground up; a module imports only from
//! modules on lower floors, never from its neighbours (`tests/it/house.rs` checks it).

// Floor 0: nouns and bytes. No runtime, no I/O.
pub mod crypto; // AEAD, digests, random bytes, key derivation: the only user of ring
pub mod domain; // the words: caller, service, credential, placement, secret, refusal

// Floor 1: pure work. No async, no clock reads, no I/O.
pub mod access; // who asks, may they, with which credential
pub mod inject; // placing a secret into a request, and stripping the caller's own
pub mod record; // the service record as written
pub mod route; // which service a target belongs to
pub mod seal; // envelope encryption
pub mod throttle; // what an answer says of the limit it met

// Floor 2: one duty each.
pub mod audit; // the hash-chained record of every request and act
pub mod catalogue; // the built-in services
pub mod gate; // admission: limits, concurrency, waiting
pub mod intercept; // our certificate authority, and certificates for hosts
pub mod keys; // where the master key comes from
pub mod metrics; // every metric's name and value
pub mod openapi; // reading API descriptions into drafts of service records
pub mod store; // what must survive, in SQLite
pub mod upstream;
pub mod usage; // who calls what, counted: rollups, endpoints, events // dialling, TLS, the connection pool, one exchange

// Floor 3
pub mod config; // proxy.toml, and the only reader of the environment
pub mod vault; // the keeper of secrets: store and seal

// Floor 4
pub mod operations; // what administrators do: keys, callers, users
pub mod pipeline; // the straight line of a request

// Floor 5: doors.
pub mod admin; // the API for administrators and the console
pub mod listen; // accepting connections and telling the doors apart

// The roof.
pub mod app; // the only file that knows how the parts fit together
pub mod cli; // one file a subcommand
