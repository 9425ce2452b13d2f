//! `caracal listen`: when speech and turns are heard in a sound, without a model and without a cluster.
//!
//! For trying out thresholds and spans of the configuration on one's own voice and room.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::rates::HEARING_HZ;
use caracal_shared::turn::{Turn, TurnInput, TurnOutput};

use super::media;
use super::options::{ConfigOptions, MediaOptions};
use super::paint::Paint;
use crate::audio::{SpeechProbability, VoiceActivity, VoiceEvent};
use crate::config::EdgeConfig;
use crate::io::{Hop, SileroState, SileroVad, Timed, VadFiles};
use crate::timeline::{Timeline, TimelineEvent, draw};

/// Silence after the sound, so that its last turn ends: longer than any end of turn that can be configured.
const SILENCE_HOPS: u64 = 600;
/// Hops of one loudness value in the picture: 50 ms.
const LEVEL_HOPS: usize = 5;

/// Show when speech and turns are heard in a sound: needs no model and no cluster.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal listen --sound question.wav --fast
  caracal listen --sound question.wav --fast --timeline turns.svg
  arecord -q -f S16_LE -r 16000 | caracal listen --sound -

Use it to try thresholds and spans ([vad] and [turn] of the configuration) on your own voice.
Exit codes: 0 done, 1 failed, 2 wrong arguments.")]
pub struct Arguments {
    #[command(flatten)]
    options: ConfigOptions,
    /// WAV, FLAC or MP3 file to hear; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    sound: Option<PathBuf>,
    /// Do not wait for real time: work through a file as fast as possible.
    #[arg(long)]
    fast: bool,
    /// Draw what was heard into this SVG file.
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
}

