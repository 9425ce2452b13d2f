//! One edge of the simulated world: its conversation, microphone, speaker, accelerator, and what it remembers across a
//! restart.

use std::collections::BTreeMap;

use caracal_edge::audio::voice_activity::{SpeechProbability, VAD_WINDOW_SAMPLES, VoiceActivity, VoiceActivityConfig, VoiceEvent};
use caracal_edge::conversation::{Conversation, Settings, Story};
use caracal_edge::playout::Block;
use caracal_shared::machine::Micros;
use caracal_shared::turn::AttemptId;
use caracal_shared::wire::Ticket;

use super::accelerator::{Accelerator, sample_of};
use super::link::Link;

/// Where an attempt of this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Held,
    Heard,
    Dead,
}

/// The edge.
pub struct EdgeHost {
    /// The machines.
    pub conversation: Conversation,
    /// How it was made.
    pub settings: Settings,
    /// The way to the cluster.
    pub link: Link,
    /// Ears, eyes and mouth.
    pub accelerator: Accelerator,
    /// When the accelerator is free.
    pub busy_until: Micros,
    /// How much slower than usual it is.
    pub slowness: u64,
    /// Spans of speech in milliseconds.
    pub speech: Vec<(u64, u64)>,
    /// What is kept on disk.
    pub ticket: Option<Ticket>,
    /// What the edge's clock shows beyond the world's.
    pub clock: i64,
    /// Begun so many times.
    pub life: u64,
    /// Everything that happened, with the world's time.
    pub stories: Vec<(Micros, Story)>,
    /// Hops with sound, and the attempt on the wire.
    pub sounded: Vec<(Micros, u64, u32)>,
    vad: VoiceActivity,
    samples: u64,
    lives: BTreeMap<AttemptId, Life>,
    /// Difference between numbers on the wire and those of this process, once sound was heard.
    shift: Option<i64>,
    last_frame: Option<(u64, u32)>,
}

impl EdgeHost {
    /// An edge that has just been started.
    pub fn new(settings: Settings, link: Link, speech: Vec<(u64, u64)>, slowness: u64) -> Self {
        Self {
            conversation: Conversation::new(&settings),
            settings,
            link,
            accelerator: Accelerator::default(),
            busy_until: Micros(0),
            slowness,
            speech,
            ticket: None,
            clock: 0,
            life: 0,
            stories: Vec::new(),
            sounded: Vec::new(),
            vad: VoiceActivity::new(VoiceActivityConfig::default()),
            samples: 0,
            lives: BTreeMap::new(),
            shift: None,
            last_frame: None,
        }
    }

    /// The process ends and another begins: only the ticket is left.
    pub fn restart(&mut self) {
        let settings = Settings { ticket: self.ticket, ..self.settings.clone() };
        self.conversation = Conversation::new(&settings);
        self.accelerator = Accelerator::default();
        self.vad = VoiceActivity::new(VoiceActivityConfig::default());
        (self.samples, self.shift, self.last_frame) = (0, None, None);
        self.lives.clear();
        self.life += 1;
    }

    /// The edge's own clock.
    pub fn now(&self, world: Micros) -> Micros {
        Micros(world.0.saturating_add_signed(self.clock))
    }

    /// The next hop of the microphone at this hop of the world, and what voice activity says.
    pub fn hear(&mut self, hop: u64) -> (Box<[f32; 160]>, Option<VoiceEvent>) {
        let samples = Box::new([hop as f32; 160]);
        let before = self.samples / VAD_WINDOW_SAMPLES as u64;
        self.samples += 160;
        let window = self.samples / VAD_WINDOW_SAMPLES as u64;
        let ms = hop * 10;
        let loud = self.speech.iter().any(|(from, to)| (*from..*to).contains(&ms));
        let probability = if loud { 0.9 } else { 0.05 };
        let event = (window > before)
            .then(|| self.vad.handle(SpeechProbability { start: before * VAD_WINDOW_SAMPLES as u64, probability }))
            .flatten();
        (samples, event)
    }

    /// Remembers what happened, and who may be heard from here on.
    pub fn note(&mut self, now: Micros, story: Story) {
        match &story {
            Story::Speculated(attempt) => _ = self.lives.insert(*attempt, Life::Held),
            Story::Endpoint { attempt, .. } => {
                let before = self.lives.insert(*attempt, Life::Heard);
                assert!(matches!(before, None | Some(Life::Held)), "{attempt:?} was let be heard when it was {before:?}");
            }
            Story::RolledBack(attempt) | Story::BargedIn(attempt, _) | Story::ReplyEnded(attempt) => {
                self.lives.insert(*attempt, Life::Dead);
            }
            _ => {}
        }
        self.stories.push((now, story));
    }

    /// The speaker plays a hop: it must be of a living answer that may be heard, and follow on what was played before.
    pub fn play(&mut self, now: Micros, block: &Block) {
        let Some(attempt) = block.attempt else {
            assert!(block.samples.iter().all(|sample| *sample == 0.0), "a silent hop is not silent");
            return;
        };
        assert_eq!(self.lives.get(&attempt), Some(&Life::Heard), "a sample of {attempt:?} was played, which nobody may hear");
        for sample in block.samples.iter().filter(|sample| **sample != 0.0) {
            let (wire, frame) = sample_of(*sample);
            let shift = *self.shift.get_or_insert(wire as i64 - attempt.0 as i64);
            assert_eq!(wire as i64 - shift, attempt.0 as i64, "the sound of another attempt was played as {attempt:?}");
            if let Some((before, last)) = self.last_frame.filter(|(before, _)| *before == wire) {
                assert!(before == wire && (frame == last || frame == last + 1), "frame {frame} was played after {last}");
            }
            self.last_frame = Some((wire, frame));
        }
        if let Some((wire, frame)) = self.last_frame {
            self.sounded.push((now, wire, frame));
        }
    }
}
