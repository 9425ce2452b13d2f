//! How a stage fares: held-out questions, answered greedily in writing, beside them what lessons show, and the codes of
//! answers that no lesson speaks.

use anyhow::Result;
use caracal_cluster::backbone::watcher::Unwatched;
use caracal_shared::prompt::{Message, Role};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;

use super::ask::ask;
use super::batch::Batch;
use super::curriculum::Mix;
use super::lesson::Teacher;
use super::loss::losses;
use super::model::Brain;
use super::sample::{Perceived, answer, typed};
use super::shape::SEED;
use crate::domain::conversation::memory_over_four;
use crate::domain::{Conversation, Split};
use crate::eyes::network::PAIR;
use crate::eyes::questions::{ClipKind, PictureKind};
use crate::eyes::scene;

/// Questions of each kind.
const ASKED: usize = 40;
/// Wrong answers that are shown.
const SHOWN: usize = 3;

/// Shares of right answers of each kind that the mix has, with some wrong ones. `brain` lies on the plain CPU.
///
/// # Errors
/// When something cannot be rendered or read.
pub fn measure(brain: &Brain, teacher: &mut Teacher, mix: &Mix) -> Result<String> {
    let mut report = String::new();
    for (name, heard, wanted) in [("typed", false, true), ("heard", true, mix.listening > 0.0)] {
        if !wanted {
            continue;
        }
        let mut rng = StdRng::seed_from_u64(SEED + 1);
        let (mut right, mut wrong) = (0, Vec::new());
        for index in 0..ASKED {
            let conversation =
                if index % 4 == 0 { memory_over_four(&mut rng, Split::HeldOut) } else { Conversation::draw(&mut rng, 1, Split::HeldOut) };
            let (mut messages, mut perceived) = (Vec::new(), Perceived::default());
            for exchange in &conversation.exchanges {
                messages.push(teacher.asked(&exchange.user, heard, &mut perceived, &mut rng)?);
                messages.push(answer(&exchange.reply));
            }
            messages.pop();
            let last = conversation.exchanges.last().expect("there is an exchange");
            let found = ask(brain, &teacher.sampler, &messages, &perceived, teacher.heard)?;
            if found == last.reply { right += 1 } else { wrong.push(format!("{} -> {found} (not: {})", last.user, last.reply)) }
        }
        report += &line(name, right, wrong);
    }
    if mix.seeing > 0.0 {
        let mut rng = StdRng::seed_from_u64(SEED + 2);
        for (name, new) in [("seen", true), ("seen, scenes of lessons", false)] {
            let (mut right, mut wrong) = (0, Vec::new());
            for _ in 0..ASKED {
                let case = if new { teacher.perception.unseen(&mut rng)? } else { teacher.perception.see(&mut rng)? };
                let mut perceived = Perceived::default();
                let items = teacher.perception.asked(&case, false, &mut perceived, &mut rng)?;
                let found = ask(brain, &teacher.sampler, &[Message { role: Role::User, items }], &perceived, teacher.heard)?;
                if found == case.answer { right += 1 } else { wrong.push(format!("{} -> {found} (not: {})", case.question, case.answer)) }
            }
            report += &line(name, right, wrong);
        }
    }
    if mix.speaking + mix.talking > 0.0 {
        report += &spoken(brain, teacher)?;
    }
    Ok(report)
}

/// Typed questions of the evaluation about pictures and clips, `count` of each kind, with all wrong answers.
///
/// # Errors
/// When something cannot be drawn or read.
pub fn by_kind(brain: &Brain, teacher: &Teacher, count: usize) -> Result<String> {
    let eyes = teacher.perception.eyes();
    let pictures = PictureKind::ALL.map(|kind| (format!("{kind:?}"), Some(kind), None));
    let clips = ClipKind::ALL.map(|kind| (format!("{kind:?}"), None, Some(kind)));
    let mut report = String::new();
    for (name, picture, clip) in pictures.into_iter().chain(clips) {
        let cases = (0..count as u64).into_par_iter().map(|index| {
            let mut rng = StdRng::seed_from_u64(SEED + 1000 + index);
            let case = match (picture, clip) {
                (Some(kind), _) => eyes.picture(kind, &mut rng, scene::Split::HeldOut)?,
                (_, Some(kind)) => eyes.video(kind, &mut rng, scene::Split::HeldOut)?,
                _ => unreachable!("each is of one kind"),
            };
            let mut perceived = Perceived::default();
            let items = teacher.perception.asked(&case, false, &mut perceived, &mut rng)?;
            let found = ask(brain, &teacher.sampler, &[Message { role: Role::User, items }], &perceived, teacher.heard)?;
            Ok((found == case.answer, format!("      {} -> {found} (not: {})\n", case.question, case.answer)))
        });
        let cases: Vec<(bool, String)> = cases.collect::<Result<_>>()?;
        let right = cases.iter().filter(|(right, _)| *right).count();
        report += &format!("    {name}: {right} of {count}\n");
        report.extend(cases.into_iter().filter(|(right, _)| !right).map(|(_, wrong)| wrong));
    }
    Ok(report)
}

/// Losses of the codes of new answers, each code after the right ones.
fn spoken(brain: &Brain, teacher: &Teacher) -> Result<String> {
    let Some(replies) = &teacher.replies else { return Ok(String::new()) };
    let samples = replies
        .unspoken()
        .map(|(question, answer)| teacher.sampler.sample(&[typed(question), answer], Perceived::default(), teacher.heard, PAIR));
    let samples = samples.collect::<Result<Vec<_>>>()?;
    let batch = Batch::new(samples);
    let device = brain.language.norm.weight.val().device();
    let x = batch.embed(brain, teacher.sampler.markers(), teacher.heard, &device);
    let hidden = brain.language.offline(x, batch.samples, &mut Unwatched);
    let codes = losses(brain, &batch, hidden).codes.unwrap_or_default();
    Ok(format!("    spoken: losses of the codes of {} new answers {codes:.2?}\n", batch.samples))
}

fn line(name: &str, right: usize, wrong: Vec<String>) -> String {
    let shown: String = wrong.iter().take(SHOWN).map(|wrong| format!("\n      {wrong}")).collect();
    format!("    {name}: {right} of {ASKED} questions right{shown}\n")
}
