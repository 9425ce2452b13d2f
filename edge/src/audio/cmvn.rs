//! Mean and variance normalisation with statistics from a file (hop 3).
//!
//! Source: published front end; Kaldi's matrix formats (binary double and float, text) and NumPy's array format, in
//! which the codec tokenizer keeps its statistics.

use std::path::{Path, PathBuf};

use caracal_kernels::LoadError;

/// Largest statistics file that is read: far above any real one, far below what could exhaust memory.
const CMVN_BYTES_MAX: u64 = 16 << 20;
/// Standard deviations below this count as this.
const DEVIATION_MIN: f32 = f32::EPSILON;
const FORMATS: &str = "CMVN statistics file (Kaldi binary or text matrix, or NumPy array, of 2 rows)";

/// (x - mean) * scale, for each feature by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Cmvn {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

/// Two rows of sums: row 0 the sums of each feature and then the count, row 1 the sums of squares and one unused value.
///
/// Means and variances are computed in the precision of the file, because the published code does.
enum Statistics {
    Double(Vec<f64>),
    Float(Vec<f32>),
}

impl Cmvn {
    /// Reads a statistics file; the format is told by its first bytes.
    ///
    /// # Errors
    /// [`LoadError::Io`] or [`LoadError::Damaged`] saying which value is wrong.
    pub fn read(file: &Path) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { file: file.to_path_buf(), source };
        let bytes = std::fs::metadata(file).map_err(io)?.len();
        if bytes > CMVN_BYTES_MAX {
            return Err(damaged(file, format!("{bytes} bytes, at most {CMVN_BYTES_MAX} expected")));
        }
        Self::parse(file, &std::fs::read(file).map_err(io)?)
    }

    /// Parses the bytes of a statistics file; `file` is named in errors.
    ///
    /// # Errors
    /// [`LoadError::Damaged`].
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, LoadError> {
        let parsed = if let Some(rest) = bytes.strip_prefix(b"\0B") {
            kaldi_binary(rest)
        } else if let Some(rest) = bytes.strip_prefix(b"\x93NUMPY") {
            numpy(rest)
        } else {
            kaldi_text(bytes)
        };
        parsed.and_then(|statistics| Self::from_sums(&statistics)).map_err(|found| damaged(file, found))
    }

    /// Normalisation by statistics in double precision, flat `[2, features + 1]`; `file` is named in errors.
    ///
    /// # Errors
    /// [`LoadError::Damaged`] when they are not two rows of finite numbers with a positive count.
    pub fn from_statistics(file: &Path, statistics: &[f64]) -> Result<Self, LoadError> {
        Self::from_sums(&Statistics::Double(statistics.to_vec())).map_err(|found| damaged(file, found))
    }

    fn from_sums(statistics: &Statistics) -> Result<Self, String> {
        let moments: Vec<(f32, f32)> = match statistics {
            Statistics::Double(values) => {
                let (sums, squares, count) = rows(values, |v| v.is_finite(), |v| *v > 0.0)?;
                let moments = |(s, q): (&f64, &f64)| ((s / count) as f32, (q / count - (s / count) * (s / count)) as f32);
                sums.iter().zip(squares).map(moments).collect()
            }
            Statistics::Float(values) => {
                let (sums, squares, count) = rows(values, |v| v.is_finite(), |v| *v > 0.0)?;
                let moments = |(s, q): (&f32, &f32)| (s / count, q / count - (s / count) * (s / count));
                sums.iter().zip(squares).map(moments).collect()
            }
        };
        if let Some(index) = moments.iter().position(|(mean, variance)| !mean.is_finite() || !variance.is_finite()) {
            return Err(format!(
                "feature {index} has mean {} and variance {}, expected finite numbers",
                moments[index].0, moments[index].1
            ));
        }
        Ok(Self {
            mean: moments.iter().map(|(mean, _)| *mean).collect(),
            // Rounding in the sums can leave a variance a little below zero, whose root would be NaN.
            scale: moments.iter().map(|(_, variance)| 1.0 / variance.max(0.0).sqrt().max(DEVIATION_MIN)).collect(),
        })
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    /// Mean of each feature.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Inverse standard deviation of each feature.
    pub fn scale(&self) -> &[f32] {
        &self.scale
    }

    /// Normalises rows in place.
    ///
    /// # Shapes
    /// features: flat `[rows, width]`
    ///
    /// # Panics
    /// When `features` holds no whole number of rows.
    pub fn apply(&self, features: &mut [f32]) {
        assert!(features.len().is_multiple_of(self.width()), "cmvn: {} values are no rows of {}", features.len(), self.width());
        for row in features.chunks_exact_mut(self.width()) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = (*x - mean) * scale;
            }
        }
    }
}

