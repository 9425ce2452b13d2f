//! Wrong pictures, videos, configs and checkpoints of the vision side.

use std::io::Cursor;
use std::path::Path;

use burn::tensor::{DType, Device};
use caracal_edge::vision::{
    Alpha, Clip, InterleavedOptions, LongCatVit, Picture, PreprocessConfig, Preprocessor, RopeTable, VideoOptions, VisionConfig,
    VisionEncoder, VisionProjector, decode_picture, read_picture, sample_interleaved, sample_video,
};
use caracal_kernels::checkpoint::{StoredDtype, write_safetensors};
use caracal_kernels::{Checkpoint, LoadError, Weights};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Fails unless every word is in the error's text.
fn says(error: impl std::fmt::Display, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

fn png(height: u32, width: u32) -> Vec<u8> {
    let pixels = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x ^ y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn jpeg(height: u32, width: u32) -> Vec<u8> {
    let pixels = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x ^ y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

#[test]
fn a_cut_or_foreign_picture_file_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let (png, jpeg) = (png(30, 40), jpeg(64, 64));
    let files: [(&str, &[u8]); 7] = [
        ("empty.png", &[]),
        ("text.jpg", b"this is no picture"),
        ("header.png", &png[..20]),
        ("half.png", &png[..png.len() / 2]),
        ("header.jpg", &jpeg[..10]),
        ("half.jpg", &jpeg[..jpeg.len() / 2]),
        ("almost.jpg", &jpeg[..jpeg.len() - 60]),
    ];
    for (name, bytes) in files {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        match read_picture(&file, Alpha::Drop) {
            Err(error) => says(error, &[name, "not a usable picture", "save the picture again"]),
            Ok(_) => panic!("{name} was read"),
        }
    }
    says(read_picture(&folder.path().join("absent.png"), Alpha::Drop).unwrap_err(), &["absent.png", "cannot be read"]);
    says(read_picture(folder.path(), Alpha::Drop).unwrap_err(), &["cannot be read"]);
}

#[test]
fn damaged_bytes_anywhere_never_panic() {
    for whole in [png(16, 16), jpeg(16, 16)] {
        assert!(decode_picture(&whole, "whole", Alpha::Drop).is_ok());
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                if let Ok(picture) = decode_picture(&bytes, "flipped", Alpha::OverWhite) {
                    assert_eq!(picture.rgb().len(), 3 * picture.height() as usize * picture.width() as usize);
                }
            }
        }
    }
}

/// A PNG that is nothing but a header of this size.
fn png_header(height: u32, width: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let crc = !chunk.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    [
        &[0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13][..],
        &chunk,
        &crc.to_be_bytes(),
        &[0, 0, 0, 0],
        b"IDAT",
        &[0x35, 0xaf, 0x06, 0x1e],
    ]
    .concat()
}

#[test]
fn sizes_that_no_camera_has_are_refused_before_anything_is_allocated() {
    says(
        decode_picture(&png_header(2_000_000, 10), "long", Alpha::Drop).unwrap_err(),
        &["long", "2000000x10", "65535 pixels a side", "Scale"],
    );
    says(decode_picture(&png_header(60_000, 60_000), "bomb", Alpha::Drop).unwrap_err(), &["bomb", "60000x60000", "89478485 pixels"]);
    says(decode_picture(&png_header(0, 10), "flat", Alpha::Drop).unwrap_err(), &["flat", "not a usable picture"]);
    says(Picture::new("camera", 0, 5, Vec::new()).unwrap_err(), &["camera", "0x5", "Drop this picture"]);
    says(Picture::new("camera", 2, 2, vec![0; 11]).unwrap_err(), &["camera", "2x2", "11 bytes"]);
    says(Picture::new("camera", 70_000, 1, vec![0; 210_000]).unwrap_err(), &["camera", "65535 pixels a side"]);
}

fn limits(resize_factor: u32, max_tokens: u64) -> PreprocessConfig {
    serde_json::from_value(json!({ "resize_factor": resize_factor, "relarge_ratio": 1, "min_tokens": 1, "max_tokens": max_tokens }))
        .unwrap()
}

