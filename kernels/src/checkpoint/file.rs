//! One tensor file or a sharded set behind one name table, read lazily.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};

use super::{LoadError, pytorch, safetensors};

/// Number format of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StoredDtype {
    F64,
    F32,
    F16,
    Bf16,
    /// 8-bit float, 4 exponent and 3 fraction bits, no infinities (`float8_e4m3fn`).
    F8E4m3,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl StoredDtype {
    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::F8E4m3 | Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// Where the bytes of one tensor are.
pub(super) enum Bytes {
    /// A range of a memory map.
    Mapped { map: Arc<memmap2::Mmap>, start: usize, len: usize },
    /// A tensor of a PyTorch archive, read from the file when asked for.
    Archived(Box<pytorch_reader::Tensor>),
}

/// What a file's table of contents says about one tensor.
pub struct StoredTensor {
    /// Axes, outermost first.
    pub shape: Vec<usize>,
    /// Number format in the file.
    pub dtype: StoredDtype,
    pub(super) file: PathBuf,
    pub(super) bytes: Bytes,
}

/// An open checkpoint: its table of contents, and the bytes on demand.
///
/// `.safetensors` files are memory-mapped, so a tensor that nobody asks for is never read. `.pt` archives are read
/// tensor by tensor. It remembers which tensors were asked for, so that [`Checkpoint::refuse_unread`] can tell a
/// foreign checkpoint from the right one.
pub struct Checkpoint {
    path: PathBuf,
    tensors: BTreeMap<String, StoredTensor>,
    read: RefCell<BTreeSet<String>>,
}

impl Checkpoint {
    /// Opens `path`: a `.safetensors` file, a `.safetensors.index.json` of shards, a `.pt`/`.pth`/`.bin` archive, or a
    /// folder that holds `model.safetensors` or `model.safetensors.index.json`.
    ///
    /// # Errors
    /// [`LoadError::Io`] or [`LoadError::Damaged`].
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let inside = |name: &str| path.join(name);
        let path = match path.is_dir() {
            true if inside("model.safetensors.index.json").exists() => &inside("model.safetensors.index.json"),
            true => &inside("model.safetensors"),
            false => path,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let tensors = match name {
            n if n.ends_with(".index.json") => safetensors::open_index(path)?,
            n if n.ends_with(".safetensors") => safetensors::open(path)?,
            _ => pytorch::open(path)?,
        };
        Ok(Self { path: path.to_path_buf(), tensors, read: RefCell::default() })
    }

    /// Opens the first of `stems` + (`.safetensors` | `.pt`) that exists in `folder`: published parts come as `.pt`,
    /// converted and trained ones as `.safetensors`.
    ///
    /// # Errors
    /// [`LoadError::Io`] naming the `.pt` path when neither exists.
    pub fn open_part(folder: &Path, stem: &str) -> Result<Self, LoadError> {
        let safe = folder.join(format!("{stem}.safetensors"));
        if safe.exists() { Self::open(&safe) } else { Self::open(&folder.join(format!("{stem}.pt"))) }
    }

    /// The file that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensor names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Looks up a tensor's shape and dtype without reading it.
    pub fn get(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.get(name)
    }

    /// The stored bytes of `name` (little-endian, row-major) and its entry. Borrowed from the memory map where there
    /// is one.
    ///
    /// # Errors
    /// [`LoadError::MissingTensor`], [`LoadError::WrongShape`], or an I/O error of an archive.
    pub fn bytes(&self, name: &str, shape: &[usize]) -> Result<(&StoredTensor, Cow<'_, [u8]>), LoadError> {
        let stored = self.tensors.get(name).ok_or_else(|| LoadError::MissingTensor {
            file: self.path.clone(),
            tensor: name.to_string(),
            hint: self.nearest(name).map_or_else(String::new, |near| format!("; the nearest name in the file is `{near}`")),
        })?;
        if stored.shape != shape {
            return Err(LoadError::WrongShape {
                file: stored.file.clone(),
                tensor: name.to_string(),
                expected: shape.to_vec(),
                found: stored.shape.clone(),
            });
        }
        self.read.borrow_mut().insert(name.to_string());
        let bytes = match &stored.bytes {
            Bytes::Mapped { map, start, len } => Cow::Borrowed(&map[*start..*start + *len]),
            Bytes::Archived(tensor) => {
                Cow::Owned(tensor.read().map_err(|e| LoadError::damaged(&stored.file, "PyTorch archive", format!("tensor `{name}`: {e}")))?)
            }
        };
        let expected = shape.iter().product::<usize>() * stored.dtype.size();
        if bytes.len() != expected {
            return Err(LoadError::damaged(
                &stored.file,
                "tensor file",
                format!("tensor `{name}` has {} bytes, expected {expected}", bytes.len()),
            ));
        }
        Ok((stored, bytes))
    }

    /// The values of `name` as `f32`.
    ///
    /// # Errors
    /// As [`Checkpoint::bytes`]; [`LoadError::WrongDtype`] for integers and 8-bit floats;
    /// [`LoadError::NotFinite`] for NaN or infinity.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let (stored, bytes) = self.bytes(name, shape)?;
        let values: Vec<f32> = match stored.dtype {
            StoredDtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            StoredDtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            StoredDtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            StoredDtype::Bf16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            found => return Err(self.wrong_dtype(name, "f32, f16, bf16 or f64", found)),
        };
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(index) => Err(LoadError::NotFinite { file: stored.file.clone(), tensor: name.to_string(), index, found: values[index] }),
        }
    }

    /// The values of an integer tensor.
    ///
    /// # Errors
    /// As [`Checkpoint::bytes`]; [`LoadError::WrongDtype`] for floats.
    pub fn integers(&self, name: &str, shape: &[usize]) -> Result<Vec<i64>, LoadError> {
        let (stored, bytes) = self.bytes(name, shape)?;
        Ok(match stored.dtype {
            StoredDtype::I64 => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            StoredDtype::I32 => bytes.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect(),
            StoredDtype::I16 => bytes.as_chunks().0.iter().map(|b| i64::from(i16::from_le_bytes(*b))).collect(),
            StoredDtype::I8 => bytes.iter().map(|b| i64::from(*b as i8)).collect(),
            StoredDtype::U8 | StoredDtype::Bool => bytes.iter().map(|b| i64::from(*b)).collect(),
            found => return Err(self.wrong_dtype(name, "an integer format", found)),
        })
    }

    /// Refuses a checkpoint that holds tensors nobody asked for, except where `allowed` says it may.
    ///
    /// # Errors
    /// [`LoadError::UnexpectedTensors`].
    pub fn refuse_unread(&self, allowed: impl Fn(&str) -> bool) -> Result<(), LoadError> {
        let read = self.read.borrow();
        let mut unread = self.tensors.keys().filter(|name| !read.contains(*name) && !allowed(name));
        match unread.next() {
            None => Ok(()),
            Some(first) => Err(LoadError::UnexpectedTensors { file: self.path.clone(), first: first.clone(), count: 1 + unread.count() }),
        }
    }

    fn wrong_dtype(&self, name: &str, expected: &'static str, found: StoredDtype) -> LoadError {
        LoadError::WrongDtype { file: self.path.clone(), tensor: name.to_string(), expected, found: format!("{found:?}") }
    }

    /// The name that shares the longest tail with `name`: published checkpoints differ by prefix more than by suffix.
    fn nearest(&self, name: &str) -> Option<&str> {
        let shared = |other: &str| name.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
        self.names().map(|n| (shared(n), n)).filter(|(len, _)| *len > 3).max_by_key(|(len, _)| *len).map(|(_, n)| n)
    }
}
