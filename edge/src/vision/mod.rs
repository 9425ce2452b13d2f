//! Eyes: pictures and video into rows for the language model.
//!
//! Reading order, which is the order of the road:
//!
//! | file | what it holds |
//! |---|---|
//! | `config` | `vision/config.json` |
//! | `picture`, `read`, `composite` | RGB bytes; files into them; transparency |
//! | `frame_sampling`, `frame_sampler` | which pictures of a recorded video, or of a live camera, are looked at |
//! | `size_rule`, `bicubic` | the size a picture is brought to, and how |
//! | `patches`, `preprocess` | normalised patch rows; a whole item into units |
//! | `rope`, `vit_layer`, `longcat_vit` | LongCat-ViT with its 2D rotary embedding |
//! | `vision_projector`, `post_squeeze` | to the language model's width; pooling of long conversations |
//! | `vision_encoder` | the networks of one model, from its files |

mod bicubic;
mod composite;
mod config;
mod error;
mod frame_sampler;
mod frame_sampling;
mod longcat_vit;
mod patches;
mod picture;
mod post_squeeze;
mod preprocess;
mod read;
mod rope;
mod size_rule;
mod vision_encoder;
mod vision_projector;
mod vit_layer;

pub use bicubic::resize_bicubic;
pub use composite::composite_over_white;
pub use config::{CONFIG_FILE, PostSqueezeConfig, PreprocessConfig, VisionConfig, VitConfig};
pub use error::PictureError;
pub use frame_sampler::{CameraEvent, FrameSampler, LiveUnit, SPARSE_UNITS_MAX, SamplerState, SparseBuffer};
pub use frame_sampling::{
    Clip, InterleavedOptions, Interleaving, SamplingPlan, UNITS_MAX, VideoOptions, sample_interleaved, sample_video, timestamp_text,
};
pub use longcat_vit::LongCatVit;
pub use patches::{Grid, Normaliser, VisualUnit};
pub use picture::{PICTURE_PIXELS_MAX, PICTURE_SIDE_MAX, Picture};
pub use post_squeeze::{SqueezeOptions, VISION_TOKENS_MAX, compression_ratio, pool, target_grid};
pub use preprocess::Preprocessor;
pub use read::{Alpha, PICTURE_FILE_BYTES_MAX, decode_picture, read_picture};
pub use rope::{Rope2d, RopeTable, Rotation};
pub use size_rule::{PixelLimits, SizeRule};
pub use vision_encoder::VisionEncoder;
pub use vision_projector::VisionProjector;
pub use vit_layer::{Trace, VitLayer};