#[test]
fn a_strip_of_a_picture_becomes_one_row_of_patches() {
    for (height, width) in [(1, 10_000), (10_000, 1)] {
        let picture = decode_picture(&png(height, width), "strip", Alpha::Drop).unwrap();
        let unit = Preprocessor::new(&limits(2, 5832)).still(&picture).unwrap();
        assert!(unit.grid.count() <= 5832 && unit.grid.rows.min(unit.grid.columns) == 2, "{:?}", unit.grid);
        assert!(unit.rows.iter().all(|v| v.is_finite()));
    }
}

#[test]
fn limits_that_leave_no_patch_are_an_error() {
    let picture = Picture::new("camera", 1000, 14, vec![7; 42_000]).unwrap();
    says(Preprocessor::new(&limits(1, 1)).still(&picture).unwrap_err(), &["1000x14", "max_tokens", "resize_factor"]);
    says(Preprocessor::new(&limits(64, 5)).still(&picture).unwrap_err(), &["1000x14", "max_tokens"]);
}

#[test]
fn videos_that_cannot_be_paired_are_an_error() {
    let preprocessor = Preprocessor::new(&limits(2, 64));
    let picture = |height: u32, width: u32| Picture::new("frame", height, width, vec![9; 3 * (height * width) as usize]).unwrap();
    says(preprocessor.video(&[]).unwrap_err(), &["0 pictures", "even"]);
    says(preprocessor.video(&vec![picture(30, 30); 3]).unwrap_err(), &["3 pictures", "Repeat the last"]);
    let mixed = [picture(56, 56), picture(56, 56), picture(56, 56), picture(56, 200)];
    says(preprocessor.video(&mixed).unwrap_err(), &["pictures 2 and 3", "one size"]);
}

#[test]
fn clips_without_a_plan_say_why() {
    let video = |frames, fps, options: &VideoOptions| sample_video(Clip { frames, fps }, options).unwrap_err();
    says(video(0, 25.0, &VideoOptions::default()), &["0 frames at 25 fps", "empty"]);
    says(video(100, f64::NAN, &VideoOptions::default()), &["NaN fps", "frame rate"]);
    for bound in [[5.0, 2.0], [f64::NAN, 1.0], [0.0, f64::INFINITY]] {
        says(video(100, 25.0, &VideoOptions { bound: Some(bound), ..Default::default() }), &["bound"]);
    }
    let interleaved = |options| sample_interleaved(Clip { frames: 100, fps: 25.0 }, &options).unwrap_err();
    says(interleaved(InterleavedOptions { bound: Some([50.0, 60.0]), ..Default::default() }), &["bound", "no frame"]);
    for units_a_second in [0.0, -1.0, f64::NAN] {
        says(interleaved(InterleavedOptions { units_a_second, ..Default::default() }), &["sequential_sample_num_frame_per_sec"]);
    }
}

/// A whole small config.
fn config() -> Value {
    json!({
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "patch_size": 2,
        "adaptor_dim": 12, "resize_factor": 2, "relarge_ratio": 1, "min_tokens": 4, "max_tokens": 64,
        "min_tokens_video": 2, "max_tokens_video": 128, "image_size": 448, "model_type": "vit",
    })
}

const OUTPUT: usize = 10;

/// Writes a model folder whose `vision/config.json` says `written` and whose weights have the shapes of `config`.
fn model(config: &Value, written: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let vision = folder.path().join("vision");
    std::fs::create_dir(&vision).unwrap();
    let shape = serde_json::from_value(config.clone()).unwrap();
    let weights = Weights::random(1, &Device::flex());
    let vit = LongCatVit::load(&weights, &shape, RopeTable::F32).unwrap();
    weights.save(&vit, &vision.join("vision_model.safetensors"), StoredDtype::F32).unwrap();
    let projector = VisionProjector::load(&weights, &shape, OUTPUT).unwrap();
    weights.save(&projector, &vision.join("vision_projector.safetensors"), StoredDtype::Bf16).unwrap();
    std::fs::write(vision.join("config.json"), written).unwrap();
    folder
}

