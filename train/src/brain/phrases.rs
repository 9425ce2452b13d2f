//! How a spoken answer is cut into phrases: "The kitchen light" and "is now on.".
//!
//! The model writes the words of a phrase and `</pause>`, speaks them to their end, and goes on with the next. The voice
//! speaks each phrase by itself, so that a phrase has the same codes in every answer: fewer than 2,000 of them make up
//! all that kitten can say (docs/decisions/0012).

/// Words that lean on what follows: a phrase begins with them and does not end with them.
const LEANING: [&str; 32] = [
    "a", "an", "the", "and", "is", "are", "am", "at", "in", "on", "to", "of", "by", "plus", "minus", "times", "than", "was", "i", "can",
    "will", "how", "what", "did", "do", "not", "now", "off", "there", "has", "for", "with",
];
/// A word that leans on what precedes it.
const TRAILING: &str = "you";
/// Most words of a phrase that do not lean.
const WORDS_MAX: usize = 3;

/// Answers that are always the same and are spoken whole: cut at their commas, what remains of "Kitten" and "Goodbye" behind
/// the codec is "King" and "the bye".
const WHOLE: [&str; 2] = ["I am Kitten, a small voice companion.", "Goodbye, see you soon."];

/// The phrases of an answer, with their marks, without the spaces between them.
pub fn phrases(text: &str) -> Vec<String> {
    if WHOLE.contains(&text) {
        return vec![text.to_string()];
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain = |word: &str| word.trim_matches(|c: char| c.is_ascii_punctuation()).to_lowercase();
    let leans = |word: &str| LEANING.contains(&plain(word).as_str());
    // Words without grammar are a list, each for itself.
    let list = !text.contains(',') && !words.iter().any(|word| leans(word));
    let (mut phrases, mut count, mut leaning) = (Vec::<String>::new(), 0, true);
    let mut ended = true;
    for word in words {
        let new = ended || list || (leans(word) && !leaning) || (!leans(word) && plain(word) != TRAILING && count == WORDS_MAX);
        if new {
            phrases.push(word.to_string());
            (count, leaning) = (0, true);
        } else if let Some(phrase) = phrases.last_mut() {
            phrase.push(' ');
            phrase.push_str(word);
        }
        if plain(word) != TRAILING {
            leaning = leans(word);
            count += usize::from(!leaning);
        }
        ended = word.ends_with(',');
    }
    phrases
}

/// What the voice reads for a phrase: one that does not end a sentence sounds as before a comma.
pub fn read(phrase: &str) -> String {
    if phrase.ends_with(|c: char| c.is_ascii_punctuation()) { phrase.to_string() } else { format!("{phrase},") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_cut_where_a_person_would_breathe() {
        for cut in [
            "Good morning,|how can I help you?",
            "The kitchen light|is now on.",
            "I am Kitten, a small voice companion.",
            "You are welcome.",
            "Nice|to meet you,|Anna.",
            "I see|a green square|and a yellow circle.",
            "I will remind you|in six minutes|to call Laura.",
            "Three|plus four|is seven.",
            "Yes,|the living room camera|is off.",
            "There is nothing|of the kind.",
        ] {
            assert_eq!(phrases(&cut.replace('|', " ")).join("|"), cut);
        }
    }

    #[test]
    fn a_list_of_words_is_spoken_word_by_word() {
        assert_eq!(phrases("Green house two dog."), ["Green", "house", "two", "dog."]);
    }

    #[test]
    fn only_what_goes_on_sounds_as_before_a_comma() {
        assert_eq!(["You", "Yes,", "is on.", "you?"].map(read), ["You,", "Yes,", "is on.", "you?"]);
    }
}
