//! Which compute device runs the tensors: the CPU always works, a GPU through wgpu when there is one.

use burn::tensor::Device;

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// wgpu when the build has it and a real adapter answers, else the CPU.
    #[default]
    Auto,
    /// The CPU, always.
    Cpu,
    /// wgpu, software adapters included; falls back to the CPU when none answers.
    Wgpu,
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            other => Err(format!("unknown device `{other}`: expected `auto`, `cpu` or `wgpu`")),
        }
    }
}

/// A device and, when it is not what was asked for, the one line that says why.
#[derive(Clone, Debug)]
pub struct ChosenDevice {
    /// The device to put tensors on.
    pub device: Device,
    /// Its name for people, e.g. `CPU` or `wgpu (llvmpipe)`.
    pub name: String,
    /// Why this is not the device that was asked for.
    pub fallback: Option<String>,
}

/// Finds the device for `choice`. Never panics: a missing or broken driver gives a [`ChosenDevice::fallback`] line and
/// the CPU.
pub fn choose_device(choice: DeviceChoice) -> ChosenDevice {
    let cpu = |fallback| ChosenDevice { device: Device::flex(), name: "CPU".into(), fallback };
    match choice {
        DeviceChoice::Cpu => cpu(None),
        DeviceChoice::Auto | DeviceChoice::Wgpu => match probe_wgpu(choice == DeviceChoice::Wgpu) {
            Ok((device, name)) => ChosenDevice { device, name, fallback: None },
            Err(_) if choice == DeviceChoice::Auto => cpu(None),
            Err(why) => cpu(Some(format!("wgpu is not usable ({why}); running on the CPU"))),
        },
    }
}

#[cfg(not(feature = "wgpu"))]
fn probe_wgpu(_software: bool) -> Result<(Device, String), String> {
    Err("this build has no wgpu: build with `--features wgpu`".into())
}

/// Asks the driver for its adapters and runs one addition, since a broken driver often shows only at the first kernel.
#[cfg(feature = "wgpu")]
fn probe_wgpu(software: bool) -> Result<(Device, String), String> {
    use burn::tensor::{DeviceType, Tensor};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let probed = catch_unwind(AssertUnwindSafe(|| {
        let device = Device::enumerate(DeviceType::Wgpu).into_vec().into_iter().next().ok_or("no adapter found")?;
        let name = device.identity().map_or_else(|| "wgpu".to_string(), |id| format!("wgpu ({})", id.name));
        let two = Tensor::<1>::ones([4], &device) + Tensor::<1>::ones([4], &device);
        match two.try_into_data() {
            Ok(data) if data.try_to_vec::<f32>().is_ok_and(|v| v == [2.0; 4]) => Ok((device, name)),
            Ok(_) => Err("the driver computes 1 + 1 wrongly".to_string()),
            Err(error) => Err(format!("the driver failed its first kernel: {error}")),
        }
    }));
    std::panic::set_hook(quiet);
    match probed {
        Ok(Ok((_, name))) if !software && is_software(&name) => Err(format!("only a software adapter: {name}")),
        Ok(found) => found,
        Err(_) => Err("the driver crashed while it was probed".into()),
    }
}

#[cfg(feature = "wgpu")]
fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["llvmpipe", "lavapipe", "swiftshader", "software"].iter().any(|s| name.contains(s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_always_works() {
        let chosen = choose_device(DeviceChoice::Cpu);
        assert_eq!((chosen.name.as_str(), chosen.fallback), ("CPU", None));
    }

    #[test]
    fn asking_for_wgpu_gives_wgpu_or_says_why_not() {
        let chosen = choose_device(DeviceChoice::Wgpu);
        assert_eq!(chosen.name == "CPU", chosen.fallback.is_some(), "{chosen:?}");
    }

    #[test]
    fn unknown_device_names_are_refused() {
        assert!("gpu".parse::<DeviceChoice>().unwrap_err().contains("`auto`, `cpu` or `wgpu`"));
    }
}
