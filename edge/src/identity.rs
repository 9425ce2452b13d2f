//! Which model an edge and a cluster run: a number that depends on the files that both must have alike.
//!
//! The ears, the eyes and the codec decide what embeddings and codes mean. Large files count by their length, their
//! first and their last megabyte, so that a start does not read gigabytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Folders of a model that an edge reads.
const FOLDERS: [&str; 3] = ["audio", "vision", "audio_codec"];
/// Files beside the ears that only a cluster reads.
const CLUSTERS_OWN: [&str; 2] = ["audio_embeddings", "audio_output_layers"];
/// Bytes that are read at each end of a file.
const READ_BYTES: u64 = 1 << 20;

/// Identity of the model in `folder`: 32 hexadecimal digits.
///
/// # Errors
/// What the operating system says about a file that cannot be read.
pub fn model_identity(folder: &Path) -> io::Result<String> {
    let mut sum = Sha256::new();
    for name in FOLDERS {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder.join(name))?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
        files.sort_unstable();
        for file in files.iter().filter(|file| file.is_file() && !is_clusters_own(file)) {
            sum.update(name.as_bytes());
            sum.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            add(&mut sum, file)?;
        }
    }
    Ok(sum.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

fn is_clusters_own(file: &Path) -> bool {
    file.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| CLUSTERS_OWN.contains(&stem))
}

fn add(sum: &mut Sha256, file: &Path) -> io::Result<()> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    sum.update(length.to_le_bytes());
    let mut bytes = Vec::new();
    file.by_ref().take(READ_BYTES).read_to_end(&mut bytes)?;
    sum.update(&bytes);
    if length > READ_BYTES {
        bytes.clear();
        file.seek(SeekFrom::Start(length.saturating_sub(READ_BYTES).max(READ_BYTES)))?;
        file.read_to_end(&mut bytes)?;
        sum.update(&bytes);
    }
    Ok(())
}
