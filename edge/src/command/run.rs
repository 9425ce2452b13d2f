//! `caracal run`: hear, see and speak with a cluster.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use caracal_kernels::{DeviceChoice, choose_device};
use caracal_shared::machine::Micros;
use caracal_shared::rates::HOP_SAMPLES;
use caracal_shared::turn::{AttemptId, TurnState};
use caracal_shared::wire::{AudioCut, Precision};
use tracing_subscriber::EnvFilter;

use super::media::{self, AnySource};
use super::options::{ConfigOptions, MediaOptions};
use super::paint::Paint;
use crate::config::{ClusterLink, Compute, EmbeddingCut, EmbeddingPrecision, PaceChoice};
use crate::conversation::{Settings, Story};
use crate::io::driver::{AcceleratorThread, Driver, DriverSettings, Event};
use crate::io::quic::{QuicDoor, QuicSettings};
use crate::io::trust::{Trust, TrustError};
use crate::io::{Clock, Hop, Shot, SileroState, SileroVad, Sink, SinkError, Source, VadFiles};
use crate::live;
use crate::timeline::{Timeline, draw};

/// Hops of silence that follow a sound file before the user counts as gone.
const SILENCE_HOPS: u64 = 200;

/// Hear, see and speak with a cluster.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal run --sound question.wav --answer answer.wav
  caracal run --sound question.wav --picture scene.png --timeline turns.svg
  arecord -q -f S16_LE -r 16000 | caracal run --sound - --answer - | aplay -q

The cluster, its fingerprint and the device token stand in the configuration: `caracal config --print`.
A session goes on after a lost connection; with --ticket FILE also after a restart of this program.
Exit codes: 0 the conversation ended, 1 failed, 2 wrong arguments.")]
pub struct Arguments {
    #[command(flatten)]
    options: ConfigOptions,
    #[command(flatten)]
    media: MediaOptions,
    /// Keep the session's ticket in this file, to go on after a restart.
    #[arg(long, value_name = "FILE")]
    ticket: Option<PathBuf>,
    /// Draw the conversation into this SVG file.
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
}

/// Nobody listens.
struct NoSpeaker(u32);

impl Sink for NoSpeaker {
    fn sample_rate(&self) -> u32 {
        self.0
    }

    fn play(&mut self, _: u64, _: &[f32]) -> Result<(), SinkError> {
        Ok(())
    }

