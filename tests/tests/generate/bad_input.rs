//! Models with a part missing, damaged, or of another model; conversations that do not fit. Every error names what is
//! wrong; nothing panics.

use std::path::{Path, PathBuf};

use caracal_cluster::generate::{Options, ReplyOptions};
use caracal_cluster::sampler::Sampling;
use caracal_shared::ids::TEXT_END;
use serde_json::{Value, json};

use super::{SPOKEN, WRITTEN, case_file, made, model, run, run_text, user};

fn error(model: &Path, case: &str) -> String {
    run(model, &case_file(case), &SPOKEN).err().unwrap_or_else(|| panic!("{case} ran on an unusable model")).to_string()
}

/// A conversation that needs every part of a model, and little time.
fn everything(folder: &Path) -> PathBuf {
    let picture = made(folder, "picture.png", &["-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1"]);
    let sound = made(folder, "sound.wav", &["-f", "lavfi", "-i", "sine=r=16000:d=0.5"]);
    let case = folder.join("everything.json");
    std::fs::write(&case, user(&format!(r#"{{"type": "image", "image": {picture}}}, {{"type": "audio", "audio": {sound}}}"#))).unwrap();
    case
}

fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(file, json.to_string()).unwrap();
}

#[test]
fn a_missing_file_is_named() {
    let other = tempfile::tempdir().unwrap();
    let case = everything(other.path());
    run(model().path(), &case, &SPOKEN).expect("with every part the conversation runs");
    let nowhere = error(Path::new("/no such folder"), "text_case");
    assert!(nowhere.contains("/no such folder") && nowhere.contains("--model"), "{nowhere}");
    for file in [
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "language_model_embedding.safetensors",
        "audio/config.json",
        "audio/preprocessor_config.json",
        "audio/global_cmvn",
        "audio/audio_encoder.safetensors",
        "audio/audio_projector.safetensors",
        "audio/audio_embeddings.safetensors",
        "audio/audio_output_layers.safetensors",
        "vision/config.json",
        "vision/vision_model.safetensors",
        "vision/vision_projector.safetensors",
        "audio_codec/config.yaml",
        "audio_codec/LongCatAudioCodec_decoder_24k_4codebooks.safetensors",
    ] {
        let folder = model();
        std::fs::remove_file(folder.path().join(file)).unwrap();
        let error = run(folder.path(), &case, &SPOKEN).expect_err(file).to_string();
        let stem = file.trim_end_matches(".safetensors");
        assert!(error.contains(stem) && error.contains("cannot be read"), "{file}: {error}");
    }
}

#[test]
fn a_damaged_or_foreign_part_is_named() {
    let other = tempfile::tempdir().unwrap();
    let case = everything(other.path());
    let error = |model: &Path| run(model, &case, &SPOKEN).expect_err("the model is unusable").to_string();
    for file in [
        "model.safetensors",
        "audio/audio_encoder.safetensors",
        "vision/vision_model.safetensors",
        "audio_codec/LongCatAudioCodec_decoder_24k_4codebooks.safetensors",
    ] {
        let folder = model();
        let path = folder.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let cut = error(folder.path());
        assert!(cut.contains(file), "{file} cut: {cut}");
        std::fs::copy(folder.path().join("audio/audio_projector.safetensors"), &path).unwrap();
        let foreign = error(folder.path());
        assert!(
            foreign.contains(file) && (foreign.contains("is missing") || foreign.contains("does not hold")),
            "{file} foreign: {foreign}"
        );
    }
}

#[test]
fn a_codec_of_another_shape_is_named() {
    let folder = model();
    let config = folder.path().join("audio_codec/config.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    for (from, to, named) in [
        ("codec_codebook_size: 20", "codec_codebook_size: 21", "[21, 8]"),
        ("semantic_token_nums: 512", "semantic_token_nums: 8192", "[8192, 24]"),
        ("codec_dec_ratios: [8, 6, 6, 5]", "codec_dec_ratios: [8, 6, 6]", "codec"),
        ("decoder_type: 24k", "decoder_type: 48k", "decoder_type"),
        ("codec_config", "codec", "codec_config"),
    ] {
        assert!(yaml.contains(from), "the small model's config has {from}");
        std::fs::write(&config, yaml.replace(from, to)).unwrap();
        let error = error(folder.path(), "text_case");
        assert!(error.contains("audio_codec") && error.contains(named), "{to}: {error}");
    }
}

#[test]
fn a_projector_of_another_width_is_named() {
    let folder = model();
    let narrow = tempfile::tempdir().unwrap();
    let weights = caracal_kernels::Weights::random(0, &caracal_kernels::burn::tensor::Device::flex());
    let projector = caracal_edge::audio::AudioProjector::load(&weights, 48, 32).unwrap();
    let file = narrow.path().join("audio_projector.safetensors");
    weights.save(&projector, &file, caracal_kernels::checkpoint::StoredDtype::F32).unwrap();
    std::fs::copy(&file, folder.path().join("audio/audio_projector.safetensors")).unwrap();
    let error = error(folder.path(), "audio_case");
    assert!(error.contains("audio_projector") && error.contains("hidden_size") && error.contains("32"), "{error}");
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let folder = model();
    let file = folder.path().join("tokenizer.json");
    let original = std::fs::read(&file).unwrap();
    let position = |json: &Value, token: &str| json["added_tokens"].as_array().unwrap().iter().position(|t| t["content"] == token).unwrap();
    change(&file, |json| {
        let at = position(json, "<mask_113>");
        json["added_tokens"].as_array_mut().unwrap().remove(at);
        json["model"]["vocab"].as_object_mut().unwrap().remove("<mask_113>");
    });
    let missing = error(folder.path(), "text_case");
    assert!(missing.contains("tokenizer.json") && missing.contains("<mask_113>") && missing.contains("</pause>"), "{missing}");
    std::fs::write(&file, &original).unwrap();
    change(&file, |json| {
        // Two reserved tokens change places.
        for (token, id) in [("<mask_113>", 136), ("<mask_112>", 137)] {
            let at = position(json, token);
            json["added_tokens"][at]["id"] = id.into();
            json["model"]["vocab"][token] = id.into();
        }
        json["added_tokens"].as_array_mut().unwrap().sort_by_key(|token| token["id"].as_u64());
    });
    let wrong = error(folder.path(), "text_case");
    assert!(wrong.contains("137") && wrong.contains("136"), "{wrong}");
    std::fs::write(&file, "{}").unwrap();
    assert!(error(folder.path(), "text_case").contains("tokenizer.json"));
    std::fs::write(&file, original).unwrap();
    change(&folder.path().join("config.json"), |json| json["vocab_size"] = 600.into());
    let small = error(folder.path(), "text_case");
    assert!(small.contains("vocab_size 600"), "{small}");
}

#[test]
fn typed_markers_are_text() {
    let folder = model();
    let say = |text: &str| run_text(folder.path(), &user(&json!({"type": "text", "text": text}).to_string()), &SPOKEN).unwrap();
    let typed = say("say <|audio|> and <|audio_pad|> and </pause> and </longcat_s> and <mask_118>");
    assert!(
        typed.prompt_rows > say("say and and and and").prompt_rows + 5,
        "every character of the markers was read: {}",
        typed.prompt_rows
    );
}

#[test]
fn a_conversation_longer_than_the_context_is_refused() {
    let folder = model();
    change(&folder.path().join("config.json"), |json| json["max_position_embeddings"] = 2000.into());
    let error = error(folder.path(), "image_case");
    assert!(error.contains("2609 rows") && error.contains("2000"), "{error}");
}

/// The reply stops where the context ends, and says so.
#[test]
fn a_full_context_cuts_the_reply() {
    let folder = model();
    let whole = run(folder.path(), &case_file("audio_case"), &SPOKEN).unwrap();
    change(&folder.path().join("config.json"), |json| json["max_position_embeddings"] = (whole.prompt_rows + 7).into());
    let cut = run(folder.path(), &case_file("audio_case"), &SPOKEN).unwrap();
    assert_eq!(cut.reply.text, whole.reply.text[..7]);
    assert!(!cut.reply.finished && cut.notices.iter().any(|n| n.contains("context")), "{:?}", cut.notices);
}

/// A reply that the step limit cuts is what the whole one was until then, but for its last frame.
#[test]
fn the_step_limit_is_reported() {
    let folder = model();
    let whole = run(folder.path(), &case_file("audio_case"), &SPOKEN).unwrap();
    let options = Options { reply: ReplyOptions { steps_max: 9, ..SPOKEN.reply }, ..SPOKEN };
    let cut = run(folder.path(), &case_file("audio_case"), &options).unwrap();
    assert!(!cut.reply.finished && cut.notices.iter().any(|n| n.contains("9 steps") && n.contains("--max-steps")), "{:?}", cut.notices);
    assert_eq!(cut.reply.text, whole.reply.text[..9]);
    assert_eq!(cut.audio_codes, whole.audio_codes[..cut.audio_codes.len()]);
    let one =
        run(folder.path(), &case_file("audio_case"), &Options { reply: ReplyOptions { steps_max: 1, ..SPOKEN.reply }, ..SPOKEN }).unwrap();
    assert_eq!((one.audio_codes.len(), one.sound.map(|s| s.samples.len())), (0, Some(0)), "one step completes no frame");
}

#[test]
fn a_written_reply_stops_at_its_end() {
    let folder = model();
    let sampling = Sampling { top_k: 0, ..Sampling::GREEDY };
    let options = Options { reply: ReplyOptions { sampling, steps_max: 1000, seed: 0 }, ..WRITTEN };
    let written = run(folder.path(), &case_file("audio_case"), &options).unwrap();
    assert!(written.reply.finished && written.sound.is_none() && written.audio_codes.is_empty());
    let (last, before) = written.reply.text.split_last().unwrap();
    assert_eq!(*last, Some(TEXT_END));
    assert!(!before.contains(&Some(TEXT_END)) && before.iter().all(Option::is_some) && !written.text.is_empty());
}

#[test]
fn a_seed_repeats_a_sampled_reply() {
    let folder = model();
    let sampled = |seed: u64| {
        let sampling = Sampling { top_k: 0, temperature: 2.0, ..SPOKEN.reply.sampling };
        let options = Options { reply: ReplyOptions { sampling, seed, ..SPOKEN.reply }, ..SPOKEN };
        run(folder.path(), &case_file("text_case"), &options).unwrap()
    };
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1).reply, sampled(2).reply);
}
