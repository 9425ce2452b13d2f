//! The laws of every pure state machine, as one function.

use std::fmt::Debug;

use caracal_shared::machine::{Machine, Micros};

/// All outputs of a script, each with the index of the input that caused it.
///
/// # Panics
/// When an input causes more than `outputs_max` outputs, or leaves a deadline that has already passed.
pub fn run<M: Machine>(machine: &mut M, script: &[(Micros, M::Input)], outputs_max: usize) -> Vec<(usize, M::Output)>
where
    M::Input: Clone,
{
    let mut outputs = Vec::new();
    let mut latest = Micros(0);
    for (index, (now, input)) in script.iter().enumerate() {
        latest = latest.max(*now);
        machine.handle(*now, input.clone());
        let before = outputs.len();
        outputs.extend(std::iter::from_fn(|| machine.poll()).take(outputs_max + 1).map(|output| (index, output)));
        assert!(outputs.len() - before <= outputs_max, "input {index} caused more than {outputs_max} outputs");
        assert!(machine.deadline().is_none_or(|at| at > latest), "the deadline {:?} had passed at {latest:?}", machine.deadline());
    }
    outputs
}

/// Checks the laws on one script: equal inputs give equal outputs; a clone taken after `saved` inputs continues equally;
/// a time that goes back counts as the latest one seen; ticks at every deadline change nothing but when outputs come.
///
/// # Panics
/// When a law is broken.
pub fn check<M: Machine + Debug>(start: &M, script: &[(Micros, M::Input)], saved: usize, tick: M::Input, outputs_max: usize)
where
    M::Input: Clone + Debug,
    M::Output: PartialEq + Debug,
{
    let mut machine = start.clone();
    let outputs = run(&mut machine, script, outputs_max);

    let mut again = start.clone();
    assert_eq!(run(&mut again, script, outputs_max), outputs, "a second run gave other outputs");
    assert_eq!(again, machine, "a second run ended in another state");

    let saved = saved.min(script.len());
    let mut first = start.clone();
    run(&mut first, &script[..saved], outputs_max);
    let mut copy = first.clone();
    assert_eq!(run(&mut first, &script[saved..], outputs_max), run(&mut copy, &script[saved..], outputs_max), "a clone gave other outputs");
    assert_eq!(first, copy, "a clone ended in another state");
    assert_eq!(first, machine, "saving changed the state");

    let mut latest = Micros(0);
    let ordered: Vec<_> = script
        .iter()
        .map(|(now, input)| {
            latest = latest.max(*now);
            (latest, input.clone())
        })
        .collect();
    let mut forward = start.clone();
    assert_eq!(run(&mut forward, &ordered, outputs_max), outputs, "a time that went back was not taken as the latest one");
    assert_eq!(forward, machine);

    let mut timely = start.clone();
    let mut timely_outputs = Vec::new();
    for (now, input) in ordered {
        while let Some(at) = timely.deadline().filter(|at| *at < now) {
            timely_outputs.extend(run(&mut timely, &[(at, tick.clone())], outputs_max));
        }
        timely_outputs.extend(run(&mut timely, &[(now, input)], outputs_max));
    }
    let plain = |outputs: Vec<(usize, M::Output)>| outputs.into_iter().map(|(_, output)| output).collect::<Vec<_>>();
    assert_eq!(plain(timely_outputs), plain(outputs), "late ticks led to other outputs");
    assert_eq!(timely, machine, "late ticks led to another state");
}
