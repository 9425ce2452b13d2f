//! Finding goldens and reading them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use caracal_kernels::Checkpoint;
use serde_json::Value;

/// `CARACAL_GOLDEN_DIR`, else the copy in this repository.
pub fn golden_root() -> PathBuf {
    std::env::var_os("CARACAL_GOLDEN_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden"), PathBuf::from)
}

/// Names of all sidecars below `root`, in order: every `.json` that is no model config and no tokenizer.
///
/// # Errors
/// When the folder cannot be read or is empty: a missing golden set is a failure, never a silent pass.
pub fn discover(root: &Path) -> Result<Vec<String>> {
    fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| format!("goldens: cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                if !path.ends_with("checkpoint") {
                    walk(root, &path, names)?;
                }
            } else if path.extension().is_some_and(|e| e == "json") && !path.ends_with("standin_tokenizer.json") {
                names.push(path.strip_prefix(root)?.with_extension("").to_string_lossy().replace('\\', "/"));
            }
        }
        Ok(())
    }
    let mut names = Vec::new();
    walk(root, root, &mut names)?;
    names.sort();
    ensure!(!names.is_empty(), "goldens: no sidecar below {}", root.display());
    Ok(names)
}

/// One golden: its sidecar and its tensors.
pub struct Golden {
    /// Name below the root, without extension.
    pub name: String,
    /// The sidecar.
    pub json: Value,
    /// Folder of the sidecar.
    pub folder: PathBuf,
    tensors: Option<Checkpoint>,
}

impl Golden {
    /// Opens the sidecar `name` below `root` and the `.safetensors` file beside it, if there is one.
    ///
    /// # Errors
    /// When the sidecar is missing or no JSON, or the tensor file is damaged.
    pub fn open(root: &Path, name: &str) -> Result<Self> {
        let path = root.join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("golden {}: cannot be read", path.display()))?;
        let json = serde_json::from_str(&text).with_context(|| format!("golden {}: no JSON", path.display()))?;
        let tensors = path.with_extension("safetensors");
        let tensors = if tensors.exists() { Some(Checkpoint::open(&tensors)?) } else { None };
        Ok(Self { name: name.to_string(), json, folder: path.parent().map(Path::to_path_buf).unwrap_or_default(), tensors })
    }

    /// The tensor file beside the sidecar.
    ///
    /// # Panics
    /// When there is none.
    pub fn tensors(&self) -> &Checkpoint {
        self.tensors.as_ref().unwrap_or_else(|| panic!("golden {}: no .safetensors beside the sidecar", self.name))
    }

    /// Another tensor file in the same folder.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn file(&self, name: &str) -> Result<Checkpoint> {
        Ok(Checkpoint::open(&self.folder.join(name))?)
    }

    /// Shape of a tensor.
    ///
    /// # Panics
    /// When it is missing.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.tensors().get(name).unwrap_or_else(|| panic!("golden {}: no tensor `{name}`", self.name)).shape.clone()
    }

    /// A float tensor as f32, whatever its shape.
    ///
    /// # Errors
    /// When it is missing or no float tensor.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.tensors().floats(name, &self.shape(name))?)
    }

    /// An integer tensor, whatever its shape.
    ///
    /// # Errors
    /// When it is missing or a float tensor.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>> {
        Ok(self.tensors().integers(name, &self.shape(name))?)
    }

    /// A field of the sidecar by JSON pointer, e.g. `/config/hidden_size`.
    ///
    /// # Errors
    /// When it is missing.
    pub fn field(&self, pointer: &str) -> Result<&Value> {
        match self.json.pointer(pointer) {
            Some(value) => Ok(value),
            None => bail!("golden {}: no field {pointer}", self.name),
        }
    }
}
