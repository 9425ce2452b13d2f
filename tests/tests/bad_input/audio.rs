//! Sound files, samples, statistics, configs and checkpoints of the audio side that are wrong.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use caracal_edge::audio::read::{CLIP_SECONDS_MAX, decode_audio};
use caracal_edge::audio::{
    AudioEncoder, AudioEncoderConfig, AudioFileError, AudioPerception, AudioProjector, Cmvn, FrontEnd, PreprocessorConfig, Waveform,
    read_audio, resample, sinc_resample,
};
use caracal_kernels::checkpoint::{StoredDtype, write_safetensors};
use caracal_kernels::{LoadError, Weights};
use caracal_tests::fuzz::{cmvn, mutate::mutations};
use serde_json::{Value, json};
use tempfile::TempDir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/audio").join(name)
}

/// A WAV file of 16-bit integers (`format` 1) or 32-bit floats (`format` 3).
fn wav(format: u16, channels: u16, rate: u32, samples: &[u8]) -> Vec<u8> {
    let bytes = if format == 1 { 2 } else { 4 };
    let mut file = b"RIFF".to_vec();
    file.extend((36 + samples.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(channels) * bytes).to_le_bytes());
    file.extend((channels * bytes as u16).to_le_bytes());
    file.extend((8 * bytes as u16).to_le_bytes());
    file.extend(b"data");
    file.extend((samples.len() as u32).to_le_bytes());
    file.extend(samples);
    file
}

