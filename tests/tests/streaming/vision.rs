//! A live camera, cut anywhere: the same units, and the same rows for the language model.

use std::time::Duration;

use burn::tensor::{DType, Device};
use caracal_edge::Streaming;
use caracal_edge::vision::{
    CameraEvent, FrameSampler, LiveUnit, Picture, PreprocessConfig, Preprocessor, RopeTable, VisionEncoder, VitConfig,
};
use caracal_kernels::Weights;
use caracal_tests::streaming::{CUTTINGS, cuttings, relative_error};
use proptest::prelude::*;
use serde_json::json;

/// Cap on the patches of a live unit: small, so that hundreds of sessions are quick.
const PATCHES_MAX: u64 = 8;

struct Eyes {
    preprocessor: Preprocessor,
    encoder: VisionEncoder,
}

impl Eyes {
    fn new() -> Self {
        let vit: VitConfig = serde_json::from_value(json!({
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24, "patch_size": 4, "adaptor_dim": 12,
        }))
        .unwrap();
        let preprocess: PreprocessConfig =
            serde_json::from_value(json!({ "patch_size": 4, "resize_factor": 2, "relarge_ratio": 1, "min_tokens": 4, "max_tokens": 32 }))
                .unwrap();
        let weights = Weights::random(5, &Device::flex());
        Self {
            preprocessor: Preprocessor::new(&preprocess),
            encoder: VisionEncoder::load(&weights, &weights, &vit, 8, RopeTable::Demo).unwrap(),
        }
    }

    /// Rows for the language model, all units one after the other.
    fn see(&self, units: &[LiveUnit<u32>]) -> Vec<f32> {
        let one = |unit: &LiveUnit<u32>| match unit {
            LiveUnit::Dense { pictures: [first, second], .. } => {
                self.preprocessor.live(&[&picture(*first), &picture(*second)], PATCHES_MAX).unwrap()
            }
            LiveUnit::Sparse { picture: only, .. } => self.preprocessor.live(&[&picture(*only)], PATCHES_MAX).unwrap(),
        };
        let units: Vec<_> = units.iter().map(one).collect();
        let with_targets: Vec<_> = units.iter().map(|unit| (unit, unit.grid.tokens())).collect();
        self.encoder
            .embed(&with_targets)
            .into_iter()
            .flat_map(|rows| rows.into_data_dtype(DType::F32).try_into_vec::<f32>().unwrap())
            .collect()
    }
}

fn picture(seed: u32) -> Picture {
    let rgb = (0..3 * 12 * 20).map(|i: u32| (i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    Picture::new("camera", 12, 20, rgb).unwrap()
}

/// A session: pictures every so many milliseconds, and speech that begins and stops at random.
fn session() -> impl Strategy<Value = Vec<CameraEvent<u32>>> {
    (40u64..1500, 1u64..14_000, prop::collection::vec(1u64..4000, 0..6)).prop_map(|(every, length, spans)| {
        let mut events: Vec<(u64, CameraEvent<u32>)> =
            (0..length.div_ceil(every)).map(|i| (i * every, CameraEvent::Picture(Duration::from_millis(i * every), i as u32))).collect();
        let mut at = 0;
        for (index, span) in spans.into_iter().enumerate() {
            at += span;
            let time = Duration::from_millis(at);
            events.push((at, if index % 2 == 0 { CameraEvent::SpeechStarted(time) } else { CameraEvent::SpeechStopped(time) }));
        }
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event).collect()
    })
}

fn session_and_cutting() -> impl Strategy<Value = (Vec<CameraEvent<u32>>, Vec<usize>)> {
    session().prop_flat_map(|events| {
        let cut = cuttings(events.len());
        (Just(events), cut)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CUTTINGS))]

    #[test]
    fn any_cutting_of_a_camera_stream_gives_the_units_and_rows_of_the_whole((events, cut) in session_and_cutting()) {
        let eyes = Eyes::new();
        let sampler = FrameSampler::new();
        let whole = sampler.offline(events.clone());
        let (mut units, mut rows) = (Vec::new(), Vec::new());
        let mut state = sampler.start();
        let mut rest = events.as_slice();
        let mut take = |piece: Option<Vec<LiveUnit<u32>>>| {
            let piece = piece.unwrap_or_default();
            rows.extend(eyes.see(&piece));
            units.extend(piece);
        };
        for length in cut {
            let (piece, later) = rest.split_at(length);
            take(sampler.step(&mut state, piece.to_vec()));
            rest = later;
        }
        take(sampler.flush(&mut state));
        prop_assert_eq!(&units, &whole);
        prop_assert!(relative_error(&rows, &eyes.see(&whole)) <= 1e-5);
        prop_assert_eq!(&whole, &by_definition(&events), "the rules, second by second");
    }
}

/// The rules, applied to each second of a recorded session with the whole session in view.
fn by_definition(events: &[CameraEvent<u32>]) -> Vec<LiveUnit<u32>> {
    let time = |event: &CameraEvent<u32>| match event {
        CameraEvent::Picture(at, _) | CameraEvent::SpeechStarted(at) | CameraEvent::SpeechStopped(at) => at.as_millis() as u64,
    };
    let Some(last) = events.last() else { return Vec::new() };
    let (mut units, mut speaking, mut rhythm, mut skipped) = (Vec::new(), false, None, None);
    for packet in 0..=time(last) / 1000 {
        let here: Vec<_> = events.iter().filter(|event| time(event) / 1000 == packet).collect();
        let dense = speaking || here.iter().any(|event| matches!(event, CameraEvent::SpeechStarted(_)));
        for event in &here {
            match event {
                CameraEvent::SpeechStarted(_) => speaking = true,
                CameraEvent::SpeechStopped(_) => speaking = false,
                CameraEvent::Picture(..) => {}
            }
        }
        let first_of = |from: u64, to: u64| {
            here.iter().find_map(|event| match event {
                CameraEvent::Picture(_, picture) if (from..to).contains(&(time(event) % 1000)) => Some(*picture),
                _ => None,
            })
        };
        let (first, second) = (first_of(0, 500), first_of(500, 1000));
        let pair = first.or(second).zip(second.or(first));
        let before = std::mem::take(&mut skipped);
        match pair {
            Some((first, second)) if dense => {
                units.extend(before);
                units.push(LiveUnit::Dense { packet, pictures: [first, second] });
            }
            None if dense => units.extend(before),
            Some((first, _)) if rhythm.is_none_or(|since| packet >= since + 2) => {
                units.push(LiveUnit::Sparse { packet, picture: first });
                rhythm = Some(packet);
            }
            Some((first, _)) => skipped = Some(LiveUnit::Sparse { packet, picture: first }),
            None => {}
        }
        if dense {
            rhythm = None;
        }
    }
    units
}
