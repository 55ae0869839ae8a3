//! Which vector instructions are used.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use super::table::Kernels;
use super::{floats, reference, strips};

/// A set of vector instructions, from the least on; all give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Plain Rust, which the compiler makes what it can of.
    Reference,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// The same with AVX-VNNI.
    AvxVnni,
    /// x86-64 with AVX-512 (F, BW, VL) and its VNNI.
    Avx512Vnni,
}

const TIERS: [Tier; 4] = [Tier::Reference, Tier::Avx2, Tier::AvxVnni, Tier::Avx512Vnni];

/// The highest tier that may be used, by its place in [`TIERS`].
static CAP: AtomicU8 = AtomicU8::new(u8::MAX);

impl Tier {
    /// As it is written in settings.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Reference => "reference",
            Tier::Avx2 => "avx2",
            Tier::AvxVnni => "avxvnni",
            Tier::Avx512Vnni => "avx512vnni",
        }
    }

    /// The tier of a name.
    pub fn of_name(name: &str) -> Option<Tier> {
        TIERS.into_iter().find(|tier| tier.name() == name)
    }

    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        let has_avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        match self {
            Tier::Reference => true,
            Tier::Avx2 => has_avx2,
            Tier::AvxVnni => has_avx2 && is_x86_feature_detected!("avxvnni"),
            Tier::Avx512Vnni => {
                has_avx2
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        self == Tier::Reference
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
            sixteen: strips::PLAIN,
        };
        assert!(here().contains(&self), "this machine has no {}", self.name());
        match self {
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => &super::avx2::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Tier::AvxVnni => &super::vnni::avx::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512Vnni => &super::vnni::avx512::KERNELS,
            _ => &PLAIN,
        }
    }
}

/// The tiers that this machine has, from the least on.
pub(super) fn here() -> &'static [Tier] {
    static HERE: OnceLock<Vec<Tier>> = OnceLock::new();
    HERE.get_or_init(|| TIERS.into_iter().filter(|tier| tier.is_here()).collect())
}

/// Allows no tier above this one, in the whole process.
pub fn cap_tier(tier: Tier) {
    CAP.store(tier as u8, Ordering::Relaxed);
}

/// The tier that is used: the best of this machine, up to what [`cap_tier`] allows.
pub fn tier() -> Tier {
    let cap = CAP.load(Ordering::Relaxed);
    let allowed = here().iter().rfind(|tier| **tier as u8 <= cap);
    allowed.copied().unwrap_or(Tier::Reference)
}

pub(super) fn kernels() -> &'static Kernels {
    tier().kernels()
}
