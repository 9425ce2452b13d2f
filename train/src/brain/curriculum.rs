//! The stages of the language model's training, in order: what each draws and what it moves.
//!
//! They follow the report, small: text; text with speech codes; pictures and clips; longer conversations; the projector
//! of what is heard, with the rest frozen; then everything together on heard, seen and spoken conversations.

/// How often each kind of lesson is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Typed, answered in writing.
    pub typed: f64,
    /// Typed, answered in speech.
    pub speaking: f64,
    /// Heard, answered in writing.
    pub listening: f64,
    /// Heard, answered in speech.
    pub talking: f64,
    /// About something seen: typed or heard, answered in writing or speech as far as the stage has those.
    pub seeing: f64,
    /// Most exchanges of a conversation.
    pub exchanges_max: usize,
}

/// What a stage moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// Every parameter.
    All,
    /// The projector of what is heard, towards the words' vectors.
    Projector,
}

/// One stage.
#[derive(Clone, Copy, Debug)]
pub struct Lessons {
    /// Its name, which its state is kept under.
    pub name: &'static str,
    /// Steps.
    pub steps: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Rate at its end, as a share of the highest.
    pub floor: f64,
    /// What is drawn.
    pub mix: Mix,
    /// What is moved.
    pub moves: Moves,
}

const NOTHING: Mix = Mix { typed: 0.0, speaking: 0.0, listening: 0.0, talking: 0.0, seeing: 0.0, exchanges_max: 4 };

/// All stages, in order.
pub const STAGES: [Lessons; 6] = [
    Lessons { name: "text", steps: 1100, rate: 1.5e-3, floor: 0.4, mix: Mix { typed: 1.0, ..NOTHING }, moves: Moves::All },
    Lessons {
        name: "speech",
        steps: 2600,
        rate: 1e-3,
        floor: 0.6,
        mix: Mix { typed: 0.2, speaking: 0.8, exchanges_max: 2, ..NOTHING },
        moves: Moves::All,
    },
    Lessons {
        name: "sight",
        steps: 1000,
        rate: 1e-3,
        floor: 0.6,
        mix: Mix { typed: 0.1, speaking: 0.15, seeing: 0.75, exchanges_max: 2, ..NOTHING },
        moves: Moves::All,
    },
    Lessons {
        name: "context",
        steps: 100,
        rate: 6e-4,
        floor: 0.6,
        mix: Mix { typed: 0.3, speaking: 0.4, seeing: 0.3, exchanges_max: 6, ..NOTHING },
        moves: Moves::All,
    },
    Lessons {
        name: "projector",
        steps: 500,
        rate: 3e-3,
        floor: 0.02,
        mix: Mix { listening: 1.0, exchanges_max: 2, ..NOTHING },
        moves: Moves::Projector,
    },
    Lessons {
        name: "tuning",
        steps: 6000,
        rate: 8e-4,
        floor: 0.02,
        mix: Mix { typed: 0.06, speaking: 0.07, listening: 0.21, talking: 0.16, seeing: 0.5, exchanges_max: 4 },
        moves: Moves::All,
    },
];
