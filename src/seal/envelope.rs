//! The envelope: each version of a value has its own data key, wrapped by the master key; each field is sealed by the data
//! key. Re-wrapping under a new master key therefore touches 32 bytes a version and never the values.
//!
//! What is sealed is bound, as additional data, to the place where it stands. Every part has its length in front, so no
//! two places are written the same way:
//!
//! ```text
//! base  = format label, credential, owner, service, version      part = length (u32, big endian), bytes
//! wrap  = base, 0                                                version = u32, big endian
//! field = base, 1, part(field name)
//! ```
//!
//! AES-GCM does not commit to its key: who knows two keys can make one ciphertext that opens under both, to different
//! texts. A wrap therefore carries a digest of its data key beside it, and opening compares it: what a version holds is
//! then one value, whatever keys exist. The data key is 32 uniformly random bytes, so its plain SHA-256 under a label of
//! its own tells nothing of it and nobody finds another key with the same; it is one block, a third of what HKDF costs
//! on the way of every request.

use zeroize::Zeroizing;

use crate::crypto::{CryptoError, aead, compare, digest, random};
use crate::domain::{CredentialId, Fields, Name, Sealed, Secret, ServiceName, UserId};

use super::{MasterKey, SealError, value};

const FORMAT: &[u8] = b"sidekey vault 1";
/// Short enough for SHA-256 to take it and a key in one block.
const COMMITMENT: &[u8; 21] = b"sidekey v1 commitment";
const WRAPPED_LEN: usize = aead::OVERHEAD + aead::KEY_LEN + digest::LEN;
/// Long enough for ids and names as we give them out; longer ones only cost another allocation.
const USUAL_LEN: usize = 256;

/// Where a value stands: what its ciphertext is bound to.
#[derive(Debug, Clone, Copy)]
pub struct SealContext<'a> {
    /// The credential.
    pub credential: &'a CredentialId,
    /// Its owner.
    pub owner: &'a UserId,
    /// The service it is for.
    pub service: &'a ServiceName,
    /// The version of its value.
    pub version: u32,
}

/// Seals `fields` under a fresh data key.
///
/// # Errors
/// When a field is one that no request can carry (see [`super::check`]), or there is no randomness.
pub fn seal(master: &MasterKey, context: &SealContext<'_>, fields: &Fields) -> Result<Sealed, SealError> {
    for (name, secret) in fields.iter() {
        value::check(secret.expose()).map_err(|why| SealError::Unfit(name.clone(), why))?;
    }
    let data_key: Zeroizing<[u8; aead::KEY_LEN]> = Zeroizing::new(random::bytes()?);
    let mut place = Place::new(context);
    let wrapped_key = wrap(master, &place, &data_key)?;
    let key = aead::Key::new(&data_key)?;
    let sealed = fields
        .iter()
        .map(|(name, secret)| Ok((name.clone(), key.seal(place.field(name), secret.expose())?.into())))
        .collect::<Result<_, CryptoError>>()?;
    Ok(Sealed { master: master.id(), wrapped_key, fields: sealed })
}

/// Opens every field, once.
///
/// # Errors
/// When `sealed` was wrapped by another master key, stands in another place than it was sealed for, or was changed.
pub fn open(master: &MasterKey, context: &SealContext<'_>, sealed: &Sealed) -> Result<Fields, SealError> {
    Opener::new(master, context, sealed)?.open(sealed)
}

/// One version's data key, unwrapped, and where its fields stand: made once, it opens the version with one AES-GCM opening
/// a field. It opens no other version, and neither the key nor a value can be read from it.
pub struct Opener {
    key: aead::Key,
    /// The additional data of each field.
    places: Box<[Box<[u8]>]>,
}

impl Opener {
    /// Unwraps the data key.
    ///
    /// # Errors
    /// When `sealed` was wrapped by another master key, or stands in another place than it was sealed for.
    pub fn new(master: &MasterKey, context: &SealContext<'_>, sealed: &Sealed) -> Result<Self, SealError> {
        let mut place = Place::new(context);
        let key = aead::Key::new(&*unwrap(master, &place, sealed)?)?;
        let places = sealed.fields.iter().map(|(name, _)| place.field(name).into()).collect();
        Ok(Self { key, places })
    }

