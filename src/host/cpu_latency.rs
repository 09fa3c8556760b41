//! PM QoS: the latency that CPUs may have at waking (`workers.cpu_dma_latency_us`).

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use super::HostError;

/// Where Linux takes it, of all CPUs together: the least of what all who have the file open have written.
const DEVICE: &str = "/dev/cpu_dma_latency";

/// A latency that is asked for as long as this lives. The kernel takes it back when the file is closed, also of a process that is killed.
#[derive(Debug)]
pub(super) struct CpuLatency(#[expect(dead_code, reason = "it is to stay open")] std::fs::File);

impl CpuLatency {
    /// Asks for at most `micros`; 0: CPUs do not halt.
    pub(super) fn ask(micros: u32) -> Result<Self, HostError> {
        Self::ask_at(Path::new(DEVICE), micros)
    }

    fn ask_at(path: &Path, micros: u32) -> Result<Self, HostError> {
        let error = |why| HostError::CpuLatency { device: path.display().to_string(), why };
        let micros = i32::try_from(micros).unwrap_or(i32::MAX);
        let mut file = OpenOptions::new().write(true).open(path).map_err(error)?;
        // Four bytes are a number, others its hexadecimal digits: Linux's Documentation/power/pm_qos_interface.rst.
        file.write_all(&micros.to_ne_bytes()).map_err(error)?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_is_written_as_a_number_of_four_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let _asked = CpuLatency::ask_at(file.path(), 20).unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), 20_i32.to_ne_bytes());
    }

    #[test]
    fn a_kernel_without_it_is_an_error_with_a_remedy() {
        let error = CpuLatency::ask_at(Path::new("/nowhere/cpu_dma_latency"), 0).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("cannot write to /nowhere/cpu_dma_latency: No such file or directory"),
            "{said}"
        );
        assert!(said.ends_with("or leave workers.cpu_dma_latency_us out"), "{said}");
        assert!(!error.is_configuration());
    }
}
