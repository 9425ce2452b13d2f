//! Every golden on every device that this build and machine have.

use burn::tensor::Device;
use caracal_tests::golden::{self, INDEXES, all, discover, golden_root};

#[test]
fn every_golden_has_a_check_and_every_check_its_golden() {
    let there = discover(&golden_root()).unwrap();
    let known = all();
    let unchecked: Vec<_> = there.iter().filter(|name| !INDEXES.contains(&name.as_str()) && !known.iter().any(|e| e.name == **name)).collect();
    assert!(unchecked.is_empty(), "no check is written for {unchecked:?}");
    let missing: Vec<_> = known.iter().filter(|e| !there.iter().any(|name| name == e.name)).map(|e| e.name).collect();
    assert!(missing.is_empty(), "goldens are missing: {missing:?}");
}

#[test]
fn all_goldens_on_the_cpu() {
    check_all(&Device::flex(), |_| true);
}

#[test]
fn the_backbone_in_portable_operations() {
    // With gradient tracking the CPU takes the paths that every other device takes.
    check_all(&Device::flex().autodiff(), |entry| entry.on_device && entry.name.starts_with("backbone/"));
}

fn check_all(device: &Device, which: impl Fn(&golden::Entry) -> bool) {
    let mut failed = Vec::new();
    for entry in all().into_iter().filter(which) {
        match std::panic::catch_unwind(|| golden::run(entry.name, device).map(|report| report.assert())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed.push(format!("{}: {error:#}", entry.name)),
            Err(panic) => failed.push(format!("{}: {}", entry.name, panic.downcast_ref::<String>().map_or("panicked", String::as_str))),
        }
    }
    assert!(failed.is_empty(), "{} goldens failed\n{}", failed.len(), failed.join("\n"));
}
