//! The file that tells others which process serves.

use std::fs;
use std::path::PathBuf;
use std::process;

use anyhow::Context;

/// A file with the number of this process. Removed when dropped, unless another process has put its
/// own there.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(path: PathBuf) -> anyhow::Result<PidFile> {
        let text = format!("{}\n", process::id());
        let mut beside = path.clone().into_os_string();
        beside.push(format!(".{}", process::id()));
        fs::write(&beside, &text)
            .and_then(|()| fs::rename(&beside, &path))
            .inspect_err(|_| drop(fs::remove_file(&beside)))
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(PidFile { path, text })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
