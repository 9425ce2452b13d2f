//! One core's time for a decode step, a second of sound, a pair of pictures.

use std::time::Instant;

use anyhow::Result;
use caracal_edge::Streaming;
use caracal_edge::audio::Waveform;
use caracal_edge::vision::Preprocessor;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::kitten::Kitten;
use super::report::{Measured, Report};
use crate::eyes::draw::draw_scene;
use crate::eyes::questions::picture_case;
use crate::eyes::scene::Split;

/// Rows of the prompt that a timed step stands behind.
const PROMPT: usize = 300;
/// Repetitions; the median counts.
const TIMES: usize = 15;

/// Adds the three figures.
///
/// # Errors
/// When a part cannot be run.
pub fn measure(kitten: &Kitten, report: &mut Report) -> Result<()> {
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    one_core.install(|| {
        let step = kitten.decoder_of(PROMPT)?;
        report.add(Measured::at_most("decode step on one core, ms", median(step)? * 1e3, 20.0));
        let second = Waveform::new((0..16_000).map(|i| (i as f32 * 0.05).sin() * 0.3).collect())?;
        let heard = median(|| {
            let mut state = kitten.hearing().start();
            kitten.hearing().step(&mut state, second.clone());
            kitten.hearing().flush(&mut state);
            Ok(())
        })?;
        report.add(Measured::at_most("audio encoder on one core, real-time factor", heard, 0.05));
        let (sight, config) = kitten.folder().sight()?;
        let (scene, _, _) = picture_case(&mut StdRng::seed_from_u64(1), Split::HeldOut);
        let (picture, preprocessor) = (draw_scene(&scene), Preprocessor::new(&config.preprocess));
        let seen = median(|| {
            let unit = preprocessor.pair(&picture, &picture, 2)?;
            sight.embed(&[(&unit, unit.grid.tokens())]).remove(0).into_data();
            Ok(())
        })?;
        report.add(Measured::at_most("picture pair at 224x224 on one core, ms", seen * 1e3, 40.0));
        Ok(())
    })
}

fn median(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[TIMES / 2])
}
