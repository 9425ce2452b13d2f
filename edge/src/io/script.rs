//! A conversation that is played in turn by turn: the next turn begins when the answer to the last one was heard, or
//! into it. For demonstrations and measurements, where nobody is there to wait.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use caracal_shared::machine::Micros;
use caracal_shared::rates::HOP_SAMPLES;
use serde::Deserialize;

use super::driver::Event;
use super::pace::Clock;
use super::sound_source::SoundFile;
use super::source::{Hop, Shot, Source, SourceError, Timed};
use crate::vision::{Alpha, Picture, read_picture};

/// Quiet between an answer and the next turn: a person breathes.
const PAUSE: Micros = Micros(500_000);
/// Turns begin at multiples of this: whole windows of the voice network and whole embeddings, so that the same script is
/// heard in the same pieces every time.
const GRID_SAMPLES: u64 = 2560;
/// Longest wait for an answer that does not come: the next turn begins all the same.
const PATIENCE: Micros = Micros(20_000_000);

/// The file: `[[turn]]` after `[[turn]]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What the user does, in order.
    #[serde(rename = "turn")]
    pub turns: Vec<ScriptTurn>,
}

/// One turn of the user.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ScriptTurn {
    /// Sound file of what is said.
    pub sound: PathBuf,
    /// The words of it, for people.
    #[serde(default)]
    pub says: String,
    /// A picture that is shown before.
    pub picture: Option<PathBuf>,
    /// What should be answered.
    pub answer: Option<String>,
    /// Begins so many milliseconds into the answer to the turn before, instead of after it.
    pub interrupts_after_ms: Option<u64>,
}

/// A script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// It says something that no script says.
    #[error("{}: {source}A script is a list of [[turn]] with `sound`, and where wanted `says`, `picture`, `answer`, `interrupts_after_ms`.", file.display())]
    Toml {
        /// The file.
        file: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// It has no turns.
    #[error("{}: has no [[turn]]", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// Sound or a picture.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] crate::vision::PictureError),
}

impl Script {
    /// Reads a script; its files lie beside it.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn read(file: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(file).map_err(|source| ScriptError::Io { file: file.into(), source })?;
        let mut script: Self = toml::from_str(&text).map_err(|source| ScriptError::Toml { file: file.into(), source: Box::new(source) })?;
        if script.turns.is_empty() {
            return Err(ScriptError::Empty { file: file.into() });
        }
        let beside = |path: &mut PathBuf| *path = file.parent().unwrap_or(Path::new("")).join(&*path);
        for turn in &mut script.turns {
            beside(&mut turn.sound);
            turn.picture.iter_mut().for_each(beside);
        }
        Ok(script)
    }

    /// Whether anything is shown.
    pub fn shows(&self) -> bool {
        self.turns.iter().any(|turn| turn.picture.is_some())
    }

    /// Reads all sounds and pictures.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn load(&self) -> Result<Performance, ScriptError> {
        let load = |turn: &ScriptTurn| {
            let (mut file, mut hops) = (SoundFile::open(&turn.sound)?, Vec::new());
            while let Some(hop) = file.next()? {
                hops.push(hop.samples);
            }
            let picture = turn.picture.as_deref().map(|file| read_picture(file, Alpha::Drop)).transpose()?.map(Arc::new);
            Ok(Scene { hops, picture, interrupts: turn.interrupts_after_ms.map(|ms| Micros(1000 * ms)) })
        };
        Ok(Performance { scenes: self.turns.iter().map(load).collect::<Result<_, ScriptError>>()? })
    }
}

#[derive(Clone, Debug)]
struct Scene {
    hops: Vec<[f32; HOP_SAMPLES as usize]>,
    picture: Option<Arc<Picture>>,
    interrupts: Option<Micros>,
}

/// What the player must know of the conversation: told by whoever runs the driver, after every event.
#[derive(Clone, Debug, Default)]
pub struct Cue(Arc<Mutex<Moment>>);

#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    idle_since: Option<Micros>,
    sound_since: Option<Micros>,
    over: bool,
}

impl Cue {
    /// Whether nobody speaks and nothing is being answered.
    pub fn idle(&self, now: Micros, idle: bool) {
        let mut moment = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moment.idle_since = if idle { moment.idle_since.or(Some(now)) } else { None };
        if idle {
            moment.sound_since = None;
        }
    }

