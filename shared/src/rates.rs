//! Every rate of the system, named once; the rest is derived from them.
//!
//! Source: LongCat-Flash-Omni technical report §2.2 and §2.4.2; LongCat-Audio-Codec (16.67 Hz frames).

/// Milliseconds in a second.
pub const SECOND_MS: u32 = 1000;

/// Samples per second that the audio encoder hears.
pub const HEARING_HZ: u32 = 16_000;

/// Samples between two fbank frames: 10 ms.
pub const HOP_SAMPLES: u32 = HEARING_HZ / 100;

/// Samples under one fbank frame: 25 ms.
pub const WINDOW_SAMPLES: u32 = HEARING_HZ / 40;

/// Hops per audio embedding.
pub const HOPS_PER_EMBEDDING: u32 = 8;

/// Time of one audio embedding, which is one position of the language model: 80 ms, 12.5 a second.
pub const AUDIO_EMBEDDING_MS: u32 = HOPS_PER_EMBEDDING * HOP_SAMPLES * SECOND_MS / HEARING_HZ;

/// Time of one codec frame, and of one generated step: 60 ms, 16.67 a second.
pub const CODEC_FRAME_MS: u32 = 60;

/// Codec frames that the decoder must see beyond the one it sounds.
pub const CODEC_LOOK_AHEAD: u32 = 3;

/// Audio-visual chunk while the user speaks: two pictures fused into one unit, and its audio.
pub const DENSE_CHUNK_MS: u32 = 1000;

/// Time between two pictures while the user is silent.
pub const SPARSE_CHUNK_MS: u32 = 2000;

/// Audio embeddings that `samples` at [`HEARING_HZ`] become in the published front end: none below one window.
pub const fn audio_embeddings(samples: u64) -> u64 {
    match samples.checked_sub(WINDOW_SAMPLES as u64) {
        None => 0,
        Some(beyond) => (beyond / HOP_SAMPLES as u64 + 1).div_ceil(HOPS_PER_EMBEDDING as u64),
    }
}

const _: () = assert!(AUDIO_EMBEDDING_MS == 80 && HOP_SAMPLES == 160 && WINDOW_SAMPLES == 400);
const _: () =
    assert!(audio_embeddings(399) == 0 && audio_embeddings(400) == 1 && audio_embeddings(16_000) == 13 && audio_embeddings(80_000) == 63);
