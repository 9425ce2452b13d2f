//! One answer: steps in, frames and captions out, and what remains of it when it is broken off.
//!
//! Hop 11, cluster. Frames lag one step behind their semantic code; the record of which step gave which frame turns
//! "so many frames were heard" into a place in the text.

use alloc::string::String;
use alloc::vec::Vec;

use super::live_template::LiveTemplate;
use crate::ids::{CODE_END, TEXT_END};
use crate::post_process::{FramePairing, RemoveOffset};
use crate::reply::{CODEBOOKS, NextInput, ReplyIds, ReplyMachine};
use crate::truncate::{Closing, close_after, close_finished, keep_through};
use crate::wire::SpeechFrame;

/// Frames of the first messages: what the codec needs before the first sound, then little at a time.
const FRAMES_FIRST: usize = 4;
const FRAMES_SOON: usize = 2;
/// Frames that were sent before messages grow: half a second is then ahead of the listener.
const FRAMES_AHEAD: u32 = 8;
/// Frames of later messages: 9 bytes a frame in place of 15.
const FRAMES_LATER: usize = 4;

/// An answer as far as it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    machine: ReplyMachine,
    pairing: FramePairing,
    offset: RemoveOffset,
    inputs: Vec<NextInput>,
    /// For each frame the step of its semantic code.
    frame_steps: Vec<u32>,
    /// Frames that were not sent.
    unsent: Vec<SpeechFrame>,
    sent: u32,
    caption: String,
    /// Whether it will not become more.
    generated: bool,
    finished: bool,
}

impl Reply {
    /// Of which nothing is made; `code_sizes` are the sizes of the codec's codebooks.
    pub fn new(template: &LiveTemplate, code_sizes: [u32; CODEBOOKS]) -> Self {
        let ids = ReplyIds { pause: template.markers.pause, end: TEXT_END, semantic_end: CODE_END };
        Self {
            machine: ReplyMachine::new(ids),
            pairing: FramePairing::default(),
            offset: RemoveOffset::new(code_sizes),
            inputs: Vec::new(),
            frame_steps: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            caption: String::new(),
            generated: false,
            finished: false,
        }
    }

    /// Steps that were made.
    pub fn steps(&self) -> u32 {
        self.inputs.len() as u32
    }

    /// Frames that were made.
    pub fn frames(&self) -> u32 {
        self.frame_steps.len() as u32
    }

    /// Whether it will not become more.
    pub fn is_generated(&self) -> bool {
        self.generated
    }

    /// Takes one step; `last` ends the answer whatever the step says.
    ///
    /// # Panics
    /// When the answer will not become more.
    pub fn step(&mut self, text: u32, codes: [u32; CODEBOOKS], last: bool) {
        assert!(!self.generated, "a step after the last");
        let step = self.machine.step(text, codes);
        if let Some(frame) = self.pairing.step(step.codes).and_then(|frame| self.offset.step(frame)) {
            self.frame_steps.push(self.steps() - 1);
            self.unsent.push(frame.map(|code| code as u16));
        }
        self.inputs.push(step.next);
        self.finished = step.finished;
        self.generated = step.finished || last;
    }

    /// Whether some of its frames were sent.
    pub fn is_sent(&self) -> bool {
        self.sent > 0
    }

    /// What the model reads after step `step`.
    pub fn input(&self, step: u32) -> NextInput {
        self.inputs[step as usize]
    }

    /// What it reads after the steps `from..to`.
    pub fn inputs(&self, from: u32, to: u32) -> Vec<NextInput> {
        self.inputs[from as usize..to as usize].to_vec()
    }

    /// Frames that are to be sent now: small messages at the start, larger ones when some are ahead of the listener.
    pub fn frames_to_send(&mut self) -> Option<Vec<SpeechFrame>> {
        let least = match self.sent {
            0 => FRAMES_FIRST,
            sent if sent < FRAMES_AHEAD => FRAMES_SOON,
            _ => FRAMES_LATER,
        };
        if self.unsent.is_empty() || (self.unsent.len() < least && !self.generated) {
            return None;
        }
        self.sent += self.unsent.len() as u32;
        Some(core::mem::take(&mut self.unsent))
    }

    /// Text that was added since the last call.
    pub fn caption(&mut self, template: &LiveTemplate) -> Option<String> {
        let text = template.text(&self.texts());
        // The first bytes of a character that the next step completes.
        if text.ends_with('\u{fffd}') && !self.generated {
            return None;
        }
        let more = text.strip_prefix(self.caption.as_str()).filter(|more| !more.is_empty())?.into();
        self.caption = text;
        Some(more)
    }

    /// The whole text.
    pub fn text(&self, template: &LiveTemplate) -> String {
        template.text(&self.texts())
    }

    fn texts(&self) -> Vec<Option<u32>> {
        self.inputs.iter().map(|input| input.text).collect()
    }

    /// Whether the last step carried text.
    pub fn has_new_text(&self) -> bool {
        self.inputs.last().is_some_and(|input| input.text.is_some())
    }

    /// What is kept when so many frames were heard, the text of that, and whether nothing is lost.
    pub fn cut(&self, frames: u32, template: &LiveTemplate) -> (Closing, String) {
        let heard = (frames as usize).min(self.frame_steps.len());
        let last = heard.checked_sub(1).map(|frame| self.frame_steps[frame] as usize);
        let texts = self.texts();
        let keep = keep_through(&texts, last, &template.marks);
        let text = keep.map_or_else(String::new, |step| template.text(&texts[..=step]));
        (close_after(&self.inputs, keep, &template.markers), text)
    }

    /// What closes an answer that came to its end and of which `fed` steps are in the cache; `None` when it did not.
    pub fn end(&self, fed: u32) -> Option<Closing> {
        self.inputs.last().filter(|_| self.finished).map(|last| close_finished(last, fed as usize))
    }
}