fn open(folder: &Path, output: usize) -> Result<(VisionEncoder, VisionConfig), LoadError> {
    VisionEncoder::open(folder, output, &Device::flex(), DType::F32, RopeTable::Demo)
}

fn refused(folder: &Path, words: &[&str]) {
    says(open(folder, OUTPUT).map(drop).expect_err("this model must be refused"), words);
}

#[test]
fn a_whole_model_opens_and_its_config_survives_writing() {
    let folder = model(&config(), &config().to_string());
    let (_, read) = open(folder.path(), OUTPUT).unwrap();
    std::fs::write(folder.path().join("vision/config.json"), serde_json::to_string(&read.to_json()).unwrap()).unwrap();
    assert_eq!(open(folder.path(), OUTPUT).unwrap().1, read);
}

#[test]
fn config_files_that_are_wrong_name_the_field() {
    let folder = model(&config(), "");
    let file = folder.path().join("vision/config.json");
    let with = |changes: Value| {
        let mut config = config();
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        config.to_string()
    };
    let without = |key: &str| {
        let mut config = config();
        config.as_object_mut().unwrap().remove(key);
        config.to_string()
    };
    let mut cases: Vec<(String, &str)> =
        ["resize_factor", "relarge_ratio", "min_tokens_video", "max_tokens_video"].map(|key| (without(key), key)).into();
    let wrong: [(Value, &str); 24] = [
        (json!({ "new_trick": true }), "new_trick"),
        (json!({ "hidden_size": "wide" }), "hidden_size"),
        (json!({ "hidden_size": -4 }), "hidden_size"),
        (json!({ "hidden_size": 0 }), "hidden_size"),
        (json!({ "hidden_size": 4_000_000_000u64 }), "hidden_size"),
        (json!({ "num_hidden_layers": 0 }), "num_hidden_layers"),
        (json!({ "num_attention_heads": 3 }), "num_attention_heads"),
        (json!({ "num_attention_heads": 8 }), "num_attention_heads"),
        (json!({ "num_attention_heads": 0 }), "num_attention_heads"),
        (json!({ "intermediate_size": 1 }), "intermediate_size"),
        (json!({ "hidden_act": "gelu" }), "hidden_act"),
        (json!({ "temporal_patch_size": 1 }), "temporal_patch_size"),
        (json!({ "spatial_merge_size": 2 }), "spatial_merge_size"),
        (json!({ "rope_theta": 0 }), "rope_theta"),
        (json!({ "layer_norm_eps": -1e-6 }), "layer_norm_eps"),
        (json!({ "resolution_mode": "224" }), "resolution_mode"),
        (json!({ "image_mean": [0.5, 0.5] }), "image_mean"),
        (json!({ "image_std": [0.5, 0.0, 0.5] }), "image_std"),
        (json!({ "image_std": [0.5, null, 0.5] }), "image_std"),
        (json!({ "relarge_ratio": 2 }), "relarge_ratio"),
        (json!({ "resize_factor": 0 }), "resize_factor"),
        (json!({ "resize_factor": 4_000_000_000u32 }), "resize_factor"),
        (json!({ "max_tokens": 1u64 << 40 }), "max_tokens"),
        (json!({ "max_tokens_video_vit": 0 }), "max_tokens_video_vit"),
    ];
    cases.extend(wrong.into_iter().map(|(changes, field)| (with(changes), field)));
    // What other software writes where JSON has no number.
    cases.push((config().to_string().replace("\"hidden_size\":16", "\"image_mean\":[NaN,0.5,0.5]"), "image_mean"));
    cases.push((config().to_string().replace("\"hidden_size\":16", "\"image_std\":[1e999,0.5,0.5]"), "image_std"));
    for (text, field) in cases {
        std::fs::write(&file, &text).unwrap();
        refused(folder.path(), &["vision/config.json", field]);
    }
    for text in ["", "{", "[]", "\u{0}"] {
        std::fs::write(&file, text).unwrap();
        refused(folder.path(), &["vision/config.json"]);
    }
    std::fs::remove_file(&file).unwrap();
    refused(folder.path(), &["vision/config.json", "cannot be read"]);
}

