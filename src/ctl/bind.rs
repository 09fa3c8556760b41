//! Taking the path of the control socket, and giving it back.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::SOCKET_PATH_MAX;

/// Why the control socket could not be had. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error(
        "the control socket {} is in use by a running pollcast; stop it or give [ctl] socket another path",
        .0.display()
    )]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{} exists and is not a control socket; remove it or give [ctl] socket another path", .0.display())]
    NotASocket(PathBuf),
    /// This user may not.
    #[error(
        "no permission to make the control socket {}; run as root, or give [ctl] socket a path in a directory that \
         this user may write to",
        .0.display()
    )]
    Permission(PathBuf),
    /// Longer than unix(7) allows.
    #[error(
        "the path of the control socket is {} bytes long and Linux allows {SOCKET_PATH_MAX}; give [ctl] socket a \
         shorter one: {}",
        .0.as_os_str().len(), .0.display()
    )]
    TooLong(PathBuf),
    /// Anything else.
    #[error("cannot make the control socket {}: {error}; give [ctl] socket another path", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: Error,
    },
}

impl BindError {
    fn new(path: &Path, error: Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Permission(path),
            _ => Self::Io { path, error },
        }
    }
}

/// A listening socket, and its name in the file system, which goes when this does.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) listener: Arc<UnixListener>,
    path: PathBuf,
    /// Which file it is: another may have taken the name since.
    inode: Inode,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Inode {
    dev: u64,
    ino: u64,
}

impl Inode {
    fn of(path: &Path) -> std::io::Result<Self> {
        let meta = path.symlink_metadata()?;
        Ok(Self { dev: meta.dev(), ino: meta.ino() })
    }
}

impl Bound {
    /// Listens at `path`, for this user alone. A socket on which nobody listens any more is replaced.
    pub(super) fn new(path: &Path) -> Result<Self, BindError> {
        if path.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(BindError::TooLong(path.to_owned()));
        }
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o755).create(dir);
            made.map_err(|e| BindError::new(path, e))?;
        }
        remove_stale(path)?;
        let bound = Self::listen(path).map_err(|e| match e.kind() {
            // Somebody was faster.
            ErrorKind::AddrInUse => BindError::InUse(path.to_owned()),
            _ => BindError::new(path, e),
        })?;
        // Two that start together may both have found the same stale socket; who was replaced gives way.
        if Inode::of(path).ok() != Some(bound.inode) {
            return Err(BindError::InUse(path.to_owned()));
        }
        Ok(bound)
    }

    fn listen(path: &Path) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // The mode comes before the name: Linux creates the name with the mode of the socket's own inode (less the
        // umask, which is the process's and not ours to change), so that nobody else can connect at any moment.
        let file = File::from(OwnedFd::from(socket));
        file.set_permissions(Permissions::from_mode(0o600))?;
        let socket = Socket::from(OwnedFd::from(file));
        socket.bind(&SockAddr::unix(path)?)?;
        let inode = Inode::of(path)?;
        let listener = Arc::new(UnixListener::from(OwnedFd::from(socket)));
        let bound = Self { listener, path: path.to_owned(), inode };
        SockRef::from(&*bound.listener).listen(super::server::BACKLOG)?;
        Ok(bound)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if Inode::of(&self.path).ok() == Some(self.inode) {
            // Nothing can be done about a failure, and the next start replaces what is left.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket at `path` if nobody listens on it.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(BindError::new(path, e)),
    };
    if !meta.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    let found = Inode { dev: meta.dev(), ino: meta.ino() };
    if !is_abandoned(path)? {
        return Err(BindError::InUse(path.to_owned()));
    }
    match Inode::of(path) {
        Ok(now) if now == found => match std::fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(BindError::new(path, e)),
            _ => Ok(()),
        },
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(_) => Ok(()),
    }
}

/// Whether nobody listens at the socket `path`. Asked twice: between its bind and its listen a server refuses too.
fn is_abandoned(path: &Path) -> Result<bool, BindError> {
    for attempt in 0..2 {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        match try_connect(path) {
            Ok(()) => return Ok(false),
            Err(e) => match e.kind() {
                ErrorKind::ConnectionRefused => {}
                ErrorKind::NotFound => return Ok(true),
                // Its queue of connections is full: it lives.
                ErrorKind::WouldBlock => return Ok(false),
                ErrorKind::PermissionDenied => return Err(BindError::Permission(path.to_owned())),
                // EPROTOTYPE: a socket, but not a stream.
                _ => return Err(BindError::NotASocket(path.to_owned())),
            },
        }
    }
    Ok(true)
}

fn try_connect(path: &Path) -> std::io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctl.sock");
        (dir, path)
    }

    #[test]
    fn the_socket_is_for_its_user_alone_and_its_directory_is_made() {
        let (dir, _) = place();
        let path = dir.path().join("run/pollcast/ctl.sock");
        let bound = Bound::new(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        let parent = path.parent().unwrap().metadata().unwrap();
        assert_eq!(parent.permissions().mode() & 0o022, 0, "nobody else may put a socket there");
        assert!(UnixStream::connect(&path).is_ok());
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let (_dir, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves it behind, as a crash would");
        let bound = Bound::new(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(bound);
    }

    #[test]
    fn a_live_socket_is_left_alone() {
        let (_dir, path) = place();
        let first = Bound::new(&path).unwrap();
        let error = Bound::new(&path).unwrap_err();
        assert!(matches!(error, BindError::InUse(_)));
        assert_eq!(
            error.to_string(),
            format!(
                "the control socket {} is in use by a running pollcast; stop it or give [ctl] socket another path",
                path.display()
            )
        );
        assert!(UnixStream::connect(&path).is_ok());
        drop(first);
    }

    #[test]
    fn what_is_not_a_control_socket_is_left_alone() {
        let (dir, path) = place();
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(Bound::new(&path), Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        let datagrams = dir.path().join("datagrams.sock");
        let _held = UnixDatagram::bind(&datagrams).unwrap();
        assert!(matches!(Bound::new(&datagrams), Err(BindError::NotASocket(_))));
        assert!(datagrams.exists());
    }

    #[test]
    fn a_successor_keeps_its_socket() {
        let (_dir, path) = place();
        let first = Bound::new(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = Bound::new(&path).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok(), "the first removed only its own");
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_cannot_be_says_so() {
        let (dir, _) = place();
        let long = dir.path().join("x".repeat(120));
        assert!(matches!(Bound::new(&long), Err(BindError::TooLong(_))));
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(Bound::new(&file.join("ctl.sock")), Err(BindError::Io { .. })));
    }
}
