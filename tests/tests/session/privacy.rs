//! No unit of the wire can carry a waveform or pixels: the definition itself is read.

use std::path::Path;

/// Every field of the definition that could carry many values, and what it is.
const CARRIERS: [(&str, &str); 10] = [
    ("Embeddings", "bytes values"),
    ("Hello", "string token"),
    ("Hello", "string model"),
    ("Continue", "bytes ticket"),
    ("Welcome", "bytes ticket"),
    ("Refusal", "string text"),
    ("Speech", "bytes codes"),
    ("Caption", "string text"),
    ("ReplyClosed", "string text"),
    ("Notice", "string text"),
];

#[test]
fn only_embeddings_codes_tickets_and_words_are_longer_than_a_number() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/proto/caracal.proto");
    let text = std::fs::read_to_string(file).expect("the definition is there");
    let mut message = String::new();
    let mut found = Vec::new();
    for part in text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| line.split_inclusive(['{', ';'])) {
        let words: Vec<&str> = part.split_whitespace().collect();
        if let ["message", name, ..] = words[..] {
            message = name.trim_end_matches('{').to_string();
        }
        assert!(!words.contains(&"repeated") && !part.contains("map<"), "a list in {message}: {part}");
        assert!(!words.contains(&"float") && !words.contains(&"double"), "a number with a fraction in {message}: {part}");
        let kind = words.iter().position(|word| ["bytes", "string"].contains(word));
        if let Some(at) = kind {
            found.push((message.clone(), words[at..at + 2].join(" ")));
        }
    }
    let expected: Vec<(String, String)> = CARRIERS.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    assert_eq!(found, expected);
}
