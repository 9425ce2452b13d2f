//! One length before each unit, and a reader that takes bytes as they come.
//!
//! The length is a varint of at most four bytes. A reader refuses a length above its limit before it stores a byte.

use alloc::vec::Vec;

use super::Wire;
use super::error::WireError;
use crate::limits::UNIT_BYTES_MAX;

/// Bytes of the longest legal length.
const LENGTH_BYTES_MAX: usize = 4;

const _: () = assert!(UNIT_BYTES_MAX < 1 << (7 * LENGTH_BYTES_MAX));

/// Appends a unit and its length to `out`.
///
/// # Panics
/// When it is longer than a unit may be: whoever makes messages keeps to the limits.
pub fn write_unit(message: &impl Wire, out: &mut Vec<u8>) {
    let bytes = message.encode();
    assert!(bytes.len() <= UNIT_BYTES_MAX, "wire: a unit of {} bytes", bytes.len());
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(&bytes);
}

/// Cuts the bytes of one stream into units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitReader {
    bytes: Vec<u8>,
    /// Where the next unit begins in `bytes`.
    at: usize,
}

impl UnitReader {
    /// Takes bytes from the stream. Take out all units before the next piece, so that no more than one unit and one
    /// piece are ever held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..core::mem::take(&mut self.at));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole unit; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`WireError`]; the stream cannot be read on after one.
    pub fn next_unit<M: Wire>(&mut self) -> Result<Option<M>, WireError> {
        self.next_unit_within(UNIT_BYTES_MAX)
    }

    /// The same with a stricter limit, for a sender who may be anyone.
    ///
    /// # Errors
    /// [`WireError`]; the stream cannot be read on after one.
    pub fn next_unit_within<M: Wire>(&mut self, bytes_max: usize) -> Result<Option<M>, WireError> {
        let rest = &self.bytes[self.at..];
        let Some((length, prefix)) = read_length(rest, bytes_max)? else { return Ok(None) };
        let Some(unit) = rest.get(prefix..prefix + length) else { return Ok(None) };
        let message = M::decode(unit)?;
        self.at += prefix + length;
        Ok(Some(message))
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// [`WireError::Truncated`] inside a unit.
    pub fn finish(&self) -> Result<(), WireError> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Ok(());
        }
        let needed = read_length(rest, UNIT_BYTES_MAX)?.map_or(1 + rest.len(), |(length, prefix)| prefix + length);
        if needed > rest.len() { Err(WireError::Truncated { missing: needed - rest.len() }) } else { Ok(()) }
    }
}

/// A unit's length and the bytes that the length itself takes.
fn read_length(bytes: &[u8], limit: usize) -> Result<Option<(usize, usize)>, WireError> {
    let mut length = 0u64;
    for (index, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return match length <= limit as u64 {
                true => Ok(Some((length as usize, index + 1))),
                false => Err(WireError::TooLong { bytes: length, limit }),
            };
        }
    }
    match bytes.len() < LENGTH_BYTES_MAX {
        true => Ok(None),
        false => Err(WireError::TooLong { bytes: u64::MAX, limit }),
    }
}
