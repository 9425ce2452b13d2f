//! Seeing: drawn pictures and clips, training of the ViT and its projector.
//!
//! | file | what it holds |
//! |---|---|
//! | `scene`, `clip` | what a picture or a short video shows, and the wall between training and evaluation |
//! | `words`, `questions` | what is asked about them, and the answers |
//! | `outline`, `draw` | how they look |
//! | `sample`, `targets` | one unit with what is in it; what each patch and token is asked |
//! | `network`, `lesson`, `evaluate` | the networks with heads that read them, their training, their score |
//! | `features` | scenes and clips as the language model gets them |

pub mod clip;
pub mod draw;
mod evaluate;
pub mod features;
mod lesson;
pub mod network;
mod outline;
pub mod questions;
mod sample;
pub mod scene;
mod targets;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use caracal_edge::vision::Picture;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::stage::Folders;
use scene::Split;

/// What to do in this part of the training.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Print how well the shipped eyes see, on pictures that training never shows them.
    #[arg(long)]
    evaluate: bool,
    /// Write example pictures with their questions here.
    #[arg(long)]
    draw: Option<PathBuf>,
    /// Steps of the training.
    #[arg(long, default_value_t = 13_500)]
    steps: usize,
    /// Pictures and pairs of an evaluation.
    #[arg(long, default_value_t = 2000)]
    units: usize,
}

/// Runs the part's stages, or goes on with them.
///
/// # Errors
/// When data cannot be made, or a file not be read or written.
pub fn run(options: &Options, folders: &Folders) -> Result<()> {
    if let Some(folder) = &options.draw {
        return draw_examples(folder);
    }
    if !options.evaluate {
        lesson::train(folders, options.steps)?;
    }
    println!("{}", lesson::evaluate(folders, options.units)?);
    Ok(())
}

/// Writes a few dozen pictures, each named by its question and answer.
fn draw_examples(folder: &Path) -> Result<()> {
    const EXAMPLES: usize = 24;
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let mut rng = StdRng::seed_from_u64(1);
    for index in 0..EXAMPLES {
        let (scene, question, answer) = questions::picture_case(&mut rng, Split::Train);
        write_png(&folder.join(format!("picture-{index:02}.png")), &draw::draw_scene(&scene))?;
        println!("picture-{index:02}: {question} {answer}");
        let (clip, question, answer) = questions::clip_case(&mut rng, Split::Train);
        for (unit, time) in clip.live_times().into_iter().flatten().enumerate() {
            write_png(&folder.join(format!("clip-{index:02}-{unit:02}.png")), &draw::draw_clip(&clip, time))?;
        }
        println!("clip-{index:02}: {question} {answer}");
    }
    Ok(())
}

fn write_png(file: &Path, picture: &Picture) -> Result<()> {
    image::save_buffer(file, picture.rgb(), picture.width(), picture.height(), image::ExtendedColorType::Rgb8)
        .with_context(|| format!("{}: cannot be written", file.display()))
}
