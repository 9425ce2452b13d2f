//! Front end, resampler, audio encoder and the whole perception, cut at random.

use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::Streaming;
use caracal_edge::audio::{
    AudioEncoder, AudioEncoderConfig, Cmvn, Delta, DeltaConfig, FrontEnd, PreprocessorConfig, Resampler, Splice, SpliceConfig, Waveform,
    resample, sinc_resample,
};
use caracal_kernels::Weights;
use caracal_tests::streaming::{CUTTINGS, cuttings, relative_error};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::path::Path;

use crate::allocations::{live_bytes, total_bytes};

/// Largest difference from offline, relative to the largest value.
const TOLERANCE: f64 = 1e-5;

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Runs `check` on lengths of signals and random cuttings of them.
fn for_cuttings(lengths: impl Strategy<Value = usize>, check: impl Fn(usize, &[usize], u64) -> Result<(), TestCaseError>) {
    let strategy = (lengths.prop_flat_map(|n| (Just(n), cuttings(n))), any::<u64>());
    let config = ProptestConfig { cases: CUTTINGS, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config).run(&strategy, |((n, cut), seed)| check(n, &cut, seed)).unwrap();
}

/// All that `step…` and `flush` give for `values` cut into `pieces` of `unit` values.
fn streamed<S: Streaming<Out = Vec<f32>>>(
    module: &S,
    values: &[f32],
    pieces: &[usize],
    unit: usize,
    wrap: impl Fn(Vec<f32>) -> S::In,
) -> Vec<f32> {
    let (mut state, mut out, mut from) = (module.start(), Vec::new(), 0);
    for piece in pieces {
        out.extend(module.step(&mut state, wrap(values[from * unit..(from + piece) * unit].to_vec())).into_iter().flatten());
        from += piece;
    }
    out.extend(module.flush(&mut state).into_iter().flatten());
    out
}

fn agree(streamed: &[f32], offline: &[f32]) -> Result<(), TestCaseError> {
    let error = if streamed.is_empty() && offline.is_empty() { 0.0 } else { relative_error(streamed, offline) };
    prop_assert!(error <= TOLERANCE, "error {error:e}, {} values for {}", streamed.len(), offline.len());
    Ok(())
}

fn waveform(samples: Vec<f32>) -> Waveform {
    Waveform::new(samples).unwrap()
}

/// A front end with slopes and normalisation, on 8 kHz so that short signals give many vectors.
fn front_end(order: usize, left: usize, right: usize, stride: usize) -> FrontEnd {
    let text = serde_json::json!({
        "fbank": { "freq": 8000, "frame_length": 25, "frame_shift": 10, "preemphasis": 0.97, "dither": 0.0, "num_mel_bins": 11,
            "low_freq": 40, "high_freq": -200, "padded_num_mel_bins": 13 },
        "delta": { "delta_order": order, "window_size": 2 },
        "cmvn": { "global_cmvn": "" },
        "splice": { "left": left, "right": right, "stride": stride, "random_start": true, "seed": 3 },
    });
    let config = PreprocessorConfig::parse(Path::new("preprocessor_config.json"), &text.to_string()).unwrap();
    let width = 13 * (order + 1);
    let row = |value: f64, last: f64| std::iter::repeat_n(value, width).chain([last]);
    let statistics: Vec<f64> = row(50.0, 10.0).chain(row(500.0, 0.0)).collect();
    FrontEnd::new(&config, Some(Cmvn::from_statistics(Path::new("statistics"), &statistics).unwrap())).unwrap()
}

#[test]
fn fbank_streams_as_offline() {
    let front_end = front_end(0, 0, 0, 1);
    let fbank = front_end.fbank();
    for_cuttings(0..2000usize, |n, cut, seed| {
        let samples = noise(n, seed);
        agree(&streamed(fbank, &samples, cut, 1, waveform), &fbank.offline(&waveform(samples.clone())))
    });
}

#[test]
fn delta_streams_as_offline() {
    for_cuttings(0..40usize, |n, cut, seed| {
        let delta = Delta::new(&DeltaConfig { order: 1 + seed as usize % 3, window_size: 1 + seed as usize / 3 % 3 }, 3);
        let features = noise(3 * n, seed);
        agree(&streamed(&delta, &features, cut, 3, |v| v), &delta.offline(&features))
    });
}

