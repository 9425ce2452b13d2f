//! Voice activity: our streaming use of the Silero network against the published package, and its refusals.

use std::path::Path;

use caracal_edge::audio::{SpeechProbability, VAD_WINDOW_SAMPLES, VoiceActivity, VoiceActivityConfig, VoiceEvent, read_audio};
use caracal_edge::io::{SileroState, SileroVad, VadError, VadFiles};
use caracal_kernels::Checkpoint;
use caracal_shared::machine::Micros;
use serde_json::Value;

/// The values are rounded to six digits, and the runtime may choose other vector instructions on another machine.
const TOLERANCE: f64 = 1e-4;

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

fn load() -> SileroVad {
    let files = VadFiles::find(None, None).unwrap_or_else(|e| panic!("{e}"));
    SileroVad::load(&files).unwrap_or_else(|e| panic!("{e}"))
}

fn samples(name: &str) -> Vec<f32> {
    if name.ends_with(".wav") {
        return read_audio(&data(name), 600).expect("a clip of this repository").waveform.into_samples();
    }
    let file = Checkpoint::open(&data(name)).expect("a golden of this repository");
    file.floats("waveform", &[20_000]).expect("the speech of the golden")
}

fn recorded() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(data("vad/silero.json")).expect("the recorded values");
    let Value::Object(clips) = serde_json::from_str(&text).expect("JSON") else { panic!("silero.json is no table") };
    assert_eq!(clips.len(), 2);
    clips.into_iter().collect()
}

fn listen(vad: &mut SileroVad, samples: &[f32], piece: usize) -> Vec<SpeechProbability> {
    let (mut state, mut out) = (SileroState::default(), Vec::new());
    for piece in samples.chunks(piece) {
        vad.push(&mut state, piece, &mut out).expect("the network runs");
    }
    out
}

#[test]
fn probabilities_equal_those_of_the_published_package() {
    let (mut vad, mut levels) = (load(), Vec::new());
    for (name, want) in recorded() {
        let got = listen(&mut vad, &samples(&name), 160);
        let want: Vec<f64> = want["probabilities"].as_array().expect("a list").iter().map(|p| p.as_f64().expect("a number")).collect();
        assert_eq!(got.len(), want.len(), "{name}");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!(got.start, (i * VAD_WINDOW_SAMPLES) as u64, "{name}");
            assert!((f64::from(got.probability) - want).abs() <= TOLERANCE, "{name}, window {i}: {} for {want}", got.probability);
        }
        levels.extend(want);
    }
    assert!(levels.iter().any(|p| *p > 0.9) && levels.iter().any(|p| *p < 0.1), "speech and silence are both in it");
}

#[test]
fn spans_equal_those_of_the_published_package() {
    let mut vad = load();
    // The package believes speech at once, and silence when a later window finds it as long as it should be.
    let config = VoiceActivityConfig {
        onset_span: Micros(32_000),
        offset_span: Micros(64_000),
        lead_in: Micros(0),
        lead_out: Micros(0),
        ..Default::default()
    };
    for (name, want) in recorded() {
        let want: Vec<[u64; 2]> = serde_json::from_value(want["spans"].clone()).expect("pairs");
        let heard = listen(&mut vad, &samples(&name), 160);
        let mut activity = VoiceActivity::new(config);
        let (mut spans, mut since) = (Vec::new(), None);
        for window in &heard {
            match activity.handle(*window) {
                Some(VoiceEvent::Started { at, .. }) => since = Some(at),
                Some(VoiceEvent::Stopped { at, .. }) => spans.push([since.take().expect("events alternate"), at]),
                None => {}
            }
        }
        // The package closes what is open at the end of the file.
        spans.extend(since.map(|since| [since, heard.last().expect("windows").end()]));
        assert_eq!(spans, want, "{name}");
    }
}

#[test]
fn cutting_changes_nothing_and_a_new_state_starts_anew() {
    let mut vad = load();
    let speech = samples("demo/question.wav");
    let speech = &speech[..speech.len().min(32_000)];
    let whole = listen(&mut vad, speech, speech.len());
    assert!(!whole.is_empty());
    for piece in [1, 160, 511, 513] {
        assert_eq!(listen(&mut vad, speech, piece), whole, "pieces of {piece}");
    }
    // Two streams that take turns hear what each would hear alone.
    let (mut a, mut b, mut heard_a, mut heard_b) = (SileroState::default(), SileroState::default(), Vec::new(), Vec::new());
    for piece in speech.chunks(700) {
        vad.push(&mut a, piece, &mut heard_a).expect("the network runs");
        vad.push(&mut b, piece, &mut heard_b).expect("the network runs");
    }
    assert_eq!((&heard_a, &heard_b), (&whole, &whole));
}

#[test]
fn a_file_that_is_no_voice_model_is_named() {
    let files = VadFiles::find(None, None).unwrap_or_else(|e| panic!("{e}"));
    for model in ["vad/README.md", "demo/question.wav"] {
        let wrong = VadFiles { library: files.library.clone(), model: data(model) };
        let error = SileroVad::load(&wrong).expect_err("no model");
        assert!(matches!(&error, VadError::Model { .. }) && error.to_string().contains(model), "{error}");
    }
    SileroVad::load(&files).unwrap_or_else(|e| panic!("a refusal leaves nothing behind: {e}"));
}
