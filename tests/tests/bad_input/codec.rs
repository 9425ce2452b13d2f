//! Configs, checkpoints, ids and clips of the codec that are wrong, and damaged tensor files of any kind.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use caracal_edge::Streaming;
use caracal_edge::audio::Waveform;
use caracal_edge::codec::{
    AudioDecoder, AudioTokenizer, CodecFrame, CodecIds, DecoderConfig, EncoderConfig, SemanticConfig, TokenizeError,
};
use caracal_kernels::checkpoint::{StoredDtype, write_safetensors};
use caracal_kernels::{Checkpoint, LoadError, Weights};
use caracal_tests::fuzz::mutate::mutations;
use caracal_tests::fuzz::tensor_file;
use caracal_tests::pt_file::{PtTensor, pt_file};
use serde_json::{Value, json};
use tempfile::TempDir;

fn fields(decoder_type: &str) -> Value {
    json!({
        "codec_dimension": 6, "semantic_dim": 5, "decoder_dim": 8, "codec_dec_ratios": [3, 2], "decoder_type": decoder_type,
        "codec_codebooks": 3, "codec_codebook_size": 7, "codec_codebook_search_dim": 4, "semantic_token_nums": 50, "ckpt_path": "ckpts/decoder.pt",
    })
}

fn tokenizer_fields() -> (Value, Value) {
    let acoustic = json!({
        "encoder_dim": 2, "codec_enc_ratios": [4, 5], "codec_dimension": 6, "codec_codebooks": 2, "codec_codebook_size": 7,
        "codec_codebook_search_dim": 4, "input_sample_rate": 16000, "semantic_tokenizer_type": "small", "ckpt_path": "encoder.pt",
    });
    let semantic = json!({
        "d_model": 8, "nhead": 2, "num_encoder_layers": 2, "dim_feedforward": 12, "select_layer": 1, "codebook_size": 9, "feat_dim": 20,
        "conv2d_stride": "2,3", "num_conv_layers": 2,
        "fbank": { "freq": 16000, "frame_length": 25, "frame_shift": 10, "preemphasis": 0.97, "dither": 0.0, "low_freq": 40, "high_freq": -200, "num_mel_bins": 20 },
    });
    (acoustic, semantic)
}

fn decoder_config(decoder_type: &str) -> DecoderConfig {
    DecoderConfig::from_value(Path::new("config.yaml"), fields(decoder_type)).unwrap()
}

/// The tensors of a small random decoder, as its checkpoint has them.
fn decoder_tensors(folder: &Path) -> Vec<PtTensor> {
    let weights = Weights::random(11, &Device::flex());
    let decoder = AudioDecoder::load(&weights, &decoder_config("24k")).unwrap();
    let path = folder.join("whole.safetensors");
    weights.save(&decoder, &path, StoredDtype::F32).unwrap();
    let file = Checkpoint::open(&path).unwrap();
    let tensor = |name: &str| {
        let stored = file.get(name).unwrap();
        (name.to_string(), stored.dtype, stored.shape.clone(), file.bytes(name, &stored.shape).unwrap().1.into_owned())
    };
    file.names().map(tensor).collect()
}

/// A released folder: `config.yaml` and `decoder.pt`.
fn released(tensors: &[PtTensor], fields: &Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.yaml"), json!({ "codec_config": fields }).to_string()).unwrap();
    std::fs::write(folder.path().join("decoder.pt"), pt_file(tensors)).unwrap();
    folder
}

fn open(folder: &TempDir) -> Result<AudioDecoder, LoadError> {
    AudioDecoder::open(folder.path(), &Device::flex(), DType::F32).map(|(decoder, _)| decoder)
}

fn frames(count: i64) -> Vec<CodecFrame> {
    let ids = CodecIds::new(&decoder_config("24k"));
    (0..count).map(|t| ids.frame(t * 7 % 50, &[t % 49, t * 3 % 49, 48 - t]).unwrap()).collect()
}