    /// Opens every field of the version that this was made for.
    ///
    /// # Errors
    /// When `sealed` is another version, or was changed.
    pub fn open(&self, sealed: &Sealed) -> Result<Fields, SealError> {
        let mut fields = Vec::with_capacity(sealed.fields.len());
        for ((name, bytes), place) in sealed.fields.iter().zip(&self.places) {
            let plain = self.key.open(place, bytes).map_err(|_| SealError::Field(name.clone()))?;
            fields.push((name.clone(), Secret::new(plain)));
        }
        Ok(Fields::new(fields))
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener({} fields)", self.places.len())
    }
}

/// The same value with its data key wrapped by `new` instead of `old`. The values themselves are not opened.
///
/// # Errors
/// As [`open`] for the data key, and when there is no randomness.
pub fn rewrap(
    old: &MasterKey,
    new: &MasterKey,
    context: &SealContext<'_>,
    sealed: &Sealed,
) -> Result<Sealed, SealError> {
    let place = Place::new(context);
    let data_key = unwrap(old, &place, sealed)?;
    let wrapped_key = wrap(new, &place, &data_key)?;
    Ok(Sealed { master: new.id(), wrapped_key, fields: sealed.fields.clone() })
}

fn wrap(master: &MasterKey, place: &Place, data_key: &[u8; aead::KEY_LEN]) -> Result<Box<[u8]>, CryptoError> {
    let mut wrapped = master.wrap().seal(place.wrap(), data_key)?;
    wrapped.extend_from_slice(&commitment(data_key));
    Ok(wrapped.into())
}

fn unwrap(master: &MasterKey, place: &Place, sealed: &Sealed) -> Result<Zeroizing<[u8; aead::KEY_LEN]>, SealError> {
    if sealed.master != master.id() {
        return Err(SealError::OtherMaster { sealed: sealed.master, given: master.id() });
    }
    let whole: &[u8; WRAPPED_LEN] = (&*sealed.wrapped_key).try_into().map_err(|_| SealError::Wrap)?;
    let (nonce, rest) = whole.split_first_chunk::<{ aead::NONCE_LEN }>().ok_or(SealError::Wrap)?;
    let (body, committed) = rest.split_last_chunk::<{ digest::LEN }>().ok_or(SealError::Wrap)?;
    let mut buffer = Zeroizing::new([0_u8; aead::KEY_LEN + aead::TAG_LEN]);
    buffer.copy_from_slice(body);
    let opened = master.wrap().open_in_place(nonce, place.wrap(), buffer.as_mut_slice());
    let bytes = opened.map_err(|_| SealError::Wrap)?;
    let mut data_key = Zeroizing::new([0_u8; aead::KEY_LEN]);
    data_key.copy_from_slice(bytes);
    if compare::equal(&commitment(&data_key), committed) { Ok(data_key) } else { Err(SealError::Wrap) }
}

fn commitment(data_key: &[u8; aead::KEY_LEN]) -> [u8; digest::LEN] {
    let mut block = Zeroizing::new([0_u8; COMMITMENT.len() + aead::KEY_LEN]);
    let (label, key) = block.split_at_mut(COMMITMENT.len());
    label.copy_from_slice(COMMITMENT);
    key.copy_from_slice(data_key);
    digest::sha256(block.as_slice())
}

/// The additional data of one version: one buffer, of which the end changes from field to field.
struct Place {
    bytes: Vec<u8>,
    base: usize,
}

impl Place {
    const WRAP: u8 = 0;
    const FIELD: u8 = 1;

    fn new(context: &SealContext<'_>) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_LEN);
        push(&mut bytes, FORMAT);
        push(&mut bytes, context.credential.as_str().as_bytes());
        push(&mut bytes, context.owner.as_str().as_bytes());
        push(&mut bytes, context.service.as_str().as_bytes());
        bytes.extend_from_slice(&context.version.to_be_bytes());
        let base = bytes.len();
        bytes.push(Self::WRAP);
        Self { bytes, base }
    }

    /// Valid until the first call of [`Place::field`].
    fn wrap(&self) -> &[u8] {
        &self.bytes
    }

    fn field(&mut self, name: &Name) -> &[u8] {
        self.bytes.truncate(self.base);
        self.bytes.push(Self::FIELD);
        push(&mut self.bytes, name.as_str().as_bytes());
        &self.bytes
    }
}

pub(super) fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    // No part is near 4 GiB; were one so, saturating would still not make two places equal, as the part follows in full.
    bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}