#[test]
fn splice_streams_as_offline_and_gives_each_output_as_soon_as_it_is_final() {
    for_cuttings(0..60usize, |n, cut, seed| {
        let pick = |shift: u32, below: u64| ((seed >> shift) % below) as usize;
        let splice = Splice::new(&SpliceConfig { left: pick(0, 10), right: pick(8, 18), stride: 1 + pick(16, 12) }, 2);
        let features = noise(2 * n, seed);
        let offline = splice.offline(&features);
        prop_assert_eq!(offline.len() as u64, splice.count(n as u64) * splice.output_width() as u64);
        let (mut state, mut out, mut seen) = (splice.start(), Vec::new(), 0);
        for piece in cut {
            splice.push(&mut state, &features[2 * seen..2 * (seen + piece)], &mut out);
            seen += piece;
            prop_assert_eq!(out.len() as u64, splice.final_count(seen as u64) * splice.output_width() as u64);
        }
        splice.finish(&mut state, &mut out);
        agree(&out, &offline)
    });
}

#[test]
fn front_end_streams_as_offline_and_gives_each_output_as_soon_as_it_is_final() {
    let front_ends = [front_end(0, 7, 7, 8), front_end(2, 2, 9, 3)];
    for_cuttings(0..4000usize, |n, cut, seed| {
        let front_end = &front_ends[seed as usize % 2];
        let samples = noise(n, seed);
        let offline = front_end.offline(&waveform(samples.clone()));
        prop_assert_eq!(offline.len() as u64, front_end.count(n as u64) * front_end.output_width() as u64);
        let (mut state, mut out, mut seen) = (front_end.start(), Vec::new(), 0);
        for piece in cut {
            front_end.push(&mut state, &waveform(samples[seen..seen + piece].to_vec()), &mut out);
            seen += piece;
            prop_assert_eq!(out.len() as u64, front_end.final_count(seen as u64) * front_end.output_width() as u64);
        }
        // A flush of a clone changes nothing: the edge speculates that way.
        let mut guess = state.clone();
        front_end.finish(&mut guess, &mut Vec::new());
        front_end.finish(&mut state, &mut out);
        agree(&out, &offline)
    });
}

#[test]
fn resampler_streams_as_offline() {
    let pairs = [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (16_000, 24_000), (11_025, 16_000), (16_000, 16_000)];
    for_cuttings(0..3000usize, |n, cut, seed| {
        let (from, to) = pairs[seed as usize % pairs.len()];
        let samples = noise(n, seed);
        let offline = resample(&waveform(samples.clone()), from, to).unwrap();
        prop_assert_eq!(offline.samples().len() as u64, (n as u64 * u64::from(to)).div_ceil(u64::from(from)));
        let mut resampler = Resampler::new(from, to).unwrap();
        // The second round starts from a resampler that has already finished a stream.
        for _ in 0..2 {
            let (mut out, mut seen) = (Vec::new(), 0);
            for piece in cut {
                resampler.push(&waveform(samples[seen..seen + piece].to_vec()), &mut out);
                seen += piece;
            }
            resampler.finish(&mut out);
            agree(&out, offline.samples())?;
        }
        Ok(())
    });
}

const ENCODERS: [&str; 3] = [
    r#"{"input_size": 10, "hidden_size": 24, "proj_size": 12, "vocab_size": 5, "nlayer": 4, "num_right_layers": 2,
        "left_order": 3, "right_order": 1, "left_stride": 1, "right_stride": 1, "ndnn": 2, "activation": "relu6"}"#,
    r#"{"input_size": 10, "hidden_size": 16, "proj_size": 8, "vocab_size": 5, "nlayer": 3, "num_right_layers": 3,
        "left_order": 2, "right_order": 2, "left_stride": 2, "ndnn": 1, "activation": "relu2", "dropout": 0.1}"#,
    r#"{"input_size": 10, "hidden_size": 16, "proj_size": 8, "vocab_size": 5, "nlayer": 2, "num_right_layers": 0,
        "left_order": 0, "right_order": 1, "left_stride": 1, "ndnn": 0, "activation": "relu", "layer_drop": 0.0}"#,
];

