//! The `.safetensors` format: memory-mapped reading, sharded indexes, and writing.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::file::{Bytes, StoredTensor};
use super::{LoadError, StoredDtype, read_config};

/// Maps one file and reads its header.
pub(super) fn open(path: &Path) -> Result<BTreeMap<String, StoredTensor>, LoadError> {
    let file = File::open(path).map_err(|e| LoadError::io(path, e))?;
    // SAFETY: the map is read-only and private to this process; a checkpoint that another process shortens while it is
    // mapped would fault, which the documentation of `Checkpoint` accepts as for every memory-mapped model file.
    let map = Arc::new(unsafe { memmap2::Mmap::map(&file) }.map_err(|e| LoadError::io(path, e))?);
    let damaged = |found: String| LoadError::damaged(path, "safetensors file", found);
    let (header_bytes, header) = SafeTensors::read_metadata(&map).map_err(|e| damaged(e.to_string()))?;
    let data = 8 + header_bytes;
    header
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let dtype = stored_dtype(info.dtype)
                .ok_or_else(|| damaged(format!("tensor `{name}` has the unsupported number format {:?}", info.dtype)))?;
            let (start, end) = info.data_offsets;
            let bytes = Bytes::Mapped { map: map.clone(), start: data + start, len: end - start };
            Ok((name, StoredTensor { shape: info.shape.clone(), dtype, file: path.to_path_buf(), bytes }))
        })
        .collect()
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens every shard that a `.safetensors.index.json` names.
pub(super) fn open_index(path: &Path) -> Result<BTreeMap<String, StoredTensor>, LoadError> {
    let index: Index = read_config(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut shards: BTreeMap<&str, BTreeMap<String, StoredTensor>> = BTreeMap::new();
    let mut tensors = BTreeMap::new();
    for (name, shard) in &index.weight_map {
        if Path::new(shard).components().count() != 1 || shard == ".." {
            return Err(LoadError::config(
                path,
                &format!("weight_map.{name}"),
                format!("shard `{shard}` lies outside the folder; expected a plain file name"),
            ));
        }
        if !shards.contains_key(shard.as_str()) {
            shards.insert(shard, open(&folder.join(shard))?);
        }
        let stored = shards.get_mut(shard.as_str()).and_then(|s| s.remove(name)).ok_or_else(|| LoadError::MissingTensor {
            file: folder.join(shard),
            tensor: name.clone(),
            hint: format!("; {} says that it is there", path.display()),
        })?;
        tensors.insert(name.clone(), stored);
    }
    Ok(tensors)
}

fn stored_dtype(dtype: Dtype) -> Option<StoredDtype> {
    Some(match dtype {
        Dtype::F64 => StoredDtype::F64,
        Dtype::F32 => StoredDtype::F32,
        Dtype::F16 => StoredDtype::F16,
        Dtype::BF16 => StoredDtype::Bf16,
        Dtype::F8_E4M3 => StoredDtype::F8E4m3,
        Dtype::I64 => StoredDtype::I64,
        Dtype::I32 => StoredDtype::I32,
        Dtype::I16 => StoredDtype::I16,
        Dtype::I8 => StoredDtype::I8,
        Dtype::U8 => StoredDtype::U8,
        Dtype::BOOL => StoredDtype::Bool,
        _ => return None,
    })
}

/// Writes tensors to a `.safetensors` file: `(name, dtype, shape, little-endian bytes)`.
///
/// # Errors
/// [`LoadError::Io`] when the file cannot be written.
pub fn write_safetensors(path: &Path, tensors: &[(String, StoredDtype, Vec<usize>, Vec<u8>)]) -> Result<(), LoadError> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let dtype = match dtype {
            StoredDtype::F64 => Dtype::F64,
            StoredDtype::F32 => Dtype::F32,
            StoredDtype::F16 => Dtype::F16,
            StoredDtype::Bf16 => Dtype::BF16,
            StoredDtype::F8E4m3 => Dtype::F8_E4M3,
            StoredDtype::I64 => Dtype::I64,
            StoredDtype::I32 => Dtype::I32,
            StoredDtype::I16 => Dtype::I16,
            StoredDtype::I8 => Dtype::I8,
            StoredDtype::U8 => Dtype::U8,
            StoredDtype::Bool => Dtype::BOOL,
        };
        let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).expect("the caller's bytes fit its shape");
        (name, view)
    });
    safetensors::serialize_to_file(views, None, path).map_err(|e| LoadError::io(path, std::io::Error::other(e.to_string())))
}
