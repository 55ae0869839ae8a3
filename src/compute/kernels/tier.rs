//! Which vector instructions are used.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use super::table::Kernels;
use super::{floats, reference};

/// A set of vector instructions, from the least on. There is room above for those with wider
/// vectors or with dot products of bytes; all give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Plain Rust, which the compiler makes what it can of.
    Reference,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
}

const TIERS: [Tier; 2] = [Tier::Reference, Tier::Avx2];

/// The highest tier that may be used, by its place in [`TIERS`].
static CAP: AtomicU8 = AtomicU8::new(u8::MAX);

impl Tier {
    /// As it is written in settings.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Reference => "reference",
            Tier::Avx2 => "avx2",
        }
    }

    /// The tier of a name.
    pub fn of_name(name: &str) -> Option<Tier> {
        TIERS.into_iter().find(|tier| tier.name() == name)
    }

    fn is_here(self) -> bool {
        match self {
            Tier::Reference => true,
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Tier::Avx2 => false,
        }
    }

    /// Its functions.
    ///
    /// # Panics
    /// If this machine does not have it.
    pub(super) fn kernels(self) -> &'static Kernels {
        static PLAIN: Kernels = Kernels {
            q4k: reference::q4k,
            q6k: reference::q6k,
            q8: reference::q8,
            floats: floats::PLAIN,
        };
        match self {
            Tier::Reference => &PLAIN,
            Tier::Avx2 => {
                assert!(best() >= Tier::Avx2, "this machine has no AVX2");
                #[cfg(target_arch = "x86_64")]
                return &super::avx2::KERNELS;
                #[cfg(not(target_arch = "x86_64"))]
                &PLAIN
            }
        }
    }
}

/// The highest tier of this machine.
fn best() -> Tier {
    static BEST: OnceLock<Tier> = OnceLock::new();
    *BEST.get_or_init(|| {
        TIERS.into_iter().filter(|tier| tier.is_here()).max().unwrap_or(Tier::Reference)
    })
}

/// Allows no tier above this one, in the whole process.
pub fn cap_tier(tier: Tier) {
    CAP.store(tier as u8, Ordering::Relaxed);
}

/// The tier that is used: the best of this machine, up to what [`cap_tier`] allows.
pub fn tier() -> Tier {
    let cap = CAP.load(Ordering::Relaxed);
    TIERS.into_iter().filter(|tier| *tier as u8 <= cap).max().map_or(best(), |cap| cap.min(best()))
}

pub(super) fn kernels() -> &'static Kernels {
    tier().kernels()
}
