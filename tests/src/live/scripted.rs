//! An edge that plays a script with real speech, hears itself with the real voice network, and logs everything.

use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use burn::tensor::Device;
use caracal_edge::audio::voice_activity::VoiceActivityConfig;
use caracal_edge::conversation::{Settings, Story};
use caracal_edge::io::driver::{AcceleratorThread, Driver, DriverSettings, Event};
use caracal_edge::io::quic::{QuicDoor, QuicSettings};
use caracal_edge::io::script::{Cue, Script};
use caracal_edge::io::trust::Trust;
use caracal_edge::io::{Clock, NoSpeaker, SileroState, SileroVad, VadFiles};
use caracal_edge::live;
use caracal_edge::timeline::Timeline;
use caracal_shared::machine::Micros;
use caracal_shared::session::Exchange;
use caracal_shared::turn::{TurnState, TurnTiming};
use caracal_shared::wire::{AudioCut, Precision};

use super::proxy::Weather;
use super::{Cluster, Proxy};

/// How one edge talks.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// What the road is like.
    pub weather: Weather,
    /// End of turn.
    pub timing: TurnTiming,
    /// Where the ears are cut.
    pub cut: AudioCut,
    /// How vectors travel.
    pub precision: Precision,
}

impl Way {
    /// A short road, projected embeddings in int8.
    pub fn near(speculates: bool) -> Self {
        let timing = TurnTiming::default();
        let timing = if speculates { timing } else { TurnTiming { speculate_after: timing.endpoint_after, ..timing } };
        Self { weather: Weather::default(), timing, cut: AudioCut::Projected, precision: Precision::Int8 }
    }
}

/// What one edge lived through.
pub struct Talked {
    /// What happened when.
    pub timeline: Timeline,
    /// What was said and answered.
    pub exchanges: Vec<Exchange>,
    /// How often an answer paused because its sound did not come in time.
    pub underruns: usize,
    /// When each turn of the script was begun to be played.
    pub begun: Vec<Micros>,
}

/// One edge, from the first turn of the script to the last answer.
///
/// # Errors
/// When the model, the voice model or a file of the script cannot be used.
///
/// # Panics
/// When a thread panicked.
pub fn talk(model: &Path, cluster: &Cluster, script: &Script, way: Way) -> Result<Talked> {
    let proxy = Proxy::through(cluster.address(), way.weather);
    let (accelerator, agreed) = live::load(model, &Device::flex(), script.shows(), way.cut, way.precision)?;
    let speaker_rate = accelerator.speaker_rate();
    let voice = Box::new((SileroVad::load(&VadFiles::find(None, None)?)?, SileroState::default()));
    let (events, received) = channel();
    let thread = AcceleratorThread::start(accelerator, events.clone())?;
    let told = Mutex::new(events.clone());
    let quic = QuicSettings {
        address: proxy.address.to_string(),
        trust: Trust::Fingerprint(cluster.fingerprint.clone()),
        keep_alive: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(10),
        reconnect_longest: Duration::from_secs(1),
    };
    let door = QuicDoor::open(quic, move |dial, event| {
        // A driver that is gone needs no news.
        let _ = told.lock().unwrap_or_else(PoisonError::into_inner).send(Event::Door(dial, event));
    })?;
    let (cue, begun, ended) = (Cue::default(), Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(false)));
    let performance = script.load()?;
    let clock = Clock::start();
    let player = {
        let (cue, begun, ended) = (cue.clone(), begun.clone(), ended.clone());
        let played = move |index: Option<usize>| match index {
            Some(_) => begun.lock().unwrap_or_else(PoisonError::into_inner).push(clock.now()),
            None => *ended.lock().unwrap_or_else(PoisonError::into_inner) = true,
        };
        std::thread::spawn(move || performance.play(clock, &cue, |event| events.send(event).is_ok(), played))
    };
    let settings = DriverSettings {
        conversation: Settings { timing: way.timing, camera: false, speaker_rate, ticket: None },
        activity: VoiceActivityConfig::default(),
        token: cluster.token.clone(),
        model: agreed,
        ticket_file: None,
        timeline: true,
    };
    let (heard, underruns) = (cue.clone(), Arc::new(Mutex::new(0)));
    let counted = underruns.clone();
    let observer = Box::new(move |at: Micros, story: &Story| match story {
        Story::FirstSound(_) => heard.sound(at),
        Story::Underrun(_) => *counted.lock().unwrap_or_else(PoisonError::into_inner) += 1,
        _ => {}
    });
    let mut driver = Driver::start(settings, voice, thread, door, Box::new(NoSpeaker(speaker_rate)), received, observer, clock, true);
    driver.run_with(|driver| {
        let idle = driver.conversation().state() == TurnState::Idle;
        cue.idle(driver.now(), idle);
        idle && *ended.lock().unwrap_or_else(PoisonError::into_inner)
    })?;
    cue.end();
    let exchanges = driver.conversation().transcript().exchanges().cloned().collect();
    let timeline = driver.finish(false)?.context("a timeline was asked for")?;
    player.join().expect("the player does not panic");
    let (begun, underruns) =
        (begun.lock().unwrap_or_else(PoisonError::into_inner).clone(), *underruns.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Talked { timeline, exchanges, underruns, begun })
}
