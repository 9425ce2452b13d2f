//! Rendered sentences on disk: made once from a seed, then read one by one.
//!
//! Sentences lie in shards, each a file of 16-bit samples and a list of what is in it. A shard is written whole, so a
//! run that was stopped goes on with the first that is missing; equal seeds render equal shards.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::voice::Voice;

/// Sentences in a shard: some seconds of rendering, so that little is lost when a run is stopped.
pub const SHARD: usize = 500;

/// One rendered sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What is said.
    pub text: String,
    /// Who says it, as [`Voice::speaker`] names them.
    pub speaker: String,
    /// First sample in the shard.
    start: u64,
    /// Samples.
    count: usize,
}

/// Many rendered sentences.
pub struct Library {
    entries: Vec<Entry>,
    shards: Vec<(PathBuf, Mutex<File>)>,
}

impl Library {
    /// Opens the sentences `name` in `folder`, rendering what is missing: `shards` times 500 of them, each what `plan`
    /// draws. `shown` is told how many shards are there after each.
    ///
    /// # Errors
    /// When a synthesiser fails, or a file cannot be written or read.
    pub fn open(
        folder: &Path,
        name: &str,
        shards: usize,
        seed: u64,
        plan: impl Fn(&mut StdRng) -> (String, Voice) + Sync,
        shown: impl Fn(usize),
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        let mut library = Self { entries: Vec::new(), shards: Vec::new() };
        for shard in 0..shards {
            let list = folder.join(format!("{name}-{shard:04}.json"));
            let sound = list.with_extension("pcm");
            if !list.exists() {
                let first = (shard * SHARD) as u64;
                let rendered: Vec<_> = (first..first + SHARD as u64)
                    .into_par_iter()
                    .map(|index| {
                        let (text, voice) = plan(&mut StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(index)));
                        let samples = voice.render(&text).with_context(|| format!("`{text}`"))?;
                        Ok((text, voice.speaker(), samples))
                    })
                    .collect::<Result<_>>()?;
                write_shard(&list, &sound, rendered)?;
                shown(shard + 1);
            }
            library.add(&list, &sound)?;
        }
        Ok(library)
    }

    /// Adds one shard of sentences, rendering them by `render` if they are not there.
    ///
    /// # Errors
    /// Those of `render`, or when a file cannot be written or read.
    ///
    /// # Panics
    /// When `render` gives another number than [`SHARD`].
    pub fn extend(&mut self, folder: &Path, name: &str, render: impl FnOnce() -> Result<Vec<(String, String, Vec<i16>)>>) -> Result<()> {
        let list = folder.join(format!("{name}.json"));
        let sound = list.with_extension("pcm");
        if !list.exists() {
            let rendered = render()?;
            assert_eq!(rendered.len(), SHARD, "a shard has {SHARD} sentences");
            write_shard(&list, &sound, rendered)?;
        }
        self.add(&list, &sound)
    }

    fn add(&mut self, list: &Path, sound: &Path) -> Result<()> {
        let damaged = || format!("{}: no list of sentences; delete it to render them anew", list.display());
        let entries: Vec<Entry> = serde_json::from_slice(&std::fs::read(list)?).with_context(damaged)?;
        ensure!(entries.len() == SHARD, damaged());
        let file = File::open(sound).with_context(|| format!("{}: cannot be read", sound.display()))?;
        self.shards.push((sound.to_path_buf(), Mutex::new(file)));
        self.entries.extend(entries);
        Ok(())
    }

    /// What is there.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The sound of entry `index`, 16 kHz.
    ///
    /// # Errors
    /// When the file cannot be read.
    ///
    /// # Panics
    /// When there is no such entry.
    pub fn samples(&self, index: usize) -> Result<Vec<i16>> {
        let entry = &self.entries[index];
        let (path, file) = &self.shards[index / SHARD];
        let mut bytes = vec![0; 2 * entry.count];
        let mut file = file.lock().expect("no reader panics");
        file.seek(SeekFrom::Start(2 * entry.start))
            .and_then(|_| file.read_exact(&mut bytes))
            .with_context(|| format!("{}: cannot be read; delete it and its list to render them anew", path.display()))?;
        Ok(bytes.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect())
    }
}

/// Writes the sound first and the list, which says that the shard is whole, last.
fn write_shard(list: &Path, sound: &Path, rendered: Vec<(String, String, Vec<i16>)>) -> Result<()> {
    let mut file = File::create(sound).with_context(|| format!("{}: cannot be written", sound.display()))?;
    let mut entries = Vec::with_capacity(rendered.len());
    let mut start = 0;
    for (text, speaker, samples) in rendered {
        let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        file.write_all(&bytes).with_context(|| format!("{}: cannot be written", sound.display()))?;
        entries.push(Entry { text, speaker, start, count: samples.len() });
        start += samples.len() as u64;
    }
    let unfinished = list.with_extension("part");
    std::fs::write(&unfinished, serde_json::to_vec(&entries)?).with_context(|| format!("{}: cannot be written", unfinished.display()))?;
    std::fs::rename(&unfinished, list).with_context(|| format!("{}: cannot be written", list.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let folder = std::env::temp_dir().join(format!("caracal-library-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let rendered: Vec<_> = (0..SHARD).map(|i| (format!("sentence {i}"), "flite slt".to_string(), vec![i as i16; i % 7])).collect();
        write_shard(&folder.join("test-0000.json"), &folder.join("test-0000.pcm"), rendered).unwrap();
        let plan = |_: &mut StdRng| -> (String, Voice) { panic!("nothing is missing") };
        let library = Library::open(&folder, "test", 1, 1, plan, |_| ()).unwrap();
        assert_eq!(library.entries()[20].text, "sentence 20");
        assert_eq!(library.samples(20).unwrap(), vec![20; 6]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
