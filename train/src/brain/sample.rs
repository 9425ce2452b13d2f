//! A conversation as rows, and what each row should predict.
//!
//! The rows come from the very assembly that a running session uses, spoken answers with the one-step offset included.
//! A row predicts the text id and the codes of the row after it wherever that row belongs to an answer.

use anyhow::{Context, Result};
use caracal_cluster::tokenizer::Tokenizer;
use caracal_shared::ids::{CODE_PAD, TEXT_PAD};
use caracal_shared::prompt::{Embeddings, Item, Message, PromptOptions, Role, Row, assemble};
use caracal_shared::reply::CODEBOOKS;
use caracal_shared::tokenize::Markers;

/// Role id of rows that belong to an answer.
const ANSWERING: u8 = 3;

/// What a row should predict; `None` where nothing is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Next text id.
    pub text: Option<u32>,
    /// Next codes. The semantic one is there whenever any is.
    pub codes: [Option<u32>; CODEBOOKS],
    /// Whether the text has speech beside it.
    pub spoken: bool,
}

/// Encoder rows that take the places of placeholders, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Perceived {
    /// Output of the audio encoder, before the projector: `[tokens, heard]`.
    pub audio: Vec<f32>,
    /// Output of the ViT, before the projector, two patches for each token: `[tokens, PAIR]`.
    pub image: Vec<f32>,
}

/// Rows, targets and what is perceived.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the model reads.
    pub rows: Vec<Row>,
    /// What each row predicts.
    pub targets: Vec<Target>,
    /// What fills the placeholders.
    pub perceived: Perceived,
}

impl Sample {
    /// The same with codes alone to predict: the text is read, not learnt.
    pub fn speech_alone(mut self) -> Self {
        self.targets.iter_mut().for_each(|target| target.text = None);
        self
    }
}

/// Makes samples with one tokenizer.
pub struct Sampler {
    tokenizer: Tokenizer,
    markers: Markers,
}

impl Sampler {
    /// Reads the tokenizer of a model folder.
    ///
    /// # Errors
    /// When it is none of this model.
    pub fn open(folder: &std::path::Path) -> Result<Self> {
        let tokenizer = Tokenizer::load(folder)?;
        let markers = Markers::resolve(&tokenizer)?;
        Ok(Self { tokenizer, markers })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Ids of the markers.
    pub fn markers(&self) -> &Markers {
        &self.markers
    }

    /// A whole conversation with its answers. `heard` and `seen` are the widths of what is perceived.
    ///
    /// # Errors
    /// When an item is not allowed where it stands, or the perceived rows do not fit the placeholders.
    pub fn sample(&self, messages: &[Message], perceived: Perceived, heard: usize, seen: usize) -> Result<Sample> {
        let options = PromptOptions { generation_prefix: false, ..PromptOptions::default() };
        let prompt = assemble(&self.tokenizer, &self.markers, messages, &options)?;
        for (kind, found) in [(Embeddings::Audio, perceived.audio.len() / heard), (Embeddings::Image, perceived.image.len() / seen)] {
            anyhow::ensure!(prompt.wanted(kind) == found, "{found} encoder rows for {} placeholders ({kind:?})", prompt.wanted(kind));
        }
        let mut targets = vec![Target::default(); prompt.rows.len()];
        for next in 1..prompt.rows.len() {
            if prompt.roles[next] == ANSWERING {
                targets[next - 1] = target(&prompt.rows[next]);
            }
        }
        Ok(Sample { rows: prompt.rows, targets, perceived })
    }

    /// Rows up to and with the generation prefix.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    pub fn prompt(&self, messages: &[Message], voice: bool) -> Result<Vec<Row>> {
        let options = PromptOptions { voice_chat: voice, ..PromptOptions::default() };
        Ok(assemble(&self.tokenizer, &self.markers, messages, &options).context("the prompt cannot be assembled")?.rows)
    }
}

fn target(row: &Row) -> Target {
    let spoken = row.codes[0] != CODE_PAD;
    Target { text: (row.text != TEXT_PAD).then_some(row.text), codes: row.codes.map(|code| (code != CODE_PAD).then_some(code)), spoken }
}

/// A user's turn in writing.
pub fn typed(text: &str) -> Message {
    Message { role: Role::User, items: vec![Item::Text(text.to_string())] }
}