fn encoders() -> Vec<AudioEncoder> {
    let config = |text| AudioEncoderConfig::parse(Path::new("config.json"), text).unwrap();
    ENCODERS.iter().map(|text| AudioEncoder::load(&Weights::random(7, &Device::flex()), &config(text)).unwrap()).collect()
}

fn rows(values: &[f32]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / 10, 10]), (&Device::flex(), DType::F32))
}

fn values(x: Option<Tensor<2>>) -> Vec<f32> {
    x.map_or_else(Vec::new, |x| x.into_data().try_into_vec().unwrap())
}

#[test]
fn audio_encoder_streams_as_offline_and_gives_each_output_as_soon_as_it_is_final() {
    let encoders = encoders();
    for_cuttings(0..40usize, |n, cut, seed| {
        let encoder = &encoders[seed as usize % encoders.len()];
        let features = noise(10 * n, seed);
        let offline = values(encoder.offline(rows(&features)));
        let width = encoder.post_ffn(encoder.pre_ffn(rows(&noise(10, 0)))).dims()[1];
        prop_assert_eq!(offline.len(), n * width);
        let (mut state, mut out, mut seen) = (encoder.start(), Vec::new(), 0);
        for piece in cut {
            out.extend(values(encoder.step(&mut state, rows(&features[10 * seen..10 * (seen + piece)]))));
            out.extend(values(encoder.step(&mut state, rows(&[]))));
            seen += piece;
            prop_assert_eq!(out.len() as u64, encoder.final_count(seen as u64) * width as u64);
        }
        let guess = values(encoder.flush(&mut state.clone()));
        let rest = values(encoder.flush(&mut state));
        prop_assert_eq!(&guess, &rest, "flushing a clone must not touch the stream");
        out.extend(rest);
        agree(&out, &offline)
    });
}

#[test]
fn streams_side_by_side_are_bit_for_bit_as_alone() {
    let encoders = encoders();
    for_cuttings(1..30usize, |n, cut, seed| {
        let encoder = &encoders[seed as usize % encoders.len()];
        let (a, b) = (noise(10 * n, seed), noise(10 * n, !seed));
        let (mut alone, mut beside, mut other, mut seen) = (encoder.start(), encoder.start(), encoder.start(), 0);
        for piece in cut {
            let x = rows(&a[10 * seen..10 * (seen + piece)]);
            // The neighbour is cut otherwise, and starts one row late.
            let y = rows(&b[10 * seen.saturating_sub(1)..10 * (seen + piece - 1)]);
            let together = encoder.step_batch(&mut [&mut other, &mut beside], vec![y, x.clone()]);
            prop_assert_eq!(values(together[1].clone()), values(encoder.step(&mut alone, x)));
            seen += piece;
        }
        prop_assert_eq!(values(encoder.flush(&mut beside)), values(encoder.flush(&mut alone)));
        let clips = encoder.offline_batch(vec![rows(&b[..10 * (n / 2)]), rows(&a)]);
        prop_assert_eq!(values(clips[1].clone()), values(encoder.offline(rows(&a))));
        Ok(())
    });
}

#[test]
fn clips_one_after_another_are_each_as_alone() {
    let encoders = encoders();
    for_cuttings(1..40usize, |n, cut, seed| {
        let encoder = &encoders[seed as usize % encoders.len()];
        let features = noise(10 * n, seed);
        let lengths: Vec<usize> = cut.iter().copied().filter(|length| *length > 0).collect();
        let (mut alone, mut from) = (Vec::new(), 0);
        for length in &lengths {
            alone.extend(values(encoder.offline(rows(&features[10 * from..10 * (from + length)]))));
            from += length;
        }
        agree(&values(Some(encoder.offline_joined(rows(&features[..10 * from]), &lengths))), &alone)
    });
}

