//! `-u`, `-g`, `-P`, `-w`: user, group, pid file, working directory.

use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, chdir, initgroups, setgid, setuid};

/// Whom the server runs as once its sockets are bound.
#[derive(Debug, Default, Clone)]
pub struct Identity {
    user: Option<User>,
    group: Option<Group>,
}

impl Identity {
    /// Looks names or numbers up.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Identity, String> {
        let user = match user {
            None => None,
            Some(name) => Some(find_user(name)?),
        };
        let group = match group {
            None => None,
            Some(name) => Some(find_group(name)?),
        };
        Ok(Identity { user, group })
    }
    /// User id, if one was asked for.
    pub fn uid(&self) -> Option<Uid> {
        self.user.as_ref().map(|u| u.uid)
    }
    /// Group id: asked for, or the user's own.
    pub fn gid(&self) -> Option<Gid> {
        self.group.as_ref().map(|g| g.gid).or(self.user.as_ref().map(|u| u.gid))
    }
    /// Becomes that user for good. Does nothing when it is already that user.
    pub fn assume(&self) -> Result<(), String> {
        if let Some(gid) = self.gid().filter(|g| *g != Gid::effective()) {
            setgid(gid).map_err(|e| format!("cannot become group {gid}: {e}; start as root"))?;
        }
        let Some(user) = &self.user else { return Ok(()) };
        if user.uid == Uid::effective() {
            return Ok(());
        }
        let name = std::ffi::CString::new(user.name.as_bytes()).map_err(|e| e.to_string())?;
        let gid = self.gid().unwrap_or(user.gid);
        initgroups(&name, gid)
            .map_err(|e| format!("cannot take the groups of {}: {e}; start as root", user.name))?;
        setuid(user.uid).map_err(|e| format!("cannot become user {}: {e}; start as root", user.name))
    }
}

/// A user by name or number.
pub(crate) fn find_user(name: &str) -> Result<User, String> {
    let found = match name.parse() {
        Ok(id) => User::from_uid(Uid::from_raw(id)),
        Err(_) => User::from_name(name),
    };
    found.map_err(|e| format!("user {name}: {e}"))?.ok_or_else(|| format!("there is no user {name}"))
}

/// A group by name or number.
pub(crate) fn find_group(name: &str) -> Result<Group, String> {
    let found = match name.parse() {
        Ok(id) => Group::from_gid(Gid::from_raw(id)),
        Err(_) => Group::from_name(name),
    };
    found.map_err(|e| format!("group {name}: {e}"))?.ok_or_else(|| format!("there is no group {name}"))
}

/// Changes the working directory.
pub fn work_in(dir: &Path) -> Result<(), String> {
    chdir(dir).map_err(|e| format!("cannot work in {}: {e}", dir.display()))
}

/// A pid file; it goes when this does.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes this process's id. A file that names a living process is refused.
    pub fn write(path: &Path) -> Result<PidFile, String> {
        if let Ok(text) = std::fs::read_to_string(path)
            && let Ok(pid) = text.trim().parse::<u32>()
            && pid != std::process::id()
            && Path::new(&format!("/proc/{pid}")).exists()
        {
            return Err(format!(
                "pid file {}: process {pid} is running; stop it, or delete the file if it is not this server",
                path.display()
            ));
        }
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|e| format!("pid file {}: {e}", path.display()))?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_by_name_and_number() {
        let root = Identity::find(Some("root"), None).unwrap();
        assert_eq!((root.uid(), root.gid()), (Some(Uid::from_raw(0)), Some(Gid::from_raw(0))));
        assert_eq!(Identity::find(Some("0"), Some("0")).unwrap().uid(), root.uid());
        assert!(Identity::find(Some("no-such-user"), None).unwrap_err().contains("no user"));
        assert!(Identity::find(None, Some("no-such-group")).unwrap_err().contains("no group"));
    }

    #[test]
    fn a_pid_file_of_a_living_process_is_kept() {
        let path = std::env::temp_dir().join(format!("trunkline-pid-{}", std::process::id()));
        std::fs::write(&path, "1\n").unwrap();
        assert!(PidFile::write(&path).unwrap_err().contains("process 1 is running"));
        std::fs::write(&path, "999999999\n").unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }
}
