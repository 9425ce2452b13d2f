//! The codec's streaming modules, and what a live conversation needs of the decoder.

use std::path::Path;

use burn::tensor::{Device, Distribution, Tensor};
use caracal_edge::Streaming;
use caracal_edge::codec::memory::Memory;
use caracal_edge::codec::residual_unit::ResidualUnit;
use caracal_edge::codec::stream_conv::{Padding, StreamConv};
use caracal_edge::codec::upsample::Upsample;
use caracal_edge::codec::{AudioDecoder, CodecFrame, CodecIds, DecoderConfig, Trace};
use caracal_kernels::Weights;
use caracal_kernels::layers::Lstm;
use caracal_tests::streaming::{CUTTINGS, cuttings, relative_error};
use proptest::prelude::*;
use serde_json::json;

/// Every module computes each output alone, in one order, whatever the piece: the law holds to the last bit, which is
/// well within the 1e-5 that is promised.
const LAW: f64 = 1e-5;
const PADDINGS: [Padding; 2] = [Padding::Causal, Padding::Symmetric];

fn config(decoder_type: &str, rates: &[usize]) -> DecoderConfig {
    let fields = json!({
        "codec_dimension": 6, "semantic_dim": 5, "decoder_dim": 48, "codec_dec_ratios": rates, "decoder_type": decoder_type,
        "codec_codebooks": 3, "codec_codebook_size": 7, "codec_codebook_search_dim": 4, "semantic_token_nums": 50,
    });
    DecoderConfig::from_value(Path::new("config.yaml"), fields).unwrap()
}

fn decoder(decoder_type: &str, rates: &[usize]) -> (AudioDecoder, CodecIds) {
    let config = config(decoder_type, rates);
    (AudioDecoder::load(&Weights::random(7, &Device::flex()), &config).unwrap(), CodecIds::new(&config))
}

fn frames(ids: &CodecIds, count: usize, seed: usize) -> Vec<CodecFrame> {
    let code = |t: usize, book: usize, codes: usize| ((t * 31 + book * 17 + seed * 7) * 2_654_435_761 % 4_294_967_291 % codes) as i64;
    (0..count).map(|t| ids.frame(code(t, 0, 50), &[code(t, 1, 49), code(t, 2, 49), code(t, 3, 49)]).unwrap()).collect()
}

/// Cuts 0 to `longest` things into pieces.
fn pieces(longest: usize) -> impl Strategy<Value = Vec<usize>> {
    (0..=longest).prop_flat_map(cuttings)
}

fn stream(decoder: &AudioDecoder, frames: &[CodecFrame], pieces: &[usize]) -> Vec<f32> {
    let (mut state, mut from) = (decoder.start(), 0);
    let mut sound = Vec::new();
    for piece in pieces {
        sound.extend(decoder.step(&mut state, frames[from..from + piece].to_vec()).unwrap_or_default());
        from += piece;
    }
    sound.extend(decoder.flush(&mut state).unwrap_or_default());
    sound
}

fn rows(count: usize, channels: usize) -> Tensor<2> {
    Tensor::random([count, channels], Distribution::Uniform(-2.0, 2.0), &Device::flex())
}

fn values(parts: impl IntoIterator<Item = Option<Tensor<2>>>) -> Vec<f32> {
    parts.into_iter().flatten().flat_map(|t| t.into_data().try_into_vec::<f32>().unwrap()).collect()
}

