//! Where a person reads a conversation: standard output, or standard error where the answer's sound goes to the former.

use std::io::Write;
use std::path::Path;

use super::options::is_pipe;
use super::paint::Paint;

/// The place; copies write to the same one.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Its colours.
    pub paint: Paint,
    beside_sound: bool,
}

impl Screen {
    /// For a conversation whose answers go to `answer`, if anywhere.
    pub fn beside(answer: Option<&Path>) -> Self {
        match answer.is_some_and(is_pipe) {
            // Text between the samples would be heard as noise.
            true => Self { paint: Paint::for_stderr(), beside_sound: true },
            false => Self { paint: Paint::for_stdout(), beside_sound: false },
        }
    }

    /// Shows `text` at once.
    pub fn show(self, text: &str) {
        let show = |to: &mut dyn Write| to.write_all(text.as_bytes()).and_then(|()| to.flush());
        // A terminal that is gone reads nothing.
        let _ = if self.beside_sound { show(&mut std::io::stderr()) } else { show(&mut std::io::stdout()) };
    }
}
