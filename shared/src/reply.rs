//! The two stages of a spoken reply: text and audio together, then the rest of the segment's audio alone.
//!
//! Between sampling a step and feeding the next one (hop 11). Every step yields a text id and four codes whatever the
//! stage; this machine says which of them count, and what the model reads next. It holds no tensor, so it is cloned to
//! speculate and dropped to roll back.
//!
//! | stage | event | next stage |
//! |---|---|---|
//! | Text | text id is the pause | Audio |
//! | Text | text id is the end | Audio, and this segment is the last |
//! | Text | anything else, a semantic end included | Text |
//! | Audio | semantic end, not the last segment | Text |
//! | Audio | semantic end, last segment | Finished |
//! | Audio | anything else | Audio |
//!
//! Source: LongCat-Flash-Omni, the serving branch its README names (`longcat_flash_omni.py`, request type "chat").

/// Codes of one step: semantic, then three acoustic.
pub const CODEBOOKS: usize = 4;

/// Ids that move the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyIds {
    /// Text id that ends the text of a segment, `</pause>`.
    pub pause: u32,
    /// Text id that ends the text of the last segment, `</longcat_s>`. Also what a step without text shows.
    pub end: u32,
    /// Semantic id that ends the audio of a segment.
    pub semantic_end: u32,
}

/// Where a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyStage {
    /// Text and audio are produced together.
    Text,
    /// The segment's text is complete, its audio is not.
    Audio,
    /// The last segment's audio is complete.
    Finished,
}

/// What the model reads for the step after this one; `None` adds nothing to the embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextInput {
    /// Text id; `None` is a zero vector, not the embedding of the pad.
    pub text: Option<u32>,
    /// Code ids with offset, semantic first. They are embedded as they are, ids 2 and 3 included.
    pub codes: [Option<u32>; CODEBOOKS],
}

/// What one generated step amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyStep {
    /// Stage in which the ids were sampled.
    pub before: ReplyStage,
    /// Stage after them.
    pub after: ReplyStage,
    /// Steps made in the stage `after`; 0 right after entering Text or Audio, kept on finishing.
    pub count: u32,
    /// The text id, `None` when it was discarded.
    pub text: Option<u32>,
    /// What the list of text ids receives: the text id, or the end id when there is none. Never stop on it.
    pub emitted_text_id: u32,
    /// What the record of codes receives, and what the repetition penalty counts.
    pub codes: [Option<u32>; CODEBOOKS],
    /// What the model reads next. For the finishing step: what closes the reply in the cache.
    pub next: NextInput,
    /// Whether the reply is complete.
    pub finished: bool,
}

/// The stage machine of one reply.
///
/// # State
/// Three small values; a clone continues equally.
///
/// # Source
/// See the module. Golden `prompt/decode_trace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyMachine {
    ids: ReplyIds,
    stage: ReplyStage,
    count: u32,
    last_segment: bool,
}

impl ReplyMachine {
    /// A reply of which nothing is generated yet.
    pub fn new(ids: ReplyIds) -> Self {
        Self { ids, stage: ReplyStage::Text, count: 0, last_segment: false }
    }

    /// Stage in which the next step will be sampled.
    pub fn stage(&self) -> ReplyStage {
        self.stage
    }

    /// Takes the text id and the four codes of one step. Any id is legal.
    ///
    /// # Panics
    /// When the reply has finished: nothing may be sampled for it any more.
    pub fn step(&mut self, text: u32, codes: [u32; CODEBOOKS]) -> ReplyStep {
        assert!(self.stage != ReplyStage::Finished, "a finished reply was given another step");
        let before = self.stage;
        self.count += 1;
        match before {
            ReplyStage::Text if text == self.ids.pause || text == self.ids.end => {
                self.last_segment = text == self.ids.end;
                (self.stage, self.count) = (ReplyStage::Audio, 0);
            }
            ReplyStage::Audio if codes[0] == self.ids.semantic_end => match self.last_segment {
                true => self.stage = ReplyStage::Finished,
                false => (self.stage, self.count) = (ReplyStage::Text, 0),
            },
            _ => {}
        }
        let spoken = (before == ReplyStage::Text).then_some(text);
        // The acoustic codes lag one step behind the semantic one, so those of a segment's first step belong to no frame.
        // The published loop looks at the stage after the step: a segment that ends at once keeps them.
        let first = self.stage == ReplyStage::Text && self.count == 1;
        let recorded = core::array::from_fn(|book| (book == 0 || !first).then_some(codes[book]));
        ReplyStep {
            before,
            after: self.stage,
            count: self.count,
            text: spoken,
            emitted_text_id: spoken.unwrap_or(self.ids.end),
            codes: recorded,
            next: NextInput { text: spoken, codes: recorded },
            finished: self.stage == ReplyStage::Finished,
        }
    }
}