/// Runs rows in pieces through `advance(state, piece, end)`, and in one piece; compares.
fn law<S>(
    x: &Tensor<2>,
    pieces: &[usize],
    start: impl Fn() -> S,
    advance: impl Fn(&mut S, Option<Tensor<2>>, bool) -> Option<Tensor<2>>,
) -> f64 {
    let whole = values([advance(&mut start(), Some(x.clone()), true)]);
    let (mut state, mut from) = (start(), 0);
    let mut parts = Vec::new();
    for piece in pieces {
        parts.push(advance(&mut state, Some(x.clone().slice_dim(0, from..from + piece)), false));
        from += piece;
    }
    parts.push(advance(&mut state, None, true));
    relative_error(&values(parts), &whole)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CUTTINGS))]

    #[test]
    fn causal_decoder(pieces in pieces(14), seed in 0usize..1000) {
        let (decoder, ids) = decoder("24k", &[4, 3, 5]);
        let frames = frames(&ids, pieces.iter().sum(), seed);
        let whole = decoder.offline(&frames);
        prop_assert_eq!(whole.len(), frames.len() * 60);
        prop_assert!(relative_error(&stream(&decoder, &frames, &pieces), &whole) <= LAW);
    }

    #[test]
    fn symmetric_decoder(pieces in pieces(24), seed in 0usize..1000) {
        let (decoder, ids) = decoder("16k", &[4, 3, 5]);
        let frames = frames(&ids, pieces.iter().sum(), seed);
        let whole = decoder.offline(&frames);
        prop_assert_eq!(whole.len(), frames.len() * 60);
        prop_assert!(relative_error(&stream(&decoder, &frames, &pieces), &whole) <= LAW);
    }

    #[test]
    fn lstm(pieces in (1usize..30).prop_flat_map(cuttings)) {
        let lstm = Lstm::load(&Weights::random(3, &Device::flex()), 13, 21).unwrap();
        let x = rows(pieces.iter().sum(), 13);
        prop_assert!(law(&x, &pieces, || lstm.start(), |state, x, _| x.map(|x| lstm.forward(state, x))) <= LAW);
    }

    #[test]
    fn memory(pieces in (1usize..30).prop_flat_map(cuttings)) {
        let memory = Memory::load(&Weights::random(3, &Device::flex()), 19).unwrap();
        let x = rows(pieces.iter().sum(), 19);
        let error = law(&x, &pieces, || memory.start(), |state, x, _| x.map(|x| memory.advance(state, x, &mut Trace::off())));
        prop_assert!(error <= LAW);
    }

    #[test]
    fn convolution(pieces in (1usize..60).prop_flat_map(cuttings), taps in prop::sample::select(vec![1usize, 3, 7]), dilation in 1usize..4, symmetric: bool) {
        let conv = StreamConv::load(&Weights::random(3, &Device::flex()), 5, 9, taps, dilation, PADDINGS[usize::from(symmetric)]).unwrap();
        let x = rows(pieces.iter().sum(), 5);
        prop_assert!(law(&x, &pieces, || conv.start(), |state, x, end| conv.advance(state, x, end)) <= LAW);
    }

    #[test]
    fn residual_unit(pieces in (1usize..90).prop_flat_map(cuttings), dilation in prop::sample::select(vec![1usize, 3, 9]), symmetric: bool) {
        let unit = ResidualUnit::load(&Weights::random(3, &Device::flex()), 6, dilation, PADDINGS[usize::from(symmetric)]).unwrap();
        let x = rows(pieces.iter().sum(), 6);
        prop_assert!(law(&x, &pieces, || unit.start(), |state, x, end| unit.advance(state, x, end)) <= LAW);
    }

    #[test]
    fn upsampling(pieces in (1usize..20).prop_flat_map(cuttings), stride in 1usize..9, symmetric: bool) {
        let upsample = Upsample::load(&Weights::random(3, &Device::flex()), 6, 4, stride, PADDINGS[usize::from(symmetric)]).unwrap();
        let x = rows(pieces.iter().sum(), 6);
        let whole = values([upsample.advance(&mut upsample.start(), Some(x.clone()), true)]);
        prop_assert_eq!(whole.len(), x.dims()[0] * stride * 4);
        prop_assert!(law(&x, &pieces, || upsample.start(), |state, x, end| upsample.advance(state, x, end)) <= LAW);
    }

    #[test]
    fn two_replies_through_one_decoder_do_not_hear_each_other(pieces in pieces(10), seed in 0usize..1000) {
        let (decoder, ids) = decoder("24k", &[2, 3]);
        let count = pieces.iter().sum();
        let replies = [frames(&ids, count, seed), frames(&ids, count, seed + 1)];
        let mut states = [decoder.start(), decoder.start()];
        let mut sounds = [Vec::new(), Vec::new()];
        let mut from = 0;
        for piece in &pieces {
            for ((reply, state), sound) in replies.iter().zip(&mut states).zip(&mut sounds) {
                sound.extend(decoder.step(state, reply[from..from + piece].to_vec()).unwrap_or_default());
            }
            from += piece;
        }
        for ((reply, mut state), mut sound) in replies.iter().zip(states).zip(sounds) {
            sound.extend(decoder.flush(&mut state).unwrap_or_default());
            prop_assert_eq!(sound, decoder.offline(reply));
        }
    }
}

