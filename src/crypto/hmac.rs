//! HMAC-SHA256 (RFC 2104): a signature by a shared secret.

use ring::hmac;

use super::digest::LEN;

/// The signature of `parts`, one after the other, by `key`.
pub fn sha256(key: &[u8], parts: &[&[u8]]) -> [u8; LEN] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut out = [0; LEN];
    out.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    out
}
