//! Every picture and every sound is placed once, in order.

use caracal_shared::prompt::{ChunkRhythm, InterleaveError, Part, Strategy as Mix, interleave};
use caracal_shared::rates::{AUDIO_EMBEDDING_MS, DENSE_CHUNK_MS, SECOND_MS};
use proptest::prelude::*;

fn audio(parts: &[Part]) -> u64 {
    parts.iter().map(|part| if let Part::Audio(count) = part { u64::from(*count) } else { 0 }).sum()
}

/// Units in order, all audio, and one pair of markers right around it.
fn well_formed(parts: &[Part], units: usize, tokens: u32) -> Result<(), TestCaseError> {
    let placed: Vec<usize> = parts.iter().filter_map(|part| if let Part::Unit(index) = part { Some(*index) } else { None }).collect();
    prop_assert_eq!(placed, (0..units).collect::<Vec<_>>());
    prop_assert_eq!(audio(parts), u64::from(tokens));
    prop_assert!(!parts.contains(&Part::Audio(0)));
    let at = |wanted: fn(&Part) -> bool| parts.iter().enumerate().filter(|(_, part)| wanted(part)).map(|(i, _)| i).collect::<Vec<_>>();
    let (starts, ends, sounds) = (at(|p| *p == Part::AudioStart), at(|p| *p == Part::AudioEnd), at(|p| matches!(p, Part::Audio(_))));
    if tokens == 0 {
        prop_assert!(starts.is_empty() && ends.is_empty());
    } else {
        prop_assert_eq!((starts.len(), ends.len()), (1, 1));
        prop_assert!(starts[0] < sounds[0] && *sounds.last().unwrap() + 1 == ends[0]);
        prop_assert!(starts[0] > 0, "the audio starts after the first unit");
    }
    Ok(())
}

proptest! {
    #[test]
    fn sequential_places_everything_once(chunks in 1usize..40, per_chunk in 1u32..5, tokens in 0u32..2000) {
        let strategy = Mix::Sequential { chunk_ms: per_chunk * DENSE_CHUNK_MS, unit_ms: DENSE_CHUNK_MS };
        let units = chunks * per_chunk as usize;
        well_formed(&interleave(units, tokens, strategy).unwrap(), units, tokens)?;
    }

    #[test]
    fn sequential_audio_keeps_to_its_second(chunks in 2usize..40, tokens in 1u32..600) {
        let parts = interleave(chunks, tokens, Mix::Sequential { chunk_ms: SECOND_MS, unit_ms: SECOND_MS }).unwrap();
        let surplus = parts.iter().take_while(|part| matches!(part, Part::Unit(_))).count() - 1;
        for (end, part) in parts.iter().enumerate() {
            let Part::Unit(unit) = part else { continue };
            // Before the picture of second k stands the sound of the k seconds before it, as many whole embeddings as fit.
            let seconds = unit.saturating_sub(surplus) as u64;
            prop_assert_eq!(audio(&parts[..end]), seconds * u64::from(SECOND_MS) / u64::from(AUDIO_EMBEDDING_MS));
        }
    }

    #[test]
    fn average_places_everything_once(units in 1usize..40, tokens in 0u32..400) {
        let parts = interleave(units, tokens, Mix::Average { parity: false }).unwrap();
        well_formed(&parts, units, tokens)?;
    }

    #[test]
    fn the_published_average_places_the_same(units in 1usize..40, tokens in 1u32..400) {
        let ours = interleave(units, tokens, Mix::Average { parity: false }).unwrap();
        let mut published = interleave(units, tokens, Mix::Average { parity: true }).unwrap();
        // Its only difference where there is sound: a single unit has no end marker.
        if units == 1 {
            prop_assert_eq!(published.last(), Some(&Part::Audio(tokens)));
            published.push(Part::AudioEnd);
        }
        prop_assert_eq!(published, ours);
    }

    #[test]
    fn rhythm_keeps_time_where_it_can(chunk in 1u32..50) {
        let chunk_ms = chunk * DENSE_CHUNK_MS;
        let rhythm = ChunkRhythm::of(chunk_ms);
        let total: u64 = (0..1000).map(|i| u64::from(rhythm.count(i))).sum();
        prop_assert_eq!(total, u64::from(chunk_ms) * 1000 / u64::from(AUDIO_EMBEDDING_MS));
    }
}

#[test]
fn the_published_average_without_sound_ends_again_and_again() {
    let parts = interleave(3, 0, Mix::Average { parity: true }).unwrap();
    assert_eq!(parts, [Part::Unit(0), Part::AudioStart, Part::Unit(1), Part::AudioEnd, Part::Unit(2), Part::AudioEnd]);
}

#[test]
fn what_does_not_fit_together_is_named() {
    let second = |chunk_ms, unit_ms| Mix::Sequential { chunk_ms, unit_ms };
    assert_eq!(interleave(0, 5, second(1000, 1000)), Err(InterleaveError::NoUnits));
    assert_eq!(interleave(0, 5, Mix::Average { parity: false }), Err(InterleaveError::NoUnits));
    assert_eq!(interleave(5, 40, second(2000, 1000)), Err(InterleaveError::Incomplete { units: 5, per_chunk: 2, needed: 6 }));
    for (chunk_ms, unit_ms) in [(0, 1000), (1000, 0), (2000, 2000), (1000, 300)] {
        assert_eq!(interleave(2, 5, second(chunk_ms, unit_ms)), Err(InterleaveError::Chunk { chunk_ms, unit_ms }));
    }
    assert!(interleave(2, u32::MAX, second(1000, 1000)).is_ok(), "a huge count is only a number here");
}