#[test]
fn the_first_samples_come_with_the_fourth_frame() {
    let (decoder, ids) = decoder("24k", &[8, 6, 6, 5][..3]);
    assert_eq!(decoder.frames_to_first_sample(), 4);
    let mut state = decoder.start();
    let heard = frames(&ids, 6, 1).into_iter().map(|frame| decoder.step(&mut state, vec![frame]).map_or(0, |sound| sound.len()));
    let samples = decoder.samples_per_frame();
    assert_eq!(heard.collect::<Vec<_>>(), [0, 0, 0, samples, samples, samples]);
}

#[test]
fn the_symmetric_decoder_waits_exactly_as_long_as_it_says() {
    for rates in [&[8, 6, 5, 4][..], &[4, 3], &[2], &[5, 5, 3]] {
        let (decoder, ids) = decoder("16k", rates);
        let mut state = decoder.start();
        let first = frames(&ids, 40, 1).into_iter().position(|frame| decoder.step(&mut state, vec![frame]).is_some()).unwrap();
        assert_eq!(first + 1, decoder.frames_to_first_sample(), "{rates:?}");
    }
}

#[test]
fn a_flushed_copy_leaves_the_stream_as_it_was() {
    for decoder_type in ["24k", "16k"] {
        let (decoder, ids) = decoder(decoder_type, &[4, 3]);
        let frames = frames(&ids, 12, 5);
        let mut state = decoder.start();
        let mut sound = decoder.step(&mut state, frames[..7].to_vec()).unwrap_or_default();
        let provisional = [sound.clone(), decoder.flush(&mut state.clone()).unwrap_or_default()].concat();
        assert_eq!(provisional, decoder.offline(&frames[..7]));
        sound.extend(decoder.step(&mut state, frames[7..].to_vec()).unwrap_or_default());
        sound.extend(decoder.flush(&mut state).unwrap_or_default());
        assert_eq!(sound, decoder.offline(&frames));
    }
}

#[test]
fn nothing_in_gives_nothing_out() {
    for decoder_type in ["24k", "16k"] {
        let (decoder, _) = decoder(decoder_type, &[4, 3]);
        assert_eq!(decoder.offline(&[]), Vec::<f32>::new());
        let mut state = decoder.start();
        assert_eq!(decoder.step(&mut state, Vec::new()), None);
        assert_eq!(decoder.flush(&mut state), None);
    }
}

#[test]
fn gradients_reach_every_parameter_and_the_differentiated_values_are_the_same() {
    for decoder_type in ["24k", "16k"] {
        let config = config(decoder_type, &[4, 3]);
        let frames = frames(&CodecIds::new(&config), 6, 3);
        let load = |device: &Device| AudioDecoder::load(&Weights::random(7, device), &config).unwrap();
        let decoder = load(&Device::flex().autodiff());
        let sound = decoder.forward(&frames).unwrap();
        let want = load(&Device::flex()).offline(&frames);
        assert!(relative_error(&values([Some(sound.clone().inner())]), &want) <= LAW);
        let grads = sound.square().sum().backward();
        let first = decoder.first.conv.weight.val().grad(&grads).expect("the first convolution takes part");
        let recurrent = decoder.memory.lstm1.weight_hh.val().grad(&grads).expect("the first LSTM takes part");
        let frequency = decoder.blocks[1].units[2].snake_mid.alpha.val().grad(&grads).expect("the last block's snakes take part");
        let phases = decoder.blocks[0].upsample.weight.val().grad(&grads).expect("transposed convolutions take part");
        for (what, largest) in [
            ("first", first.abs().max()),
            ("recurrent", recurrent.abs().max()),
            ("alpha", frequency.abs().max()),
            ("phases", phases.abs().max()),
        ] {
            let largest = largest.into_scalar::<f32>();
            assert!(largest.is_finite() && largest > 0.0, "{what}: {largest}");
        }
    }
}

/// 10 minutes are 10,000 frames of 60 ms; the symmetric decoder holds all its look-ahead after the first few.
#[test]
fn ten_minutes_of_speech_hold_no_more_than_the_first_seconds() {
    const SETTLED: usize = 50;
    for decoder_type in ["24k", "16k"] {
        let (decoder, ids) = decoder(decoder_type, &[3, 2]);
        let mut state = decoder.start();
        let frames = frames(&ids, 17, 2);
        let mut held = 0;
        for t in 0..10_000 {
            decoder.step(&mut state, vec![frames[t % 17].clone()]);
            if t == SETTLED {
                held = state.bytes();
            }
            assert!(
                t < SETTLED || state.bytes() == held,
                "{decoder_type}: {} bytes after {t} frames, {held} after {SETTLED}",
                state.bytes()
            );
        }
    }
}