    /// An answer begins to be heard.
    pub fn sound(&self, now: Micros) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sound_since = Some(now);
    }

    /// The player may stop.
    pub fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).over = true;
    }

    /// Whether [`Cue::end`] was called.
    pub fn is_over(&self) -> bool {
        self.moment().over
    }

    fn moment(&self) -> Moment {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A script with its sounds and pictures.
#[derive(Clone, Debug)]
pub struct Performance {
    scenes: Vec<Scene>,
}

impl Performance {
    /// Plays in real time, with silence between the turns, until `send` takes no more or the cue ends it; `played` is
    /// told of each turn at its first sample, and at the end with `None`.
    pub fn play(self, clock: Clock, cue: &Cue, mut send: impl FnMut(Event) -> bool, mut played: impl FnMut(Option<usize>)) {
        let position = Cell::new(0);
        let hop = |samples, send: &mut dyn FnMut(Event) -> bool| {
            let hop = Hop { position: position.get(), samples };
            position.set(hop.position + u64::from(HOP_SAMPLES));
            clock.wait_until(hop.ready_at());
            send(Event::Hop(Box::new(hop)))
        };
        let on_grid = || position.get().is_multiple_of(GRID_SAMPLES);
        const SILENCE: [f32; HOP_SAMPLES as usize] = [0.0; HOP_SAMPLES as usize];
        for (index, scene) in self.scenes.into_iter().enumerate() {
            let from = clock.now();
            while !on_grid() || !begins(&cue.moment(), scene.interrupts, from, clock.now()) {
                if cue.moment().over || !hop(SILENCE, &mut send) {
                    return;
                }
            }
            let shown = scene.picture.is_none_or(|picture| send(Event::Show(Shot { at: clock.now(), picture })));
            played(Some(index));
            if !shown || !scene.hops.into_iter().all(|samples| hop(samples, &mut send)) {
                return;
            }
        }
        let from = clock.now();
        while !begins(&cue.moment(), None, from, clock.now()) {
            if !hop(SILENCE, &mut send) {
                return;
            }
        }
        played(None);
        while !cue.moment().over && hop(SILENCE, &mut send) {}
    }
}

/// Whether the next turn begins now, when the one before ended at `from`.
fn begins(moment: &Moment, interrupts: Option<Micros>, from: Micros, now: Micros) -> bool {
    let since = |start: Micros| now.0.saturating_sub(start.0);
    let quiet = moment.idle_since.is_some_and(|idle| since(idle.max(from)) >= PAUSE.0);
    let into = interrupts.is_some_and(|after| moment.sound_since.is_some_and(|sound| since(sound) >= after.0));
    // An answer that is to be interrupted is waited for; where it was too short, its end will do.
    let waited = since(from) >= if interrupts.is_some() { PATIENCE.0 / 4 } else { 0 };
    into || (quiet && waited) || since(from) >= PATIENCE.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_turn_waits_for_the_answer_to_be_heard_or_speaks_into_it() {
        let at = |ms: u64| Micros(1000 * ms);
        let moment = |idle, sound| Moment { idle_since: idle, sound_since: sound, over: false };
        let from = at(10_000);
        // Idle from before the turn is no answer yet: the pause counts from the turn's end.
        assert!(!begins(&moment(Some(at(0)), None), None, from, at(10_499)));
        assert!(begins(&moment(Some(at(0)), None), None, from, at(10_500)));
        assert!(!begins(&moment(None, Some(at(11_000))), None, from, at(15_000)));
        assert!(!begins(&moment(None, Some(at(11_000))), Some(at(300)), from, at(11_299)));
        assert!(begins(&moment(None, Some(at(11_000))), Some(at(300)), from, at(11_300)));
        assert!(!begins(&moment(Some(at(0)), None), Some(at(300)), from, at(12_000)), "the answer is still to come");
        assert!(begins(&moment(None, None), None, from, at(30_000)), "nobody waits for ever");
    }

    #[test]
    fn a_script_names_its_files_beside_it_and_says_what_is_wrong() {
        let folder = std::env::temp_dir().join(format!("caracal-script-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("room");
        let file = folder.join("script.toml");
        std::fs::write(&file, "[[turn]]\nsound = \"a.wav\"\npicture = \"b.png\"\n[[turn]]\nsound = \"c.wav\"\ninterrupts_after_ms = 700\n")
            .expect("room");
        let script = Script::read(&file).expect("a right script");
        assert_eq!((script.turns.len(), script.shows()), (2, true));
        assert_eq!(script.turns[0].picture, Some(folder.join("b.png")));
        assert!(script.load().expect_err("there is no a.wav").to_string().contains("a.wav"));
        for (text, said) in [("[[turn]]\nsond = \"a.wav\"\n", "sond"), ("turn = []\n", "no [[turn]]")] {
            std::fs::write(&file, text).expect("room");
            let error = Script::read(&file).expect_err("a wrong script").to_string();
            assert!(error.contains(said), "{error}");
        }
        std::fs::remove_dir_all(folder).expect("ours");
    }
}
