//! Spoken sentences as codes, by the tokenizer that is in the checkpoint; computed once for each sentence.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Device};
use caracal_edge::audio::Waveform;
use caracal_edge::codec::AudioTokenizer;

use super::clips::{Clip, LEAD_FRAMES, LOW_RATE};
use super::publish;
use super::shape::{ENCODER, TOKENIZER_FILE};
use crate::stage::Folders;
use crate::voices::piper::Spoken;

/// Codes of a frame, semantic first, without the offset of ids.
pub type FrameCodes = [u16; 4];

/// Codes of sentences, in their order, from `{work}/codes.tsv` where they are there already. The file names the
/// tokenizer that they are of; another tokenizer begins it anew.
///
/// # Errors
/// When there is no tokenizer, a recording cannot be read, or the file not be written.
pub fn of(folders: &Folders, spoken: &[Spoken]) -> Result<Vec<(String, Vec<FrameCodes>)>> {
    let file = folders.work.join("codes.tsv");
    let stamp = stamp(&publish::folder(folders).join(format!("{ENCODER}.safetensors")))?;
    let mut known = read(&file, &stamp)?;
    if spoken.iter().any(|s| !known.contains_key(&s.text)) {
        let (tokenizer, _) = AudioTokenizer::open(&publish::folder(folders).join(TOKENIZER_FILE), &Device::flex(), DType::F32)?;
        let mut out = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .with_context(|| format!("{}: cannot be written", file.display()))?;
        if known.is_empty() {
            out = std::fs::File::create(&file)?;
            writeln!(out, "{stamp}")?;
        }
        let mut out = std::io::BufWriter::new(out);
        let silence = encode(&tokenizer, &Clip::silence())?;
        for spoken in spoken {
            if !known.contains_key(&spoken.text) {
                let mut codes = encode(&tokenizer, &Clip::read(spoken)?)?;
                begin_alike(&mut codes, &silence);
                let row = |frame: &FrameCodes| frame.map(|code| code.to_string()).join(",");
                writeln!(out, "{}\t{}", spoken.text, codes.iter().map(row).collect::<Vec<_>>().join(" "))?;
                known.insert(spoken.text.clone(), codes);
            }
        }
        out.flush()?;
    }
    Ok(spoken.iter().map(|s| (s.text.clone(), known[&s.text].clone())).collect())
}

/// Codes of a clip, one row for each frame.
///
/// # Errors
/// When the clip is too long, or the tokenizer has not four codebooks.
fn encode(tokenizer: &AudioTokenizer, clip: &Clip) -> Result<Vec<FrameCodes>> {
    let codes = tokenizer.clip(&Waveform::new(clip.low.clone())?, LOW_RATE)?;
    ensure!(codes.acoustic.len() == 3, "the tokenizer has {} acoustic codebooks, kitten has 3", codes.acoustic.len());
    // The last frame lacks analysis windows where silence ends; it speaks as the one before.
    let semantic = |t: usize| codes.semantic[t.min(codes.semantic.len() - 1)];
    let frame = |t: usize| [semantic(t), codes.acoustic[0][t], codes.acoustic[1][t], codes.acoustic[2][t]].map(|code| code as u16);
    Ok((0..codes.acoustic[0].len()).map(frame).collect())
}

/// The same for all: the tokenizer looks ahead, so the codes of the silence before a sentence already tell what follows,
/// which nobody knows who chooses them.
fn begin_alike(codes: &mut [FrameCodes], silence: &[FrameCodes]) {
    let count = codes.len().min(LEAD_FRAMES);
    codes[..count].copy_from_slice(&silence[..count]);
}

/// A line that changes with the tokenizer and with what it is given.
fn stamp(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("{}: no tokenizer; train the codec first", file.display()))?;
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Ok(format!("tokenizer {hash:016x}, all alike for {LEAD_FRAMES} frames"))
}

fn read(file: &Path, stamp: &str) -> Result<HashMap<String, Vec<FrameCodes>>> {
    let text = if file.exists() { std::fs::read_to_string(file)? } else { String::new() };
    let mut lines = text.lines();
    if lines.next() != Some(stamp) {
        return Ok(HashMap::new());
    }
    let frame =
        |row: &str| -> Option<FrameCodes> { row.split(',').map(|code| code.parse().ok()).collect::<Option<Vec<u16>>>()?.try_into().ok() };
    // A line may be cut short where a run was stopped.
    let parsed = lines.filter_map(|line| {
        let (text, frames) = line.split_once('\t')?;
        Some((text.to_string(), frames.split(' ').map(frame).collect::<Option<Vec<_>>>()?))
    });
    Ok(parsed.collect())
}

/// How evenly the codes of each codebook are used: entropy in bits, by itself and given the frame before.
pub fn entropies(sentences: &[(String, Vec<FrameCodes>)]) -> [(f64, f64); 4] {
    std::array::from_fn(|book| {
        let mut single: HashMap<u16, f64> = HashMap::new();
        let mut pairs: HashMap<(u16, u16), f64> = HashMap::new();
        let mut firsts: HashMap<u16, f64> = HashMap::new();
        for (_, frames) in sentences {
            frames.iter().for_each(|frame| *single.entry(frame[book]).or_default() += 1.0);
            for pair in frames.windows(2) {
                *pairs.entry((pair[0][book], pair[1][book])).or_default() += 1.0;
                *firsts.entry(pair[0][book]).or_default() += 1.0;
            }
        }
        let bits = |counts: Vec<f64>| {
            let total: f64 = counts.iter().sum();
            counts.iter().map(|c| -c / total * (c / total).log2()).sum::<f64>()
        };
        (bits(single.into_values().collect()), bits(pairs.into_values().collect()) - bits(firsts.into_values().collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_another_tokenizer_are_not_taken() {
        let file = std::env::temp_dir().join(format!("caracal-codes-{}", std::process::id()));
        std::fs::write(&file, "tokenizer 1\nHello.\t1,2,3,4 5,6,7,8\ncut\t1,2").unwrap();
        let known = read(&file, "tokenizer 1").unwrap();
        assert_eq!(known["Hello."], [[1, 2, 3, 4], [5, 6, 7, 8]]);
        assert_eq!(known.len(), 1);
        assert!(read(&file, "tokenizer 2").unwrap().is_empty());
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn sentences_begin_alike_and_differ_from_their_first_sound_on() {
        let (mut codes, silence) = (vec![[1; 4]; 5], [[7, 8, 9, 10], [8, 9, 10, 11], [9, 10, 11, 12]]);
        begin_alike(&mut codes, &silence);
        assert_eq!(codes[..LEAD_FRAMES], silence[..LEAD_FRAMES]);
        assert!(codes[LEAD_FRAMES..].iter().all(|frame| *frame == [1; 4]));
    }

    #[test]
    fn a_fair_coin_has_one_bit_and_an_alternation_none_after_the_first() {
        let sentences = [(String::new(), (0..1000u16).map(|t| [t % 2, 0, t / 500, 0]).collect())];
        let bits = entropies(&sentences);
        assert!((bits[0].0 - 1.0).abs() < 1e-6 && bits[0].1.abs() < 1e-3, "{bits:?}");
        assert_eq!(bits[1].0, 0.0);
        assert!((bits[2].0 - 1.0).abs() < 1e-6 && bits[2].1 < 0.05);
    }
}
