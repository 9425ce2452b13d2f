//! Writing `.pt` archives as `torch.save` does, for tests: an uncompressed ZIP of a pickle and one file a storage.
//!
//! Source: PKWARE's application note for ZIP; Python's pickle protocol 2; the names that PyTorch's own archives use.

use caracal_kernels::checkpoint::StoredDtype;

/// One tensor: name, number format, shape, little-endian values.
pub type PtTensor = (String, StoredDtype, Vec<usize>, Vec<u8>);

/// The bytes of an archive that holds a state_dict of `tensors`.
///
/// # Panics
/// For a number format that PyTorch archives of parameters do not have here.
pub fn pt_file(tensors: &[PtTensor]) -> Vec<u8> {
    let mut files = vec![("archive/data.pkl".to_string(), pickle(tensors))];
    files.push(("archive/byteorder".into(), b"little".to_vec()));
    files.extend(tensors.iter().enumerate().map(|(i, tensor)| (format!("archive/data/{i}"), tensor.3.clone())));
    files.push(("archive/version".into(), b"3\n".to_vec()));
    zip(&files)
}

fn pickle(tensors: &[PtTensor]) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec();
    for (index, (name, dtype, shape, bytes)) in tensors.iter().enumerate() {
        let storage = match dtype {
            StoredDtype::F64 => "DoubleStorage",
            StoredDtype::F32 => "FloatStorage",
            StoredDtype::F16 => "HalfStorage",
            StoredDtype::Bf16 => "BFloat16Storage",
            StoredDtype::I64 => "LongStorage",
            other => panic!("no storage class for {other:?}"),
        };
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(format!("ctorch\n{storage}\n").bytes());
        text(&mut out, &index.to_string());
        text(&mut out, "cpu");
        number(&mut out, bytes.len() / dtype.size());
        out.extend(b"tQ");
        number(&mut out, 0);
        let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        for tuple in [shape, &strides] {
            out.push(b'(');
            tuple.iter().for_each(|n| number(&mut out, *n));
            out.push(b't');
        }
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.bytes());
}

fn number(out: &mut Vec<u8>, number: usize) {
    out.push(b'J');
    out.extend((number as i32).to_le_bytes());
}

fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        // Version 2.0, no flags, stored, no time; then checksum, both sizes, and the length of the name.
        let mut entry = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        entry.extend(crc32(bytes).to_le_bytes());
        entry.extend((bytes.len() as u32).to_le_bytes().repeat(2));
        entry.extend((name.len() as u16).to_le_bytes());
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&entry);
        // No extra field, no comment, disk 0, no attributes; then where the entry is.
        directory.extend([0; 12]);
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&entry);
        out.extend([0; 2]);
        out.extend(name.bytes());
        out.extend(bytes);
    }
    let start = out.len() as u32;
    let size = directory.len() as u32;
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((files.len() as u16).to_le_bytes().repeat(2));
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()));
    !bytes.iter().fold(u32::MAX, step)
}