    fn stop(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Talks until the sound has ended and the last answer was heard.
///
/// # Errors
/// When the configuration, the model, the sound or the voice model cannot be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut config = arguments.options.read()?;
    arguments.media.apply(&mut config);
    ensure!(
        config.media.pace == PaceChoice::RealTime,
        "a conversation takes its time: leave out `--fast`, and set media.pace to \"real time\""
    );
    let filter = EnvFilter::try_new(&config.log).with_context(|| format!("log = \"{}\": not a filter", config.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let quic = quic_settings(&config.cluster)?;
    let token = read_token(&config.cluster)?;
    let device = choose_device(match config.compute {
        Compute::Auto => DeviceChoice::Auto,
        Compute::Cpu => DeviceChoice::Cpu,
        Compute::Wgpu => DeviceChoice::Wgpu,
    });
    let (cut, precision) = agreed(&config.cluster);
    let camera = config.media.picture.is_some();
    let (accelerator, model) = live::load(&config.model, &device.device, camera, cut, precision)?;
    let speaker_rate = accelerator.speaker_rate();
    let files = VadFiles::find(config.vad.library.as_deref(), config.vad.model.as_deref())?;
    let voice = Box::new((SileroVad::load(&files)?, SileroState::default()));

    let (events, received) = channel();
    let thread = AcceleratorThread::start(accelerator, events.clone())?;
    let told = Mutex::new(events.clone());
    let door = QuicDoor::open(quic, move |dial, event| {
        // A driver that is gone needs no news.
        let _ = told.lock().unwrap_or_else(PoisonError::into_inner).send(Event::Door(dial, event));
    })?;
    let media = media::open(&config, Some(SILENCE_HOPS), speaker_rate)?;
    let (ended, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    hear(media.sound, events.clone(), media.clock, ended.clone(), stop.clone())?;
    if let Some(pictures) = media.pictures {
        see(pictures, events, stop.clone())?;
    }
    let settings = DriverSettings {
        conversation: Settings { timing: config.turn.timing(), camera, speaker_rate, ticket: None },
        activity: config.vad.activity,
        token,
        model,
        ticket_file: arguments.ticket.clone(),
    };
    let sink = media.answer.unwrap_or_else(|| Box::new(NoSpeaker(speaker_rate)));
    let timeline = Arc::new(Mutex::new(Timeline::default()));
    let (log, mut teller) = (timeline.clone(), Teller { paint: Paint::for_stdout(), held: String::new(), heard: None });
    let observer = Box::new(move |at: Micros, story: &Story| {
        teller.tell(at, story);
        if let Some(event) = story.timeline_event() {
            log.lock().unwrap_or_else(PoisonError::into_inner).record(at, event);
        }
    });
    let mut driver = Driver::start(settings, voice, thread, door, sink, received, observer, media.clock, true);
    driver.run(|conversation| ended.load(Ordering::Relaxed) && conversation.state() == TurnState::Idle)?;
    stop.store(true, Ordering::Relaxed);
    driver.finish(arguments.ticket.is_some())?;
    println!();
    if let Some(file) = &arguments.timeline {
        let title = config.media.sound.as_ref().map_or("conversation".into(), |sound| sound.display().to_string());
        let picture = draw(&timeline.lock().unwrap_or_else(PoisonError::into_inner), &title);
        std::fs::write(file, picture).with_context(|| format!("{}: cannot be written", file.display()))?;
        eprintln!("wrote {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Cut and precision as the wire names them.
fn agreed(link: &ClusterLink) -> (AudioCut, Precision) {
    let cut = match link.cut {
        EmbeddingCut::Projected => AudioCut::Projected,
        EmbeddingCut::Hidden => AudioCut::Hidden,
    };
    let precision = match link.precision {
        EmbeddingPrecision::Int8 => Precision::Int8,
        EmbeddingPrecision::Bf16 => Precision::Bf16,
    };
    (cut, precision)
}

fn quic_settings(link: &ClusterLink) -> Result<QuicSettings, TrustError> {
    let trust = match (&link.fingerprint, &link.authority) {
        (pinned, _) if !pinned.is_empty() => Trust::Fingerprint(pinned.clone()),
        (_, Some(file)) => Trust::Authority(file.clone()),
        (_, None) => return Err(TrustError::Nothing),
    };
    let time = |time: Micros| Duration::from_micros(time.0);
    Ok(QuicSettings {
        address: link.address.clone(),
        trust,
        keep_alive: time(link.keep_alive),
        idle_timeout: time(link.idle_timeout),
        reconnect_longest: time(link.reconnect_longest),
    })
}

fn read_token(link: &ClusterLink) -> Result<String> {
    let file = link.token.as_deref().context("no device token: name its file with cluster.token in the configuration")?;
    let text = std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read; correct cluster.token", file.display()))?;
    // The cluster's own file may hold several; a device has one.
    Ok(text.lines().next().unwrap_or_default().trim().to_string())
}

/// Feeds sound to the driver, then silence until it stops.
#[allow(clippy::disallowed_methods, reason = "a command may spawn")]
fn hear(mut sound: AnySource<Hop>, events: Sender<Event>, clock: Clock, ended: Arc<AtomicBool>, stop: Arc<AtomicBool>) -> Result<()> {
    let feed = move || {
        let mut position = 0;
        loop {
            match sound.next() {
                Ok(Some(hop)) => {
                    position = hop.position + u64::from(HOP_SAMPLES);
                    if events.send(Event::Hop(Box::new(hop))).is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the sound ended early");
                    break;
                }
            }
        }
        ended.store(true, Ordering::Relaxed);
        while !stop.load(Ordering::Relaxed) {
            let hop = Hop { position, samples: [0.0; HOP_SAMPLES as usize] };
            position += u64::from(HOP_SAMPLES);
            clock.wait_until(crate::io::Timed::ready_at(&hop));
            if events.send(Event::Hop(Box::new(hop))).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("caracal-sound".into()).spawn(feed).map(|_| ()).context("no thread for the sound")
}

#[allow(clippy::disallowed_methods, reason = "a command may spawn")]
fn see(mut pictures: AnySource<Shot>, events: Sender<Event>, stop: Arc<AtomicBool>) -> Result<()> {
    let feed = move || {
        while !stop.load(Ordering::Relaxed) {
            match pictures.next() {
                Ok(Some(shot)) => {
                    if events.send(Event::Shot(shot)).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => return tracing::error!(%error, "the pictures ended early"),
            }
        }
    };
    std::thread::Builder::new().name("caracal-sight".into()).spawn(feed).map(|_| ()).context("no thread for pictures")
}

/// What a person reads on the terminal while it happens. The text of a guess is held until the guess is heard.
struct Teller {
    paint: Paint,
    held: String,
    heard: Option<AttemptId>,
}

impl Teller {
    fn tell(&mut self, at: Micros, story: &Story) {
        let line = |text: &str| println!("\n{:9.3} s  {text}", at.0 as f64 / 1e6);
        let paint = self.paint;
        match story {
            Story::TurnStarted(_) => line(&paint.green("you speak")),
            Story::TurnCancelled(_) => line(&paint.dim("that was no speech")),
            Story::Speculated(_) => self.held.clear(),
            Story::RolledBack(_) => line(&paint.dim("you go on: the answer that was being made is taken back")),
            Story::Endpoint { attempt, .. } => {
                self.heard = Some(*attempt);
                line(&std::mem::take(&mut self.held));
            }
            Story::BargedIn(..) => line(&paint.bold("you interrupt")),
            Story::Notice(_, text) => line(&paint.bold(text)),
            Story::Caption(attempt, text) if self.heard == Some(*attempt) => {
                print!("{text}");
                // A terminal that is gone reads nothing.
                let _ = std::io::stdout().flush();
            }
            Story::Caption(_, text) => self.held.push_str(text),
            _ => {}
        }
    }
}
