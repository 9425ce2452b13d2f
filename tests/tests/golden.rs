//! One test per golden and device; the names come from the sidecars.
//!
//! A sidecar without a check, a check without its sidecar, and (in a build with wgpu) a machine without an adapter are
//! failures. `portable` is the CPU with gradient tracking, which takes the paths that training takes and, where no gradient is written out,
//! every other device.

use std::process::ExitCode;

use burn::tensor::Device;
use caracal_tests::golden::{self, INDEXES, all, discover, golden_root};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let there = discover(&golden_root()).unwrap_or_default();
    let mut trials = vec![Trial::test("every_golden_has_a_check_and_every_check_its_golden", every_golden_has_a_check)];
    for name in there.into_iter().filter(|name| !INDEXES.contains(&name.as_str())) {
        let mut add = |kind: &str, device: fn() -> Result<Device, Failed>| {
            let golden = name.clone();
            trials.push(Trial::test(format!("{kind}::{name}"), move || check(&golden, &device()?)));
        };
        add("cpu", || Ok(Device::flex()));
        if all().iter().any(|e| e.name == name && e.on_device) {
            add("portable", || Ok(Device::flex().autodiff()));
            if cfg!(feature = "wgpu") {
                add("wgpu", wgpu);
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn every_golden_has_a_check() -> Result<(), Failed> {
    let there = discover(&golden_root()).map_err(|e| format!("{e:#}"))?;
    let known = all();
    let unchecked: Vec<_> = there.iter().filter(|n| !INDEXES.contains(&n.as_str()) && !known.iter().any(|e| e.name == **n)).collect();
    let missing: Vec<_> = known.iter().map(|e| e.name).filter(|name| !there.iter().any(|n| n == name)).collect();
    if unchecked.is_empty() && missing.is_empty() {
        return Ok(());
    }
    Err(format!("no check is written for {unchecked:?}; goldens are missing: {missing:?}").into())
}

fn check(name: &str, device: &Device) -> Result<(), Failed> {
    golden::run(name, device).map_err(|e| format!("{e:#}"))?.assert();
    Ok(())
}

fn wgpu() -> Result<Device, Failed> {
    let chosen = caracal_kernels::choose_device(caracal_kernels::DeviceChoice::Wgpu);
    match chosen.fallback {
        None => Ok(chosen.device),
        Some(why) => Err(format!("{why}; install mesa-vulkan-drivers and libvulkan1 for a software adapter").into()),
    }
}
