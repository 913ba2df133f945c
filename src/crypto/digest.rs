//! SHA-256, in one go and piece by piece, and its text form. Not a password hash: see `kdf` for that.

use ring::digest;

/// The length of a digest in bytes.
pub const LEN: usize = 32;

/// The digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; LEN] {
    bytes_of(digest::digest(&digest::SHA256, bytes))
}

/// A digest that is fed piece by piece. Cloning it keeps what was fed so far.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// Nothing fed yet.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Feeds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything fed.
    pub fn finish(self) -> [u8; LEN] {
        bytes_of(self.0.finish())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256(…)")
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS.get(usize::from(byte >> 4)).copied().unwrap_or(b'0')));
        out.push(char::from(DIGITS.get(usize::from(byte & 15)).copied().unwrap_or(b'0')));
    }
    out
}

/// The bytes of a digest written by [`hex`]; none when the text is no such thing.
pub fn from_hex(text: &str) -> Option<[u8; LEN]> {
    let mut out = [0; LEN];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != LEN {
        return None;
    }
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(out)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn bytes_of(digest: digest::Digest) -> [u8; LEN] {
    let mut out = [0; LEN];
    for (to, from) in out.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    out
}
