//! Goldens of vision: pictures to patch rows, the networks, the pooling, and which frames are looked at.

mod networks;
mod pictures;
mod tables;

use super::Entry;

/// Checks of this family.
pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "vision/frame_sampling", on_device: false, check: tables::frame_sampling },
    Entry { name: "vision/smart_resize", on_device: false, check: pictures::smart_resize },
    Entry { name: "vision/bicubic", on_device: false, check: pictures::bicubic },
    Entry { name: "vision/preprocess", on_device: false, check: pictures::preprocess },
    Entry { name: "vision/rope_paper", on_device: false, check: networks::rope_paper },
    Entry { name: "vision/rope_apply", on_device: true, check: networks::rope_apply },
    Entry { name: "vision/vit_tiny", on_device: true, check: networks::vit_tiny },
    Entry { name: "vision/post_squeeze", on_device: false, check: tables::post_squeeze },
    Entry { name: "vision/pool", on_device: true, check: networks::pooling },
];
