//! Memory: whether hugepages are there, and what EAL is told of them.

use std::fs;
use std::path::Path;

use super::error::EalError;
use crate::config::plan::Hugepages;

/// Where DPDK's memory comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    /// Hugepages that belong to no file: nothing is left behind, even by a crash.
    Hugepages,
    /// Hugepages in files, for drivers that pass them to another process by name (memif).
    HugepageFiles,
    /// Ordinary pages.
    Ordinary,
}

/// Where the kernel says how many there are.
const SYSFS: &str = "/sys/kernel/mm/hugepages";

/// Free hugepages of all sizes, in MiB, as `root` (of the form of [`SYSFS`]) says.
fn free_mb(root: &Path) -> u64 {
    let Ok(sizes) = fs::read_dir(root) else { return 0 };
    let number = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let free_kb = |dir: &Path| {
        let name = dir.file_name()?.to_str()?;
        let page_kb: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let free = number(&dir.join("free_hugepages"))?;
        // Promised to someone already.
        let reserved = number(&dir.join("resv_hugepages")).unwrap_or(0);
        Some(free.saturating_sub(reserved).saturating_mul(page_kb))
    };
    let sizes = sizes.filter_map(|entry| free_kb(&entry.ok()?.path()));
    sizes.fold(0, u64::saturating_add) / 1024
}

/// What to use for `needed_mb` MiB.
pub(super) fn choose(wish: Hugepages, needed_mb: u32, in_files: bool) -> Result<Memory, EalError> {
    choose_in(Path::new(SYSFS), wish, needed_mb, in_files)
}

fn choose_in(root: &Path, wish: Hugepages, needed_mb: u32, in_files: bool) -> Result<Memory, EalError> {
    if wish == Hugepages::None {
        return Ok(Memory::Ordinary);
    }
    let free_mb = free_mb(root);
    let enough = free_mb > 0 && free_mb >= u64::from(needed_mb);
    match (enough, wish) {
        (true, _) => Ok(if in_files { Memory::HugepageFiles } else { Memory::Hugepages }),
        (false, Hugepages::Required) => {
            Err(EalError::NoHugepages { needed_mb, free_mb, pages: u64::from(needed_mb).div_ceil(2).max(1) })
        }
        (false, Hugepages::Auto | Hugepages::None) => Ok(Memory::Ordinary),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(sizes: &[(&str, u64, u64)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, free, reserved) in sizes {
            let dir = root.path().join(name);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("free_hugepages"), format!("{free}\n")).unwrap();
            fs::write(dir.join("resv_hugepages"), format!("{reserved}\n")).unwrap();
        }
        root
    }

    #[test]
    fn pages_of_all_sizes_count_and_promised_ones_do_not() {
        let root = machine(&[("hugepages-2048kB", 100, 40), ("hugepages-1048576kB", 1, 0)]);
        assert_eq!(free_mb(root.path()), 120 + 1024);
    }

    #[test]
    fn auto_falls_back_to_ordinary_pages_and_required_does_not() {
        let root = machine(&[("hugepages-2048kB", 100, 0)]);
        let choose = |wish, mb| choose_in(root.path(), wish, mb, false);
        assert_eq!(choose(Hugepages::Auto, 200).unwrap(), Memory::Hugepages);
        assert_eq!(choose(Hugepages::Auto, 201).unwrap(), Memory::Ordinary);
        assert_eq!(choose(Hugepages::None, 2).unwrap(), Memory::Ordinary);
        assert_eq!(choose(Hugepages::Required, 200).unwrap(), Memory::Hugepages);
        let refusal = choose(Hugepages::Required, 201).unwrap_err().to_string();
        assert!(refusal.contains("201 MiB of hugepages are required and 200 MiB are free"), "{refusal}");
        assert!(refusal.contains("vm.nr_hugepages=101"), "{refusal}");
    }

    #[test]
    fn a_machine_without_hugepages_has_none() {
        let nowhere = Path::new("/nonexistent");
        assert_eq!(choose_in(nowhere, Hugepages::Auto, 0, false).unwrap(), Memory::Ordinary);
        assert!(choose_in(nowhere, Hugepages::Required, 0, false).is_err());
    }
}
