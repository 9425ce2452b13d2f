//! `tokenizer.json` with the released layout of ids: 24 named ones, masks on 24 to 223, the 256 bytes, then merges.
//!
//! Merges go on until every word of the domain is one id, so that a word is one row of the language model and its sound
//! a run of rows after it.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Model, TokenizerBuilder};
use tokenizers::{DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

use crate::domain::{Conversation, Split};
use crate::eyes;

/// Conversations that are drawn for the merges: every word of the domain comes many times.
const CONVERSATIONS: usize = 30_000;
/// More ids than merges will ever need.
const VOCABULARY_MAX: usize = 8192;
/// Named ids before the masks.
const NAMED: [&str; 4] = ["<longcat_unk>", "<longcat_s>", "</longcat_s>", "<longcat_pad>"];
/// Reserved ids up to the first mask.
const RESERVED: usize = 20;
/// Masks, of which the markers are aliases.
const MASKS: usize = 200;

/// Writes `folder/tokenizer.json`.
///
/// # Errors
/// When the tokenizer cannot be made or written.
pub fn write(folder: &Path, seed: u64) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let named = NAMED.iter().map(|name| (*name).to_string());
    let reserved = (0..RESERVED).map(|i| format!("<reserved_{i}>"));
    let masks = (0..MASKS).map(|i| format!("<mask_{i}>"));
    let special: Vec<AddedToken> = named.chain(reserved).chain(masks).map(|token| AddedToken::from(token, true)).collect();
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(VOCABULARY_MAX)
        .min_frequency(1)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let bytes = ByteLevel::default().add_prefix_space(false);
    let mut tokenizer = TokenizerBuilder::<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>::default()
        .with_model(BPE::default())
        .with_pre_tokenizer(Some(bytes.into()))
        .with_decoder(Some(bytes.into()))
        .build()
        .map_err(|e| anyhow!("the tokenizer cannot be made: {e}"))?;
    tokenizer.train(&mut trainer, corpus(seed).into_iter()).map_err(|e| anyhow!("the merges cannot be learnt: {e}"))?;
    eprintln!("tokenizer: {} ids", tokenizer.get_model().get_vocab_size());
    let file = folder.join("tokenizer.json");
    tokenizer.save(&file, false).map_err(|e| anyhow!("{}: cannot be written: {e}", file.display()))
}

/// Every string that is tokenised by itself: what turns begin with, sentences, answers.
fn corpus(seed: u64) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut lines: Vec<String> = ["USER:", "VOICE ASSISTANT:", "ASSISTANT:", "SYSTEM:", "\n"].map(str::to_string).to_vec();
    lines.extend((0..600).map(|i| format!("second{{{}.{}}}:", i / 10, i % 10)));
    let mut exchange = |user: String, reply: String| {
        lines.push(written(&user));
        lines.push(user);
        lines.push(reply);
    };
    for _ in 0..CONVERSATIONS {
        Conversation::draw(&mut rng, 1, Split::Training).exchanges.into_iter().for_each(|e| exchange(e.user, e.reply));
        let (_, question, answer) = eyes::questions::picture_case(&mut rng, eyes::scene::Split::Train);
        exchange(question, answer);
        let (_, question, answer) = eyes::questions::clip_case(&mut rng, eyes::scene::Split::Train);
        exchange(question, answer);
    }
    lines
}

/// A sentence as people type it.
pub fn written(words: &str) -> String {
    let first = words.split(' ').next().unwrap_or_default();
    let asks = ["what", "how", "is", "who", "where", "which", "when", "do", "did", "are", "can", "could", "would"].contains(&first);
    crate::domain::phrasing::sentence(words, if asks { '?' } else { '.' })
}

#[cfg(test)]
mod tests {
    use super::*;
    use caracal_cluster::tokenizer::Tokenizer;
    use caracal_shared::tokenize::{Markers, Tokenize};

    #[test]
    fn ids_have_the_released_layout_and_words_are_whole() {
        let folder = std::env::temp_dir().join(format!("caracal-tokenizer-{}", std::process::id()));
        write(&folder, 1).unwrap();
        let tokenizer = Tokenizer::load(&folder).unwrap();
        let markers = Markers::resolve(&tokenizer).unwrap();
        assert_eq!((markers.pause, markers.end, markers.audio_pad, markers.image_pad), (137, 2, 136, 142));
        assert_eq!([",", ".", "?"].map(|mark| tokenizer.encode(mark).unwrap()), [vec![235], vec![237], vec![254]]);
        let sentence = "The living room light is now on.";
        let ids = tokenizer.encode(sentence).unwrap();
        assert_eq!(ids.len(), 8, "{ids:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), sentence);
        let odd = "Zürich, 42 öre";
        assert_eq!(tokenizer.decode(&tokenizer.encode(odd).unwrap()).unwrap(), odd);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
