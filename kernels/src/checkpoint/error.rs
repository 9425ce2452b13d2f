//! What can be wrong with a checkpoint or a config file.

use std::path::{Path, PathBuf};

/// A checkpoint or config file could not be used. Nothing was loaded; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened or read.
    #[error("{}: cannot be read: {source}. Check the path and its permissions.", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file is not of the format its name promises, or is damaged.
    #[error("{}: not a usable {expected}: {found}. Download the file again, or point to the right one.", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The format that was expected.
        expected: &'static str,
        /// What is wrong.
        found: String,
    },
    /// A tensor that the network needs is not in the checkpoint.
    #[error("{}: tensor `{tensor}` is missing{hint}. This is a checkpoint of another model, or an incomplete one.", file.display())]
    MissingTensor {
        /// The file.
        file: PathBuf,
        /// The name that was looked for.
        tensor: String,
        /// `; the nearest name in the file is ...`, or nothing.
        hint: String,
    },
    /// A tensor has another shape than the config says.
    #[error("{}: tensor `{tensor}` has shape {found:?}, expected {expected:?}. The checkpoint and its config do not belong together.", file.display())]
    WrongShape {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Shape that the config asks for.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a number format that cannot be used in its place.
    #[error("{}: tensor `{tensor}` is stored as {found}, expected {expected}. Convert the checkpoint.", file.display())]
    WrongDtype {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Formats that would do.
        expected: &'static str,
        /// Format in the file.
        found: String,
    },
    /// A tensor holds NaN or infinity.
    #[error("{}: tensor `{tensor}` holds {found} at element {index}, expected finite numbers. The file is damaged or the training diverged.", file.display())]
    NotFinite {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Position of the first such value in row-major order.
        index: usize,
        /// That value.
        found: f32,
    },
    /// The checkpoint holds tensors that the network has no place for.
    #[error("{}: {count} tensors have no place in this network, first `{first}`. This is a checkpoint of another model, or the config says too few layers.", file.display())]
    UnexpectedTensors {
        /// The file.
        file: PathBuf,
        /// How many.
        count: usize,
        /// The first of them, by name.
        first: String,
    },
    /// A config field is missing, of the wrong kind, out of range, or unknown.
    #[error("{}: field `{field}`: {problem}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// The field, with dots for nesting.
        field: String,
        /// What is wrong, what was expected, what to do.
        problem: String,
    },
}

impl LoadError {
    /// A [`LoadError::Config`]; `problem` should say what was found, what was expected and what to do.
    pub fn config(file: &Path, field: &str, problem: impl Into<String>) -> Self {
        Self::Config { file: file.to_path_buf(), field: field.to_string(), problem: problem.into() }
    }

    pub(crate) fn io(file: &Path, source: std::io::Error) -> Self {
        Self::Io { file: file.to_path_buf(), source }
    }

    pub(crate) fn damaged(file: &Path, expected: &'static str, found: impl ToString) -> Self {
        Self::Damaged { file: file.to_path_buf(), expected, found: found.to_string() }
    }
}
