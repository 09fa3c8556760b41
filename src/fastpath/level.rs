//! Levels of CPU: what the packet path is compiled for, and which of them this CPU has.

/// A level of CPU. Holding one proves that this CPU has it: only [`Level::all_here`] makes any but the baseline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level(Isa);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Isa {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    X86V3,
    /// The same, and vectors of 64 bytes: for fronts, and for what is long.
    #[cfg(target_arch = "x86_64")]
    X86V4,
}

impl Level {
    /// What every CPU of the architecture has.
    pub const BASELINE: Self = Self(Isa::Baseline);

    /// The best level of this CPU.
    #[must_use]
    pub fn detect() -> Self {
        Self::all_here().last().unwrap_or(Self::BASELINE)
    }

    /// Every level that this CPU has, the best one last.
    pub fn all_here() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let better = [has_v3().then_some(Self(Isa::X86V3)), has_v4().then_some(Self(Isa::X86V4))];
        #[cfg(not(target_arch = "x86_64"))]
        let better = [None; 0];
        core::iter::once(Self::BASELINE).chain(better.into_iter().flatten())
    }

    #[inline(always)]
    pub(super) const fn isa(self) -> Isa {
        self.0
    }

    /// Its name, as in `x86-64-v3`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Isa::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Isa::X86V3 => "x86-64-v3",
            #[cfg(target_arch = "x86_64")]
            Isa::X86V4 => "x86-64-v4",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_v3() -> bool {
    std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("bmi1")
        && std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("movbe")
        && std::is_x86_feature_detected!("popcnt")
}

/// Ice Lake, Zen 4, and what came after them: CPUs before them lower their clock for vectors of 64 bytes.
#[cfg(target_arch = "x86_64")]
fn has_v4() -> bool {
    has_v3()
        && std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512cd")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("avx512vnni")
        && std::is_x86_feature_detected!("avx512vbmi")
}