/// The error's text names all of `parts`.
fn names(error: impl std::fmt::Display, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{text}` does not name `{part}`");
    }
}

#[test]
fn a_released_folder_sounds_the_same_from_pt_and_from_safetensors() {
    let scratch = TempDir::new().unwrap();
    let tensors = decoder_tensors(scratch.path());
    let folder = released(&tensors, &fields("24k"));
    let sound = open(&folder).unwrap().offline(&frames(5));
    assert_eq!(sound.len(), 30);
    assert!(sound.iter().any(|s| s.abs() > 1e-3), "{sound:?}");
    write_safetensors(&folder.path().join("decoder.safetensors"), &tensors).unwrap();
    std::fs::remove_file(folder.path().join("decoder.pt")).unwrap();
    assert_eq!(open(&folder).unwrap().offline(&frames(5)), sound);
}

#[test]
fn checkpoints_of_every_stored_number_format_load_and_every_format_computes() {
    let scratch = TempDir::new().unwrap();
    let tensors = decoder_tensors(scratch.path());
    let sound = open(&released(&tensors, &fields("24k"))).unwrap().offline(&frames(6));
    let convert = |to: StoredDtype| {
        let value = |v: f32| match to {
            StoredDtype::F16 => half::f16::from_f32(v).to_le_bytes().to_vec(),
            StoredDtype::Bf16 => half::bf16::from_f32(v).to_le_bytes().to_vec(),
            _ => f64::from(v).to_le_bytes().to_vec(),
        };
        let convert = |(name, _, shape, bytes): &PtTensor| {
            (name.clone(), to, shape.clone(), bytes.as_chunks().0.iter().flat_map(|b| value(f32::from_le_bytes(*b))).collect())
        };
        tensors.iter().map(convert).collect::<Vec<PtTensor>>()
    };
    for (stored, computed, allowed) in [
        (StoredDtype::F64, DType::F32, 0.0),
        (StoredDtype::F16, DType::F32, 0.02),
        (StoredDtype::Bf16, DType::F32, 0.1),
        (StoredDtype::Bf16, DType::BF16, 0.2),
        (StoredDtype::F16, DType::F16, 0.04),
    ] {
        let folder = released(&convert(stored), &fields("24k"));
        let (decoder, _) = AudioDecoder::open(folder.path(), &Device::flex(), computed).unwrap();
        let error = caracal_tests::streaming::relative_error(&decoder.offline(&frames(6)), &sound);
        assert!(error <= allowed, "{stored:?} in {computed:?}: {error}");
    }
}

#[test]
fn wrong_checkpoints_are_refused_by_tensor() {
    let scratch = TempDir::new().unwrap();
    let tensors = decoder_tensors(scratch.path());
    let damaged = |damage: &dyn Fn(&mut Vec<PtTensor>)| {
        let mut tensors = tensors.clone();
        damage(&mut tensors);
        open(&released(&tensors, &fields("24k"))).expect_err("a damaged checkpoint")
    };
    let at = |name: &str| tensors.iter().position(|t| t.0 == name).unwrap_or_else(|| panic!("no `{name}`"));

    let lost = at("decoder.model.1.block.2.block.2.weight_v");
    names(damaged(&|t| drop(t.remove(lost))), &["decoder.pt", "decoder.model.1.block.2.block.2.weight_v", "missing", "another model"]);
    let hh = at("decoder.mem_layers.0.lstm_list1.0.weight_hh_l0");
    names(damaged(&|t| t[hh].2 = vec![11, 44]), &["weight_hh_l0", "[11, 44]", "[44, 11]"]);
    let nan = damaged(&|t| t[hh].3[8..12].copy_from_slice(&f32::NAN.to_le_bytes()));
    names(nan, &["weight_hh_l0", "NaN", "element 2"]);
    let v = at("decoder.model.0.weight_v");
    names(damaged(&|t| t[v].3.fill(0)), &["decoder.model.0.weight_v", "norm"]);
    names(
        damaged(&|t| t.push(("decoder.model.9.alpha".into(), StoredDtype::F32, vec![1], vec![0; 4]))),
        &["decoder.model.9.alpha", "no place"],
    );
    names(damaged(&|t| t[hh] = (t[hh].0.clone(), StoredDtype::I64, vec![44, 11], vec![0; 44 * 11 * 8])), &["weight_hh_l0", "I64"]);
    // A second group of LSTMs, which no released model has.
    let second = ("decoder.mem_layers.0.lstm_list1.1.bias_hh_l0".to_string(), StoredDtype::F32, vec![44], vec![0; 176]);
    names(damaged(&|t| t.push(second.clone())), &["lstm_list1.1"]);
    // The causal checkpoint under a symmetric config, and the other way round.
    names(open(&released(&tensors, &fields("16k"))).unwrap_err(), &["decoder.pt", "decoder.model.1.block.1"]);
}

#[test]
fn truncated_foreign_and_missing_files_are_refused_by_name() {
    let scratch = TempDir::new().unwrap();
    let tensors = decoder_tensors(scratch.path());
    let whole = pt_file(&tensors);
    for bytes in [&whole[..whole.len() / 2], &whole[..10], b"", b"this is no archive, whatever its name says"] {
        let folder = released(&tensors, &fields("24k"));
        std::fs::write(folder.path().join("decoder.pt"), bytes).unwrap();
        names(open(&folder).unwrap_err(), &["decoder.pt", "not a usable PyTorch archive", "Download"]);
    }
    let folder = released(&tensors, &fields("24k"));
    std::fs::remove_file(folder.path().join("decoder.pt")).unwrap();
    names(open(&folder).unwrap_err(), &["decoder.pt", "cannot be read", "Check the path"]);
    std::fs::remove_file(folder.path().join("config.yaml")).unwrap();
    names(open(&folder).unwrap_err(), &["config.yaml", "cannot be read"]);
}

#[test]
fn a_tensor_that_claims_more_than_the_file_holds_is_refused_before_it_is_read() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("huge.pt");
    // A view of one stored number with stride 0 in both axes.
    let mut bytes = pt_file(&[("x".into(), StoredDtype::F32, vec![1 << 20, 1 << 20], vec![0; 4])]);
    let strides = b"(J\0\0\x10\0J\x01\0\0\0t";
    let at = bytes.windows(strides.len()).position(|w| w == strides).unwrap();
    bytes[at..at + strides.len()].copy_from_slice(b"(J\0\0\0\0J\0\0\0\0t");
    std::fs::write(&file, bytes).unwrap();
    assert!(Checkpoint::open(&file).map(|_| ()).unwrap_err().to_string().contains("huge.pt"));
}

#[test]
fn wrong_decoder_configs_are_refused_by_field() {
    let parse = |change: &dyn Fn(&mut Value)| {
        let mut fields = fields("24k");
        change(&mut fields);
        DecoderConfig::from_value(Path::new("config.yaml"), fields).expect_err("a wrong config")
    };
    for (field, value, found) in [
        ("codec_dimension", json!(0), "0 is out of range"),
        ("codec_dimension", json!(7), "odd"),
        ("codec_dimension", json!("wide"), "invalid type"),
        ("decoder_dim", json!(10), "cannot be halved"),
        ("decoder_dim", json!(1u64 << 40), "out of range"),
        ("codec_dec_ratios", json!([]), "0 entries"),
        ("codec_dec_ratios", json!([3, 0]), "multiply to 0"),
        ("codec_dec_ratios", json!([1 << 30, 1 << 30, 1 << 30]), "multiply to"),
        ("codec_dec_ratios", json!([-3, 2]), "invalid value"),
        ("decoder_type", json!("48k"), "unknown variant `48k`"),
        ("semantic_token_nums", json!(null), "invalid type"),
    ] {
        names(parse(&|f| f[field] = value.clone()), &["config.yaml", field, found]);
    }
    names(parse(&|f| drop(f.as_object_mut().unwrap().remove("codec_codebooks"))), &["codec_codebooks", "missing"]);
    names(parse(&|f| f["n_codebooks"] = json!(3)), &["duplicate field", "codec_codebooks"]);
    names(parse(&|f| f["snake_beta"] = json!(true)), &["snake_beta", "unknown key", "true"]);
    let deep = json!(vec![1; 300]);
    names(parse(&|f| f["codec_dec_ratios"] = deep.clone()), &["300 entries"]);
}

#[test]
fn wrong_yaml_is_refused_and_both_spellings_of_the_fields_are_read() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        DecoderConfig::read(&file)
    };
    names(read("codec_config: [1, 2").unwrap_err(), &["config.yaml", "no YAML"]);
    names(read("just words").unwrap_err(), &["codec_config", "missing"]);
    names(read("other_config: {a: 1}").unwrap_err(), &["codec_config", "other_config"]);
    names(read("codec_config: 3").unwrap_err(), &["config.yaml", "invalid type"]);
    let bomb =
        (0..30).fold("a0: &a0 [x]\n".to_string(), |text, i| text + &format!("a{}: &a{} [*a{i}, *a{i}, *a{i}, *a{i}]\n", i + 1, i + 1));
    names(read(&bomb).unwrap_err(), &["config.yaml", "no YAML"]);
    let published = "codec_config:\n  ckpt_path: ckpts/x.pt\n  codec_dimension: 6\n  codec_dec_ratios: [3, 2]\n  decoder_dim: 8\n  semantic_dim: 5\n  decoder_type: 24k\n  codec_codebook_size: 7\n  codec_codebook_search_dim: 4\n  codec_codebooks: 3\n  semantic_token_nums: 50\n";
    let constructor = "codec_config: {ckpt_path: ckpts/x.pt, latent_dim: 6, decoder_rates: [3, 2], decoder_dim: 8, semantic_dim: 5, decoder_type: '24k', codebook_size: 7, codebook_dim: 4, n_codebooks: 3, semantic_token_nums: 50}";
    assert_eq!(read(published).unwrap(), read(constructor).unwrap());
}

#[test]
fn a_checkpoint_name_cannot_lead_out_of_the_folder() {
    let scratch = TempDir::new().unwrap();
    let mut away = fields("24k");
    away["ckpt_path"] = json!("/etc/../../elsewhere/decoder.pt");
    assert!(open(&released(&decoder_tensors(scratch.path()), &away)).is_ok(), "only the last part of the name counts");
    for name in [json!(".."), json!(""), json!("/")] {
        away["ckpt_path"] = name;
        names(open(&released(&[], &away)).unwrap_err(), &["config.yaml", "ckpt_path", "expected the name of the checkpoint"]);
    }
}

#[test]
fn ids_that_no_table_has_never_stop_the_sound() {
    let config = decoder_config("24k");
    let (decoder, ids) = (AudioDecoder::load(&Weights::random(1, &Device::flex()), &config).unwrap(), CodecIds::new(&config));
    let (mut state, mut last) = (decoder.start(), None);
    let rows = [
        vec![2, 3, 3, 3],
        vec![40, 50, 81, 8223],
        vec![i64::MIN, i64::MAX, -1_000_013, 0],
        vec![],
        vec![33, 32, 80, 33],
        vec![81, 80, 80, 80, 80, 80],
    ];
    let mut samples = 0;
    for row in &rows {
        let read = ids.read(last.as_ref(), row);
        samples += decoder.step(&mut state, vec![read.frame.clone()]).map_or(0, |sound| sound.len());
        last = Some(read.frame);
    }
    samples += decoder.flush(&mut state).map_or(0, |sound| sound.len());
    assert_eq!(samples, rows.len() * decoder.samples_per_frame());
}

#[test]
fn wrong_tokenizer_configs_are_refused_by_field() {
    let (acoustic, semantic) = tokenizer_fields();
    let file = Path::new("encoder.yaml");
    for (field, value, found) in [
        ("encoder_dim", json!(0), "out of range"),
        ("codec_enc_ratios", json!([0]), "multiply to 0"),
        ("input_sample_rate", json!(0), "out of range"),
        ("warp", json!(1), "unknown key"),
    ] {
        let mut fields = acoustic.clone();
        fields[field] = value;
        names(EncoderConfig::from_value(file, fields).unwrap_err(), &["encoder.yaml", field, found]);
    }
    let mut deep = acoustic.clone();
    (deep["encoder_dim"], deep["codec_enc_ratios"]) = (json!(1 << 19), json!([1, 1, 1, 1]));
    names(EncoderConfig::from_value(file, deep).unwrap_err(), &["encoder_dim", "doubled 4 times"]);
    for (field, value, found) in [
        ("nhead", json!(3), "do not divide"),
        ("select_layer", json!(0), "expected 1 to num_encoder_layers"),
        ("select_layer", json!(3), "expected 1 to num_encoder_layers"),
        ("conv2d_stride", json!("2;3"), "list of whole numbers"),
        ("conv2d_stride", json!("2"), "1 entries"),
        ("conv2d_stride", json!("0,3"), "multiply to 0"),
        ("feat_dim", json!(21), "num_mel_bins is 20"),
        ("final_norm", json!(false), "unknown key"),
    ] {
        let mut fields = semantic.clone();
        fields[field] = value;
        names(SemanticConfig::from_value(file, fields).unwrap_err(), &["encoder.yaml", found]);
    }
}

/// The four files of a tokenizer as published: two YAML files of its own, the model's, and the checkpoint.
fn tokenizer_folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let (acoustic, mut semantic) = tokenizer_fields();
    let file = folder.path().join("encoder.yaml");
    std::fs::write(&file, json!({ "codec_config": acoustic }).to_string()).unwrap();
    let selection = json!({ "semantic_tokenizer_config": { "select_layer": 1, "codebook_dim": 8, "codebook_size": 9, "model_config": "a/b/model.yaml", "sample_rate": 16000 } });
    std::fs::write(folder.path().join("small.yaml"), selection.to_string()).unwrap();
    let config = SemanticConfig::from_value(&file, semantic.clone()).unwrap();
    let fbank = semantic.as_object_mut().unwrap().remove("fbank").unwrap();
    ["select_layer", "codebook_size"].iter().for_each(|field| drop(semantic.as_object_mut().unwrap().remove(*field)));
    semantic["dropout"] = json!(0.0);
    semantic["delta_order"] = json!(0);
    let model = json!({ "feature": { "fbank": fbank, "cmvn_file": "stats.npy" }, "encoder": { "type": "VGGtf_encoder", "VGGtf_encoder": semantic } });
    std::fs::write(folder.path().join("model.yaml"), model.to_string()).unwrap();
    let weights = Weights::random(3, &Device::flex());
    let acoustic = EncoderConfig::read(&file).unwrap();
    let tokenizer = AudioTokenizer::load(&weights, &acoustic, &config, folder.path()).unwrap();
    // Saved part by part, as modules are, then joined.
    let mut tensors = Vec::new();
    for part in [
        weights_of(&weights, &tokenizer.acoustic),
        weights_of(&weights, &tokenizer.quantizer),
        weights_of(&weights, &tokenizer.semantic.encoder),
    ] {
        tensors.extend(part);
    }
    std::fs::write(folder.path().join("encoder.pt"), pt_file(&tensors)).unwrap();
    (folder, file)
}

fn weights_of(weights: &Weights, module: &impl burn::module::Module) -> Vec<PtTensor> {
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().unwrap();
    weights.save(module, file.path(), StoredDtype::F32).unwrap();
    let saved = Checkpoint::open(file.path()).unwrap();
    saved
        .names()
        .map(|name| {
            (
                name.to_string(),
                saved.get(name).unwrap().dtype,
                saved.get(name).unwrap().shape.clone(),
                saved.bytes(name, &saved.get(name).unwrap().shape).unwrap().1.into_owned(),
            )
        })
        .collect()
}

fn open_tokenizer(file: &Path) -> Result<AudioTokenizer, LoadError> {
    AudioTokenizer::open(file, &Device::flex(), DType::F32).map(|(tokenizer, _)| tokenizer)
}

fn noise(samples: usize) -> Waveform {
    Waveform::new((0..samples as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5).collect()).unwrap()
}

#[test]
fn clips_that_are_empty_or_too_long_are_refused_and_short_ones_are_not() {
    let (_folder, file) = tokenizer_folder();
    let tokenizer = open_tokenizer(&file).unwrap();
    assert_eq!(tokenizer.clip(&Waveform::default(), 16_000), Err(TokenizeError::Empty));
    names(tokenizer.clip(&noise(480_001), 16_000).unwrap_err(), &["480001 samples", "at most 480000", "Cut it"]);
    names(tokenizer.clip(&noise(100), 3).unwrap_err(), &["at most 90"]);
    names(tokenizer.clip(&noise(10), 3).unwrap_err(), &["3"]);
    let one = tokenizer.clip(&noise(1), 16_000).unwrap();
    assert_eq!((one.semantic.len(), one.acoustic[0].len()), (0, 1), "padded to one frame of 20 samples, less than one analysis window");
    let none = tokenizer.batch(&[noise(1), noise(2000)]).unwrap();
    assert_eq!((none[0].acoustic[0].len(), none[1].acoustic[0].len()), (0, 100));
    assert_eq!(tokenizer.batch(&[noise(5), Waveform::default()]), Err(TokenizeError::Empty));
    assert!(Waveform::new(vec![0.0, f32::NAN]).is_err(), "a clip with NaN cannot be made");
    // Frames for a decoder: as many as the shorter half has, and only if the tables are the same.
    let codes = tokenizer.clip(&noise(2000), 16_000).unwrap();
    let ids = CodecIds::new(&decoder_config("24k"));
    assert_eq!(codes.frames(&ids).unwrap().len(), codes.semantic.len().min(codes.acoustic[0].len()));
    let mut small = fields("24k");
    (small["codec_codebook_size"], small["semantic_token_nums"]) = (json!(1), json!(1));
    names(
        codes.frames(&CodecIds::new(&DecoderConfig::from_value(Path::new("config.yaml"), small).unwrap())).unwrap_err(),
        &["expected 0 to 0"],
    );
}

#[test]
fn a_tokenizer_needs_all_its_files_and_they_must_belong_together() {
    let (folder, file) = tokenizer_folder();
    assert!(open_tokenizer(&file).is_ok());
    let change = |name: &str, from: &str, to: &str, parts: &[&str]| {
        let path = folder.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name} holds no {from}: {text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        names(open_tokenizer(&file).map(|_| ()).unwrap_err(), parts);
        std::fs::write(&path, text).unwrap();
    };
    change("encoder.yaml", "\"small\"", "\"../small\"", &["semantic_tokenizer_type", "plain file name"]);
    change("encoder.yaml", "\"small\"", "\"large\"", &["large.yaml", "cannot be read"]);
    change("small.yaml", "\"codebook_dim\":8", "\"codebook_dim\":9", &["small.yaml", "codebook_dim", "do not belong together"]);
    change("small.yaml", "a/b/model.yaml", "a/b/..", &["small.yaml", "plain file name"]);
    change("model.yaml", "\"type\":\"VGGtf_encoder\"", "\"type\":\"conformer\"", &["model.yaml", "encoder.type", "conformer"]);
    change("model.yaml", "\"delta_order\":0", "\"delta_order\":2", &["model.yaml", "delta_order", "expected 0"]);
    change("model.yaml", "\"num_mel_bins\":20", "\"num_mel_bins\":21", &["model.yaml", "feat_dim"]);
    change("model.yaml", "\"low_freq\":40", "\"low_freq\":9000", &["low_freq", "9000"]);
    // Without statistics in the checkpoint, the file that the config names is needed.
    let checkpoint = Checkpoint::open(&folder.path().join("encoder.pt")).unwrap();
    let keep = checkpoint.names().filter(|name| !name.contains("cmvn"));
    let tensors: Vec<PtTensor> = keep
        .map(|name| {
            (
                name.to_string(),
                StoredDtype::F32,
                checkpoint.get(name).unwrap().shape.clone(),
                checkpoint.bytes(name, &checkpoint.get(name).unwrap().shape).unwrap().1.into_owned(),
            )
        })
        .collect();
    std::fs::write(folder.path().join("encoder.pt"), pt_file(&tensors)).unwrap();
    names(open_tokenizer(&file).map(|_| ()).unwrap_err(), &["stats.npy", "cannot be read"]);
}

#[test]
fn damaged_tensor_files_give_errors_and_never_panic() {
    let tensors: Vec<PtTensor> = vec![
        ("layer.weight".into(), StoredDtype::F32, vec![3, 2], (0..6u8).flat_map(|i| f32::from(i).to_le_bytes()).collect()),
        ("layer.bias".into(), StoredDtype::Bf16, vec![4], vec![0x80, 0x3f, 0, 0, 0x80, 0xbf, 0, 0x40]),
        ("steps".into(), StoredDtype::I64, vec![], 7i64.to_le_bytes().to_vec()),
    ];
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("whole.safetensors");
    write_safetensors(&path, &tensors).unwrap();
    let (safetensors, pytorch) = (std::fs::read(&path).unwrap(), pt_file(&tensors));
    std::fs::write(folder.path().join("whole.pt"), &pytorch).unwrap();
    for whole in [path, folder.path().join("whole.pt")] {
        let file = Checkpoint::open(&whole).unwrap();
        assert_eq!(file.floats("layer.weight", &[3, 2]).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(file.floats("layer.bias", &[4]).unwrap(), [1.0, 0.0, -1.0, 2.0]);
        assert_eq!(file.integers("steps", &[]).unwrap(), [7]);
    }
    mutations(&safetensors, 1, 4000).for_each(|bytes| tensor_file::safetensors(&bytes));
    mutations(&pytorch, 2, 4000).for_each(|bytes| tensor_file::pytorch(&bytes));
    // The pickle lies behind the archive's first name: damage there too, not only at the start of the file.
    let pickle = pytorch.windows(2).position(|w| w == b"\x80\x02").unwrap();
    for damaged in mutations(&pytorch[pickle..pickle + 400], 3, 4000) {
        tensor_file::pytorch(&[&pytorch[..pickle], &damaged[..], &pytorch[pickle + 400..]].concat());
    }
}
