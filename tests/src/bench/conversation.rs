//! Conversations as users have them, timed: kitten, real speech, real voice activity, real QUIC.
//!
//! The user's sound comes from the shipped conversation, over and over; every third turn breaks into the answer before.
//! The limit of the wait is the speaker's own beat: it takes a block each 10 ms, so the mean wait cannot be below 5 ms.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use caracal_edge::io::script::Script;
use caracal_edge::io::{SoundFile, Source};
use caracal_edge::timeline::{Cargo, Timeline, TimelineEvent, turn_times};
use caracal_shared::machine::Micros;
use caracal_shared::rates::{AUDIO_EMBEDDING_MS, CODEC_FRAME_MS, HOP_SAMPLES};
use caracal_shared::session::Ending;
use caracal_shared::turn::{TurnId, TurnOutput};
use caracal_shared::wire::{AudioCut, EdgeMessage, Embeddings, PictureId, Precision, VisionMessage, write_unit};

use crate::live::Cluster;
use crate::live::proxy::Weather;
use crate::live::scripted::{Talked, Way, talk};

/// The shipped conversation.
const SCRIPT: &str = "tests/data/conversation/conversation.toml";
/// How far into an answer the user breaks in.
const BREAK_IN_MS: u64 = 500;
/// Every turn of this number breaks into the answer before it.
const BREAK_IN_EVERY: usize = 3;
/// The road of the second half: 40 ms there and back, one datagram in a hundred lost.
const FAR: Weather = Weather { delay: Duration::from_millis(20), lost_per_mille: 10 };
/// Speech is louder than this share of an utterance's loudest 10 ms.
const ONSET: f32 = 0.05;
/// Widths of the released model: language model, audio encoder before the projector; tokens of a 224 x 224 picture pair.
const RELEASED: (usize, usize, usize) = (6144, 1536, 128);

/// What to measure.
pub struct Options {
    /// Turns of each conversation of the first table.
    pub turns: usize,
    /// The repository.
    pub root: PathBuf,
    /// One JSON object a line.
    pub json: bool,
}

/// Prints every table.
///
/// # Errors
/// When kitten, the voice model or the shipped conversation cannot be used.
pub fn run(options: &Options) -> Result<()> {
    let model = options.root.join("models/kitten");
    let shipped = Script::read(&options.root.join(SCRIPT))?;
    let state = std::env::temp_dir().join(format!("caracal-bench-{}", std::process::id()));
    let cluster = Cluster::start(&model, &state, "127.0.0.1:0");
    let bench = Bench { model, shipped, cluster, json: options.json };
    let outcome = bench.waits(options.turns).and_then(|()| bench.bandwidth()).and_then(|()| bench.four_at_once());
    std::fs::remove_dir_all(&state).with_context(|| format!("{}: cannot be removed", state.display()))?;
    outcome
}

struct Bench {
    model: PathBuf,
    shipped: Script,
    cluster: Cluster,
    json: bool,
}

impl Bench {
    fn line(&self, name: &str, values: &[(&str, f64, &str)]) {
        if self.json {
            let object: serde_json::Map<_, _> = values.iter().map(|(key, value, _)| ((*key).into(), (*value).into())).collect();
            println!("{}", serde_json::json!({"name": name, "values": object}));
        } else {
            let shown: Vec<String> = values.iter().map(|(key, value, unit)| format!("{key} {value:.1} {unit}")).collect();
            println!("{name:<46} {}", shown.join(", "));
        }
    }

    /// The shipped turns over and over, with interruptions if wanted.
    fn script(&self, turns: usize, interrupts: bool) -> Script {
        let mut turns: Vec<_> = self.shipped.turns.iter().cycle().take(turns).cloned().collect();
        for (index, turn) in turns.iter_mut().enumerate() {
            turn.interrupts_after_ms = (interrupts && index % BREAK_IN_EVERY == BREAK_IN_EVERY - 1).then_some(BREAK_IN_MS);
        }
        Script { turns }
    }

    fn talk(&self, script: &Script, way: Way) -> Result<Talked> {
        talk(&self.model, &self.cluster, script, way)
    }

