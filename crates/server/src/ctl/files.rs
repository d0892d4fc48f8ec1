//! Sockets and FIFOs as files: left-over ones are replaced, those in use and other files are not; owner and mode.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

use nix::unistd::{Gid, Uid};

use crate::privileges::{Identity, find_group, find_user};

/// Makes room for a Unix socket: removes the file of one that nobody listens on any more.
pub fn make_room(path: &Path) -> io::Result<()> {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is no socket",
        ));
    }
    let in_use =
        UnixStream::connect(path).is_ok() || UnixDatagram::unbound().and_then(|s| s.connect(path)).is_ok();
    if in_use {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
    }
    std::fs::remove_file(path)
}

/// Who owns a file and who may use it.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    mode: u32,
    uid: Option<Uid>,
    gid: Option<Gid>,
}

impl Access {
    /// By names or numbers; where none is given it is whom the server runs as.
    pub fn find(
        mode: u32,
        user: Option<&str>,
        group: Option<&str>,
        identity: &Identity,
    ) -> Result<Access, String> {
        let uid = user.map(find_user).transpose()?.map(|u| u.uid);
        let gid = group.map(find_group).transpose()?.map(|g| g.gid);
        Ok(Access { mode, uid: uid.or(identity.uid()), gid: gid.or(identity.gid()) })
    }

    /// Gives the file that owner and mode.
    pub fn apply(&self, path: &Path) -> io::Result<()> {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(self.mode))?;
        if self.uid.is_none() && self.gid.is_none() {
            return Ok(());
        }
        nix::unistd::chown(path, self.uid, self.gid).map_err(io::Error::from)
    }
}
