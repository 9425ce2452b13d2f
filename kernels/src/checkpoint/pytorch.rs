//! The `.pt` archive: a pickle that describes the tensors, and their bytes.

use std::collections::BTreeMap;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};

use super::file::{Bytes, StoredTensor};
use super::{LoadError, StoredDtype};

/// Reads the table of contents. No pickled code is ever run.
pub(super) fn open(path: &Path) -> Result<BTreeMap<String, StoredTensor>, LoadError> {
    let damaged = |found: String| LoadError::damaged(path, "PyTorch archive", found);
    let file_bytes = std::fs::File::open(path).and_then(|file| file.metadata()).map_err(|e| LoadError::io(path, e))?.len();
    let reader = PytorchReader::new(path).map_err(|e| damaged(e.to_string()))?;
    reader
        .into_tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let dtype = stored_dtype(tensor.dtype())
                .ok_or_else(|| damaged(format!("tensor `{name}` has the unsupported number format {:?}", tensor.dtype())))?;
            let shape = tensor.shape().to_vec();
            // A view with stride 0 may claim any size for a few stored bytes.
            let bytes = shape.iter().try_fold(dtype.size() as u64, |bytes, axis| bytes.checked_mul(*axis as u64));
            if bytes.is_none_or(|bytes| bytes > file_bytes) {
                return Err(damaged(format!("tensor `{name}` of shape {shape:?} is larger than the file, {file_bytes} bytes")));
            }
            Ok((name, StoredTensor { shape, dtype, file: path.to_path_buf(), bytes: Bytes::Archived(Box::new(tensor)) }))
        })
        .collect()
}

fn stored_dtype(dtype: DType) -> Option<StoredDtype> {
    Some(match dtype {
        DType::F64 => StoredDtype::F64,
        DType::F32 => StoredDtype::F32,
        DType::F16 => StoredDtype::F16,
        DType::BF16 => StoredDtype::Bf16,
        DType::I64 => StoredDtype::I64,
        DType::I32 => StoredDtype::I32,
        DType::I16 => StoredDtype::I16,
        DType::I8 => StoredDtype::I8,
        DType::U8 => StoredDtype::U8,
        DType::Bool => StoredDtype::Bool,
        _ => return None,
    })
}
