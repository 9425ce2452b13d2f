//! An edge whose microphone is a list of spans of noise, and whose voice network knows them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::tensor::Device;
use caracal_edge::audio::voice_activity::{SpeechProbability, VAD_WINDOW_SAMPLES, VoiceActivityConfig};
use caracal_edge::command::talk::Told;
use caracal_edge::conversation::{Settings, Story};
use caracal_edge::io::door::Door;
use caracal_edge::io::driver::{AcceleratorThread, Driver, DriverError, DriverSettings, Event, Voice};
use caracal_edge::io::quic::{QuicDoor, QuicSettings};
use caracal_edge::io::trust::Trust;
use caracal_edge::io::{Clock, Hop, Shot, Sink, SinkError, VadError};
use caracal_edge::live;
use caracal_edge::vision::Picture;
use caracal_shared::machine::Micros;
use caracal_shared::session::{Ending, Exchange};
use caracal_shared::turn::{TurnState, TurnTiming};
use caracal_shared::wire::{AudioCut, Precision};

/// How much longer than planned an edge lives, in milliseconds, until its last answer has ended.
const PATIENCE_MS: u64 = 20_000;

/// What an edge is like.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    /// Spans of speech in milliseconds of this process's time.
    pub speech: Vec<(u64, u64)>,
    /// When its microphone ends.
    pub until_ms: u64,
    /// Whether it sees, two pictures a second.
    pub camera: bool,
    /// Where its ears are cut.
    pub cut: AudioCut,
    /// How vectors travel.
    pub precision: Precision,
    /// Where its ticket is kept.
    pub ticket: Option<PathBuf>,
    /// Silence after which a connection counts as lost.
    pub idle_timeout: Duration,
    /// End of turn.
    pub timing: TurnTiming,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            speech: vec![(500, 1500)],
            until_ms: 6000,
            camera: false,
            cut: AudioCut::Projected,
            precision: Precision::Int8,
            ticket: None,
            idle_timeout: Duration::from_secs(5),
            timing: TurnTiming::default(),
        }
    }
}

/// Speech is where the list says.
struct Known {
    speech: Vec<(u64, u64)>,
    samples: u64,
}

impl Voice for Known {
    fn hear(&mut self, hop: &Hop, out: &mut Vec<SpeechProbability>) -> Result<(), VadError> {
        let before = self.samples / VAD_WINDOW_SAMPLES as u64;
        self.samples = hop.position + 160;
        if self.samples / VAD_WINDOW_SAMPLES as u64 > before {
            let ms = hop.position / 16;
            let loud = self.speech.iter().any(|(from, to)| (*from..*to).contains(&ms));
            out.push(SpeechProbability { start: before * VAD_WINDOW_SAMPLES as u64, probability: if loud { 0.9 } else { 0.0 } });
        }
        Ok(())
    }
}

/// Counts the samples that were played, and those among them that are no silence.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<(usize, usize)>>);

impl Sink for Ear {
    fn sample_rate(&self) -> u32 {
        24_000
    }

    fn play(&mut self, samples: &[f32]) -> Result<(), SinkError> {
        let mut counts = self.0.lock().expect("nobody panicked");
        counts.0 += samples.len();
        counts.1 += samples.iter().filter(|sample| **sample != 0.0).count();
        Ok(())
    }