    fn waits(&self, turns: usize) -> Result<()> {
        let script = self.script(turns, true);
        let onsets: Vec<Micros> = script.turns.iter().map(|turn| onset(&turn.sound)).collect::<Result<_>>()?;
        for (road, weather, bars) in [("loopback", Weather::default(), (20.0, 100.0)), ("40 ms, 1 % loss", FAR, (30.0, 150.0))] {
            for speculates in [true, false] {
                let talked = self.talk(&script, Way { weather, ..Way::near(speculates) })?;
                let times = turn_times(&talked.timeline);
                let waits = times.iter().filter_map(|t| Some((t.first_sound?.0 - t.t4?.0) as f64 / 1e3)).collect();
                let name = format!("{road}, speculation {}", if speculates { "on" } else { "off" });
                let bars = if speculates { format!("bars {} and {} ms", bars.0, bars.1) } else { "no bar".into() };
                let waits = Sorted::new(waits);
                let answered = waits.0.len() as f64;
                self.line(
                    &format!("{name}: t4 to first sample"),
                    &[
                        ("median", waits.at(0.5), "ms"),
                        ("99th", waits.at(0.99), &format!("ms ({bars})")),
                        ("of the speaker's 5 ms", waits.at(0.5) / 5.0, "x"),
                        ("answers", answered, ""),
                        ("turns", turns as f64, ""),
                        ("underruns", talked.underruns as f64, ""),
                    ],
                );
                self.interruptions(&name, &talked, &script, &onsets);
            }
        }
        Ok(())
    }

    fn interruptions(&self, name: &str, talked: &Talked, script: &Script, onsets: &[Micros]) {
        if script.turns.iter().all(|turn| turn.interrupts_after_ms.is_none()) {
            return; // So few turns that nobody interrupts: there is nothing to measure.
        }
        let mut total = Vec::new();
        let mut decided = Vec::new();
        for turn in turn_times(&talked.timeline) {
            let (Some(t5), Some(attempt)) = (turn.t5, turn.attempt) else { continue };
            // What was heard, not what was meant to be: the end of the answer's last block.
            let blocks = talked.timeline.events().iter().filter_map(|(at, event)| match event {
                TimelineEvent::Played { attempt: of, length } if *of == attempt => Some(at.after(*length)),
                _ => None,
            });
            let silenced = blocks.max().unwrap_or(t5).max(t5);
            decided.push((silenced.0 - t5.0) as f64 / 1e3);
            let begun = talked.begun.iter().enumerate().rev().find(|(_, begun)| **begun <= t5);
            if let Some((index, begun)) = begun.filter(|(index, _)| script.turns[*index].interrupts_after_ms.is_some()) {
                total.push(silenced.0.saturating_sub(begun.0 + onsets[index].0) as f64 / 1e3);
            }
        }
        let (total, decided) = (Sorted::new(total), Sorted::new(decided));
        self.line(
            &format!("{name}: interruption to silence"),
            &[
                ("90th", total.at(0.9), "ms (bar 200 ms)"),
                ("after the decision, 90th", decided.at(0.9), "ms (bar 20 ms)"),
                ("interruptions", total.0.len() as f64, ""),
                ("pieces of dead answers heard", dead_pieces(&talked.timeline) as f64, "(bar 0)"),
            ],
        );
    }

    fn bandwidth(&self) -> Result<()> {
        for (cut, cut_name) in [(AudioCut::Projected, "projected"), (AudioCut::Hidden, "hidden")] {
            for (precision, precision_name) in [(Precision::Int8, "int8"), (Precision::Bf16, "bf16")] {
                let talked = self.talk(&self.script(self.shipped.turns.len(), false), Way { cut, precision, ..Way::near(true) })?;
                let flow = Flow::of(&talked);
                let known = self.shipped.turns.iter().zip(&talked.exchanges).filter(|(turn, _)| turn.answer.is_some());
                let right = known.filter(|(turn, exchange)| exchange.ending == Ending::Whole(turn.answer.clone().unwrap_or_default()));
                let released = Released::new(cut, precision);
                self.line(
                    &format!("{cut_name}, {precision_name}: on the wire"),
                    &[
                        ("sound", flow.sound, "kbit/s"),
                        ("a picture", flow.picture, "kbit"),
                        ("speech down", flow.speech, "kbit/s (bar 1.5)"),
                        ("answers as expected", right.count() as f64, ""),
                        ("of", self.shipped.turns.iter().filter(|turn| turn.answer.is_some()).count() as f64, ""),
                        ("released: sound", released.sound, "kbit/s"),
                        ("released: a picture", released.picture, "kbit"),
                    ],
                );
            }
        }
        Ok(())
    }

