//! Ids that mean something before any tokenizer is read, and the markers whose ids a tokenizer file gives.
//!
//! Source: LongCat-Flash-Omni (constants of the demo and of the serving branch); technical report, figure 6.

/// Text id of the pad. The published embedding code compares with the number, whatever the tokenizer says.
pub const TEXT_PAD: u32 = 3;

/// Text id that ends a reply, `</longcat_s>`. The serving code compares with the number.
pub const TEXT_END: u32 = 2;

/// Text id that ends the text of a segment, `</pause>`. The serving code compares with the number.
pub const TEXT_PAUSE: u32 = 137;

/// Code id that ends a segment; semantic codebook only.
pub const CODE_END: u32 = 2;

/// Code id of the pad: adds nothing to a prompt embedding.
pub const CODE_PAD: u32 = 3;

/// Ids below this are reserved: codebook index `c` is id `c + CODE_OFFSET`.
pub const CODE_OFFSET: u32 = 32;

/// A row that carries no speech.
pub const NO_CODES: [u32; 4] = [CODE_PAD; 4];

/// End of a reply, of a system turn, and of every text item of an assistant.
pub const END: &str = "</longcat_s>";

/// Begin of a sequence; only in formats that the demo does not use.
pub const BEGIN: &str = "<longcat_s>";

/// End of the text of a spoken segment.
pub const PAUSE: &str = "</pause>";

/// Start of the audio of a turn.
pub const AUDIO_START: &str = "<|audio|>";

/// End of the audio of a turn.
pub const AUDIO_END: &str = "<|/audio|>";

/// Place of one audio embedding.
pub const AUDIO_PAD: &str = "<|audio_pad|>";

/// Place of one visual embedding.
pub const IMAGE_PAD: &str = "<|image_pad|>";

/// Marker strings and the reserved token that stands for each in the tokenizer file, in the published order.
pub const ALIASES: [(&str, &str); 10] = [
    (AUDIO_START, "<mask_110>"),
    (AUDIO_END, "<mask_111>"),
    (AUDIO_PAD, "<mask_112>"),
    (PAUSE, "<mask_113>"),
    ("<begin-of-system>", "<mask_114>"),
    ("<begin-of-user>", "<mask_115>"),
    ("<begin-of-assistant>", "<mask_116>"),
    ("<begin-of-voice-assistant>", "<mask_117>"),
    (IMAGE_PAD, "<mask_118>"),
    ("<image>", "<mask_119>"),
];

/// Text ids after which speech may be broken off, in the released tokenizer: punctuation, the pause and the end.
/// [`crate::truncate::break_marks`] finds those of another tokenizer.
pub const BREAK_MARKS: [u32; 11] = [491, 525, 1266, 1361, 986, 235, 237, 254, 5481, TEXT_PAUSE, TEXT_END];