    fn stop(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// What an edge lived through.
#[derive(Debug)]
pub struct Edge {
    /// What happened, with session time.
    pub stories: Vec<(Micros, Story)>,
    /// What was said and answered.
    pub transcript: Vec<Exchange>,
    /// Samples that the speaker was given.
    pub played: usize,
    /// Those among them that are no silence.
    pub samples: usize,
}

impl Edge {
    /// Lives until its microphone ends and the answer that is under way has ended, over QUIC to `address`. `meanwhile` is
    /// called every 10 ms with session time in milliseconds and the door. With `keep` the session is kept for the next
    /// process.
    ///
    /// # Panics
    /// When the model or a thread cannot be used.
    pub fn live(
        model: &Path,
        address: std::net::SocketAddr,
        trust: &str,
        token: &str,
        options: &EdgeOptions,
        keep: bool,
        meanwhile: impl FnMut(u64, &QuicDoor),
    ) -> Self {
        Self::live_through(model, token, options, keep, quic(&address.to_string(), trust, options), meanwhile)
    }

    /// The same through any door.
    ///
    /// # Panics
    /// When the model or a thread cannot be used.
    pub fn live_through<D: Door>(
        model: &Path,
        token: &str,
        options: &EdgeOptions,
        keep: bool,
        open: impl FnOnce(Told) -> D,
        meanwhile: impl FnMut(u64, &D),
    ) -> Self {
        Self::try_live_through(model, token, options, keep, open, meanwhile).expect("the driver runs")
    }

    /// The same for an edge that may fail.
    ///
    /// # Errors
    /// What the driver ended with.
    ///
    /// # Panics
    /// When the model or a thread cannot be used.
    pub fn try_live_through<D: Door>(
        model: &Path,
        token: &str,
        options: &EdgeOptions,
        keep: bool,
        open: impl FnOnce(Told) -> D,
        mut meanwhile: impl FnMut(u64, &D),
    ) -> Result<Self, DriverError> {
        let (events, received) = channel();
        let told = Mutex::new(events.clone());
        // A driver that has ended needs no news.
        let door = open(Box::new(move |dial, event| _ = told.lock().expect("nobody panicked").send(Event::Door(dial, event))));
        let ear = Ear::default();
        let (mut driver, stories, stop) = start(model, token, options, door, ear.clone(), events, received);
        let mut last = 0;
        let until = options.until_ms;
        let ran = driver.run_with(|driver| {
            let now = driver.now().0 / 1000;
            if now / 10 > last / 10 {
                last = now;
                meanwhile(now, &driver.door);
            }
            // A machine that is busy with other tests answers late; what is tested is that it answers.
            let talk = driver.conversation();
            let open = talk.state() != TurnState::Idle || talk.transcript().exchanges().any(|exchange| exchange.ending == Ending::Open);
            now >= until && (!open || now >= until + PATIENCE_MS)
        });
        stop.store(true, Ordering::Relaxed);
        ran?;
        let transcript = driver.conversation().transcript().exchanges().cloned().collect();
        driver.finish(keep).expect("the sink stops");
        let stories = std::mem::take(&mut *stories.lock().expect("nobody panicked"));
        let (played, samples) = *ear.0.lock().expect("nobody panicked");
        Ok(Self { stories, transcript, played, samples })
    }

    /// Microseconds from the end of each turn to the first sound of its answer.
    pub fn waits(&self) -> Vec<u64> {
        let sound = |attempt| self.stories.iter().find_map(|(at, story)| (*story == Story::FirstSound(attempt)).then_some(at.0));
        let end = |(at, story): &(Micros, Story)| match story {
            Story::Endpoint { attempt, .. } => sound(*attempt).map(|sound| sound - at.0),
            _ => None,
        };
        self.stories.iter().filter_map(end).collect()
    }
}

/// Opens the door over QUIC to `address`, a host and a port.
///
/// # Panics
/// When there is no thread for it.
pub fn quic(address: &str, trust: &str, options: &EdgeOptions) -> impl FnOnce(Told) -> QuicDoor + use<> {
    let settings = QuicSettings {
        address: address.into(),
        trust: Trust::Fingerprint(trust.into()),
        keep_alive: Duration::from_millis(300),
        idle_timeout: options.idle_timeout,
        reconnect_longest: Duration::from_millis(500),
    };
    move |told: Told| QuicDoor::open(settings, told).expect("a network thread")
}

type Stories = Arc<Mutex<Vec<(Micros, Story)>>>;

/// Loads the small model and starts the threads of one edge.
#[allow(clippy::disallowed_methods, reason = "tests may spawn")]
fn start<D: Door>(
    model: &Path,
    token: &str,
    options: &EdgeOptions,
    door: D,
    ear: Ear,
    events: Sender<Event>,
    received: Receiver<Event>,
) -> (Driver<D>, Stories, Arc<AtomicBool>) {
    let (accelerator, agreed) =
        live::load(model, &Device::flex(), options.camera, options.cut, options.precision).expect("the small model");
    let speaker_rate = accelerator.speaker_rate();
    let thread = AcceleratorThread::start(accelerator, events.clone()).expect("a thread");
    let clock = Clock::start();
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, speech, camera) = (stop.clone(), options.speech.clone(), options.camera);
    std::thread::spawn(move || {
        let mut noise = 1u32;
        let picture = Arc::new(Picture::new("noise", 56, 56, (0..56 * 56 * 3).map(|i| (i % 251) as u8).collect()).expect("a picture"));
        for hop in 0u64.. {
            clock.wait_until(Micros(10_000 * (hop + 1)));
            let loud = speech.iter().any(|(from, to)| (*from..*to).contains(&(10 * hop)));
            let samples = std::array::from_fn(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((noise >> 16) as f32 / 65_536.0 - 0.5) * if loud { 0.4 } else { 0.001 }
            });
            let mut gone = events.send(Event::Hop(Box::new(Hop { position: 160 * hop, samples }))).is_err();
            if camera && hop.is_multiple_of(50) {
                gone |= events.send(Event::Shot(Shot { at: Micros(10_000 * hop), picture: picture.clone() })).is_err();
            }
            if gone || stopped.load(Ordering::Relaxed) {
                return;
            }
        }
    });
    let stories = Stories::default();
    let seen = stories.clone();
    let observer = Box::new(move |at: Micros, story: &Story| seen.lock().expect("nobody panicked").push((at, story.clone())));
    let settings = DriverSettings {
        conversation: Settings { timing: options.timing, camera: options.camera, speaker_rate, ticket: None },
        activity: VoiceActivityConfig::default(),
        token: token.into(),
        model: agreed,
        ticket_file: options.ticket.clone(),
        timeline: false,
    };
    let voice = Box::new(Known { speech: options.speech.clone(), samples: 0 });
    let driver = Driver::start(settings, voice, thread, door, Box::new(ear), received, observer, clock, true);
    (driver, stories, stop)
}