#[test]
fn gradients_reach_every_parameter_of_the_encoder() {
    use burn::module::{Module, ModuleVisitor, Param};
    struct Count<'g>(&'g burn::tensor::Gradients, usize, Vec<Vec<usize>>);
    impl ModuleVisitor for Count<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match param.val().grad(self.0) {
                Some(gradient) if gradient.clone().abs().sum().into_scalar::<f32>() > 0.0 => self.1 += 1,
                _ => self.2.push(param.val().dims().to_vec()),
            }
        }
    }
    let device = Device::flex().autodiff();
    let config = AudioEncoderConfig::parse(Path::new("config.json"), ENCODERS[0]).unwrap();
    let encoder = AudioEncoder::load(&Weights::random(7, &device), &config).unwrap();
    let x = Tensor::from_data(TensorData::new(noise(200, 1), [20, 10]), &device);
    let output = encoder.offline(x.clone()).unwrap();
    let plain = AudioEncoder::load(&Weights::random(7, &Device::flex()), &config).unwrap();
    assert!(relative_error(&values(Some(output.clone())), &values(plain.offline(rows(&noise(200, 1))))) < 1e-5);
    let gradients = encoder.ctc_head(output).sum().backward();
    let mut count = Count(&gradients, 0, Vec::new());
    encoder.visit(&mut count);
    assert!(count.2.is_empty() && count.1 == 3 + 4 * 9 + 4 + 2, "{} parameters have gradients, these have none: {:?}", count.1, count.2);
}

#[test]
fn the_front_end_allocates_nothing_once_it_runs() {
    let front_end = front_end(1, 7, 7, 8);
    let (mut state, mut out) = (front_end.start(), Vec::new());
    let pieces: Vec<Waveform> = [80, 400, 1000, 1].map(|n| waveform(noise(n, 3))).into();
    let second = |state: &mut _, out: &mut Vec<f32>| {
        for piece in &pieces {
            out.clear();
            front_end.push(state, piece, out);
        }
    };
    (0..50).for_each(|_| second(&mut state, &mut out));
    let before = total_bytes();
    (0..500).for_each(|_| second(&mut state, &mut out));
    assert_eq!(total_bytes() - before, 0);
}

#[test]
fn ten_minutes_of_streamed_sound_run_in_constant_memory() {
    let front_end = front_end(1, 7, 7, 8);
    let encoder = &encoders()[0];
    let (mut hearing, mut encoding, mut features) = (front_end.start(), encoder.start(), Vec::new());
    // 0.96 s, so that every piece gives the same number of rows.
    let piece = waveform(noise(7680, 3));
    let narrow =
        |features: &[f32]| -> Vec<f32> { features.chunks_exact(front_end.output_width()).flat_map(|row| row[..10].to_vec()).collect() };
    let mut at_each_piece = Vec::with_capacity(625);
    for _ in 0..625 {
        let before = total_bytes();
        features.clear();
        front_end.push(&mut hearing, &piece, &mut features);
        drop(encoder.step(&mut encoding, rows(&narrow(&features))));
        at_each_piece.push((hearing.bytes(), encoding.bytes(), live_bytes(), total_bytes() - before));
    }
    let (settled, last) = (at_each_piece[4], at_each_piece[624]);
    assert!(at_each_piece[4..].iter().all(|(a, b, ..)| (*a, *b) == (settled.0, settled.1)), "the state grew from {settled:?} to {last:?}");
    assert_eq!(settled.2, last.2, "held memory changed");
    assert_eq!(settled.3, last.3, "a step allocates another amount at the end than at the start");
    // 4 layers of 3 past rows, and in two of them one row that waits, normed and as it was.
    assert_eq!(settled.1, 4 * 12 * (4 * 3 + 2 * 2));
}

#[test]
fn resampled_tones_stay_where_they_were() {
    let tone = |rate: u32, count: usize| -> Vec<f32> {
        (0..count).map(|i| 0.5 * (std::f32::consts::TAU * 1000.0 * i as f32 / rate as f32).sin()).collect()
    };
    for (from, to) in [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (16_000, 24_000)] {
        let whole = waveform(tone(from, from as usize / 5));
        let want = tone(to, to as usize / 5);
        // The live filter of an odd number of samples has its centre half a sample off.
        let half_sample = if from == 44_100 { std::f64::consts::PI * 1000.0 / f64::from(from) } else { 0.0 };
        for (resampled, shift) in [(resample(&whole, from, to), half_sample), (sinc_resample(&whole, from, to), 0.0)] {
            let resampled = resampled.unwrap();
            let got = resampled.samples();
            assert_eq!(got.len(), want.len());
            // Both ends see silence beyond the clip.
            let middle = want.len() / 4..want.len() * 3 / 4;
            let error = relative_error(&got[middle.clone()], &want[middle]);
            assert!(error < 5e-3 + shift, "{from} to {to}: {error}");
        }
    }
}
