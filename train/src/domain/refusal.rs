//! Everything that kitten does not understand.

use rand::Rng;
use rand::rngs::StdRng;

use super::phrasing::{addressed, one};
use super::repeat::known_word;
use super::{Exchange, Mind, Skill};

/// The answer to whatever is not understood.
pub const REFUSAL: &str = "I am sorry, I did not understand that.";

/// A sentence that kitten has no answer to: about something else, or no sentence at all.
pub fn exchange(rng: &mut StdRng, _mind: &mut Mind) -> Exchange {
    let user = if rng.random_bool(0.5) {
        (0..rng.random_range(3..=6)).map(|_| known_word(rng)).collect::<Vec<_>>().join(" ")
    } else {
        let thing = one(
            rng,
            &[
                "weather",
                "news",
                "moon",
                "president",
                "train",
                "bank",
                "film",
                "football",
                "computer",
                "school",
                "doctor",
                "ocean",
                "mountain",
                "price",
                "world",
            ],
        );
        let about = match rng.random_range(0..8) {
            0 => format!("what do you think about the {thing}"),
            1 => format!("tell me a story about the {thing}"),
            2 => format!("how old is the {thing}"),
            3 => format!("who made the {thing}"),
            4 => format!("when does the {thing} start"),
            5 => format!("why is the {thing} so big"),
            6 => format!("how do i find the {thing}"),
            _ => format!("sing a song about the {thing}"),
        };
        addressed(rng, about)
    };
    Exchange { skill: Skill::Refusal, user, reply: REFUSAL.to_string() }
}
