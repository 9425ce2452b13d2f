//! Conversation files in, replies out: video files, the small checkpoint, the six demo conversations, bad input.

mod video;
