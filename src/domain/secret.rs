//! A secret's bytes in memory and at rest. `Secret` wipes itself and prints nothing; `Sealed` is ciphertext only.
//! `expose` may be called in `inject` and `seal` alone (checked by the house test).

use std::fmt;

use zeroize::Zeroizing;

use super::Name;

/// One value of a credential's field, in memory, for as short as possible. Wiped when dropped; never printed.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; they are wiped when the secret is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. The only way to see them; allowed in `inject` and `seal`.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The opened fields of one version of a credential, in the order in which they were sealed.
#[derive(Debug)]
pub struct Fields(Vec<(Name, Secret)>);

impl Fields {
    /// The name of the field when a credential has only one.
    pub const SINGLE: &'static str = "key";

    /// Takes the fields over.
    pub fn new(fields: Vec<(Name, Secret)>) -> Self {
        Self(fields)
    }

    /// The field called `name`.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(n, _)| n.as_str() == name).map(|(_, secret)| secret)
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Secret)> {
        self.0.iter().map(|(n, s)| (n, s))
    }
}

/// One version of a credential at rest: its data key wrapped by the master key, and each field sealed by the data key.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which master key wrapped the data key.
    pub master: u32,
    /// The data key, wrapped (nonce, ciphertext, tag).
    pub wrapped_key: Box<[u8]>,
    /// Each field's name and its sealed bytes (nonce, ciphertext, tag).
    pub fields: Box<[(Name, Box<[u8]>)]>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} fields)", self.fields.len())
    }
}
