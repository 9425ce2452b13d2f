//! One loader for every form of the published layout: one file or shards, `.safetensors` or `.pt`, and only the parts
//! that a run needs.

use std::path::Path;

use caracal_tests::small_model;

use super::{SPOKEN, WRITTEN, case_file, model, pt_file, run};

fn remove(folder: &Path, parts: &[&str]) {
    for part in parts {
        let path = folder.join(part);
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
}

#[test]
fn shards_equal_one_file() {
    let folder = model();
    let one = run(folder.path(), &case_file("audio_case"), &SPOKEN).unwrap();
    small_model::shard(folder.path(), 10).unwrap();
    assert!(!folder.path().join("model.safetensors").exists() && folder.path().join("model.safetensors.index.json").exists());
    assert_eq!(run(folder.path(), &case_file("audio_case"), &SPOKEN).unwrap(), one);
}

#[test]
fn pytorch_parts_equal_safetensors_parts() {
    let folder = model();
    let safe = run(folder.path(), &case_file("video_audio_case"), &SPOKEN).unwrap();
    let mut converted = 0;
    for part in ["", "audio", "vision", "audio_codec"] {
        for entry in std::fs::read_dir(folder.path().join(part)).unwrap() {
            let path = entry.unwrap().path();
            // The language model itself is published as safetensors only.
            if path.extension().is_some_and(|e| e == "safetensors") && !path.ends_with("model.safetensors") {
                pt_file::convert(&path);
                converted += 1;
            }
        }
    }
    assert_eq!(converted, 8, "language_model_embedding, four of audio, two of vision, the codec's decoder");
    assert_eq!(run(folder.path(), &case_file("video_audio_case"), &SPOKEN).unwrap(), safe);
}

#[test]
fn a_run_needs_only_its_own_parts() {
    let folder = model();
    let (text, audio) =
        (run(folder.path(), &case_file("text_case"), &SPOKEN).unwrap(), run(folder.path(), &case_file("audio_case"), &WRITTEN).unwrap());
    remove(folder.path(), &["vision", "audio_codec", "audio/audio_output_layers.safetensors"]);
    assert_eq!(run(folder.path(), &case_file("audio_case"), &WRITTEN).unwrap(), audio, "no eyes, no mouth");
    let folder = model();
    remove(
        folder.path(),
        &["vision", "audio/audio_encoder.safetensors", "audio/audio_projector.safetensors", "audio/config.json", "audio/global_cmvn"],
    );
    assert_eq!(run(folder.path(), &case_file("text_case"), &SPOKEN).unwrap(), text, "no eyes, no ears");
}
