//! The token of the machine itself: made at first start, read by the command line on the same machine.

use data_encoding::HEXLOWER;
use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Name of the file in the data folder.
pub const FILE: &str = "token";

/// Bits of other people in a file's mode.
const OTHERS: u32 = 0o077;

/// The token cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum LocalTokenError {
    /// The operating system refused.
    #[error("cannot use token file {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is something else in the file.
    #[error("token file {} holds no token; remove it to get a new one", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// No random bytes.
    #[error("cannot make a token: {0}")]
    Entropy(#[source] getrandom::Error),
}

/// The token in the data folder, made when there is none. Two processes that start together get the same one.
pub fn ensure_local_token(data_dir: &Path) -> Result<String, LocalTokenError> {
    let path = data_dir.join(FILE);
    let failed = |source| LocalTokenError::File {
        path: path.clone(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(failed)?;
    if !path.exists() {
        make(data_dir, &path)?;
    }
    let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
    if mode & OTHERS != 0 {
        tracing::warn!(file = %path.display(), "token file was open to others, closing it; better make a new token");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
    }
    read_local_token(data_dir)
}

/// The token in the data folder.
pub fn read_local_token(data_dir: &Path) -> Result<String, LocalTokenError> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Err(source) => Err(LocalTokenError::File { path, source }),
        Ok(text) if text.trim().len() < 32 => Err(LocalTokenError::Malformed { path }),
        Ok(text) => Ok(text.trim().to_owned()),
    }
}

/// Writes a new token beside and links it into place, so that the file is there whole or not at all, and is never replaced.
fn make(data_dir: &Path, path: &Path) -> Result<(), LocalTokenError> {
    let failed = |source| LocalTokenError::File {
        path: path.to_owned(),
        source,
    };
    let mut random = [0; 40];
    getrandom::fill(&mut random).map_err(LocalTokenError::Entropy)?;
    let (token, nonce) = random.split_at(32);
    let beside = data_dir.join(format!(".{FILE}.{}", HEXLOWER.encode(nonce)));
    let written = write(&beside, &format!("omg_{}\n", HEXLOWER.encode(token)));
    let linked = written.and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&beside);
    linked.and(removed).map_err(failed)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_first_start_makes_it_and_later_ones_keep_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deep/data");
        let token = ensure_local_token(&data).unwrap();
        assert!(token.starts_with("omg_") && token.len() == 68);
        assert_eq!((mode(&data.join(FILE)), mode(&data)), (0o600, 0o700));
        assert_eq!(ensure_local_token(&data).unwrap(), token);
        assert_eq!(read_local_token(&data).unwrap(), token);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn processes_that_start_together_agree() {
        let folder = tempfile::tempdir().unwrap();
        let start = || {
            std::thread::spawn({
                let data = folder.path().to_owned();
                move || ensure_local_token(&data).unwrap()
            })
        };
        let starts: Vec<_> = (0..8).map(|_| start()).collect();
        let tokens: Vec<String> = starts.into_iter().map(|start| start.join().unwrap()).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }

    #[test]
    fn a_file_open_to_others_is_closed_and_a_broken_one_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        ensure_local_token(folder.path()).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        ensure_local_token(folder.path()).unwrap();
        assert_eq!(mode(&file), 0o600);
        fs::write(&file, "x").unwrap();
        let error = ensure_local_token(folder.path()).unwrap_err().to_string();
        assert!(error.contains("holds no token"), "{error}");
    }
}