/// Splits the statistics into sums, sums of squares and the count.
fn rows<T: Copy + std::fmt::Display>(
    values: &[T],
    finite: impl Fn(&T) -> bool,
    positive: impl Fn(&T) -> bool,
) -> Result<(&[T], &[T], T), String> {
    if values.len() < 4 || !values.len().is_multiple_of(2) {
        return Err(format!("{} values, expected 2 rows of features + 1", values.len()));
    }
    let (first, second) = values.split_at(values.len() / 2);
    let width = first.len() - 1;
    // The last value of the second row is unused and may be anything.
    if let Some(index) = values[..values.len() - 1].iter().position(|v| !finite(v)) {
        return Err(format!("value {index} is {}, expected a finite number", values[index]));
    }
    if !positive(&first[width]) {
        return Err(format!("the count (last value of the first row) is {}, expected a positive number", first[width]));
    }
    Ok((&first[..width], &second[..width], first[width]))
}

/// A matrix after the two bytes that announce Kaldi's binary mode.
fn kaldi_binary(bytes: &[u8]) -> Result<Statistics, String> {
    let header = bytes.get(..13).ok_or("the header of a Kaldi matrix ends early")?;
    let size = match &header[..3] {
        b"DM " => 8,
        b"FM " => 4,
        other => return Err(format!("Kaldi object `{}`, expected a matrix `DM` or `FM`", String::from_utf8_lossy(other).escape_default())),
    };
    if header[3] != 4 || header[8] != 4 {
        return Err("the sizes in the header of the Kaldi matrix are no 4-byte integers".into());
    }
    let int = |at: usize| i32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    numbers(i64::from(int(4)), i64::from(int(9)), &bytes[13..], size)
}

/// A NumPy array after its six magic bytes.
fn numpy(bytes: &[u8]) -> Result<Statistics, String> {
    let early = "the header of a NumPy array ends early";
    let version = *bytes.first().ok_or(early)?;
    let (start, len) = match version {
        1 => (4, bytes.get(2..4).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))),
        2 | 3 => (6, bytes.get(2..6).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)),
        other => return Err(format!("NumPy format version {other}, expected 1 to 3")),
    };
    let end = len.and_then(|len| len.checked_add(start)).ok_or(early)?;
    let header = String::from_utf8_lossy(bytes.get(start..end).ok_or(early)?);
    let value = |key: &str| {
        header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start()).ok_or(format!("the NumPy header has no `{key}`"))
    };
    let size = match value("descr")? {
        text if text.starts_with("'<f8'") => 8,
        text if text.starts_with("'<f4'") => 4,
        text => {
            return Err(format!(
                "NumPy number format {}, expected '<f8' or '<f4'",
                text.split(',').next().unwrap_or_default().escape_default()
            ));
        }
    };
    if !value("fortran_order")?.starts_with("False") {
        return Err("the NumPy array is stored column by column; save it again with numpy.ascontiguousarray".into());
    }
    let shape = value("shape")?;
    let inside = shape.strip_prefix('(').and_then(|s| s.split_once(')')).map(|(inside, _)| inside);
    let axes: Option<Vec<i64>> =
        inside.and_then(|s| s.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect());
    match axes.as_deref() {
        Some([rows, columns]) => numbers(*rows, *columns, &bytes[end..], size),
        _ => Err("the NumPy array has no two axes, expected [2, features + 1]".to_string()),
    }
}

/// `rows` x `columns` little-endian numbers that fill `bytes`.
fn numbers(rows: i64, columns: i64, bytes: &[u8], size: usize) -> Result<Statistics, String> {
    if rows != 2 || columns < 2 {
        return Err(format!("a matrix of {rows} x {columns}, expected 2 rows and at least 2 columns"));
    }
    let expected = columns.checked_mul(2 * size as i64);
    if expected != Some(bytes.len() as i64) {
        return Err(format!("{} bytes of numbers, expected {rows} x {columns} x {size}", bytes.len()));
    }
    Ok(match size {
        8 => Statistics::Double(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
        _ => Statistics::Float(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
    })
}

/// `[` rows, one a line `]`. The numbers count as single precision, because the published code reads them so.
fn kaldi_text(bytes: &[u8]) -> Result<Statistics, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "neither text nor a known binary format".to_string())?;
    let inside =
        text.trim().strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or("text without the brackets `[` and `]` of a Kaldi matrix")?;
    let mut values = Vec::new();
    let mut widths = Vec::new();
    for line in inside.lines().filter(|line| !line.trim().is_empty()) {
        let before = values.len();
        for word in line.split_whitespace() {
            values.push(
                word.parse::<f32>()
                    .map_err(|_| format!("`{}` is no number", word.chars().take(40).collect::<String>().escape_default()))?,
            );
        }
        widths.push(values.len() - before);
    }
    match widths[..] {
        [a, b] if a == b => Ok(Statistics::Float(values)),
        _ => Err(format!("{} rows, of {:?} values, expected 2 equal ones", widths.len(), &widths[..widths.len().min(4)])),
    }
}

fn damaged(file: &Path, found: String) -> LoadError {
    LoadError::Damaged { file: PathBuf::from(file), expected: FORMATS, found }
}
