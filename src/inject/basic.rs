//! `Authorization: Basic` (RFC 7617) as a credential's place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::InjectError;
use super::pattern::Pattern;
use crate::domain::Fields;

const SCHEME: &[u8] = b"Basic ";

/// User name and password.
#[derive(Debug, Clone)]
pub(super) struct Basic {
    pub(super) username: Pattern,
    pub(super) password: Pattern,
}

impl Basic {
    /// The whole header value.
    pub(super) fn fill(&self, fields: &Fields) -> Result<Zeroizing<Vec<u8>>, InjectError> {
        let room = self.username.room(fields)? + 1 + self.password.room(fields)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(room));
        self.username.fill(fields, &mut plain)?;
        if plain.contains(&b':') {
            return Err(unplaceable("its user name has a colon, which Basic authentication cannot carry"));
        }
        plain.push(b':');
        self.password.fill(fields, &mut plain)?;
        if plain.iter().any(u8::is_ascii_control) {
            return Err(unplaceable("it has a control character, often a line break at its end"));
        }
        let encoded = base64::encoded_len(plain.len(), true).ok_or_else(|| unplaceable("it is too long"))?;
        let mut out = Zeroizing::new(vec![0; SCHEME.len() + encoded]);
        let (scheme, rest) = out.split_at_mut(SCHEME.len());
        scheme.copy_from_slice(SCHEME);
        STANDARD.encode_slice(&*plain, rest).map_err(|_| unplaceable("it is too long"))?;
        Ok(out)
    }
}

fn unplaceable(why: &'static str) -> InjectError {
    InjectError::Unplaceable { place: "header authorization".to_owned(), why }
}
