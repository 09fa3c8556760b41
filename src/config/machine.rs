//! What of the machine matters to a configuration.

/// The machine that a configuration is checked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The CPUs that this process may run on, by the kernel's numbers, in rising order.
    pub cpus: Vec<usize>,
}

impl Machine {
    /// A machine with `cpus`.
    #[must_use]
    pub fn new(cpus: impl IntoIterator<Item = usize>) -> Self {
        let mut cpus: Vec<usize> = cpus.into_iter().collect();
        cpus.sort_unstable();
        cpus.dedup();
        Self { cpus }
    }

    /// This machine: the CPUs that the calling thread may run on. To be called before any thread is pinned.
    #[must_use]
    pub fn here() -> Self {
        Self::new(core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id))
    }

    /// The CPU of the control thread, if none is configured: the first.
    pub(super) fn control_cpu(&self) -> usize {
        self.cpus.first().copied().unwrap_or(0)
    }

    /// The CPU of the only worker, if none is configured: the last, so that control has one of its own if there are
    /// two.
    pub(super) fn worker_cpu(&self) -> usize {
        self.cpus.last().copied().unwrap_or(0)
    }

    /// Its CPUs in words: `0, 1, 4`.
    pub(super) fn cpu_list(&self) -> String {
        self.cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_cpu() {
        assert!(!Machine::here().cpus.is_empty());
    }

    #[test]
    fn the_defaults_part_control_from_the_worker_where_they_can() {
        let two = Machine::new([1, 0]);
        assert_eq!((two.control_cpu(), two.worker_cpu()), (0, 1));
        let one = Machine::new([3]);
        assert_eq!((one.control_cpu(), one.worker_cpu()), (3, 3));
    }
}