/// An answer in writing.
pub fn answer(text: &str) -> Message {
    Message { role: Role::Assistant, items: vec![Item::Text(text.to_string())] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caracal_shared::ids::{CODE_END, CODE_OFFSET};
    use caracal_shared::post_process::spoken_turn;
    use caracal_shared::tokenize::Tokenize;

    const HEARD: usize = 4;
    const SEEN: usize = 2;

    fn sampler() -> Sampler {
        let folder = std::env::temp_dir().join(format!("caracal-sample-{}-{:?}", std::process::id(), std::thread::current().id()));
        super::super::tokenizer_file::write(&folder, 1).unwrap();
        let sampler = Sampler::open(&folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        sampler
    }

    fn spoken(text: &str, frames: u32) -> Message {
        let segments = vec![(0..frames).map(|k| [10 + k, 20 + k, 30 + k, 40 + k]).collect()];
        Message { role: Role::VoiceAssistant, items: vec![Item::Spoken { text: text.to_string(), segments }] }
    }

    #[test]
    fn the_row_before_an_answer_predicts_its_first_word_and_only_the_semantic_code_of_its_first_frame() {
        let sampler = sampler();
        let sample = sampler.sample(&[typed("who are you"), spoken("Yes.", 6)], Perceived::default(), HEARD, SEEN).unwrap();
        let first = sample.targets.iter().position(|target| target.text.is_some()).unwrap();
        let asked = sampler.prompt(&[typed("who are you")], true).unwrap();
        assert_eq!(first + 1, asked.len(), "the generation prefix predicts the answer");
        assert_eq!(sample.targets[first].codes, [Some(10 + CODE_OFFSET), None, None, None]);
        assert!(sample.targets[first].spoken);
        // Acoustic codes come one row late, the semantic end last.
        assert_eq!(sample.targets[first + 1].codes, [Some(11), Some(20), Some(30), Some(40)].map(|c| c.map(|c| c + CODE_OFFSET)));
        assert_eq!(sample.targets[first + 6].codes[0], Some(CODE_END));
        assert_eq!(sample.targets[first + 6].codes[3], Some(45 + CODE_OFFSET));
        let words: Vec<u32> = sample.targets.iter().filter_map(|target| target.text).collect();
        assert_eq!(words.last(), Some(&sampler.markers().end));
        assert_eq!(sampler.tokenizer().decode(&words[..words.len() - 1]).unwrap(), "Yes.");
    }

    #[test]
    fn a_spoken_turn_read_back_from_its_steps_is_the_turn() {
        let sampler = sampler();
        let (text, segments) = (
            "Yes,</pause> it is.".to_string(),
            vec![vec![[1, 2, 3, 4]; 3], vec![[5, 6, 7, 8], [9, 10, 11, 12], [1, 2, 3, 4], [5, 6, 7, 8]]],
        );
        let items = vec![Item::Spoken { text: text.clone(), segments: segments.clone() }];
        let turn = Message { role: Role::VoiceAssistant, items };
        let sample = sampler.sample(&[typed("is it"), turn], Perceived::default(), HEARD, SEEN).unwrap();
        let steps: Vec<&Target> = sample.targets.iter().filter(|target| target.spoken).collect();
        let words: Vec<Option<u32>> = steps.iter().map(|step| step.text).collect();
        let codes: Vec<_> = steps.iter().map(|step| step.codes).collect();
        assert_eq!(spoken_turn(sampler.tokenizer(), &words, &codes).unwrap(), Some((text, segments)));
        // Cut short it has no end.
        assert_eq!(spoken_turn(sampler.tokenizer(), &words[..6], &codes[..6]).unwrap(), None);
    }

    #[test]
    fn nothing_that_the_user_says_is_a_target() {
        let sampler = sampler();
        let sample = sampler.sample(
            &[typed("my name is anna"), answer("Yes."), typed("who am i"), answer("No.")],
            Perceived::default(),
            HEARD,
            SEEN,
        );
        let words: Vec<u32> = sample.unwrap().targets.iter().filter_map(|target| target.text).collect();
        let text = sampler.tokenizer().decode(&words).unwrap();
        assert_eq!(text, "Yes.</longcat_s>No.</longcat_s>");
    }

    #[test]
    fn an_answer_that_is_read_aloud_teaches_speech_and_no_text() {
        let sampler = sampler();
        let sample = sampler.sample(&[typed("who are you"), spoken("Yes.", 6)], Perceived::default(), HEARD, SEEN).unwrap();
        let codes: Vec<_> = sample.targets.iter().map(|target| target.codes).collect();
        let aloud = sample.clone().speech_alone();
        assert!(aloud.targets.iter().all(|target| target.text.is_none()));
        assert_eq!(aloud.targets.iter().map(|target| target.codes).collect::<Vec<_>>(), codes);
        assert_eq!(aloud.rows, sample.rows);
    }

    #[test]
    fn perceived_rows_must_fit_their_places() {
        let sampler = sampler();
        let heard = Message { role: Role::User, items: vec![Item::Audio { tokens: 3 }] };
        let perceived = |rows: usize| Perceived { audio: vec![0.0; rows * HEARD], image: Vec::new() };
        assert!(sampler.sample(&[heard.clone(), answer("Yes.")], perceived(3), HEARD, SEEN).is_ok());
        let error = sampler.sample(&[heard, answer("Yes.")], perceived(2), HEARD, SEEN).unwrap_err();
        assert!(error.to_string().contains("2 encoder rows for 3 placeholders"), "{error}");
    }
}
