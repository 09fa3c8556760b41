//! The command line: `pollcast run`, `check`, `devices`, `ctl` and `bench`.
//!
//! Here: arguments in, text and an exit status out. Everything that is done, is done by the rooms below; what is worth
//! knowing without a terminal does not belong here. No signal is handled and the process is not left: that is `main.rs`'s
//! part, so that the whole command line can run inside another program.
//!
//! ```no_run
//! use pollcast::host::Shutdown;
//!
//! let args = ["pollcast", "ctl", "--json", "groups"];
//! let exit_code = pollcast::cli::main(args, |_shutdown: &Shutdown| Ok(()));
//! ```

mod args;
mod bench;
mod bench_args;
mod check;
mod ctl;
mod devices;
mod failure;
mod log;
mod run;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use self::args::{Action, Cli};
use self::failure::{Failure, Result};
use crate::host::Shutdown;

/// Carries out the command line `args`, whose first is the program's name, and returns its exit status: 0 clean, 1 failed
/// while running, 2 a bad command line or configuration.
///
/// `before_run` is called once before `pollcast run` or `bench` starts, with what stops it: the place to connect signals to it.
pub fn main<I, T>(args: I, before_run: impl FnOnce(&Shutdown) -> io::Result<()>) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Nobody is there to be told of a failure.
            let _ = e.print();
            return if e.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let Cli { verbose, action } = cli;
    log::start(verbose, matches!(action, Action::Run(_)));
    let mut out = io::stdout().lock();
    let done = match action {
        Action::Run(args) => {
            drop(out);
            return status(run::run(&args, before_run));
        }
        Action::Check(args) => check::check(&args, &mut out),
        Action::Bench(args) => bench::bench(&args, &mut out, before_run),
        Action::Devices(args) => devices::devices(&args, &mut out),
        Action::Ctl(args) => ctl::ctl(&args, &mut out),
    };
    status(done.and_then(|()| Ok(out.flush()?)))
}

/// Says what failed, and the exit status for it.
fn status(done: Result) -> ExitCode {
    let (sentence, status) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        // `pollcast ctl drops | head -1`: the reader has what it wanted.
        Err(Failure::Output(e)) if e.kind() == ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(Failure::Output(e)) => (format!("pollcast: cannot write to standard output: {e}"), 1),
        Err(Failure::Running(sentence)) => (format!("pollcast: {sentence}"), 1),
        Err(Failure::Asking(sentence)) => (format!("pollcast: {sentence}"), 2),
        Err(Failure::Configuration(errors)) => (errors.to_string(), 2),
    };
    // Nobody is there to be told of a failure.
    let _ = writeln!(io::stderr().lock(), "{sentence}");
    ExitCode::from(status)
}
