//! How far a run has come, for whoever waits for it.

/// What a run is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading weights.
    Load,
    /// Reading pictures of clips.
    Watch,
    /// Encoding sound and pictures.
    Perceive,
    /// Filling the cache with the prompt.
    Prefill,
    /// Generating the reply.
    Reply,
    /// Turning codes into sound.
    Speak,
}

impl Stage {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "loading",
            Self::Watch => "reading video",
            Self::Perceive => "listening and looking",
            Self::Prefill => "reading the prompt",
            Self::Reply => "replying",
            Self::Speak => "speaking",
        }
    }
}

/// One step of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub stage: Stage,
    /// How much of it is done.
    pub done: usize,
    /// Of how much at most.
    pub total: usize,
}
