//! Colours, on a terminal only.

use std::io::IsTerminal;

/// Puts colours around text, or leaves it plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    coloured: bool,
}

impl Paint {
    /// For standard output: colours if a person sees them and has not asked for none (`NO_COLOR`).
    pub fn for_stdout() -> Self {
        Self::for_stream(&std::io::stdout())
    }

    /// The same for standard error.
    pub fn for_stderr() -> Self {
        Self::for_stream(&std::io::stderr())
    }

    fn for_stream(stream: &impl IsTerminal) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { coloured: wanted && stream.is_terminal() }
    }

    /// Never colours.
    pub fn plain() -> Self {
        Self { coloured: false }
    }

    /// Always colours.
    pub fn coloured() -> Self {
        Self { coloured: true }
    }

    /// For what is right.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// For what should be looked at.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// For what is wrong.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// For what stands in the background.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// For what stands out.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self.coloured {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_string(),
        }
    }
}
