//! Configuration: TOML in, a [`Plan`] or every error out.
//!
//! [`Config::load`] reads a file, [`Config::check`] proves it: a [`Plan`] holds only values that are right, so nothing
//! downstream checks again. What is wrong is found in one go, and each [`ConfigError`] has its file, line, column, key
//! and remedy. A plan can be printed: that is what `pollcast check` does.
//!
//! Here: the tables and their keys, what their values may be, the size of the mbuf pool and its arithmetic ([`mbufs`]).
//! Not here: anything that opens a device, needs a privilege, or knows a service ([`Kinds`] brings those).
//! `config/*.toml` documents every key.
//!
//! ```
//! use pollcast::config::{Config, Kind, Kinds, Machine};
//!
//! let text = r#"
//!     [[port]]
//!     device = "net_tap0,iface=pc0"
//!     addresses = ["198.18.0.2/24"]
//!
//!     [[service]]
//!     kind = "echo"
//!     listen = ["0.0.0.0:7"]
//! "#;
//! let kinds = Kinds::new().with(Kind::new("echo", &[], |_| Vec::new()));
//! let config = Config::parse(text, "example.toml".as_ref())?;
//! let plan = config.check(&Machine::new([0, 1]), &kinds)?;
//! assert_eq!(plan.workers[0].cpu, 1);
//! # Ok::<(), pollcast::config::ConfigErrors>(())
//! ```

mod check;
mod error;
mod kinds;
mod machine;
pub mod mbufs;
pub mod numa;
mod offloads;
pub mod plan;
mod raw;
mod read;
mod render;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use error::{ConfigError, ConfigErrors, Position};
pub use kinds::{Kind, Kinds, OptionError};
pub use machine::Machine;
pub use plan::{
    EalPlan, GroupPlan, GroupSources, Hugepages, IcmpPlan, Idle, InetPlan, InterfacePlan, ListenPlan,
    MbufPlan, Offload, OffloadSet, Plan, PortPlan, ReassemblyPlan, RoutePlan, Rps, ServicePlan, SocketsPlan,
    UoaPlan, WorkerPlan,
};

use error::{Place, Problems};
use raw::Raw;

/// A configuration as written: TOML, but not yet known to make sense.
#[derive(Clone, Debug)]
pub struct Config {
    file: PathBuf,
    text: String,
    raw: Raw,
    /// What reading the tables found: wrong types, unknown keys.
    problems: Problems,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, and if it is not TOML. What else is wrong with it, [`check`](Self::check) tells.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigErrors::unreadable(path, &e))?;
        Self::parse(&text, path)
    }

    /// Reads `text`, the content of `file`.
    ///
    /// # Errors
    /// If it is not TOML. What else is wrong with it, [`check`](Self::check) tells.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        let mut problems = Problems::default();
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            not_toml(error, text, &mut problems);
        }
        if !problems.is_empty() {
            return Err(problems.into_errors(file, text));
        }
        let raw = Raw::read(root.get_ref(), &mut problems);
        Ok(Self { file: file.to_owned(), text: text.to_owned(), raw, problems })
    }

    /// The plan that this configuration comes to on `machine`, in a program that offers `kinds` of services.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, in the order of the file.
    pub fn check(&self, machine: &Machine, kinds: &Kinds) -> Result<Plan, ConfigErrors> {
        let mut problems = self.problems.clone();
        let plan = check::plan(&self.raw, machine, kinds, &mut problems);
        if problems.is_empty() { Ok(plan) } else { Err(problems.into_errors(&self.file, &self.text)) }
    }
}

/// Notes what TOML's reader says of `text`.
fn not_toml(error: &toml::de::Error, text: &str, problems: &mut Problems) {
    let span = error.span().unwrap_or_default();
    let offset = span.start;
    let (key, remedy) = match (error.message(), text.get(span).unwrap_or_default()) {
        ("duplicate key", "vlan") => {
            ("vlan", "name the one VLAN of a port with vlan = 100, or each of several with [[port.vlan]]")
        }
        ("duplicate key", key) => (key, "write it once"),
        _ => ("", ""),
    };
    let place = Place { path: key.to_owned(), offset };
    problems.add(&place, format!("not TOML: {}", error.message()), remedy);
}
