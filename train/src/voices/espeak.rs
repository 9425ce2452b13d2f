//! The formant synthesiser espeak-ng: every English accent with every plain voice variant, at any pitch and speed.

use std::process::Command;

use anyhow::Result;

use super::synthesiser_process::{render, said};

/// English accents.
pub const ACCENTS: [&str; 8] =
    ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-029", "en-us-nyc"];

/// Voice variants, without those that whisper, croak or play robots: people of flesh do not speak like these.
pub const VARIANTS: [&str; 72] = [
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "klatt",
    "klatt2",
    "klatt3",
    "klatt4",
    "klatt5",
    "Alex",
    "Alicia",
    "Andrea",
    "Andy",
    "Annie",
    "Denis",
    "Diogo",
    "Gene",
    "Gene2",
    "Henrique",
    "Hugo",
    "Jacky",
    "Lee",
    "Marco",
    "Mario",
    "Michael",
    "Mike",
    "Nguyen",
    "adam",
    "anika",
    "antonio",
    "aunty",
    "belinda",
    "benjamin",
    "boris",
    "caleb",
    "david",
    "ed",
    "edward",
    "edward2",
    "grandma",
    "grandpa",
    "gustave",
    "iven",
    "iven2",
    "john",
    "kaukovalta",
    "linda",
    "max",
    "michel",
    "miguel",
    "norbert",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "robert",
    "sandro",
    "shelby",
    "steph",
    "steph2",
    "travis",
    "victor",
];

/// One way in which espeak-ng speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Espeak {
    /// One of [`ACCENTS`].
    pub accent: &'static str,
    /// One of [`VARIANTS`].
    pub variant: &'static str,
    /// 0 to 99, 50 is the variant's own.
    pub pitch: u32,
    /// Words a minute.
    pub speed: u32,
}

impl Espeak {
    /// Speaks `sentence` at 16 kHz.
    ///
    /// # Errors
    /// When espeak-ng is not there or fails.
    pub fn render(&self, sentence: &str) -> Result<Vec<i16>> {
        let voice = format!("{}+{}", self.accent, self.variant);
        let (pitch, speed) = (self.pitch.to_string(), self.speed.to_string());
        render(Command::new("espeak-ng").args(["--stdout", "-z", "-v", &voice, "-p", &pitch, "-s", &speed, "--", sentence]))
    }
}

/// How an American says `word`, in phonemes with marks of stress and length.
///
/// # Errors
/// When espeak-ng is not there or fails.
pub fn pronounce(word: &str) -> Result<String> {
    said(Command::new("espeak-ng").args(["-q", "--ipa", "-v", "en-us", "--", word]))
}
