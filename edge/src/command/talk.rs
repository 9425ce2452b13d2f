//! One conversation at a terminal, through any door: what `caracal run` and `caracal-cluster local` share.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use caracal_kernels::choose_device;
use caracal_shared::machine::Micros;
use caracal_shared::rates::HOP_SAMPLES;
use caracal_shared::session::{Ending, Exchange};
use caracal_shared::turn::{AttemptId, TurnState};
use caracal_shared::wire::{AudioCut, Precision};
use tracing_subscriber::EnvFilter;

use super::media::{self, AnySource};
use super::options::MediaOptions;
use super::screen::Screen;
use crate::config::{ClusterLink, EdgeConfig, EmbeddingCut, EmbeddingPrecision, PaceChoice};
use crate::conversation::{Settings, Story};
use crate::io::door::{Dial, Door, DoorEvent};
use crate::io::driver::{AcceleratorThread, Driver, DriverSettings, Event};
use crate::io::script::{Cue, Script};
use crate::io::signals::on_stop;
use crate::io::{Clock, Hop, NoSpeaker, Shot, SileroState, SileroVad, Sink, Timed, VadFiles, WavSink};
use crate::live;
use crate::timeline::{Timeline, draw, draw_turn, turn_times};

/// Hops of silence that follow a sound file before the user counts as gone.
const SILENCE_HOPS: u64 = 200;

/// What is heard and seen, and what is left of it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct TalkOptions {
    #[command(flatten)]
    media: MediaOptions,
    /// Play a conversation turn by turn from this TOML file: each turn begins when the last answer was heard.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sound", "picture"])]
    script: Option<PathBuf>,
    /// Draw the conversation into this SVG file, and each turn into one beside it.
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Keep the session's ticket in this file, to go on after a restart.
    #[arg(long, value_name = "FILE")]
    ticket: Option<PathBuf>,
}

/// Who is told what comes through a door.
pub type Told = Box<dyn Fn(Dial, DoorEvent) + Send + Sync>;

