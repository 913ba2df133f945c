//! What may become a secret value: bytes that a request can carry. Where values come in, they pass through [`clean`];
//! sealing checks once more. No message shows a byte of the value.

use zeroize::Zeroizing;

use crate::domain::Secret;

/// The longest value in bytes.
pub const MAX_LEN: usize = 64 * 1024;

/// Why bytes cannot be a secret value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Nothing, or nothing but a newline.
    #[error("the value is empty")]
    Empty,
    /// Longer than [`MAX_LEN`].
    #[error("the value is longer than 64 KiB")]
    TooLong,
    /// A byte that no header can carry (RFC 9110 §5.5).
    #[error(
        "the value has a {what} at byte {at} of {len}, which no HTTP header can carry; give the bare key, on one line"
    )]
    Control {
        /// What it is, in words.
        what: &'static str,
        /// Where it stands, from 1.
        at: usize,
        /// How long the value is.
        len: usize,
    },
    /// Receivers drop space around a header's value (RFC 9110 §5.5), so what arrived would not be the key.
    #[error("the value begins or ends with a space, which would be lost on the way; give the bare key")]
    OuterSpace,
}

/// Makes a secret of raw bytes: one newline (LF or CR LF) at the end is taken off, and the rest checked. The flag says
/// whether a newline was taken off, so that a person can be told.
///
/// # Errors
/// As [`check`].
pub fn clean(bytes: Zeroizing<Vec<u8>>) -> Result<(Secret, bool), ValueError> {
    let mut bytes = bytes;
    let bare = bytes.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line)).map(<[u8]>::len);
    if let Some(length) = bare {
        bytes.truncate(length);
    }
    check(&bytes)?;
    Ok((Secret::new(std::mem::take(&mut *bytes)), bare.is_some()))
}

/// Whether a request can carry `bytes`, at any place where a key may stand.
///
/// # Errors
/// When they are empty, longer than [`MAX_LEN`], hold a control character, or begin or end with a space.
pub fn check(bytes: &[u8]) -> Result<(), ValueError> {
    if bytes.len() > MAX_LEN {
        return Err(ValueError::TooLong);
    }
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return Err(ValueError::Empty) };
    if let Some((at, byte)) = bytes.iter().enumerate().find(|(_, byte)| byte.is_ascii_control()) {
        let what = match byte {
            b'\n' | b'\r' => "line break",
            b'\t' => "tab",
            0 => "NUL byte",
            _ => "control character",
        };
        return Err(ValueError::Control { what, at: at + 1, len: bytes.len() });
    }
    if *first == b' ' || *last == b' ' { Err(ValueError::OuterSpace) } else { Ok(()) }
}
