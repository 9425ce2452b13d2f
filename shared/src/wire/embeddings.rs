//! Encoder vectors on their way to the language model.
//!
//! Hop 6. bf16 keeps eight bits of mantissa; int8 keeps the largest value of a vector exactly and rounds the others to
//! 127ths of it. A vector takes `2 width` or `4 + width` bytes.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::WireError;
use crate::limits::{EMBEDDING_WIDTH_MAX, EMBEDDINGS_MAX};

/// How values travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// Two bytes a value.
    Bf16,
    /// One byte a value and one scale a vector.
    Int8,
}

impl Precision {
    /// Bytes of one vector.
    pub const fn vector_bytes(self, width: usize) -> usize {
        match self {
            Precision::Bf16 => 2 * width,
            Precision::Int8 => 4 + width,
        }
    }
}

/// Vectors of one width, at least one.
///
/// # Shapes
/// `[count, width]`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Embeddings {
    precision: Precision,
    width: u32,
    values: Arc<[u8]>,
}

impl Embeddings {
    /// Packs `[count, width]` numbers. What is not finite becomes 0: an encoder that overflows must not end a session.
    ///
    /// # Panics
    /// When `rows` holds no whole vectors, or none: encoders give whole ones.
    pub fn pack(rows: &[f32], width: usize, precision: Precision) -> Self {
        assert!(width > 0 && !rows.is_empty() && rows.len().is_multiple_of(width), "embeddings: {} values of {width}", rows.len());
        let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
        let mut values = Vec::with_capacity(rows.len() / width * precision.vector_bytes(width));
        match precision {
            Precision::Bf16 => rows.iter().for_each(|value| values.extend(to_bf16(finite(*value)).to_le_bytes())),
            Precision::Int8 => {
                for row in rows.chunks_exact(width) {
                    let largest = row.iter().fold(0.0f32, |most, value| most.max(finite(*value).abs()));
                    let scale = largest / 127.0;
                    values.extend(scale.to_le_bytes());
                    values.extend(row.iter().map(|value| if scale > 0.0 { round(finite(*value) / scale) } else { 0 } as u8));
                }
            }
        }
        Self { precision, width: width as u32, values: values.into() }
    }

    /// From the parts of a unit.
    ///
    /// # Errors
    /// [`WireError::Field`], [`WireError::TooMany`].
    pub fn from_wire(precision: Precision, width: u32, values: &[u8]) -> Result<Self, WireError> {
        let wrong = |field, found, expected| Err(WireError::Field { field, found, expected });
        if width == 0 || width > EMBEDDING_WIDTH_MAX {
            return wrong("embeddings.width", width.to_string(), "1 to 65536");
        }
        let vector = precision.vector_bytes(width as usize);
        if values.is_empty() || !values.len().is_multiple_of(vector) {
            return wrong("embeddings.values", values.len().to_string(), "one or more whole vectors");
        }
        let count = values.len() / vector;
        if count > EMBEDDINGS_MAX {
            return Err(WireError::TooMany { field: "embeddings.values", found: count, limit: EMBEDDINGS_MAX });
        }
        let embeddings = Self { precision, width, values: values.into() };
        match embeddings.is_finite() {
            true => Ok(embeddings),
            false => wrong("embeddings.values", "a number that is not finite".to_string(), "finite numbers"),
        }
    }

    fn is_finite(&self) -> bool {
        match self.precision {
            Precision::Bf16 => self.values.chunks_exact(2).all(|b| from_bf16([b[0], b[1]]).is_finite()),
            Precision::Int8 => self.vectors().all(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]]).is_finite()),
        }
    }

    fn vectors(&self) -> impl Iterator<Item = &[u8]> {
        self.values.chunks_exact(self.precision.vector_bytes(self.width as usize))
    }

    /// How values travel.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Values of one vector.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Vectors.
    pub fn count(&self) -> u32 {
        (self.values.len() / self.precision.vector_bytes(self.width as usize)) as u32
    }

    /// As they travel.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// Vectors `from..to`.
    ///
    /// # Panics
    /// When there are not so many, or none in between.
    pub fn slice(&self, from: u32, to: u32) -> Self {
        assert!(from < to && to <= self.count(), "embeddings: {from}..{to} of {}", self.count());
        let vector = self.precision.vector_bytes(self.width as usize);
        Self { values: self.values[from as usize * vector..to as usize * vector].into(), ..self.clone() }
    }

    /// The numbers again, `[count, width]`.
    pub fn unpack(&self) -> Vec<f32> {
        match self.precision {
            Precision::Bf16 => self.values.chunks_exact(2).map(|b| from_bf16([b[0], b[1]])).collect(),
            Precision::Int8 => {
                let vector = |v: &[u8]| {
                    let scale = f32::from_le_bytes([v[0], v[1], v[2], v[3]]);
                    v[4..].iter().map(move |byte| f32::from(*byte as i8) * scale).collect::<Vec<f32>>()
                };
                self.vectors().flat_map(vector).collect()
            }
        }
    }
}

/// Nearest bf16, ties to even. The value is finite; one that would round to infinity becomes the largest bf16.
fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = (u64::from(bits) + 0x7fff + u64::from((bits >> 16) & 1)) >> 16;
    let sign = (bits >> 31) << 15;
    let magnitude = (rounded as u32 & 0x7fff).min(0x7f7f);
    (sign | magnitude) as u16
}

fn from_bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// Nearest integer within a signed byte, away from zero on ties.
fn round(value: f32) -> i8 {
    let shifted = if value < 0.0 { value - 0.5 } else { value + 0.5 };
    shifted.clamp(-127.0, 127.0) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_even_and_stays_finite() {
        let there_and_back = |x: f32| Embeddings::pack(&[x], 1, Precision::Bf16).unpack()[0];
        for exact in [0.0, -0.0, 1.0, -2.5, 3.0e38] {
            assert!((there_and_back(exact) - exact).abs() <= exact.abs() / 256.0, "{exact}");
        }
        assert_eq!(there_and_back(1.0 + 1.0 / 256.0), 1.0, "a tie goes to the even one");
        assert_eq!(there_and_back(1.0 + 3.0 / 256.0), 1.0 + 4.0 / 256.0);
        assert!(there_and_back(f32::MAX).is_finite() && there_and_back(f32::NAN) == 0.0);
    }

    #[test]
    fn int8_keeps_the_largest_and_errs_by_half_a_step() {
        let rows = [0.5, -1.0, 0.25, 0.0, 0.0, 0.0];
        let packed = Embeddings::pack(&rows, 3, Precision::Int8);
        assert_eq!((packed.count(), packed.values().len()), (2, 14));
        for (a, b) in rows.iter().zip(packed.unpack()) {
            assert!((a - b).abs() <= 0.5 / 127.0 + 1e-6);
        }
        assert_eq!(packed.slice(1, 2).unpack(), [0.0; 3]);
    }
}
