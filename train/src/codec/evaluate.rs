//! What is lost on the way through the codec: held-out sentences before and after, understood by a judge that knows
//! neither.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::{DType, Device};
use caracal_cluster::generate::outcome::Sound;
use caracal_edge::codec::{AudioDecoder, CodecIds, DecoderConfig};

use super::clips::{Clip, HIGH_RATE};
use super::shape::DECODER_FILE;
use super::{codes, decoder, publish};
use crate::brain::phrases;
use crate::evaluate::judged::word_error_rate;
use crate::stage::Folders;
use crate::voices::piper::{self, Spoken};

/// Word error rates in percent of the recordings and of their round trips.
#[derive(Clone, Copy, Debug)]
pub struct RoundTrip {
    /// Of the recordings.
    pub before: f64,
    /// Behind the codec.
    pub after: f64,
}

/// Writes the recordings and their round trips, by the codes that lessons have of them, with a table of what they say, and
/// asks the judge.
///
/// # Errors
/// When the codec is not complete, a file cannot be written, or the judge fails.
pub fn round_trip(folders: &Folders, spoken: &[Spoken], judge: &Path) -> Result<RoundTrip> {
    let folder = publish::folder(folders);
    let config = DecoderConfig::read(&folder.join(DECODER_FILE))?;
    let (speaker, _) = AudioDecoder::open(&folder, &Device::flex(), DType::F32)?;
    let ids = CodecIds::new(&config);
    let out = folders.work.join("round_trip");
    std::fs::create_dir_all(&out).with_context(|| format!("{}: cannot be made", out.display()))?;
    let (mut before, mut after) = (String::new(), String::new());
    for (index, (spoken, (_, codes))) in spoken.iter().zip(codes::of(folders, spoken)?).enumerate() {
        let clip = Clip::read(spoken)?;
        let spoken = speaker.offline(&decoder::frames(&ids, &codes)?);
        for (name, samples, table) in [("before", &clip.high, &mut before), ("after", &spoken, &mut after)] {
            let name = format!("{name}_{index:03}.wav");
            Sound { samples: samples.to_vec(), rate: HIGH_RATE }.write(&out.join(&name))?;
            table.push_str(&format!("{name}\t{}\n", clip.text));
        }
    }
    let rate = |name: &str, table: String| {
        let cases = out.join(format!("{name}.tsv"));
        std::fs::write(&cases, table)?;
        word_error_rate(judge, &cases)
    };
    Ok(RoundTrip { before: rate("before", before)?, after: rate("after", after)? })
}

/// Word error rate in percent of answers that are spoken phrase by phrase, as the language model does, from the codes of
/// recordings: what is left of a reply's errors when none of them is the language model's.
///
/// # Errors
/// When the voice or the codec cannot be had, a file cannot be written, or the judge fails.
pub fn phrase_by_phrase(folders: &Folders, answers: &[String], judge: &Path) -> Result<f64> {
    let folder = publish::folder(folders);
    let config = DecoderConfig::read(&folder.join(DECODER_FILE))?;
    let (speaker, _) = AudioDecoder::open(&folder, &Device::flex(), DType::F32)?;
    let ids = CodecIds::new(&config);
    let out = folders.work.join("phrase_by_phrase");
    std::fs::create_dir_all(&out).with_context(|| format!("{}: cannot be made", out.display()))?;
    let cut = |answer: &String| phrases::phrases(answer).iter().map(|phrase| phrases::read(phrase)).collect::<Vec<_>>();
    let known: HashMap<_, _> =
        codes::of(folders, &piper::speak(folders, &answers.iter().flat_map(cut).collect::<Vec<_>>())?)?.into_iter().collect();
    let mut table = String::new();
    for (index, answer) in answers.iter().enumerate() {
        let codes: Vec<_> = cut(answer).iter().flat_map(|phrase| known[phrase].clone()).collect();
        let name = format!("{index:03}.wav");
        Sound { samples: speaker.offline(&decoder::frames(&ids, &codes)?), rate: HIGH_RATE }.write(&out.join(&name))?;
        table.push_str(&format!("{name}\t{answer}\n"));
    }
    let cases = out.join("cases.tsv");
    std::fs::write(&cases, table)?;
    word_error_rate(judge, &cases)
}
