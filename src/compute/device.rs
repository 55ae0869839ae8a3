//! Where models run: on the CPU, or on a GPU by candle.

/// A GPU as candle knows it.
pub use candle_core::Device as Gpu;
use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind, Result};

/// What the setting `device` may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A GPU if the program was built for one and it opens, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, the first of those that CUDA shows.
    Cuda,
    /// The GPU of a Mac.
    Metal,
}

/// Where models run.
#[derive(Clone, Debug)]
pub enum Device {
    /// By this program's own kernels, and why there.
    Cpu {
        /// As `it is set`.
        why: String,
    },
    /// By candle's.
    Gpu {
        /// As `cuda`.
        name: &'static str,
        /// As candle knows it.
        gpu: Gpu,
    },
}

/// A kind of GPU.
struct Kind {
    choice: DeviceChoice,
    /// What the setting and the Cargo feature call it.
    name: &'static str,
    is_built: bool,
    open: fn() -> candle_core::Result<Gpu>,
}

/// The kinds of GPU, and whether this program was built for them.
const KINDS: [Kind; 2] = [
    Kind {
        choice: DeviceChoice::Cuda,
        name: "cuda",
        is_built: cfg!(feature = "cuda"),
        open: || Gpu::new_cuda(0),
    },
    Kind {
        choice: DeviceChoice::Metal,
        name: "metal",
        is_built: cfg!(feature = "metal"),
        open: || Gpu::new_metal(0),
    },
];

impl DeviceChoice {
    /// Opens the device that is meant.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if a GPU is asked for by name and the program was not built for it, or
    /// none opens.
    pub fn open(self) -> Result<Device> {
        self.open_of(&KINDS)
    }

    fn open_of(self, kinds: &[Kind]) -> Result<Device> {
        let cpu = |why: String| Ok(Device::Cpu { why });
        match self {
            DeviceChoice::Cpu => cpu("the setting device says so".to_owned()),
            DeviceChoice::Auto => {
                let mut failed = Vec::new();
                for kind in kinds.iter().filter(|kind| kind.is_built) {
                    match (kind.open)() {
                        Ok(gpu) => return Ok(Device::Gpu { name: kind.name, gpu }),
                        Err(error) => failed.push(format!("{}: {}", kind.name, in_short(&error))),
                    }
                }
                cpu(match failed.is_empty() {
                    true => "this build has no GPU support".to_owned(),
                    false => format!("no GPU opens ({})", failed.join("; ")),
                })
            }
            DeviceChoice::Cuda | DeviceChoice::Metal => {
                let Some(kind) = kinds.iter().find(|kind| kind.choice == self) else {
                    return Err(Error::new(ErrorKind::Bug, "a GPU of no known kind is set"));
                };
                let name = kind.name;
                let otherwise = "or set device = \"cpu\" or \"auto\"";
                if !kind.is_built {
                    let what =
                        format!("device is \"{name}\", and this build has no {name} support");
                    return Err(Error::new(ErrorKind::Config, what)
                        .hint(format!("build wellread with `--features {name}`, {otherwise}")));
                }
                let gpu = (kind.open)().map_err(|error| {
                    Error::new(ErrorKind::Config, format!("device is \"{name}\", and no GPU opens"))
                        .caused_by(in_short(&error))
                        .hint(format!("check the GPU's driver, {otherwise}"))
                })?;
                Ok(Device::Gpu { name, gpu })
            }
        }
    }
}

/// What an error of candle says, without where it was made.
fn in_short(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(is_built: bool, cuda: fn() -> candle_core::Result<Gpu>) -> [Kind; 2] {
        let [a, b] = KINDS;
        let none = || Err(candle_core::Error::Msg("no such thing\nbacktrace".to_owned()));
        [Kind { is_built, open: cuda, ..a }, Kind { is_built, open: none, ..b }]
    }

    fn why(device: Result<Device>) -> String {
        match device.unwrap() {
            Device::Cpu { why } => why,
            Device::Gpu { name, .. } => panic!("{name}"),
        }
    }

    #[test]
    fn auto_takes_a_gpu_that_opens_and_says_why_it_takes_none() {
        let works = || Ok(Gpu::Cpu);
        let fails = || Err(candle_core::Error::Msg("no driver".to_owned()));
        let auto = DeviceChoice::Auto;
        let taken = auto.open_of(&kinds(true, works)).unwrap();
        assert!(matches!(taken, Device::Gpu { name: "cuda", .. }), "{taken:?}");
        assert_eq!(why(auto.open_of(&kinds(false, works))), "this build has no GPU support");
        assert_eq!(
            why(auto.open_of(&kinds(true, fails))),
            "no GPU opens (cuda: no driver; metal: no such thing)"
        );
        assert_eq!(
            why(DeviceChoice::Cpu.open_of(&kinds(true, works))),
            "the setting device says so"
        );
    }

    #[test]
    fn a_gpu_that_is_asked_for_by_name_is_there_or_an_error() {
        let works = || Ok(Gpu::Cpu);
        let opened = DeviceChoice::Cuda.open_of(&kinds(true, works)).unwrap();
        assert!(matches!(opened, Device::Gpu { name: "cuda", .. }));
        // The other kind is not taken in its place.
        for (is_built, said, next) in [
            (false, "device is \"metal\", and this build has no metal support", "--features metal"),
            (true, "device is \"metal\", and no GPU opens: no such thing", "driver"),
        ] {
            let error = DeviceChoice::Metal.open_of(&kinds(is_built, works)).unwrap_err();
            assert_eq!((error.kind(), error.chain()), (ErrorKind::Config, said.to_owned()));
            let next_step = format!("{:?}", error.steps());
            assert!(next_step.contains(next) && next_step.contains("cpu"), "{next_step}");
        }
    }
}
