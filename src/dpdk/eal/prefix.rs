//! The file prefix: one program each.
//!
//! DPDK itself notices a second program with its prefix only in the mode that keeps its memory in files. So we hold a
//! lock of our own for each prefix, and look at DPDK's.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::EalError;

/// A file prefix that no other program of ours has. Freed on drop, and by the kernel if we crash.
#[derive(Debug)]
pub(super) struct PrefixLock {
    path: PathBuf,
    /// Holds the lock while it is open.
    _file: File,
}

/// Whether this process runs as root, which decides where run-time files go.
pub(super) fn is_root() -> bool {
    // SAFETY: no arguments, always succeeds.
    unsafe { libc::getuid() == 0 }
}

/// Where run-time files of the program `name` go: as DPDK chooses for its own.
fn runtime_base(name: &str) -> PathBuf {
    if is_root() {
        return Path::new("/run").join(name);
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) => PathBuf::from(dir).join(name),
        None => Path::new("/tmp").join(name),
    }
}

impl PrefixLock {
    /// Takes `prefix`.
    pub(super) fn take(prefix: &str) -> Result<Self, EalError> {
        if prefix.is_empty() || prefix.starts_with('.') || prefix.contains(['/', '%', '\0']) {
            return Err(EalError::PrefixInvalid(prefix.to_owned()));
        }
        let busy = |holder| EalError::PrefixBusy { prefix: prefix.to_owned(), holder };
        if let Some(pid) = dpdk_holder(&runtime_base("dpdk").join(prefix).join("config")) {
            return Err(busy(format!("another DPDK program (process {pid})")));
        }
        let dir = runtime_base("pollcast");
        let path = dir.join(format!("{prefix}.lock"));
        let taken =
            Self::lock(&dir, &path).map_err(|error| EalError::RuntimeDir { path: path.clone(), error })?;
        taken.ok_or_else(|| {
            let pid = fs::read_to_string(&path).unwrap_or_default();
            busy(match pid.trim() {
                "" => "another pollcast".to_owned(),
                pid => format!("another pollcast (process {pid})"),
            })
        })
    }

    /// `None`: another has it.
    fn lock(dir: &Path, path: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(dir)?;
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(path)?;
            // SAFETY: the descriptor is open, and a lock is all that is changed.
            let ret = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
            if ret != 0 {
                let error = io::Error::last_os_error();
                return match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(None),
                    io::ErrorKind::Interrupted => continue,
                    _ => Err(error),
                };
            }
            // Its last holder may have removed it between our opening and our locking.
            let same = fs::metadata(path).is_ok_and(|m| file.metadata().is_ok_and(|f| f.ino() == m.ino()));
            if same {
                file.set_len(0)?;
                io::Write::write_all(&mut &file, format!("{}\n", std::process::id()).as_bytes())?;
                return Ok(Some(Self { path: path.to_owned(), _file: file }));
            }
        }
    }
}

impl Drop for PrefixLock {
    fn drop(&mut self) {
        // While we hold it, it is ours to remove. If that fails it stays, unlocked, and is taken again next time.
        drop(fs::remove_file(&self.path));
    }
}

/// The process that holds DPDK's lock on `config`, if any.
#[expect(clippy::cast_possible_truncation, reason = "the kinds of lock are 0, 1 and 2")]
fn dpdk_holder(config: &Path) -> Option<i32> {
    let file = OpenOptions::new().read(true).write(true).open(config).ok()?;
    // SAFETY: a plain C structure, for which zeros are a value: the whole file, from its start.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    // SAFETY: the descriptor is open, and `lock` is what F_GETLK reads and writes.
    let ret = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) };
    (ret == 0 && lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid)
}

/// Removes what DPDK leaves in its run-time directory at every exit.
pub(super) fn remove_runtime_dir(dir: &Path) {
    const LEFT_BY_DPDK: &[&str] =
        &["config", "hugepage_info", "hugepage_data", "fbarray_", "mp_socket", "dpdk_telemetry"];
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| LEFT_BY_DPDK.iter().any(|known| name.starts_with(known))) {
            drop(fs::remove_file(entry.path()));
        }
    }
    // Only if it is empty: what we do not know is not ours to remove.
    drop(fs::remove_dir(dir));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_program_has_a_prefix_and_the_next_takes_it_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.lock");
        let first = PrefixLock::lock(dir.path(), &path).unwrap();
        assert!(first.is_some());
        assert!(PrefixLock::lock(dir.path(), &path).unwrap().is_none());
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), std::process::id().to_string());
        drop(first);
        assert!(!path.exists());
        assert!(PrefixLock::lock(dir.path(), &path).unwrap().is_some());
    }

    #[test]
    fn a_prefix_is_a_file_name() {
        for bad in ["", "a/b", "..", "../x", "a%b"] {
            assert!(matches!(PrefixLock::take(bad), Err(EalError::PrefixInvalid(_))), "{bad}");
        }
    }

    #[test]
    fn what_dpdk_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join("prefix");
        fs::create_dir(&ours).unwrap();
        fs::write(ours.join("config"), "").unwrap();
        fs::write(ours.join("notes"), "").unwrap();
        remove_runtime_dir(&ours);
        assert!(ours.join("notes").exists() && !ours.join("config").exists());
        fs::remove_file(ours.join("notes")).unwrap();
        remove_runtime_dir(&ours);
        assert!(!ours.exists());
    }
}
