//! The six published demo conversations on the small model: prompts as published, replies of the right structure.

use std::path::Path;

use caracal_cluster::generate::{Case, Outcome, read_prompt};
use caracal_cluster::model::ModelFolder;
use caracal_kernels::burn::tensor::Device;
use caracal_shared::ids::{ALIASES, CODE_OFFSET, TEXT_PAUSE};
use caracal_shared::prompt::{Embeddings, Prompt};
use caracal_shared::tokenize::Tokenize;
use caracal_tests::golden::{Golden, golden_root};
use serde_json::Value;

use super::{CASES, SPOKEN, case_file, model, run};

/// A turn as the goldens print it: text, with runs of placeholders as their count.
fn pieces(model: &ModelFolder, prompt: &Prompt) -> Vec<String> {
    let placeholder = |id: u32| match id {
        id if id == model.markers.image_pad => Some("image"),
        id if id == model.markers.audio_pad => Some("audio"),
        _ => None,
    };
    let piece = |turn: &std::ops::Range<usize>| {
        let ids: Vec<u32> = prompt.rows[turn.clone()].iter().map(|row| row.text).collect();
        let runs = ids.chunk_by(|a, b| placeholder(*a).is_some() == placeholder(*b).is_some() && (placeholder(*a).is_none() || a == b));
        runs.map(|run| match placeholder(run[0]) {
            Some(kind) => format!("<{kind}-placeholder={}>", run.len()),
            None => model.tokenizer.decode(run).expect("prompt ids have tokens"),
        })
        .collect::<String>()
    };
    prompt.turns.iter().map(piece).collect()
}

fn run_lengths(prompt: &Prompt) -> Value {
    let ids: Vec<u32> = prompt.rows.iter().map(|row| row.text).collect();
    ids.chunk_by(|a, b| a == b).map(|run| serde_json::json!([run[0], run.len()])).collect()
}

/// Our clip's sound track is longer than the published one: the last run of audio takes what is more.
fn with_last_audio(piece: &str, count: usize) -> String {
    let (before, last) = piece.rsplit_once("<audio-placeholder=").expect("the case has sound");
    let (_, after) = last.split_once('>').expect("the placeholder ends");
    let earlier: usize = before.split("<audio-placeholder=").skip(1).filter_map(|p| p.split_once('>')?.0.parse::<usize>().ok()).sum();
    format!("{before}<audio-placeholder={}>{after}", count - earlier)
}

#[test]
fn prompts_are_the_published_ones() {
    let folder = model();
    let model = ModelFolder::open(folder.path(), &Device::flex()).unwrap();
    let golden = Golden::open(&golden_root(), "prompt/demo_cases").unwrap();
    let cases = golden.field("/cases").unwrap().as_array().unwrap();
    assert_eq!(cases.iter().map(|c| c["case"].as_str().unwrap()).collect::<Vec<_>>(), CASES);
    for golden in cases {
        let name = golden["case"].as_str().unwrap();
        let read = read_prompt(&model, &Case::read(&case_file(name)).unwrap(), true, &mut |_| {}).unwrap();
        let prompt = &read.prompt;
        let (image, audio) = (prompt.wanted(Embeddings::Image), prompt.wanted(Embeddings::Audio));
        assert_eq!(Some(image as u64), golden["n_image_pad"].as_u64(), "{name}");
        let mut published: Vec<String> = golden["pieces"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_string()).collect();
        let same_media = name != "video_case";
        if same_media {
            assert_eq!(Some(audio as u64), golden["n_audio_pad"].as_u64(), "{name}");
            assert_eq!(run_lengths(prompt), golden["ids_rle"], "{name}");
        } else {
            assert!(audio > 25, "{name}: three seconds of sound");
            published[0] = with_last_audio(&published[0], audio);
        }
        assert_eq!(pieces(&model, prompt), published, "{name}");
        assert!(prompt.rows.iter().all(|row| row.codes == caracal_shared::ids::NO_CODES), "{name}: nothing was spoken before");
        let rows = |t: &Option<caracal_kernels::burn::tensor::Tensor<2>>| t.as_ref().map_or(0, |t| t.dims()[0]);
        assert_eq!((rows(&read.perceived.image), rows(&read.perceived.audio)), (image, audio), "{name}");
        assert!(read.notices.is_empty(), "{name}: {:?}", read.notices);
    }
}

