//! Numbers and times in words: digits are read aloud differently by every voice.

use rand::Rng;
use rand::rngs::StdRng;

const SMALL: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];
const TENS: [&str; 10] = ["", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// A whole number from -100 to 100.
///
/// # Panics
/// Outside that range.
pub fn number(value: i32) -> String {
    match value {
        -100..0 => format!("minus {}", number(-value)),
        0..=20 => SMALL[value as usize].to_string(),
        21..100 if value % 10 == 0 => TENS[value as usize / 10].to_string(),
        21..100 => format!("{} {}", TENS[value as usize / 10], SMALL[value as usize % 10]),
        100 => "one hundred".to_string(),
        _ => panic!("{value} is not a number that kitten says"),
    }
}

/// "in five minutes", "in two hours".
pub fn span(rng: &mut StdRng) -> String {
    if rng.random_bool(0.3) {
        let hours = rng.random_range(1..=12);
        return format!("{} hour{}", number(hours), if hours == 1 { "" } else { "s" });
    }
    let minutes = if rng.random_bool(0.5) { rng.random_range(1..=20) } else { 5 * rng.random_range(1..=11) };
    format!("{} minute{}", number(minutes), if minutes == 1 { "" } else { "s" })
}

/// "three o'clock", "half past one", "a quarter to nine".
pub fn clock(rng: &mut StdRng) -> String {
    let hour = number(rng.random_range(1..=12));
    match rng.random_range(0..5) {
        0 => format!("half past {hour}"),
        1 => format!("a quarter past {hour}"),
        2 => format!("a quarter to {hour}"),
        _ => format!("{hour} o'clock"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_read_them() {
        for (value, words) in
            [(0, "zero"), (13, "thirteen"), (20, "twenty"), (40, "forty"), (42, "forty two"), (100, "one hundred"), (-7, "minus seven")]
        {
            assert_eq!(number(value), words);
        }
    }
}
