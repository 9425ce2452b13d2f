//! What ears and the semantic tokenizer learn to hear: phonemes, without stress, length and punctuation.

use std::collections::BTreeSet;

/// Labels of CTC and the phonemes that they stand for. Label 0 is the blank.
pub struct Phones {
    phones: Vec<char>,
}

impl Phones {
    /// All phonemes of some transcriptions.
    pub fn of<'t>(transcriptions: impl IntoIterator<Item = &'t str>) -> Self {
        let phones: BTreeSet<char> = transcriptions.into_iter().flat_map(str::chars).filter(|c| is_phone(*c)).collect();
        Self { phones: phones.into_iter().collect() }
    }

    /// Outputs of a classifier: the phonemes and the blank.
    pub fn classes(&self) -> usize {
        self.phones.len() + 1
    }

    /// Labels of a transcription; phonemes that are not known are left out.
    pub fn labels(&self, transcription: &str) -> Vec<u32> {
        transcription.chars().filter_map(|c| self.phones.binary_search(&c).ok()).map(|index| index as u32 + 1).collect()
    }
}

/// Not a mark of stress or length, a tie, a diacritic, a space or punctuation.
fn is_phone(c: char) -> bool {
    c.is_alphabetic() && !matches!(c, 'ˈ' | 'ˌ' | 'ː' | 'ˑ' | 'ʲ' | 'ʰ') && !('\u{0300}'..='\u{036f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sounds_have_labels() {
        let phones = Phones::of(["ðə bˈɪɡ, ɡɹˈiːn.", "bə!"]);
        assert_eq!(phones.classes(), 1 + "ðəbɪɡɹin".chars().count());
        assert_eq!(phones.labels("bˈiːb?").len(), 3);
        assert_eq!(phones.labels("x"), Vec::<u32>::new());
        assert!(phones.labels("ðəbɪɡɹin").iter().all(|l| *l > 0));
    }
}