/// What section 7 of the specification asks of every reply.
fn check_structure(name: &str, outcome: &Outcome, folder: &Path) {
    assert!(!outcome.text.trim().is_empty(), "{name}: no text");
    for marker in ALIASES.iter().flat_map(|(marker, alias)| [marker, alias]).chain([&"</longcat_s>", &"<longcat_pad>", &"<longcat_unk>"]) {
        assert!(!outcome.text.contains(marker), "{name}: {marker} is left in {:?}", outcome.text);
    }
    assert!(!outcome.audio_codes.is_empty(), "{name}: no codec frame");
    assert!(outcome.audio_codes.iter().flatten().all(|id| (CODE_OFFSET..8224).contains(id)), "{name}: {:?}", outcome.audio_codes);
    assert!(outcome.reply.finished, "{name}: {} steps are enough for the small model", outcome.reply.text.len());
    let pauses = outcome.reply.text.iter().filter(|id| **id == Some(TEXT_PAUSE)).count();
    assert_eq!(outcome.segments, pauses + 1, "{name}");
    // Every segment takes one step more than it has frames, but for one whose text ended with its first step, which
    // has none of its own acoustics.
    assert_eq!(outcome.audio_codes.len(), outcome.reply.text.len() - semantic_ends(outcome), "{name}");
    let sound = outcome.sound.as_ref().unwrap_or_else(|| panic!("{name}: no sound"));
    assert_eq!(sound.samples.len(), outcome.audio_codes.len() * sound.rate as usize * 60 / 1000, "{name}: 60 ms a frame");

    let files = outcome.write(folder, name).unwrap();
    assert_eq!(files, [folder.join(format!("{name}.json")), folder.join(format!("{name}.wav"))]);
    let json: Value = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
    assert_eq!(json, serde_json::json!({"text": outcome.text, "audio_codes": outcome.audio_codes}), "{name}");
    let wav = caracal_edge::audio::read_audio(&files[1], 600).unwrap();
    assert_eq!((wav.sample_rate, wav.waveform.samples().len()), (sound.rate, sound.samples.len()), "{name}");
    let off = wav.waveform.samples().iter().zip(&sound.samples).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-4 && sound.samples.iter().any(|s| s.abs() > 1e-3), "{name}: the file holds the sound, off by {off}");
}

/// Steps whose semantic code ends a segment: they are no frame.
fn semantic_ends(outcome: &Outcome) -> usize {
    outcome.reply.codes.iter().filter(|codes| codes[0] == Some(caracal_shared::ids::CODE_END)).count()
}

#[test]
fn every_case_gives_text_and_sound() {
    let folder = model();
    let out = tempfile::tempdir().unwrap();
    let mut segments = 0;
    for name in CASES {
        let outcome = run(folder.path(), &case_file(name), &SPOKEN).unwrap_or_else(|e| panic!("{name}: {e}"));
        check_structure(name, &outcome, out.path());
        segments += outcome.segments;
    }
    assert!(segments > CASES.len(), "no reply had a pause: the cases do not show that segments work");
}

#[test]
fn the_same_twice() {
    let folder = model();
    let once = || run(folder.path(), &case_file("video_audio_case"), &SPOKEN).unwrap();
    assert_eq!(once(), once());
    assert_ne!(once().text, run(folder.path(), &case_file("text_case"), &SPOKEN).unwrap().text, "another conversation, another reply");
}