/// Rewrites one part of a model tensor by tensor: `change` may alter name, shape and bytes, or drop it.
fn rewrite(folder: &Path, part: &str, change: impl Fn(&str, &mut Vec<usize>, &mut Vec<u8>) -> bool) {
    let file = folder.join(format!("vision/{part}.safetensors"));
    let old = Checkpoint::open(&file).unwrap();
    let mut tensors = Vec::new();
    for name in old.names() {
        let stored = old.get(name).unwrap();
        let (mut shape, mut bytes) = (stored.shape.clone(), old.bytes(name, &stored.shape).unwrap().1.into_owned());
        if change(name, &mut shape, &mut bytes) {
            tensors.push((name.to_string(), stored.dtype, shape, bytes));
        }
    }
    drop(old);
    std::fs::remove_file(&file).unwrap();
    write_safetensors(&file, &tensors).unwrap();
}

#[test]
fn checkpoints_of_another_model_name_the_tensor() {
    let whole = || model(&config(), &config().to_string());
    let tensor = "encoder.layers.1.attn.proj.weight";

    let folder = whole();
    rewrite(folder.path(), "vision_model", |name, _, _| name != tensor);
    refused(folder.path(), &["vision_model", tensor, "missing"]);

    let folder = whole();
    rewrite(folder.path(), "vision_model", |name, shape, _| {
        if name == tensor {
            *shape = vec![8, 32];
        }
        true
    });
    refused(folder.path(), &["vision_model", tensor, "[8, 32]", "[16, 16]"]);

    let folder = whole();
    rewrite(folder.path(), "vision_model", |name, _, bytes| {
        if name == tensor {
            bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        true
    });
    refused(folder.path(), &["vision_model", tensor, "NaN"]);

    let folder = whole();
    says(open(folder.path(), OUTPUT + 1).unwrap_err(), &["vision_projector", "proj.weight", "[10, 12]", "[11, 12]"]);

    let mut deeper = config();
    deeper["num_hidden_layers"] = json!(3);
    refused(model(&deeper, &config().to_string()).path(), &["vision_model", "no place", "encoder.layers.2."]);
    refused(model(&config(), &deeper.to_string()).path(), &["vision_model", "encoder.layers.2.", "missing"]);
}

#[test]
fn a_bias_that_config_and_checkpoint_disagree_on_is_an_error_either_way() {
    for (key, name) in [("qkv_bias", "encoder.layers.0.attn.qkv.bias"), ("patch_embedding_bias", "embeddings.patch_embedding.bias")] {
        for held in [true, false] {
            let with = |value: bool| {
                let mut config = config();
                config[key] = json!(value);
                config
            };
            let folder = model(&with(held), &with(!held).to_string());
            refused(folder.path(), &["vision_model", key, name, "config.json"]);
            assert!(open(model(&with(held), &with(held).to_string()).path(), OUTPUT).is_ok());
        }
    }
}

#[test]
fn cut_and_foreign_checkpoint_files_are_refused() {
    let folder = model(&config(), &config().to_string());
    for part in ["vision_model", "vision_projector"] {
        let file = folder.path().join(format!("vision/{part}.safetensors"));
        let whole = std::fs::read(&file).unwrap();
        for bytes in [&whole[..0], &whole[..5], &whole[..whole.len() / 2], &whole[..whole.len() - 1], b"no checkpoint at all"] {
            std::fs::write(&file, bytes).unwrap();
            refused(folder.path(), &[part, "Download the file again"]);
        }
        std::fs::remove_file(&file).unwrap();
        refused(folder.path(), &[part, "cannot be read"]);
        std::fs::write(&file, whole).unwrap();
    }
}
