//! The synthesiser flite: recorded people, put together from pieces (`kal`, `kal16`) or from statistics of them.

use std::process::Command;

use anyhow::Result;

use super::synthesiser_process::render;

/// Its voices of unrestricted vocabulary; `awb_time` can only tell the time.
pub const VOICES: [&str; 5] = ["kal", "kal16", "awb", "rms", "slt"];

/// One way in which flite speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Flite {
    /// One of [`VOICES`].
    pub name: &'static str,
    /// How much longer every sound is.
    pub stretch: f32,
    /// Change of the pitch, in semitones.
    pub semitones: f32,
}

impl Flite {
    /// A voice as its makers meant it.
    pub fn plain(name: &'static str) -> Self {
        Self { name, stretch: 1.0, semitones: 0.0 }
    }

    /// Speaks `sentence` at 16 kHz.
    ///
    /// # Errors
    /// When flite is not there or fails.
    pub fn render(&self, sentence: &str) -> Result<Vec<i16>> {
        let mut command = Command::new("flite");
        command.args(["-voice", self.name, "--setf", &format!("duration_stretch={}", self.stretch)]);
        if self.semitones != 0.0 {
            command.args(["--setf", &format!("f0_shift={}", (self.semitones / 12.0).exp2())]);
        }
        render(command.args(["-t", sentence, "-o", "/dev/stdout"]))
    }
}