fn integers(values: impl IntoIterator<Item = i16>) -> Vec<u8> {
    values.into_iter().flat_map(i16::to_le_bytes).collect()
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

fn decode(bytes: Vec<u8>) -> Result<caracal_edge::audio::Recording, AudioFileError> {
    decode_audio(Path::new("clip.wav"), bytes, CLIP_SECONDS_MAX)
}

/// The error's text, after checking that it names all of `parts`.
fn names(error: impl std::fmt::Display, parts: &[&str]) -> String {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{text}` does not name `{part}`");
    }
    text
}

#[test]
fn sound_files_give_the_mean_of_their_channels_at_their_own_rate() {
    let stereo = decode(wav(1, 2, 44_100, &integers([100, 300, -32768, -32768, 32767, 1]))).unwrap();
    assert_eq!((stereo.sample_rate, stereo.cut), (44_100, false));
    assert_eq!(stereo.waveform.samples(), [200.0 / 32768.0, -1.0, 16384.0 / 32768.0]);
    let float = decode(wav(3, 1, 8_000, &floats([0.25, -1.5]))).unwrap();
    assert_eq!((float.sample_rate, float.waveform.samples()), (8_000, &[0.25, -1.5][..]));
    let flac = read_audio(&data("ramp.flac"), CLIP_SECONDS_MAX).unwrap();
    let ramp: Vec<f32> = (0..4000).map(|i| ((i * 37) % 2001 - 1000) as f32 / 32768.0).collect();
    assert_eq!((flac.sample_rate, flac.waveform.samples()), (16_000, &ramp[..]));
}

#[test]
fn an_mp3_file_gives_its_tone() {
    let mp3 = read_audio(&data("tone.mp3"), CLIP_SECONDS_MAX).unwrap();
    let samples = mp3.waveform.samples();
    assert!(mp3.sample_rate == 16_000 && (4000..=5800).contains(&samples.len()), "{} samples", samples.len());
    let phase = |i: usize| std::f32::consts::TAU * 440.0 * i as f32 / 16_000.0;
    let middle = 1000..3500;
    let (sine, cosine) = middle.clone().fold((0.0, 0.0), |(s, c), i| (s + samples[i] * phase(i).sin(), c + samples[i] * phase(i).cos()));
    let energy: f32 = samples[middle].iter().map(|x| x * x).sum();
    let share = (sine * sine + cosine * cosine) / (energy * 1250.0);
    assert!(share > 0.95, "only {share} of the energy is at 440 Hz");
}

#[test]
fn a_long_file_is_cut_and_says_so() {
    let file = wav(1, 1, 1_000, &integers((0..2500).map(|i| i as i16)));
    let cut = decode_audio(Path::new("long.wav"), file.clone(), 2).unwrap();
    assert_eq!((cut.waveform.samples().len(), cut.cut), (2000, true));
    let whole = decode_audio(Path::new("long.wav"), file, 3).unwrap();
    assert_eq!((whole.waveform.samples().len(), whole.cut), (2500, false));
}

#[test]
fn corrupt_and_empty_sound_files_are_refused_by_name() {
    let missing = read_audio(Path::new("/nowhere/clip.wav"), 1).unwrap_err();
    names(&missing, &["/nowhere/clip.wav", "cannot be read", "Check the path"]);
    let whole = wav(1, 1, 16_000, &integers([1; 4000]));
    for (bytes, found) in [
        (whole[..5000].to_vec(), "ends early"),
        (whole[..30].to_vec(), "no usable"),
        (b"hello, this is no sound file at all".to_vec(), "no usable"),
        (Vec::new(), "no usable"),
    ] {
        names(decode(bytes).unwrap_err(), &["clip.wav", found, "Convert"]);
    }
    assert!(matches!(decode(wav(1, 1, 16_000, &[])), Err(AudioFileError::Empty { .. })));
    names(decode(wav(1, 1, 0, &integers([1; 10]))).unwrap_err(), &["clip.wav"]);
    names(decode(wav(1, 1, 4_000_000, &integers([1; 10]))).unwrap_err(), &["4000000 Hz", "expected 1000 to 384000"]);
    let nan = decode(wav(3, 1, 16_000, &floats([0.0, 0.5, f32::NAN, 0.0]))).unwrap_err();
    names(nan, &["clip.wav", "sample 2 is NaN"]);
    let mut flac = std::fs::read(data("ramp.flac")).unwrap();
    flac.truncate(flac.len() / 2);
    names(decode(flac).unwrap_err(), &["clip.wav"]);
    let mut flac = std::fs::read(data("ramp.flac")).unwrap();
    let middle = flac.len() / 2;
    flac[middle] ^= 0x55;
    names(decode(flac).unwrap_err(), &["clip.wav"]);
}

#[test]
fn damaged_sound_files_never_panic() {
    let wave = wav(1, 2, 16_000, &integers((0..600).map(|i| i * 31)));
    let (flac, mp3) = (std::fs::read(data("ramp.flac")).unwrap(), std::fs::read(data("tone.mp3")).unwrap());
    let mut accepted = 0;
    for (seed, file) in [wave, flac, mp3].iter().enumerate() {
        for bytes in mutations(file, seed as u64, 700) {
            if let Ok(recording) = decode_audio(Path::new("mutated"), bytes, 2) {
                accepted += 1;
                assert!(recording.waveform.samples().len() <= 2 * recording.sample_rate as usize);
            }
        }
    }
    assert!((1..2000).contains(&accepted), "{accepted} of 2100 damaged files were accepted");
}

#[test]
fn samples_that_are_no_numbers_are_refused_with_their_index() {
    let error = Waveform::new(vec![0.0, f32::INFINITY, f32::NAN]).unwrap_err();
    names(error, &["sample 1 is inf", "expected a finite number", "drop this piece"]);
    let loud = Waveform::new(vec![f32::MAX; 400]).unwrap();
    let front_end = FrontEnd::new(&preprocessor(&preprocessor_json()).unwrap(), None).unwrap();
    assert!(front_end.offline(&loud).iter().all(|x| x.is_finite()));
    let loud = Waveform::new([f32::MAX, -f32::MAX].repeat(200)).unwrap();
    for resampled in [resample(&loud, 44_100, 16_000), sinc_resample(&loud, 16_000, 24_000)] {
        if let Err(error) = resampled {
            names(error, &["after resampling: sample", "expected a finite number"]);
        }
    }
    for resampled in [resample(&loud, 0, 16_000), sinc_resample(&loud, 16_000, 500_000)] {
        names(resampled.unwrap_err(), &["sample rate", "expected 1000 to 384000"]);
    }
}

#[test]
fn clips_without_a_whole_window_give_no_embedding() {
    let model = Model::new();
    let perception = AudioPerception::open(model.folder.path(), &Device::flex(), DType::F32).unwrap();
    for samples in [0, 1, 399] {
        assert!(perception.offline(&Waveform::new(vec![0.1; samples]).unwrap()).is_none());
    }
    assert_eq!(perception.offline(&Waveform::new(vec![0.1; 400]).unwrap()).unwrap().dims(), [1, 6]);
}

fn kaldi(values: &[f64], rows: i32, columns: i32) -> Vec<u8> {
    let mut file = b"\0BDM \x04".to_vec();
    file.extend(rows.to_le_bytes());
    file.push(4);
    file.extend(columns.to_le_bytes());
    file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    file
}

fn numpy(header: &str, values: &[f64]) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    file
}

const NUMPY_HEADER: &str = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n";
const SUMS: [f64; 6] = [8.0, -2.0, 4.0, 20.0, 5.0, 0.0];

#[test]
fn all_statistics_formats_agree() {
    let parse = |bytes: &[u8]| Cmvn::parse(Path::new("global_cmvn"), bytes).unwrap();
    let want = parse(&kaldi(&SUMS, 2, 3));
    assert_eq!(want.mean(), [2.0, -0.5]);
    assert_eq!(want.scale(), [1.0, 1.0]);
    let mut float = b"\0BFM \x04\x02\0\0\0\x04\x03\0\0\0".to_vec();
    float.extend(floats(SUMS.map(|v| v as f32)));
    for bytes in [float, b" [\n 8 -2 4 \n 20 5e0 0 ]\n".to_vec(), numpy(NUMPY_HEADER, &SUMS)] {
        assert_eq!(parse(&bytes), want);
    }
}

#[test]
fn text_statistics_count_as_single_precision() {
    // 16777217 has no f32 of its own: in double precision the mean would differ from 1.
    let text = Cmvn::parse(Path::new("t"), b"[ 16777217 16777216\n 33554432 0 ]").unwrap();
    assert_eq!(text.mean(), [1.0]);
    let exact = Cmvn::parse(Path::new("t"), &kaldi(&[16_777_217.0, 16_777_216.0, 33_554_432.0, 0.0], 2, 2)).unwrap();
    assert_eq!(exact.mean(), [(16_777_217.0f64 / 16_777_216.0) as f32]);
    // A variance below zero counts as zero, and its root is lifted to the smallest deviation.
    let negative = Cmvn::parse(Path::new("t"), b"[ 2 2\n 1.9999 0 ]").unwrap();
    assert_eq!(negative.scale(), [8_388_608.0]);
}

#[test]
fn damaged_statistics_are_refused_by_name() {
    let mut nan = SUMS;
    nan[3] = f64::NAN;
    let mut zero = SUMS;
    zero[2] = 0.0;
    let mut huge = SUMS;
    huge[3] = f64::MAX;
    let cases: [(Vec<u8>, &str); 15] = [
        (Vec::new(), "brackets"),
        (b"\0B".to_vec(), "ends early"),
        (b"\0BCM \x04\0\0\0\0\x04\0\0\0\0".to_vec(), "expected a matrix"),
        (kaldi(&SUMS, 3, 2), "a matrix of 3 x 2, expected 2 rows"),
        (kaldi(&SUMS, 2, i32::MAX), "bytes of numbers"),
        (kaldi(&SUMS, -2, -3), "expected 2 rows"),
        (kaldi(&SUMS[..5], 2, 3), "40 bytes of numbers"),
        (kaldi(&nan, 2, 3), "value 3 is NaN"),
        (kaldi(&zero, 2, 3), "count (last value of the first row) is 0"),
        (kaldi(&huge, 2, 3), "feature 0 has mean 2 and variance inf"),
        (b"[ 1 2 3\n 4 x 6 ]".to_vec(), "`x` is no number"),
        (b"[ 1 2 3\n 4 5 ]".to_vec(), "expected 2 equal ones"),
        (numpy(&NUMPY_HEADER.replace("<f8", "<i8"), &SUMS), "expected '<f8' or '<f4'"),
        (numpy(&NUMPY_HEADER.replace("False", "True"), &SUMS), "ascontiguousarray"),
        (numpy(&NUMPY_HEADER.replace("(2, 3)", "(6,)"), &SUMS), "no two axes"),
    ];
    for (bytes, found) in cases {
        let error = Cmvn::parse(Path::new("audio/global_cmvn"), &bytes).unwrap_err();
        assert!(matches!(error, LoadError::Damaged { .. }));
        names(error, &["audio/global_cmvn", found]);
    }
    names(Cmvn::read(Path::new("/nowhere/global_cmvn")).unwrap_err(), &["/nowhere/global_cmvn", "cannot be read"]);
}

#[test]
fn mutated_statistics_never_panic() {
    for (seed, file) in [kaldi(&SUMS, 2, 3), numpy(NUMPY_HEADER, &SUMS), b"[ 8 -2 4\n 20 5 0 ]".to_vec()].iter().enumerate() {
        mutations(file, seed as u64, 2000).for_each(|bytes| cmvn(&bytes));
    }
}

fn preprocessor_json() -> Value {
    json!({
        "fbank": { "freq": 16000, "frame_length": 25, "frame_shift": 10, "preemphasis": 0.97, "dither": 0.0, "num_mel_bins": 20, "low_freq": 40, "high_freq": -200 },
        "delta": { "delta_order": 0, "window_size": 2 },
        "cmvn": { "global_cmvn": "" },
        "splice": { "left": 1, "right": 1, "stride": 8, "random_start": false, "seed": 0 },
    })
}

fn preprocessor(value: &Value) -> Result<PreprocessorConfig, LoadError> {
    PreprocessorConfig::parse(Path::new("audio/preprocessor_config.json"), &value.to_string())
}

#[test]
fn a_wrong_front_end_config_is_refused_by_field() {
    let cases = [
        ("/fbank/freq", json!(0), "fbank.frame_length"),
        ("/fbank/freq", json!(-1), "fbank"),
        ("/fbank/frame_length", json!(1e12), "fbank.frame_length"),
        ("/fbank/frame_shift", json!(0), "fbank.frame_shift"),
        ("/fbank/num_mel_bins", json!(0), "fbank.num_mel_bins"),
        ("/fbank/num_mel_bins", json!(1u64 << 40), "fbank.num_mel_bins"),
        ("/fbank/high_freq", json!(0), "fbank.high_freq"),
        ("/fbank/high_freq", json!(9000), "fbank.high_freq"),
        ("/fbank/low_freq", json!(-5), "fbank.low_freq"),
        ("/fbank/padded_num_mel_bins", json!(3), "fbank.padded_num_mel_bins"),
        ("/fbank/energy_floor", json!(1), "energy_floor"),
        ("/delta/delta_order", json!(1u64 << 60), "delta.window_size"),
        ("/cmvn/global_cmvn", json!(null), "cmvn"),
        ("/splice/stride", json!(0), "splice.stride"),
        ("/splice/left", json!(1u64 << 50), "splice.left"),
        ("/splice/right", json!("7"), "splice"),
        ("/vad", json!({}), "vad"),
    ];
    for (pointer, value, field) in cases {
        let mut config = preprocessor_json();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[key] = value;
        let error = preprocessor(&config).and_then(|config| FrontEnd::new(&config, None)).unwrap_err();
        names(error, &["audio/preprocessor_config.json", field]);
    }
    for (parent, key) in [("/fbank", "freq"), ("/delta", "delta_order"), ("/cmvn", "global_cmvn"), ("/splice", "stride")] {
        let mut config = preprocessor_json();
        config.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
        names(preprocessor(&config).unwrap_err(), &["audio/preprocessor_config.json", key]);
    }
}

#[test]
fn statistics_of_another_width_are_refused() {
    let cmvn = Cmvn::parse(Path::new("global_cmvn"), &kaldi(&SUMS, 2, 3)).unwrap();
    let error = FrontEnd::new(&preprocessor(&preprocessor_json()).unwrap(), Some(cmvn)).unwrap_err();
    names(error, &["cmvn.global_cmvn", "2 features, expected 20"]);
}

fn encoder_json() -> Value {
    json!({
        "input_size": 60, "hidden_size": 8, "proj_size": 4, "vocab_size": 3, "nlayer": 2, "num_right_layers": 1, "left_order": 2, "right_order": 1,
        "left_stride": 1, "right_stride": 1, "ndnn": 1, "activation": "relu6", "dropout": 0.1, "layer_drop": 0,
    })
}

#[test]
fn a_wrong_encoder_config_is_refused_by_field() {
    let parse = |value: &Value| AudioEncoderConfig::parse(Path::new("audio/config.json"), &value.to_string());
    let cases = [
        ("hidden_size", json!(0), "hidden_size"),
        ("left_stride", json!(0), "left_stride"),
        ("left_stride", json!(u64::MAX), "left_order"),
        ("num_right_layers", json!(3), "at most nlayer (2)"),
        ("layer_drop", json!(0.5), "layer_drop"),
        ("nlayer", json!(2.5), "nlayer"),
        ("memory_gate", json!(true), "memory_gate"),
        ("activation", json!(6), "activation"),
    ];
    for (key, value, field) in cases {
        let mut config = encoder_json();
        config[key] = value;
        names(parse(&config).unwrap_err(), &["audio/config.json", field]);
    }
    let mut config = encoder_json();
    config.as_object_mut().unwrap().remove("proj_size");
    names(parse(&config).unwrap_err(), &["audio/config.json", "proj_size"]);
}

/// A small model folder.
struct Model {
    folder: TempDir,
}

impl Model {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("preprocessor_config.json"), preprocessor_json().to_string()).unwrap();
        std::fs::write(folder.path().join("config.json"), encoder_json().to_string()).unwrap();
        let weights = Weights::random(1, &Device::flex());
        let config = AudioEncoderConfig::read(&folder.path().join("config.json")).unwrap();
        let encoder = AudioEncoder::load(&weights, &config).unwrap();
        weights.save(&encoder, &folder.path().join("audio_encoder.safetensors"), StoredDtype::F32).unwrap();
        let projector = AudioProjector::load(&weights, 8, 6).unwrap();
        weights.save(&projector, &folder.path().join("audio_projector.safetensors"), StoredDtype::F16).unwrap();
        Self { folder }
    }

    fn open(&self) -> Result<AudioPerception, LoadError> {
        AudioPerception::open(self.folder.path(), &Device::flex(), DType::F32)
    }

    /// Rewrites a part with its tensors changed.
    fn change(&self, part: &str, change: impl Fn(&mut Vec<(String, StoredDtype, Vec<usize>, Vec<u8>)>)) {
        let file = self.folder.path().join(part);
        let mut tensors = {
            let checkpoint = caracal_kernels::Checkpoint::open(&file).unwrap();
            let names: Vec<String> = checkpoint.names().map(str::to_string).collect();
            let read = |name: String| {
                let shape = checkpoint.get(&name).unwrap().shape.clone();
                let (stored, bytes) = checkpoint.bytes(&name, &shape).unwrap();
                (name, stored.dtype, shape.clone(), bytes.into_owned())
            };
            names.into_iter().map(read).collect::<Vec<_>>()
        };
        change(&mut tensors);
        std::fs::remove_file(&file).unwrap();
        write_safetensors(&file, &tensors).unwrap();
    }
}

#[test]
fn a_whole_model_folder_opens() {
    let perception = Model::new().open().unwrap();
    assert_eq!((perception.front_end.output_width(), perception.encoder.look_ahead(), perception.projector.output_size()), (60, 1, 6));
}

#[test]
fn truncated_and_foreign_checkpoints_are_refused_by_name() {
    for part in ["audio_encoder.safetensors", "audio_projector.safetensors"] {
        let model = Model::new();
        let file = model.folder.path().join(part);
        let bytes = std::fs::read(&file).unwrap();
        for length in [0, 4, 20, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&file, &bytes[..length]).unwrap();
            names(model.open().unwrap_err(), &[part, "Download the file again"]);
        }
        std::fs::remove_file(&file).unwrap();
        names(model.open().unwrap_err(), &[part.split('.').next().unwrap(), "cannot be read"]);
        let model = Model::new();
        model.change(part, |tensors| tensors.push(("encoder.rope.weight".into(), StoredDtype::F32, vec![1], vec![0; 4])));
        names(model.open().unwrap_err(), &[part, "encoder.rope.weight", "no place"]);
    }
}

#[test]
fn tensors_that_are_missing_misshapen_or_not_finite_are_refused_by_name() {
    let encoder = "audio_encoder.safetensors";
    let model = Model::new();
    model.change(encoder, |tensors| tensors.retain(|t| t.0 != "fsmn_layers.1.memory.weight"));
    names(model.open().unwrap_err(), &[encoder, "fsmn_layers.1.memory.weight", "is missing"]);

    let model = Model::new();
    model.change(encoder, |tensors| {
        let tensor = tensors.iter_mut().find(|t| t.0 == "fsmn_layers.0.memory.weight").unwrap();
        (tensor.2, tensor.3) = (vec![4, 1, 4], vec![0; 64]);
    });
    names(model.open().unwrap_err(), &[encoder, "fsmn_layers.0.memory.weight", "[4, 1, 4]", "expected [4, 1, 3]"]);

    let model = Model::new();
    model.change(encoder, |tensors| {
        tensors.iter_mut().find(|t| t.0 == "ffn.2.weight").unwrap().3[4..8].copy_from_slice(&f32::NAN.to_le_bytes())
    });
    names(model.open().unwrap_err(), &[encoder, "ffn.2.weight", "NaN at element 1"]);

    let model = Model::new();
    model.change("audio_projector.safetensors", |tensors| tensors.iter_mut().for_each(|t| t.1 = StoredDtype::I16));
    names(model.open().unwrap_err(), &["audio_projector", "0.weight", "I16", "Convert"]);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let model = Model::new();
    let mut config = preprocessor_json();
    config["splice"]["left"] = json!(2);
    std::fs::write(model.folder.path().join("preprocessor_config.json"), config.to_string()).unwrap();
    names(model.open().unwrap_err(), &["config.json", "input_size", "60, expected 80"]);

    let model = Model::new();
    config["splice"]["left"] = json!(1);
    config["cmvn"]["global_cmvn"] = json!("/training/machine/global_cmvn");
    std::fs::write(model.folder.path().join("preprocessor_config.json"), config.to_string()).unwrap();
    let text = names(model.open().unwrap_err(), &["global_cmvn", "cannot be read"]);
    assert!(!text.contains("/training/machine"), "the path inside the config must be ignored: {text}");

    let model = Model::new();
    let mut config = encoder_json();
    config["proj_output_dim"] = json!(7);
    std::fs::write(model.folder.path().join("config.json"), config.to_string()).unwrap();
    names(model.open().unwrap_err(), &["audio_projector", "expected [7, 8]"]);
}