/// Lets the options win over the configuration, and starts the log as it says.
///
/// # Errors
/// When the two do not go together, or the log's filter is none.
pub fn prepare(config: &mut EdgeConfig, options: &TalkOptions) -> Result<()> {
    options.media.apply(config);
    ensure!(
        config.media.pace == PaceChoice::RealTime,
        "a conversation takes its time: leave out `--fast`, and set media.pace to \"real time\""
    );
    let filter = EnvFilter::try_new(&config.log).with_context(|| format!("log = \"{}\": not a filter", config.log))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

/// Talks until the sound or the script has ended and the last answer was heard, or the process is asked to stop. Fails
/// where a script knows an answer and another one came.
///
/// # Errors
/// When the model, the sound, the voice model or the door cannot be used, or the cluster refuses this device for good.
pub fn talk<D: Door>(config: &EdgeConfig, options: &TalkOptions, token: String, open: impl FnOnce(Told) -> Result<D>) -> Result<ExitCode> {
    let device = choose_device(config.compute.into());
    let (cut, precision) = agreed(&config.cluster);
    let script = options.script.as_deref().map(Script::read).transpose()?;
    let performance = script.as_ref().map(Script::load).transpose()?;
    let camera = script.is_none() && config.media.picture.is_some();
    let sees = camera || script.as_ref().is_some_and(Script::shows);
    let (accelerator, model) = live::load(&config.model, &device.device, sees, cut, precision)?;
    let speaker_rate = accelerator.speaker_rate();
    let files = VadFiles::find(config.vad.library.as_deref(), config.vad.model.as_deref())?;
    let voice = Box::new((SileroVad::load(&files)?, SileroState::default()));

    let (events, received) = channel();
    let thread = AcceleratorThread::start(accelerator, events.clone())?;
    let told = Mutex::new(events.clone());
    // A driver that is gone needs no news.
    let door = open(Box::new(move |dial, event| {
        let _ = told.lock().unwrap_or_else(PoisonError::into_inner).send(Event::Door(dial, event));
    }))?;
    let screen = Screen::beside(config.media.answer.as_deref());
    let leaver = events.clone();
    let (cue, ended) = (Cue::default(), Arc::new(AtomicBool::new(false)));
    let (clock, sink) = match performance {
        Some(performance) => {
            let sink = config.media.answer.as_deref().map(|file| WavSink::create(file, speaker_rate)).transpose()?;
            let clock = Clock::start();
            let (cue, ended, turns) = (cue.clone(), ended.clone(), script.clone().unwrap_or_default().turns);
            let played = move |index: Option<usize>| match index.map(|index| &turns[index]) {
                Some(turn) => announce(screen, clock.now(), &turn.says, turn.picture.as_deref()),
                None => ended.store(true, Ordering::Relaxed),
            };
            spawn("caracal-script", move || performance.play(clock, &cue, |event| events.send(event).is_ok(), played))?;
            (clock, sink.map(|sink| Box::new(sink) as Box<dyn Sink>))
        }
        None => {
            let media = media::open(config, Some(SILENCE_HOPS), speaker_rate)?;
            hear(media.sound, events.clone(), media.clock, ended.clone(), cue.clone())?;
            if let Some(pictures) = media.pictures {
                see(pictures, events)?;
            }
            (media.clock, media.answer)
        }
    };
    let settings = DriverSettings {
        conversation: Settings { timing: config.turn.timing(), camera, speaker_rate, ticket: None },
        activity: config.vad.activity,
        token,
        model,
        ticket_file: options.ticket.clone(),
        timeline: options.timeline.is_some(),
    };
    let mut teller = Teller { screen, held: String::new(), heard: None };
    let heard = cue.clone();
    let observer = Box::new(move |at: Micros, story: &Story| {
        if let Story::FirstSound(_) = story {
            heard.sound(at);
        }
        teller.tell(at, story);
    });
    let sink = sink.unwrap_or_else(|| Box::new(NoSpeaker(speaker_rate)));
    let mut driver = Driver::start(settings, voice, thread, door, sink, received, observer, clock, true);
    // Who is asked to stop says goodbye: the session ends at once, and the file of the answers is whole.
    on_stop(move || _ = leaver.send(Event::Leave)).context("no thread for signals")?;
    let talked = driver.run_with(|driver| {
        let idle = driver.conversation().state() == TurnState::Idle;
        cue.idle(driver.now(), idle);
        idle && ended.load(Ordering::Relaxed)
    });
    cue.end();
    let exchanges: Vec<Exchange> = driver.conversation().transcript().exchanges().cloned().collect();
    let finished = driver.finish(options.ticket.is_some());
    // What ended the conversation matters more than what its end met.
    talked?;
    let timeline = finished?;
    screen.show("\n");
    if let Some((file, timeline)) = options.timeline.as_deref().zip(timeline) {
        let named = options.script.as_deref().or(config.media.sound.as_deref()).and_then(Path::file_stem);
        let title = named.map_or("conversation".into(), |name| name.to_string_lossy());
        write_timeline(screen, &timeline, file, &title)?;
    }
    Ok(script.map_or(ExitCode::SUCCESS, |script| compare(screen, &script, &exchanges)))
}

/// Says of each answer that the script knows whether it came.
fn compare(screen: Screen, script: &Script, exchanges: &[Exchange]) -> ExitCode {
    let known = script.turns.iter().filter(|turn| turn.answer.is_some()).count();
    let mut right = 0;
    for (index, turn) in script.turns.iter().enumerate() {
        let Some(want) = &turn.answer else { continue };
        let (got, as_expected) = match exchanges.get(index).map(|exchange| &exchange.ending) {
            Some(Ending::Whole(text)) => (text.trim(), text.trim() == want),
            // What the user broke off can only have begun rightly.
            Some(Ending::Cut(text)) => (text.trim(), want.starts_with(text.trim())),
            Some(Ending::Open) | None => ("", false),
        };
        right += usize::from(as_expected);
        if !as_expected {
            screen.show(&format!("{} turn {}: expected `{want}`, got `{got}`\n", screen.paint.bold("✗"), index + 1));
        }
    }
    if known > 0 {
        screen.show(&format!("{right} of {known} answers as expected\n"));
    }
    if right == known { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Draws the session into `file` and each turn into `file-N.svg`, and prints what the user waited for.
fn write_timeline(screen: Screen, timeline: &Timeline, file: &Path, title: &str) -> Result<()> {
    let write =
        |file: &Path, picture: String| std::fs::write(file, picture).with_context(|| format!("{}: cannot be written", file.display()));
    write(file, draw(timeline, title))?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for (index, times) in turn_times(timeline).iter().enumerate() {
        let beside = file.with_file_name(format!("{stem}-{}.svg", index + 1));
        if let Some(picture) = draw_turn(timeline, index, &format!("{title}, turn {}", index + 1)) {
            write(&beside, picture)?;
        }
        let latencies = times.latencies().into_iter().filter_map(|(name, time)| Some((name, time?)));
        let waits: Vec<String> = latencies.map(|(name, time)| format!("{name} {:.0} ms", time.0 as f64 / 1e3)).collect();
        screen.show(&format!("turn {}: {}\n", index + 1, waits.join(", ")));
    }
    screen.show(&format!("wrote {} and a picture of each turn beside it\n", file.display()));
    Ok(())
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

#[allow(clippy::disallowed_methods, reason = "a command may spawn")]
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(work).map(|_| ()).with_context(|| format!("no thread for {name}"))
}

/// Feeds sound to the driver, then silence until nobody takes it.
fn hear(mut sound: AnySource<Hop>, events: Sender<Event>, clock: Clock, ended: Arc<AtomicBool>, cue: Cue) -> Result<()> {
    spawn("caracal-sound", move || {
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
        while !cue.is_over() {
            let hop = Hop { position, samples: [0.0; HOP_SAMPLES as usize] };
            position += u64::from(HOP_SAMPLES);
            clock.wait_until(hop.ready_at());
            if events.send(Event::Hop(Box::new(hop))).is_err() {
                return;
            }
        }
    })
}

/// Feeds pictures to the driver while it takes them.
fn see(mut pictures: AnySource<Shot>, events: Sender<Event>) -> Result<()> {
    spawn("caracal-sight", move || {
        loop {
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
    })
}

/// What a script's user does.
fn announce(screen: Screen, at: Micros, says: &str, picture: Option<&Path>) {
    let paint = screen.paint;
    let shown = picture.and_then(Path::file_name).map(|name| format!("  [shows {}]", name.to_string_lossy())).unwrap_or_default();
    screen.show(&format!("{}{} {says}{}\n", moment(at), paint.green("you:"), paint.dim(&shown)));
}

/// A new line with its time.
fn moment(at: Micros) -> String {
    format!("\n{:9.3} s  ", at.0 as f64 / 1e6)
}

/// What a person reads on the terminal while it happens. The text of a guess is held until the guess is heard.
struct Teller {
    screen: Screen,
    held: String,
    heard: Option<AttemptId>,
}

impl Teller {
    fn tell(&mut self, at: Micros, story: &Story) {
        let line = |text: &str| self.screen.show(&format!("{}{text}\n", moment(at)));
        let paint = self.screen.paint;
        match story {
            Story::TurnStarted(_) => line(&paint.dim("hears you")),
            Story::TurnCancelled(_) => line(&paint.dim("that was no speech")),
            Story::Speculated(_) => self.held.clear(),
            Story::RolledBack(_) => line(&paint.dim("you go on: the answer that was being made is taken back")),
            Story::Endpoint { attempt, .. } => {
                self.heard = Some(*attempt);
                let held = std::mem::take(&mut self.held);
                self.screen.show(&format!("{}{} {held}", moment(at), paint.green("caracal:")));
            }
            Story::BargedIn(..) => line(&paint.bold("you interrupt")),
            Story::Notice(_, text) => line(&paint.bold(text)),
            Story::Caption(attempt, text) if self.heard == Some(*attempt) => self.screen.show(text),
            Story::Caption(_, text) => self.held.push_str(text),
            Story::ReplyEnded(_) => self.screen.show("\n"),
            _ => {}
        }
    }
}
