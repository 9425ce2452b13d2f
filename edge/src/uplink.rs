//! From the microphone and the camera to embeddings of the open turn: which samples are heard, which pictures are seen.
//!
//! Hop 2 to 5. It holds the latest sound, so that a turn begins before the moment at which speech was believed, and asks
//! the accelerator for as much as it can take: one piece of sound at a time, larger when the accelerator is slow.
//! Invariants: every sample from the beginning of a turn's speech to its end is heard once and in order; sound after the
//! end of speech is heard only if speech goes on; a provisional tail never changes what is heard after it.
//!
//! | input | asks for |
//! |---|---|
//! | hop in a turn | `Hear`, when none is on its way |
//! | `SpeculativeEndpoint`, or `Endpoint` without one | `See` of the second begun, `Hear` of the rest, `HearTail` |
//! | `Endpoint` after that, `TurnCancel`, the next `TurnStart` | `HearEnd` |
//!
//! An accelerator that is too slow is never given more than it can soon do: sound waits here and at last is lost, pictures
//! are left out, and both are told.
//!
//! Source: rules R2 to R4, R8, R10, R24.

use std::collections::VecDeque;
use std::sync::Arc;

use caracal_shared::limits::{SPARSE_PICTURES_MAX, TURN_PICTURES_MAX};
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::rates::{HEARING_HZ, HOP_SAMPLES};
use caracal_shared::session::edge::{EdgeInput, Session};
use caracal_shared::turn::{AttemptId, TurnId, TurnOutput};
use caracal_shared::wire::{PictureId, SeenAs};

use crate::audio::voice_activity::VoiceEvent;
use crate::job::{HearingId, Job, JobResult};
use crate::sight::{Seen, Shot, Sight};
use crate::vision::Picture;

/// Sound that is kept: what a slow accelerator has not heard yet, and what lies before the beginning of speech.
const KEPT_SAMPLES: usize = 60 * HEARING_HZ as usize;
/// Sound that is kept between turns: lead-in, and the time until speech is believed.
const IDLE_SAMPLES: usize = HEARING_HZ as usize;
/// Sound of one job: one embedding's. A slow accelerator gets more at once.
const HEAR_SAMPLES: u64 = 8 * HOP_SAMPLES as u64;
/// Jobs of a turn's sound on their way: a piece, the rest of the speech and its end, and the latter two once more if the turn
/// ended behind a guess.
const TURN_JOBS_MAX: u32 = 5;
/// Pictures of the camera on their way: at a turn's edges the last sparse one, a second's and a guess's may meet. Hearing
/// and speaking wait behind them, so more would only make a slow accelerator later.
pub const PICTURES_ON_THE_WAY_MAX: usize = 3;

