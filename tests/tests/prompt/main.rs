//! The prompt rules, the reply machine and the turn machine on random input.

mod interleaving;
mod history;
mod user_text;
mod reply;
mod turn;

use std::path::Path;

use caracal_cluster::tokenizer::Tokenizer;
use caracal_shared::tokenize::Markers;
use caracal_tests::golden::golden_root;

/// The tokenizer that the prompt goldens were made with.
fn standin() -> (Tokenizer, Markers) {
    let tokenizer = Tokenizer::load(&golden_root().join(Path::new("prompt/standin_tokenizer.json"))).unwrap();
    let markers = Markers::resolve(&tokenizer).unwrap();
    (tokenizer, markers)
}
