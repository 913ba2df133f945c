//! Why a document is no description that can be read. A message names the place and quotes nothing of the document but
//! what the parser says of its form.

use super::LARGEST;

/// Why there is no draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Too many bytes.
    #[error("the document has {0} bytes, and at most {LARGEST} are read; leave out schemas and examples, or split it")]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("the document is no UTF-8 text (byte {0}); save it as UTF-8")]
    NotUtf8(usize),
    /// Neither JSON nor YAML.
    #[error("the document cannot be read as {format}: {problem} (line {line}, column {column})")]
    Syntax {
        /// `JSON` or `YAML`.
        format: &'static str,
        /// From 1; 0 when the parser does not say.
        line: u64,
        /// From 1; 0 when the parser does not say.
        column: u64,
        /// What the parser says.
        problem: String,
    },
    /// Something else than a description of an HTTP API.
    #[error("the document is no OpenAPI description: {0}")]
    Foreign(&'static str),
}
