//! What kitten can talk about: conversations as text and scenes.
