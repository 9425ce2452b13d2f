//! What kitten can and cannot do, measured along the whole path: from WAV and pictures to text and WAV.
//!
//! | file | what it holds |
//! |---|---|
//! | [`kitten`] | the shipped checkpoint at work, through the loaders and the streaming front end of inference |
//! | [`cases`] | held-out questions, by group |
//! | [`judged`] | replies and recordings as an outside judge of intelligible speech understands them |
//! | [`speed`] | one core's time for a decode step, a second of sound, a pair of pictures |
//! | [`report`] | figures beside their bars, as a table, as JSON, on the model card |

pub mod cases;
pub mod judged;
pub mod kitten;
pub mod report;
pub mod speed;

use std::path::PathBuf;

use anyhow::Result;
use rayon::prelude::*;

use crate::codec::evaluate::phrase_by_phrase;
use crate::stage::Folders;
use cases::{Case, Group};
use kitten::Kitten;
use report::{Measured, Report};

/// What to measure.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Cases of each group, as a share of the whole evaluation.
    #[arg(long, default_value_t = 1.0)]
    share: f64,
    /// Other cases of the same kinds than the card's, for a look at how much a figure owes to the draw.
    #[arg(long, default_value_t = cases::SEED, conflicts_with = "card")]
    seed: u64,
    /// The judge of intelligible speech: a script that takes a table of WAV files and words. Without it speech is not judged.
    #[arg(long)]
    judge: Option<PathBuf>,
    /// Also write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the figures on the model card.
    #[arg(long)]
    card: bool,
    /// Only these groups of cases, and nothing else: for a look on the way.
    #[arg(long, value_enum, conflicts_with_all = ["card", "judge", "json"])]
    group: Vec<Group>,
    /// Show every wrong answer.
    #[arg(long)]
    verbose: bool,
}

/// Replies that are judged by ear.
const JUDGED: usize = 60;

/// Runs the evaluation.
///
/// # Errors
/// When the checkpoint is not complete, or a case cannot be made.
pub fn run(options: &Options, folders: &Folders) -> Result<()> {
    let kitten = Kitten::open(&folders.model)?;
    let groups = if options.group.is_empty() { Group::ALL.to_vec() } else { options.group.clone() };
    let cases = cases::draw(folders, &groups, options.share, options.seed)?;
    eprintln!("{} cases", cases.len());
    let answered: Vec<(Case, kitten::Answer)> = cases
        .into_par_iter()
        .map(|case| {
            let answer = kitten.converse(&case.turns)?;
            Ok((case, answer))
        })
        .collect::<Result<_>>()?;
    let mut report = Report::default();
    for group in groups {
        let of_group: Vec<_> = answered.iter().filter(|(case, _)| case.group == group).collect();
        let right = of_group.iter().filter(|(case, answer)| answer.text == case.wanted).count();
        report.add(Measured::share(group.name(), right, of_group.len(), group.bar()));
        for (case, answer) in of_group.iter().filter(|(case, answer)| options.verbose && answer.text != case.wanted) {
            println!("  {}: {} ({}) -> {} (not: {})", group.name(), case.asked, case.way(), answer.text, case.wanted);
        }
    }
    if !options.group.is_empty() {
        println!("{report}");
        return Ok(());
    }
    if let Some(judge) = &options.judge {
        let spoken: Vec<_> = answered
            .iter()
            .filter(|(case, answer)| matches!(case.group, Group::Voices | Group::Memory) && !answer.text.is_empty())
            .filter_map(|(_, answer)| Some((answer.text.clone(), answer.sound.clone()?)))
            .take(JUDGED)
            .collect();
        report.add(judged::replies(judge, &folders.work.join("judged"), &spoken)?);
        let said: Vec<String> = spoken.into_iter().map(|(text, _)| text).collect();
        let perfect = phrase_by_phrase(folders, &said, judge)?;
        report.add(Measured::reported("the same replies from the codes of recordings: word error rate, %", perfect));
        report.add(judged::codec(judge, folders)?);
    }
    report.add(report::size(&folders.model)?);
    speed::measure(&kitten, &mut report)?;
    let mut load = crate::brain::balance::Load::default();
    kitten.route(&answered.iter().take(100).map(|(case, _)| case.asked.clone()).collect::<Vec<_>>(), &mut load)?;
    report.router(&load, kitten.real_experts());
    println!("{report}");
    if let Some(file) = &options.json {
        std::fs::write(file, format!("{:#}\n", report.json()))?;
    }
    if options.card {
        report::write_card(&folders.model, &report)?;
    }
    Ok(())
}
