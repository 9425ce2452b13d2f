//! The language model of kitten: its tokenizer, its curriculum.
//!
//! | module | what it holds |
//! |---|---|
//! | [`shape`] | sizes, and the `config.json` that says them |
//! | [`tokenizer_file`] | `tokenizer.json` with the released layout of ids |
//! | [`model`] | everything that is trained together, and its files |
//! | [`sample`] | a conversation as rows and what each row should predict |
//! | [`batch`] | samples of like length side by side |
//! | [`loss`] | the weighted cross entropies of text and codes |
//! | [`balance`] | the router's bias, moved by the load |
//! | [`curriculum`] | the stages: what each draws and moves |
//! | [`lesson`], [`replies`], [`perception`] | conversations to learn from; their spoken answers; what is heard and seen |
//! | [`phrases`] | where a spoken answer is cut |
//! | [`alignment`] | the projector of what is heard says the words that were heard |
//! | [`training`], [`measure`] | the loop, and how it fares |
//! | [`rollout`], [`preference`] | answers of its own, and learning from the better ones |
//! | [`ask`] | greedy answers in writing, for measuring on the way |

pub mod alignment;
pub mod ask;
pub mod balance;
pub mod batch;
pub mod curriculum;
pub mod lesson;
pub mod loss;
pub mod measure;
pub mod model;
pub mod perception;
pub mod phrases;
pub mod preference;
pub mod replies;
pub mod rollout;
pub mod sample;
pub mod shape;
pub mod tokenizer_file;
pub mod training;

use anyhow::{Result, ensure};

use crate::ears::heard::Heard;
use crate::eyes::features::Sight;
use crate::stage::{Folders, Stage};

/// The last stage's name.
const PREFERENCE: &str = "preference";
/// Steps of the last stage.
const PREFERENCE_STEPS: usize = 150;

/// What to do in this part of the training.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Write the tokenizer and the configuration, and stop.
    #[arg(long)]
    prepare: bool,
    /// Only this stage; by default all of them, in order.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(curriculum::STAGES.map(|stage| stage.name).into_iter().chain([PREFERENCE])))]
    stage: Option<String>,
    /// Steps of that stage, where it shall not run as long as planned.
    #[arg(long, requires = "stage")]
    steps: Option<usize>,
    /// Different answers that are rendered and encoded for speaking.
    #[arg(long, default_value_t = replies::ANSWERS)]
    answers: usize,
    /// Learn nothing; answer so many typed questions of each kind about new pictures and clips.
    #[arg(long, value_name = "QUESTIONS", conflicts_with = "stage")]
    kinds: Option<usize>,
}

/// Runs the part's stages, or goes on with them.
///
/// # Errors
/// When data cannot be made, or a file not be read or written.
pub fn run(options: &Options, folders: &Folders) -> Result<()> {
    if !folders.model.join("tokenizer.json").exists() {
        tokenizer_file::write(&folders.model, shape::SEED)?;
        shape::write(&folders.model)?;
    }
    if options.prepare {
        return Ok(());
    }
    if let Some(count) = options.kinds {
        let eyes = perception::Perception::new(None, Some(Sight::open(&folders.model)?));
        let teacher = lesson::Teacher {
            sampler: sample::Sampler::open(&folders.model)?,
            replies: None,
            perception: eyes,
            heard: heard_width(folders)?,
        };
        let (_, brain) = model::BrainFiles::open(&folders.model, teacher.heard, &burn::tensor::Device::flex())?;
        print!("{}", measure::by_kind(&brain, &teacher, count)?);
        return Ok(());
    }
    let prefers = options.stage.as_deref().is_none_or(|name| name == PREFERENCE);
    let wanted = |stage: &curriculum::Lessons| options.stage.as_deref().is_none_or(|name| name == stage.name);
    // A stage that a later one has begun to build on is over, however many steps it had.
    let over = if options.stage.is_some() { 0 } else { first_unfinished(folders)? };
    let stages: Vec<_> = curriculum::STAGES.into_iter().skip(over).filter(wanted).collect();
    let needs = |part: fn(&curriculum::Mix) -> f64| stages.iter().any(|stage| part(&stage.mix) > 0.0);
    let speaks = prefers || needs(|mix| mix.speaking + mix.talking);
    let hears = prefers || needs(|mix| mix.listening + mix.talking);
    let sees = needs(|mix| mix.seeing);
    ensure!(
        !hears || folders.model.join("audio/audio_encoder.safetensors").exists(),
        "there are no ears yet: run `caracal-train ears` first"
    );
    let mut teacher = lesson::Teacher {
        sampler: sample::Sampler::open(&folders.model)?,
        replies: if speaks { Some(replies::Replies::make(folders, options.answers)?) } else { None },
        perception: perception::Perception::new(
            if hears { Some(Heard::open(folders)?) } else { None },
            if sees { Some(Sight::open(&folders.model)?) } else { None },
        ),
        heard: heard_width(folders)?,
    };
    for mut stage in stages {
        stage.steps = options.steps.unwrap_or(stage.steps);
        match stage.moves {
            curriculum::Moves::All => training::run(folders, &mut teacher, &stage)?,
            curriculum::Moves::Projector => alignment::run(folders, &mut teacher, &stage)?,
        }
    }
    if prefers {
        preference::run(folders, &teacher, options.steps.unwrap_or(PREFERENCE_STEPS))?;
    }
    Ok(())
}

/// The stage that was begun last, counted from the first.
fn first_unfinished(folders: &Folders) -> Result<usize> {
    let names = curriculum::STAGES.iter().map(|stage| stage.name).chain([PREFERENCE]);
    let begun: Vec<bool> = names.map(|name| Ok(Stage::done(folders, name)? > 0)).collect::<Result<_>>()?;
    Ok(begun.iter().rposition(|begun| *begun).unwrap_or(0))
}

/// Width of the audio encoder's output: from its config if that is there.
///
/// # Errors
/// When the config is there and wrong.
pub fn heard_width(folders: &Folders) -> Result<usize> {
    let file = folders.model.join("audio/config.json");
    Ok(if file.exists() { caracal_edge::audio::AudioEncoderConfig::read(&file)?.output_size() } else { crate::ears::layout::HIDDEN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_a_later_one_builds_on_is_not_taken_up_again() {
        let folder = std::env::temp_dir().join(format!("caracal-brain-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("room");
        let folders = Folders { model: folder.clone(), work: folder.join("work") };
        assert_eq!(first_unfinished(&folders).expect("nothing was begun"), 0);
        std::fs::write(folder.join("training.json"), r#"{"text": 7, "speech": 9, "ears": 3}"#).expect("room");
        assert_eq!(first_unfinished(&folders).expect("speech was begun"), 1);
        std::fs::write(folder.join("training.json"), r#"{"text": 7, "preference": 1}"#).expect("room");
        assert_eq!(first_unfinished(&folders).expect("the last was begun"), curriculum::STAGES.len());
        std::fs::remove_dir_all(folder).expect("ours");
    }
}
