//! Hops from files, pipes and memory.

use std::io::Read;

use super::*;

/// A WAV file of 16-bit samples; `stated` replaces both lengths.
fn wav(channels: u16, rate: u32, samples: &[i16], stated: Option<u32>) -> Vec<u8> {
    let bytes = samples.len() as u32 * 2;
    let mut out = Vec::new();
    out.extend(b"RIFF");
    out.extend(stated.unwrap_or(36 + bytes).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16u32.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend(channels.to_le_bytes());
    out.extend(rate.to_le_bytes());
    out.extend((rate * u32::from(channels) * 2).to_le_bytes());
    out.extend((channels * 2).to_le_bytes());
    out.extend(16u16.to_le_bytes());
    out.extend(b"data");
    // A placeholder for the whole file is one for its samples, less the header where it does not mean "unknown".
    let data = stated.map_or(bytes, |stated| if stated == u32::MAX { stated } else { stated - 36 });
    out.extend(data.to_le_bytes());
    out.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    out
}

/// A pipe that gives what it has in pieces of a few bytes.
struct Trickle {
    bytes: Vec<u8>,
    given: usize,
    piece: usize,
}

impl Read for Trickle {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = into.len().min(self.piece).min(self.bytes.len() - self.given);
        into[..count].copy_from_slice(&self.bytes[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

fn pipe(bytes: Vec<u8>, piece: usize) -> Result<SoundFile, SourceError> {
    SoundFile::from_reader(Path::new("pipe"), Trickle { bytes, given: 0, piece })
}

fn all(mut source: impl Source<Item = Hop>) -> Result<Vec<f32>, SourceError> {
    let mut samples = Vec::new();
    while let Some(hop) = source.next()? {
        assert_eq!(hop.position, samples.len() as u64, "positions are exact");
        samples.extend(hop.samples);
    }
    Ok(samples)
}

fn ramp(count: usize) -> Vec<i16> {
    (0..count).map(|i| ((i * 37) % 20_001) as i16 - 10_000).collect()
}

fn floats(samples: &[i16], padded: usize) -> Vec<f32> {
    let mut floats: Vec<f32> = samples.iter().map(|s| f32::from(*s) / 32768.0).collect();
    floats.resize(padded, 0.0);
    floats
}

#[test]
fn a_pipe_gives_every_sample_however_it_is_cut_and_whatever_length_it_states() {
    let samples = ramp(16_000 + 77);
    let want = floats(&samples, 16_160);
    for stated in [None, Some(u32::MAX), Some(0x7fff_ffff), Some(0x8000_0000), Some(0x7fff_f024)] {
        for piece in [1, 7, 4096, 1 << 20] {
            let got = all(pipe(wav(1, 16_000, &samples, stated), piece).expect("a WAV header")).expect("undamaged");
            assert!(got == want, "stated {stated:?}, pieces of {piece}: {} samples", got.len());
        }
    }
}

#[test]
fn a_file_that_ends_before_its_header_says_so_is_refused_after_what_it_holds() {
    let mut whole = wav(1, 16_000, &ramp(16_000), None);
    whole.truncate(20_001);
    let mut source = pipe(whole, 4096).expect("a WAV header");
    let mut hops = 0;
    let error = loop {
        match source.next() {
            Ok(Some(_)) => hops += 1,
            Ok(None) => panic!("the file ended as if it were whole"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(hops > 50 && error.contains("pipe: no usable WAV"), "{hops}: {error}");
    assert!(matches!(source.next(), Ok(None)), "an error is the end");
}

#[test]
fn other_rates_and_channels_become_16_khz_mono() {
    for (rate, channels) in [(8_000, 1), (44_100, 2), (48_000, 1)] {
        let tone = |i: usize| ((i as f32 * 440.0 / rate as f32 * std::f32::consts::TAU).sin() * 8_000.0) as i16;
        let samples: Vec<i16> = (0..rate as usize).flat_map(|i| std::iter::repeat_n(tone(i), channels)).collect();
        let got = all(pipe(wav(channels as u16, rate, &samples, None), 1000).expect("a header")).expect("undamaged");
        assert_eq!(got.len(), 16_000, "{rate}");
        let energy = got[1600..14_400].iter().map(|s| s * s).sum::<f32>() / 12_800.0;
        let want = (8_000.0f32 / 32_768.0).powi(2) / 2.0;
        assert!((energy / want - 1.0).abs() < 0.02, "{rate} Hz, {channels} channels: {energy} for {want}");
    }
}

#[test]
fn files_of_the_repository_are_read() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
    let wav = all(SoundFile::open(&data.join("demo/question_short.wav")).expect("a file")).expect("undamaged");
    assert_eq!(wav.len(), 40_000);
    let flac = all(SoundFile::open(&data.join("audio/ramp.flac")).expect("a file")).expect("undamaged");
    assert_eq!(flac.len(), 4_000);
    assert!(all(SoundFile::open(&data.join("audio/tone.mp3")).expect("a file")).expect("undamaged").len() >= 4_000);
    let error = SoundFile::open(&data.join("audio/none.wav")).err().expect("no such file").to_string();
    assert!(error.contains("none.wav: cannot be read"), "{error}");
    let error = SoundFile::open(&data.join("README.md")).err().expect("no sound").to_string();
    assert!(error.contains("README.md: no usable WAV, FLAC or MP3 file"), "{error}");
}

#[test]
fn a_sample_that_is_no_number_is_named_by_its_place_in_the_file() {
    let mut bytes = wav(1, 16_000, &[0; 8_000], None);
    bytes[20] = 3;
    bytes[32] = 4;
    bytes[34] = 32;
    let at = 44 + 4 * 3_000;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = all(pipe(bytes, 4096).expect("a header")).expect_err("no number").to_string();
    assert!(error.starts_with("pipe: sample 3000 is NaN"), "{error}");
}

#[test]
fn silence_follows_at_exact_positions() {
    let clip = || SoundClip::new(Waveform::new(vec![0.5; 200]).expect("numbers"), 16_000).expect("a rate");
    assert_eq!(all(ThenSilence::new(clip(), Some(0))).expect("memory").len(), 320);
    let got = all(ThenSilence::new(clip(), Some(3))).expect("memory");
    assert_eq!(got.len(), 320 + 480);
    assert!(got[..200].iter().all(|s| *s == 0.5) && got[200..].iter().all(|s| *s == 0.0));
    let mut endless = ThenSilence::new(clip(), None);
    for hop in 0..1000u64 {
        assert_eq!(endless.next().expect("memory").expect("never ends").position, hop * 160);
    }
    assert!(endless.ended());
    let empty = SoundClip::new(Waveform::default(), 16_000).expect("a rate");
    assert!(all(empty).expect("memory").is_empty());
}
