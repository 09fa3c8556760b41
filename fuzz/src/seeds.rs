//! Writes the kept scripts as the bytes that libFuzzer reads: `seeds FROM_FOLDER TO_FOLDER`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use pollcast_fuzz::script;

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = folders.as_slice() else { return Err("usage: seeds FROM_FOLDER TO_FOLDER".into()) };
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let kept = script::read(&fs::read_to_string(&path)?)
            .map_err(|what| format!("{}: {what}", path.display()))?;
        fs::write(to.join(path.file_stem().unwrap_or_default()), script::encode(&kept.steps))?;
    }
    Ok(())
}
