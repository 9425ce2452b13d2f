//! Writes PyTorch archives as `torch.save` does: a pickle that describes tensors and one stored entry for the bytes of
//! each, in an uncompressed zip.

use std::path::Path;

use caracal_kernels::Checkpoint;
use caracal_kernels::checkpoint::StoredDtype;

/// Turns a `.safetensors` file of f32 tensors into the `.pt` file beside it, and removes it.
pub fn convert(safetensors: &Path) {
    let file = Checkpoint::open(safetensors).unwrap();
    let mut pickle = b"\x80\x02}(".to_vec();
    let mut entries = Vec::new();
    for (key, name) in file.names().enumerate() {
        let tensor = file.get(name).unwrap();
        assert_eq!(tensor.dtype, StoredDtype::F32, "{name}");
        text(&mut pickle, name);
        rebuilt(&mut pickle, key, &tensor.shape);
        entries.push((format!("archive/data/{key}"), file.bytes(name, &tensor.shape).unwrap().1.into_owned()));
    }
    pickle.extend(b"u.");
    entries.insert(0, ("archive/data.pkl".into(), pickle));
    entries.push(("archive/version".into(), b"3\n".to_vec()));
    std::fs::write(safetensors.with_extension("pt"), zip(&entries)).unwrap();
    drop(file);
    std::fs::remove_file(safetensors).unwrap();
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn number(pickle: &mut Vec<u8>, number: usize) {
    pickle.push(b'J');
    pickle.extend((number as i32).to_le_bytes());
}

/// `torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`
fn rebuilt(pickle: &mut Vec<u8>, key: usize, shape: &[usize]) {
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(pickle, "storage");
    pickle.extend(b"ctorch\nFloatStorage\n");
    text(pickle, &key.to_string());
    text(pickle, "cpu");
    number(pickle, shape.iter().product());
    pickle.extend(b"tQ");
    number(pickle, 0);
    pickle.push(b'(');
    shape.iter().for_each(|size| number(pickle, *size));
    pickle.extend(b"t(");
    (0..shape.len()).for_each(|axis| number(pickle, shape[axis + 1..].iter().product()));
    pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
}

fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let offset = bytes.len() as u32;
        let mut about = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        about.extend(crc32(data).to_le_bytes());
        about.extend((data.len() as u32).to_le_bytes().repeat(2));
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&about);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&about);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = bytes.len() as u32;
    let count = (entries.len() as u16).to_le_bytes();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.repeat(2));
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn crc32(data: &[u8]) -> u32 {
    let step =
        |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 });
    !data.iter().fold(u32::MAX, step)
}
