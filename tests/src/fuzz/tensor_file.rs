//! Tensor files: the header of `.safetensors`, the archive and the pickle of `.pt`.

use std::io::Write;

use caracal_kernels::Checkpoint;
use caracal_kernels::checkpoint::StoredDtype;

/// Opens `bytes` as a `.safetensors` file and reads every tensor that it claims to hold.
pub fn safetensors(bytes: &[u8]) {
    open_and_read(bytes, ".safetensors");
}

/// Opens `bytes` as a `.pt` archive and reads every tensor that it claims to hold.
pub fn pytorch(bytes: &[u8]) {
    open_and_read(bytes, ".pt");
}

/// What is accepted must be as long as its shape says; damage must be an error with words.
fn open_and_read(bytes: &[u8], suffix: &str) {
    let mut file = tempfile::Builder::new().suffix(suffix).tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for a temporary file");
    let checkpoint = match Checkpoint::open(file.path()) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return assert!(error.to_string().len() > 20, "an error says what is wrong: {error}"),
    };
    for name in checkpoint.names().map(String::from).collect::<Vec<_>>() {
        let Some(stored) = checkpoint.get(&name) else { panic!("`{name}` is in the table") };
        let (shape, dtype) = (stored.shape.clone(), stored.dtype);
        if let Ok((_, read)) = checkpoint.bytes(&name, &shape) {
            assert!(read.len() <= bytes.len(), "`{name}` has more bytes than the file");
        }
        let values = match dtype {
            StoredDtype::F32 | StoredDtype::F64 | StoredDtype::F16 | StoredDtype::Bf16 => checkpoint.floats(&name, &shape).map(|v| v.len()),
            _ => checkpoint.integers(&name, &shape).map(|v| v.len()),
        };
        if let Ok(values) = values {
            assert_eq!(values, shape.iter().product::<usize>(), "`{name}`");
        }
    }
}