/// One hop of sound at 16 kHz.
pub type Hop = [f32; HOP_SAMPLES as usize];

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum UplinkInput {
    /// The microphone delivered 10 ms.
    Hop(Box<Hop>),
    /// Speech began or ended, at these samples.
    Voice(VoiceEvent),
    /// The turn machine said this.
    Turn(TurnOutput),
    /// The camera delivered a picture.
    Camera(Arc<Picture>),
    /// The user shows a picture: it stands in front of the next turn, without a time.
    Show(Arc<Picture>),
    /// The accelerator is done with a job.
    Done(JobResult),
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum UplinkOutput {
    /// Of the accelerator.
    Job(Job),
    /// Of the session.
    Session(EdgeInput),
    /// So many samples were lost, because the accelerator is too slow for speech. Never silent.
    Overrun(u64),
    /// A picture was left out, because the accelerator is too slow for it or the turn has as many as it may. Never silent.
    Unseen,
}

/// The sound of an open turn.
#[derive(Clone, Debug, PartialEq)]
struct Hearing {
    turn: TurnId,
    stream: HearingId,
    /// Spans of speech that were begun in it.
    spans: u32,
    /// Next sample to be heard.
    next: u64,
    /// Pieces and tails on their way.
    asked: u32,
    /// Seconds whose picture was asked for.
    units: usize,
    /// Seconds, in order: those whose picture is being encoded, and those before it that are known.
    seconds: VecDeque<Second>,
    tail: Option<Tail>,
}

#[derive(Clone, Debug, PartialEq)]
struct Second {
    unit: Option<(PictureId, SeenAs)>,
    encoded: bool,
}

/// A tail on its way, and the picture that goes with it.
#[derive(Clone, Debug, PartialEq)]
struct Tail {
    attempt: AttemptId,
    unit: Option<(PictureId, SeenAs)>,
    /// It was asked for.
    asked: bool,
    /// The session has it.
    told: bool,
    /// The turn is over.
    over: bool,
}

/// What a picture on its way is for.
#[derive(Clone, Debug, PartialEq)]
enum Purpose {
    Front(SeenAs),
    Second(TurnId),
    Tail(AttemptId),
}

/// The machine.
///
/// # Units
/// Samples are counted at 16 kHz from the start of the stream, as [`VoiceEvent`] counts them.
///
/// # State
/// At most a minute of sound, three pictures, and what is on its way: of a turn [`TURN_JOBS_MAX`] jobs of sound, of the
/// camera [`PICTURES_ON_THE_WAY_MAX`] pictures, and those that the user shows, up to [`SPARSE_PICTURES_MAX`].
#[derive(Clone, Debug, PartialEq)]
pub struct Uplink {
    camera: bool,
    now: Micros,
    sound: VecDeque<f32>,
    /// Samples that came.
    position: u64,
    /// Where the last speech began and, if it has, where it ended.
    speech: (u64, Option<u64>),
    hearing: Option<Hearing>,
    /// Turns that are over and whose tail is on its way.
    endings: VecDeque<Hearing>,
    sight: Sight,
    streams: u64,
    pictures: u64,
    on_the_way: VecDeque<(PictureId, Purpose)>,
    outputs: VecDeque<UplinkOutput>,
}

impl Uplink {
    /// Of a session with or without a camera.
    pub fn new(camera: bool) -> Self {
        Self {
            camera,
            now: Micros(0),
            sound: VecDeque::new(),
            position: 0,
            speech: (0, None),
            hearing: None,
            endings: VecDeque::new(),
            sight: Sight::default(),
            streams: 0,
            pictures: 0,
            on_the_way: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Whether the open turn holds speech from before the last beginning: then a brief noise withdraws nothing.
    pub fn spoke_before(&self) -> bool {
        self.hearing.as_ref().is_some_and(|hearing| hearing.spans > 1)
    }

    /// Whether all that it keeps is within its limits: what tests of long conversations ask.
    pub fn is_within_limits(&self) -> bool {
        self.sound.len() <= KEPT_SAMPLES
            && self.on_the_way.len() <= SPARSE_PICTURES_MAX
            && self.endings.iter().chain(&self.hearing).all(|hearing| hearing.asked <= TURN_JOBS_MAX && hearing.units <= TURN_PICTURES_MAX)
    }

    fn job(&mut self, job: Job) {
        self.outputs.push_back(UplinkOutput::Job(job));
    }

    fn say(&mut self, input: EdgeInput) {
        self.outputs.push_back(UplinkOutput::Session(input));
    }

    fn hop(&mut self, hop: &Hop) {
        // A driver that delivers NaN must not reach the encoder.
        self.sound.extend(hop.iter().map(|sample| if sample.is_finite() { *sample } else { 0.0 }));
        self.position += hop.len() as u64;
        let unheard = self.hearing.as_ref().map_or(0, |hearing| (self.position - hearing.next) as usize);
        let excess = self.sound.len().saturating_sub(unheard.clamp(IDLE_SAMPLES, KEPT_SAMPLES));
        self.sound.drain(..excess);
        let first = self.first();
        if let Some(hearing) = &mut self.hearing
            && hearing.next < first
            && self.speech.1.is_none_or(|end| hearing.next < end)
        {
            let lost = first - hearing.next;
            hearing.next = first;
            self.outputs.push_back(UplinkOutput::Overrun(lost));
        }
        self.look();
        self.hear();
    }

    /// The oldest sample that is kept.
    fn first(&self) -> u64 {
        self.position - self.sound.len() as u64
    }

    /// Asks for the next piece of sound, if there are [`HEAR_SAMPLES`] of it and none is on its way.
    fn hear(&mut self) {
        if self.hearing.as_ref().is_some_and(|hearing| hearing.asked == 0) {
            self.ask_sound(HEAR_SAMPLES);
        }
    }

    /// Asks for the sound that was not heard, if there are `least` samples of it.
    fn ask_sound(&mut self, least: u64) {
        let (first, position, end) = (self.first(), self.position, self.speech.1);
        let Some(hearing) = &mut self.hearing else { return };
        let to = end.unwrap_or(position).min(position);
        if to < hearing.next + least {
            return;
        }
        let samples = self.sound.range((hearing.next - first) as usize..(to - first) as usize).copied().collect();
        hearing.next = to;
        hearing.asked += 1;
        let stream = hearing.stream;
        self.job(Job::Hear { stream, samples });
    }

    /// Asks for the rest of the speech and for what its end would be, if a tail is wanted and no more than `busy` jobs are
    /// on their way.
    fn hear_tail(&mut self, busy: u32) {
        let Some(hearing) = self.hearing.as_mut().filter(|hearing| hearing.asked <= busy) else { return };
        let stream = hearing.stream;
        let Some(tail) = hearing.tail.as_mut().filter(|tail| !tail.asked) else { return };
        tail.asked = true;
        let attempt = tail.attempt;
        self.ask_sound(1);
        if let Some(hearing) = &mut self.hearing {
            hearing.asked += 1;
        }
        self.job(Job::HearTail { stream, attempt });
    }

    /// The turn machine has ended the open turn: its end can wait no longer.
    fn hear_end(&mut self) {
        if self.hearing.as_ref().and_then(|hearing| hearing.tail.as_ref()).is_some_and(|tail| tail.over) {
            self.hear_tail(u32::MAX);
        }
    }

    fn turn(&mut self, output: TurnOutput) {
        match output {
            TurnOutput::TurnStart(turn) => self.start(turn),
            TurnOutput::TurnCancel(_) => self.stop(),
            TurnOutput::SpeculativeEndpoint(attempt) => self.ask_tail(attempt, false),
            TurnOutput::Endpoint { attempt, .. } => self.ask_tail(attempt, true),
            TurnOutput::Resume(_) => {
                if let Some(hearing) = &mut self.hearing {
                    hearing.tail = None;
                }
            }
            TurnOutput::BargeIn(_) | TurnOutput::ReplyEnd(_) => {}
        }
    }

    fn start(&mut self, turn: TurnId) {
        self.stop();
        let stream = HearingId(self.streams);
        self.streams += 1;
        let next = self.speech.0.max(self.first()).min(self.position);
        self.hearing = Some(Hearing { turn, stream, spans: 1, next, asked: 0, units: 0, seconds: VecDeque::new(), tail: None });
        if self.camera {
            let seen = self.sight.start_turn(self.now);
            self.choose(seen);
        }
        self.hear();
    }

    /// The open turn is over: what is heard from here on belongs to nobody. A tail on its way is still told.
    fn stop(&mut self) {
        self.hear_end();
        if let Some(hearing) = self.hearing.take() {
            self.job(Job::HearEnd(hearing.stream));
            if hearing.tail.as_ref().is_some_and(|tail| tail.over && !tail.told) {
                self.endings.push_back(hearing);
            }
            if self.camera {
                let seen = self.sight.end_turn(self.now);
                self.choose(seen);
            }
        }
    }

    /// Asks for all that the turn would need if it ended here. The turn machine asks a second time at the endpoint.
    fn ask_tail(&mut self, attempt: AttemptId, over: bool) {
        let Some(hearing) = &mut self.hearing else { return };
        if let Some(tail) = hearing.tail.as_mut().filter(|tail| tail.attempt == attempt) {
            tail.over |= over;
            if tail.over && tail.told {
                self.stop();
            }
        } else {
            hearing.tail = Some(Tail { attempt, unit: None, asked: false, told: false, over });
            self.look();
            if let Some(pictures) = self.sight.tail().filter(|_| self.camera)
                && self.may_see()
            {
                let unit = self.see(pictures, Purpose::Tail(attempt));
                if let Some(tail) = self.hearing.as_mut().and_then(|hearing| hearing.tail.as_mut()) {
                    tail.unit = Some(unit);
                }
            }
            // Jobs are done in order: this may be asked for while a piece is on its way. Behind an earlier guess's it waits.
            self.hear_tail(1);
        }
    }

    /// The open turn, and those that are over and whose tail is on its way.
    fn hearings(&mut self) -> impl Iterator<Item = &mut Hearing> {
        self.endings.iter_mut().chain(&mut self.hearing)
    }

    fn look(&mut self) {
        if self.camera {
            let seen = self.sight.pass(self.now);
            self.choose(seen);
        }
    }

    fn choose(&mut self, seen: Vec<Seen>) {
        for seen in seen {
            match seen {
                Seen::Sparse(shot) if self.may_see() => {
                    let seen = SeenAs::Sparse { tenths: Session::tenths(shot.0) };
                    self.ask_picture(vec![shot.1], Purpose::Front(seen));
                }
                Seen::Sparse(_) => {}
                Seen::Second(pictures) => {
                    let Some(turn) = self.hearing.as_ref().map(|hearing| hearing.turn) else { continue };
                    let unit = pictures.filter(|_| self.may_see()).map(|pictures| self.see(pictures, Purpose::Second(turn)));
                    if let Some(hearing) = &mut self.hearing {
                        hearing.units += usize::from(unit.is_some());
                        hearing.seconds.push_back(Second { unit, encoded: unit.is_none() });
                    }
                    self.tell_seconds();
                }
            }
        }
    }

    /// Whether one more picture of the camera is asked for: the accelerator must keep up, and the cluster keep them.
    fn may_see(&mut self) -> bool {
        let units = self.hearing.as_ref().map_or(0, |hearing| hearing.units);
        let may = self.on_the_way.len() < PICTURES_ON_THE_WAY_MAX && units < TURN_PICTURES_MAX;
        if !may {
            self.outputs.push_back(UplinkOutput::Unseen);
        }
        may
    }

    fn see(&mut self, [first, second]: [Shot; 2], purpose: Purpose) -> (PictureId, SeenAs) {
        let seen = SeenAs::Dense { tenths: Session::tenths(first.0) };
        (self.ask_picture(vec![first.1, second.1], purpose), seen)
    }

    fn ask_picture(&mut self, pictures: Vec<Arc<Picture>>, purpose: Purpose) -> PictureId {
        let picture = PictureId(self.pictures);
        self.pictures += 1;
        self.on_the_way.push_back((picture, purpose));
        self.job(Job::See { picture, pictures });
        picture
    }

    /// Says the seconds whose pictures are there, in order: those of the open turn when the turns before it were told.
    fn tell_seconds(&mut self) {
        let mut told = Vec::new();
        let behind = !self.endings.is_empty();
        for hearing in self.endings.iter_mut().chain(self.hearing.as_mut().filter(|_| !behind)) {
            while hearing.seconds.front().is_some_and(|second| second.encoded) {
                let unit = hearing.seconds.pop_front().and_then(|second| second.unit);
                told.push(EdgeInput::Unit { turn: hearing.turn, unit });
            }
        }
        told.into_iter().for_each(|input| self.say(input));
    }

    fn done(&mut self, result: JobResult) {
        match result {
            JobResult::Heard { stream, embeddings } => {
                let Some(hearing) = self.hearing.as_mut().filter(|hearing| hearing.stream == stream) else { return };
                hearing.asked = hearing.asked.saturating_sub(1);
                let turn = hearing.turn;
                if let Some(embeddings) = embeddings {
                    self.say(EdgeInput::Audio { turn, embeddings });
                }
                self.hear_tail(0);
                self.hear();
            }
            JobResult::HeardTail { stream, attempt, embeddings } => {
                let Some(hearing) = self.hearings().find(|hearing| hearing.stream == stream) else { return };
                hearing.asked = hearing.asked.saturating_sub(1);
                if let Some(tail) = hearing.tail.as_mut().filter(|tail| tail.attempt == attempt && tail.asked && !tail.told) {
                    tail.told = true;
                    let (unit, over) = (tail.unit, tail.over);
                    self.say(EdgeInput::Tail { attempt, audio: embeddings, unit });
                    self.endings.retain(|hearing| hearing.stream != stream);
                    if over && self.hearing.as_ref().is_some_and(|hearing| hearing.stream == stream) {
                        self.stop();
                    }
                    self.tell_seconds();
                }
                self.hear_tail(0);
                self.hear();
            }
            JobResult::Seen { picture, embeddings } => self.seen(picture, embeddings),
            JobResult::Spoken { .. } => {}
        }
    }

    fn seen(&mut self, picture: PictureId, embeddings: Option<caracal_shared::wire::Embeddings>) {
        let Some(at) = self.on_the_way.iter().position(|(id, _)| *id == picture) else { return };
        let Some((_, purpose)) = self.on_the_way.remove(at) else { return };
        let usable = embeddings.is_some();
        let wanted = match &purpose {
            Purpose::Front(_) => true,
            Purpose::Second(turn) => self.hearings().any(|hearing| hearing.turn == *turn),
            Purpose::Tail(attempt) => self.hearings().filter_map(|hearing| hearing.tail.as_ref()).any(|tail| tail.attempt == *attempt),
        };
        if let Some(embeddings) = embeddings.filter(|_| wanted) {
            self.say(EdgeInput::Picture { picture, embeddings });
        }
        match purpose {
            Purpose::Front(seen) if usable => self.say(EdgeInput::Buffer { picture, seen }),
            Purpose::Front(_) => {}
            Purpose::Second(_) => {
                let seconds = self.hearings().flat_map(|hearing| &mut hearing.seconds);
                for second in seconds.filter(|second| second.unit.is_some_and(|(id, _)| id == picture)) {
                    second.encoded = true;
                    second.unit = second.unit.filter(|_| usable);
                }
                self.tell_seconds();
            }
            Purpose::Tail(_) if !usable => {
                for tail in self.hearings().filter_map(|hearing| hearing.tail.as_mut()) {
                    tail.unit = tail.unit.filter(|(id, _)| *id != picture);
                }
            }
            Purpose::Tail(_) => {}
        }
    }
}

impl Machine for Uplink {
    type Input = UplinkInput;
    type Output = UplinkOutput;

    fn handle(&mut self, now: Micros, input: UplinkInput) {
        assert!(self.outputs.is_empty(), "outputs of the uplink were not drained");
        self.now = self.now.max(now);
        match input {
            UplinkInput::Hop(hop) => self.hop(&hop),
            UplinkInput::Voice(VoiceEvent::Started { at, .. }) => {
                self.hear_end();
                self.speech = (at, None);
                if let Some(hearing) = &mut self.hearing {
                    hearing.spans = hearing.spans.saturating_add(1);
                }
                self.hear();
            }
            UplinkInput::Voice(VoiceEvent::Stopped { at, .. }) => self.speech.1 = Some(at),
            UplinkInput::Turn(output) => self.turn(output),
            UplinkInput::Camera(picture) if self.camera => {
                let seen = self.sight.picture(self.now, picture);
                self.choose(seen);
            }
            UplinkInput::Camera(_) => {}
            // More than wait for a turn would be forgotten anyway.
            UplinkInput::Show(_) if self.on_the_way.len() >= SPARSE_PICTURES_MAX => self.outputs.push_back(UplinkOutput::Unseen),
            UplinkInput::Show(picture) => {
                self.ask_picture(vec![picture], Purpose::Front(SeenAs::Still));
            }
            UplinkInput::Done(result) => self.done(result),
        }
    }

    fn poll(&mut self) -> Option<UplinkOutput> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Micros> {
        None
    }
}
