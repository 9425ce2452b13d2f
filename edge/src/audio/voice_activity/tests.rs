//! Spans of speech from made-up probabilities.

use super::*;

const W: u64 = VAD_WINDOW_SAMPLES as u64;

/// One window per value.
fn windows(probabilities: &[f32]) -> impl Iterator<Item = SpeechProbability> {
    probabilities.iter().zip(0..).map(|(p, i)| SpeechProbability { start: i * W, probability: *p })
}

fn events(config: VoiceActivityConfig, probabilities: &[f32]) -> Vec<VoiceEvent> {
    let mut activity = VoiceActivity::new(config);
    windows(probabilities).filter_map(|w| activity.handle(w)).collect()
}

/// Without lead-in and lead-out, so that positions are those of the windows.
fn bare(onset_windows: u64, offset_windows: u64) -> VoiceActivityConfig {
    VoiceActivityConfig {
        onset_span: Micros(onset_windows * 32_000),
        offset_span: Micros(offset_windows * 32_000),
        lead_in: Micros(0),
        lead_out: Micros(0),
        ..Default::default()
    }
}

fn started(at: u64, decided_at: u64) -> VoiceEvent {
    VoiceEvent::Started { at: at * W, decided_at: decided_at * W }
}

fn stopped(at: u64, decided_at: u64, brief: bool) -> VoiceEvent {
    VoiceEvent::Stopped { at: at * W, decided_at: decided_at * W, brief }
}

#[test]
fn speech_is_believed_after_its_span_and_dated_back_to_its_first_window() {
    let p = [0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(events(bare(1, 1), &p), [started(1, 2), stopped(6, 7, false)]);
    assert_eq!(events(bare(2, 3), &p), [started(1, 3), stopped(6, 9, false)]);
    assert_eq!(events(bare(5, 4), &p), [started(1, 6), stopped(6, 10, false)]);
    assert_eq!(events(bare(6, 4), &p), [], "five windows are too short for a span of six");
}

#[test]
fn between_the_thresholds_nothing_changes() {
    assert_eq!(events(bare(1, 1), &[0.4, 0.49, 0.36]), []);
    assert_eq!(events(bare(1, 1), &[0.5, 0.4, 0.36, 0.49, 0.35]), [started(0, 1)], "0.35 is not below 0.35");
    assert_eq!(events(bare(2, 1), &[0.5, 0.4, 0.5]), [started(0, 3)], "a dip to the gap does not end the rise");
    assert_eq!(events(bare(2, 1), &[0.5, 0.3, 0.5, 0.4]), [], "a dip below it does");
    assert_eq!(events(bare(1, 3), &[0.5, 0.1, 0.4, 0.1, 0.9]), [started(0, 1), stopped(1, 4, true), started(4, 5)]);
    assert_eq!(events(bare(1, 3), &[0.9, 0.1, 0.9, 0.1, 0.1, 0.9]), [started(0, 1)], "loud windows restart the silent span");
}

#[test]
fn a_noise_shorter_than_any_word_is_brief() {
    let brief = |n: usize| {
        let p: Vec<f32> = std::iter::repeat_n(0.9, n).chain([0.0]).collect();
        events(bare(1, 1), &p)[1]
    };
    assert_eq!(brief(2), stopped(2, 3, true));
    assert_eq!(brief(3), stopped(3, 4, false), "96 ms are not below 96 ms");
}

#[test]
fn only_a_turn_of_nothing_but_a_brief_noise_is_withdrawn() {
    assert_eq!(started(0, 1).turn_input(false), TurnInput::SpeechStart);
    assert_eq!(stopped(1, 2, true).turn_input(false), TurnInput::SpeechWithdrawn);
    assert_eq!(stopped(1, 2, true).turn_input(true), TurnInput::SpeechStop);
    assert_eq!(stopped(9, 9, false).turn_input(false), TurnInput::SpeechStop);
}

#[test]
fn lead_in_and_lead_out_widen_spans_without_overlap() {
    let config = VoiceActivityConfig { lead_in: Micros(160_000), lead_out: Micros(64_000), ..bare(1, 1) };
    let p = [0.0, 0.9, 0.0, 0.0, 0.9, 0.9, 0.0, 0.9];
    let got = events(config, &p);
    let at = |event: &VoiceEvent| match event {
        VoiceEvent::Started { at, .. } | VoiceEvent::Stopped { at, .. } => *at,
    };
    // Speech at window 1 begins before the stream does; windows 2 and 3 go to the first span, whose end the second
    // cannot precede; the third begins inside the lead-out of the second.
    assert_eq!(got.iter().map(at).collect::<Vec<_>>(), [0, 4 * W, 4 * W, 8 * W, 8 * W]);
}

#[test]
fn a_probability_that_is_no_number_decides_nothing() {
    assert_eq!(events(bare(1, 1), &[f32::NAN, 0.9, f32::NAN, 0.0]), [started(1, 2), stopped(3, 4, true)]);
}

#[test]
#[should_panic(expected = "offset 0.9 is above onset 0.5")]
fn crossed_thresholds_are_refused() {
    VoiceActivity::new(VoiceActivityConfig { offset: 0.9, ..Default::default() });
}

/// A small generator, so that this crate needs no test library.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *seed >> 33
}

#[test]
fn events_alternate_and_positions_never_go_back() {
    for mut seed in 0..300u64 {
        let mut span = || Micros(random(&mut seed) % 300_000);
        let config = VoiceActivityConfig {
            onset_span: span(),
            offset_span: span(),
            shortest_speech: span(),
            lead_in: span(),
            lead_out: span(),
            ..Default::default()
        };
        let p: Vec<f32> = (0..400).map(|_| (random(&mut seed) % 1000) as f32 / 999.0).collect();
        let (mut speaking, mut last, mut decided) = (false, 0, 0);
        for event in events(config, &p) {
            let at = match event {
                VoiceEvent::Started { at, decided_at } => {
                    assert!(!speaking && at <= decided_at.max(last), "{config:?} {event:?}");
                    at
                }
                VoiceEvent::Stopped { at, .. } => {
                    assert!(speaking, "{config:?} {event:?}");
                    at
                }
            };
            assert!(at >= last && event.decided_at() > decided, "{config:?} {event:?} after {last}");
            (speaking, last, decided) = (!speaking, at, event.decided_at());
        }
    }
}