    fn four_at_once(&self) -> Result<()> {
        let script = self.script(self.shipped.turns.len(), true);
        let talked: Vec<Talked> = std::thread::scope(|scope| {
            let edges: Vec<_> = (0..4).map(|_| scope.spawn(|| self.talk(&script, Way::near(true)))).collect();
            edges.into_iter().map(|edge| edge.join().expect("an edge does not panic")).collect::<Result<_>>()
        })?;
        let waits = talked.iter().flat_map(|t| turn_times(&t.timeline));
        let waits = Sorted::new(waits.filter_map(|t| Some((t.first_sound?.0 - t.t4?.0) as f64 / 1e3)).collect());
        self.line(
            "four sessions at once: t4 to first sample",
            &[
                ("median", waits.at(0.5), "ms"),
                ("99th", waits.at(0.99), "ms"),
                ("answers", waits.0.len() as f64, ""),
                ("underruns", talked.iter().map(|t| t.underruns).sum::<usize>() as f64, "(bar 0)"),
            ],
        );
        Ok(())
    }
}

/// Values in order.
struct Sorted(Vec<f64>);

impl Sorted {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The smallest value that a share of all do not exceed.
    fn at(&self, share: f64) -> f64 {
        let index = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

/// Where in a sound file speech begins.
fn onset(file: &Path) -> Result<Micros> {
    let (mut sound, mut loudness) = (SoundFile::open(file)?, Vec::new());
    while let Some(hop) = sound.next()? {
        loudness.push((hop.samples.iter().map(|s| s * s).sum::<f32>() / HOP_SAMPLES as f32).sqrt());
    }
    let loudest = loudness.iter().copied().fold(0.0, f32::max);
    let first = loudness.iter().position(|level| *level > ONSET * loudest).unwrap_or(0);
    Ok(Micros(10_000 * first as u64))
}

/// Blocks that were played after their answer was broken off.
fn dead_pieces(timeline: &Timeline) -> usize {
    let mut dead = Vec::new();
    let mut pieces = 0;
    for (_, event) in timeline.events() {
        match event {
            TimelineEvent::Turn(TurnOutput::BargeIn(attempt) | TurnOutput::Resume(attempt)) => dead.push(*attempt),
            TimelineEvent::Played { attempt, .. } => pieces += usize::from(dead.contains(attempt)),
            _ => {}
        }
    }
    pieces
}

/// What one session needs of the link.
struct Flow {
    sound: f64,
    picture: f64,
    speech: f64,
}

impl Flow {
    fn of(talked: &Talked) -> Self {
        let (mut sound, mut pictures, mut picture, mut speech, mut frames) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (_, event) in talked.timeline.events() {
            match event {
                TimelineEvent::Sent { cargo: Cargo::Sound, bytes } => sound += f64::from(*bytes),
                TimelineEvent::Sent { cargo: Cargo::Picture, bytes } => (picture, pictures) = (picture + f64::from(*bytes), pictures + 1.0),
                TimelineEvent::Received { frames: count, bytes, .. } => {
                    (speech, frames) = (speech + f64::from(*bytes), frames + f64::from(*count))
                }
                _ => {}
            }
        }
        let embeddings: u32 = talked.exchanges.iter().map(|exchange| exchange.audio).sum();
        // Bits a millisecond are kilobits a second.
        let rate = |bytes: f64, ms: f64| if ms > 0.0 { 8.0 * bytes / ms } else { f64::NAN };
        Self {
            sound: rate(sound, f64::from(embeddings) * f64::from(AUDIO_EMBEDDING_MS)),
            picture: if pictures > 0.0 { 8.0 * picture / pictures / 1e3 } else { f64::NAN },
            speech: rate(speech, frames * f64::from(CODEC_FRAME_MS)),
        }
    }
}

/// What the released sizes would need: the size of the same messages with vectors of the released widths.
struct Released {
    sound: f64,
    picture: f64,
}

impl Released {
    fn new(cut: AudioCut, precision: Precision) -> Self {
        let (projected, hidden, tokens) = RELEASED;
        let width = if cut == AudioCut::Projected { projected } else { hidden };
        let pack = |count: usize, width: usize| Embeddings::pack(&vec![0.5; count * width], width, precision);
        let mut sound = Vec::new();
        write_unit(&EdgeMessage::Audio { turn: TurnId(0), provisional: None, embeddings: pack(1, width) }, &mut sound);
        let mut picture = Vec::new();
        write_unit(&VisionMessage::Picture { picture: PictureId(0), embeddings: pack(tokens, projected) }, &mut picture);
        Self { sound: 8.0 * sound.len() as f64 / f64::from(AUDIO_EMBEDDING_MS), picture: 8.0 * picture.len() as f64 / 1e3 }
    }
}
