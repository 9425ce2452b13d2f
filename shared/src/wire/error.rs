//! What can be wrong with bytes from outside.

use alloc::string::String;

/// Bytes that are no unit. The sender is broken, hostile, or of another version: end the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They are not of the `.proto`.
    #[error("not a unit of caracal/1: {0}. The other side is damaged or no Caracal.")]
    Malformed(String),
    /// A unit without a kind that this version knows.
    #[error("a unit of no known kind. The other side speaks a newer version; update this one.")]
    UnknownKind,
    /// A field that must be there is not, or has no legal value.
    #[error("{field}: {found}, expected {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What was there.
        found: String,
        /// What may be there.
        expected: &'static str,
    },
    /// Longer than a unit may be.
    #[error("a unit of {bytes} bytes, expected at most {limit}")]
    TooLong {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: usize,
    },
    /// Longer than a list may be.
    #[error("{field}: {found} entries, expected at most {limit}")]
    TooMany {
        /// Which.
        field: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The stream ended inside a unit.
    #[error("the stream ended {missing} bytes before the end of a unit")]
    Truncated {
        /// Bytes that are missing, as far as is known.
        missing: usize,
    },
}
