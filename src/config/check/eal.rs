//! `[eal]` and `[ctl]`.

use std::path::{Path, PathBuf};

use super::Limits;
use crate::config::error::{At, Problems};
use crate::config::plan::EalPlan;
use crate::config::raw::RawEal;
use crate::config::read::NumberOrWord;

/// Where the control socket is, if nothing else is said.
const CTL_SOCKET: &str = "/run/pollcast/ctl.sock";

/// Bytes of `sun_path`, with the zero at its end.
const SUN_PATH: usize = 108;

/// Arguments that pollcast gives EAL itself, and the key that they come from.
const OWN_ARGS: [(&str, &str); 10] = [
    ("-l", "workers.cpus"),
    ("-c", "workers.cpus"),
    ("--lcores", "workers.cpus"),
    ("--main-lcore", "workers.control_cpu"),
    ("-m", "eal.memory_mb"),
    ("--no-huge", "eal.hugepages = \"none\""),
    ("--file-prefix", "eal.file_prefix"),
    ("-a", "port.device"),
    ("--allow", "port.device"),
    ("--no-pci", "port.device"),
];

/// `[eal]`, of a plan that needs `needed_mb` of memory.
pub(super) fn check(raw: &RawEal, needed_mb: u32, problems: &mut Problems) -> EalPlan {
    let RawEal { hugepages, memory_mb, file_prefix, args } = raw;
    EalPlan {
        hugepages: hugepages.as_ref().map(|at| at.value).unwrap_or_default(),
        memory_mb: check_memory(memory_mb.as_ref(), needed_mb, problems),
        file_prefix: check_prefix(file_prefix.as_ref(), problems),
        args: args.iter().flat_map(|at| &at.value).map(|arg| check_arg(arg, problems)).collect(),
    }
}

fn check_memory(at: Option<&At<NumberOrWord>>, needed_mb: u32, problems: &mut Problems) -> u32 {
    let Some(At { value, place }) = at else { return needed_mb };
    match value {
        NumberOrWord::Word(word) if word == "auto" => needed_mb,
        NumberOrWord::Word(word) => {
            let remedy = "use \"auto\" or a number of MiB";
            problems.add(place, format!("{word:?} is not one of its values"), remedy);
            needed_mb
        }
        NumberOrWord::Number(mb) if *mb < i64::from(needed_mb) => {
            let remedy = format!("use \"auto\", or {needed_mb} or more");
            problems.add(place, format!("{mb} is too little: this plan needs {needed_mb} MiB"), remedy);
            needed_mb
        }
        NumberOrWord::Number(mb) => {
            let number = At { value: *mb, place: place.clone() };
            Limits::new(i64::from(needed_mb), 1 << 20).check(Some(&number), needed_mb, problems)
        }
    }
}

fn check_prefix(at: Option<&At<String>>, problems: &mut Problems) -> String {
    let Some(At { value, place }) = at else { return "pollcast".to_owned() };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if value.is_empty() || value.len() > 63 || !value.chars().all(allowed) {
        let remedy = "use 1 to 63 letters, digits, \"-\" or \"_\"";
        problems.add(place, format!("{value:?} cannot be part of a file's name"), remedy);
    }
    value.clone()
}

fn check_arg(At { value, place }: &At<String>, problems: &mut Problems) -> String {
    let name = value.split('=').next().unwrap_or(value);
    if value.is_empty() || value.contains('\0') {
        problems.add(place, "this is no argument", "take it out");
    } else if let Some((_, key)) = OWN_ARGS.iter().find(|(own, _)| *own == name) {
        problems.add(place, format!("{name} is given to EAL by pollcast"), format!("use the key {key}"));
    }
    value.clone()
}

/// The key `ctl.socket`.
pub(super) fn ctl_socket(at: Option<&At<String>>, problems: &mut Problems) -> PathBuf {
    let Some(At { value, place }) = at else { return PathBuf::from(CTL_SOCKET) };
    let path = Path::new(value);
    if !path.is_absolute() {
        problems.add(
            place,
            format!("{value:?} is not an absolute path"),
            format!("use one such as {CTL_SOCKET}"),
        );
    } else if path.file_name().is_none() || value.ends_with('/') || value.contains('\0') {
        problems.add(place, format!("{value:?} names no file"), format!("use a path such as {CTL_SOCKET}"));
    } else if value.len() >= SUN_PATH {
        let problem = format!("{} bytes are too many for the address of a unix socket", value.len());
        problems.add(place, problem, format!("use a path of at most {} bytes", SUN_PATH - 1));
    }
    path.to_owned()
}