/// Listens to the end of the sound.
///
/// # Errors
/// When the configuration, the sound or the voice model cannot be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut config = arguments.options.read()?;
    // Only ears are needed: what the file says about pictures and answers does not count.
    (config.media.picture, config.media.answer) = (None, None);
    MediaOptions { sound: arguments.sound.clone(), fast: arguments.fast, ..Default::default() }.apply(&mut config);
    let files = VadFiles::find(config.vad.library.as_deref(), config.vad.model.as_deref())?;
    let mut vad = SileroVad::load(&files)?;
    let mut media = media::open(&config, Some(SILENCE_HOPS), HEARING_HZ)?;
    let paint = Paint::for_stdout();
    let mut listener = Listener::new(&config);
    let (mut state, mut heard) = (SileroState::default(), Vec::new());
    while let Some(hop) = media.sound.next()? {
        vad.push(&mut state, &hop.samples, &mut heard)?;
        for line in listener.hear(&hop, heard.drain(..)) {
            println!("{}", line.text(paint));
        }
    }
    if let Some(file) = &arguments.timeline {
        let title = config.media.sound.as_ref().map_or("listen".into(), |sound| sound.display().to_string());
        std::fs::write(file, draw(&listener.timeline, &title)).with_context(|| format!("{}: cannot be written", file.display()))?;
        eprintln!("wrote {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Something worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    at: Micros,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Voice(VoiceEvent),
    Turn(TurnOutput),
}

impl Line {
    fn text(self, paint: Paint) -> String {
        let second = |sample: u64| sample as f64 / f64::from(HEARING_HZ);
        let what = match self.what {
            What::Voice(VoiceEvent::Started { at, .. }) => paint.green(&format!("speech from {:.3} s", second(at))),
            What::Voice(VoiceEvent::Stopped { at, brief: false, .. }) => format!("silence from {:.3} s", second(at)),
            What::Voice(VoiceEvent::Stopped { at, .. }) => paint.dim(&format!("silence from {:.3} s; too brief for a word", second(at))),
            What::Turn(output) => paint.bold(match output {
                TurnOutput::TurnStart(_) => "t1  a turn begins",
                TurnOutput::TurnCancel(_) => "    the turn was none",
                TurnOutput::SpeculativeEndpoint(_) => "t3  an answer would be started on a guess",
                TurnOutput::Resume(_) => "    the guess would be taken back",
                TurnOutput::Endpoint { .. } => "t4  the turn is over: the answer would be heard",
                TurnOutput::BargeIn(_) => "t5  the answer would be broken off",
                TurnOutput::ReplyEnd(_) => "    the answer would end",
            }),
        };
        format!("{:9.3} s  {what}", self.at.0 as f64 / 1e6)
    }
}

/// Voice activity and the turn machine over one sound. An answer is taken to end as soon as it may be heard.
struct Listener {
    activity: VoiceActivity,
    turn: Turn,
    /// Whether the turn holds speech from before the span that is heard.
    spoken: bool,
    timeline: Timeline,
    loudness: Vec<f32>,
}

impl Listener {
    fn new(config: &EdgeConfig) -> Self {
        Self {
            activity: VoiceActivity::new(config.vad.activity),
            turn: Turn::new(config.turn.timing()),
            spoken: false,
            timeline: Timeline::default(),
            loudness: Vec::new(),
        }
    }

    /// Takes a hop and the windows that it completed.
    fn hear(&mut self, hop: &Hop, windows: impl Iterator<Item = SpeechProbability>) -> Vec<Line> {
        let (now, mut lines) = (hop.ready_at(), Vec::new());
        self.loudness.push(hop.samples.iter().map(|s| s * s).sum::<f32>() / hop.samples.len() as f32);
        if self.loudness.len() == LEVEL_HOPS {
            let mean = self.loudness.drain(..).sum::<f32>() / LEVEL_HOPS as f32;
            self.timeline.record(now, TimelineEvent::Level(mean.sqrt()));
        }
        for event in windows.filter_map(|window| self.activity.handle(window)).collect::<Vec<_>>() {
            lines.push(Line { at: now, what: What::Voice(event) });
            let input = event.turn_input(self.spoken);
            self.timeline.record(
                now,
                match event {
                    VoiceEvent::Started { .. } => TimelineEvent::SpeechStarted,
                    VoiceEvent::Stopped { .. } => TimelineEvent::SpeechStopped,
                },
            );
            self.spoken |= input == TurnInput::SpeechStop;
            self.tell(now, input, &mut lines);
        }
        self.tell(now, TurnInput::Tick, &mut lines);
        lines
    }

    fn tell(&mut self, now: Micros, input: TurnInput, lines: &mut Vec<Line>) {
        self.turn.handle(now, input);
        let outputs: Vec<TurnOutput> = std::iter::from_fn(|| self.turn.poll()).collect();
        for output in outputs {
            lines.push(Line { at: now, what: What::Turn(output) });
            self.timeline.record(now, TimelineEvent::Turn(output));
            match output {
                TurnOutput::Endpoint { attempt, .. } => {
                    self.spoken = false;
                    self.tell(now, TurnInput::ReplyGenerated(attempt), lines);
                    self.tell(now, TurnInput::Playback { attempt, empty: true }, lines);
                }
                TurnOutput::TurnCancel(_) => self.spoken = false,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::VAD_WINDOW_SAMPLES;

    /// Speech of the given windows, then silence.
    fn listen(speech: &[(u64, u64)], windows: u64) -> Vec<(u64, What)> {
        let mut listener = Listener::new(&EdgeConfig::default());
        let mut lines = Vec::new();
        let mut window = 0;
        for i in 0..windows * VAD_WINDOW_SAMPLES as u64 / 160 {
            let hop = Hop { position: i * 160, samples: [0.1; 160] };
            let complete = (hop.position + 160) / VAD_WINDOW_SAMPLES as u64;
            let new: Vec<_> = (window..complete)
                .map(|w| SpeechProbability {
                    start: w * VAD_WINDOW_SAMPLES as u64,
                    probability: if speech.iter().any(|(from, to)| (*from..*to).contains(&w)) { 0.9 } else { 0.1 },
                })
                .collect();
            window = complete;
            lines.extend(listener.hear(&hop, new.into_iter()).into_iter().map(|line| (line.at.0 / 1000, line.what)));
        }
        lines
    }

    fn turns(lines: &[(u64, What)]) -> Vec<(u64, TurnOutput)> {
        lines.iter().filter_map(|(at, what)| if let What::Turn(output) = what { Some((*at, *output)) } else { None }).collect()
    }

    #[test]
    fn a_pause_inside_a_turn_and_its_end_are_told() {
        use caracal_shared::turn::{AttemptId, TurnId};
        // 0.32 to 1.28 s of speech, 0.4 s of pause, again until 2.56 s.
        let lines = listen(&[(10, 40), (53, 80)], 200);
        let want = [
            (390, TurnOutput::TurnStart(TurnId(0))),
            (1620, TurnOutput::SpeculativeEndpoint(AttemptId(0))),
            (1760, TurnOutput::Resume(AttemptId(0))),
            (2900, TurnOutput::SpeculativeEndpoint(AttemptId(1))),
            (3250, TurnOutput::Endpoint { attempt: AttemptId(1), speculated: true }),
            (3250, TurnOutput::ReplyEnd(AttemptId(1))),
        ];
        assert_eq!(turns(&lines), want);
        assert_eq!(lines.iter().filter(|(_, what)| matches!(what, What::Voice(_))).count(), 4);
    }

    #[test]
    fn a_click_opens_no_turn_that_lasts_and_takes_none_away() {
        let alone = turns(&listen(&[(10, 12)], 60));
        assert!(matches!(alone[..], [(_, TurnOutput::TurnStart(_)), (_, TurnOutput::TurnCancel(_))]), "{alone:?}");
        let after = turns(&listen(&[(10, 40), (45, 47)], 100));
        assert!(matches!(after.last(), Some((_, TurnOutput::ReplyEnd(_)))), "{after:?}");
        assert!(!after.iter().any(|(_, output)| matches!(output, TurnOutput::TurnCancel(_))), "{after:?}");
    }

    #[test]
    fn lines_are_for_people() {
        let event = VoiceEvent::Started { at: 8_000, decided_at: 9_000 };
        let line = Line { at: Micros(1_234_567), what: What::Voice(event) };
        assert_eq!(line.text(Paint::plain()), "    1.235 s  speech from 0.500 s");
    }
}
