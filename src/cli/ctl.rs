//! `pollcast ctl COMMAND`.

use std::io::Write;

use super::args::{
    CtlArgs, CtlCommand, FilterArgs, GmpArgs, MembershipArgs, MtuArgs, RestartArgs, RowsArgs, SourcesArgs,
};
use super::failure::{Failure, Result};
use crate::ctl::text::Rows;
use crate::ctl::{Client, CtlError, json, text};
use crate::engine::command::{
    Answer, Command, DoneAnswer, FilterMode, FilterPolicyOrder, GmpOrder, Membership, MtuOrder, RestartOrder,
    SourceFilterOrder,
};

pub(super) fn ctl(args: &CtlArgs, out: &mut dyn Write) -> Result {
    let CtlArgs { socket, json, command } = args;
    let running = |e: CtlError| Failure::Running(e.to_string());
    let (command, rows) = request(command);
    let answer = Client::connect(socket).and_then(|mut client| client.request(&command)).map_err(running)?;
    match &answer {
        Answer::Error(sentence) => return Err(Failure::Running(sentence.clone())),
        answer if *json => writeln!(out, "{}", json::body(answer).map_err(std::io::Error::from)?)?,
        answer => out.write_all(text::render(answer, rows).as_bytes())?,
    }
    match &answer {
        Answer::Done(DoneAnswer { changes, .. }) if changes.iter().any(|change| change.error.is_some()) => {
            let failed = changes.iter().filter(|change| change.error.is_some()).count();
            Err(Failure::Running(format!("{failed} of {} groups could not be done", changes.len())))
        }
        _ => Ok(()),
    }
}

/// What is asked, and which rows of the answer are shown.
fn request(command: &CtlCommand) -> (Command, Rows) {
    match command {
        CtlCommand::Stats(args) => (Command::Stats, rows(args)),
        CtlCommand::Ports => (Command::Ports, Rows::default()),
        CtlCommand::Sockets => (Command::Sockets, Rows::default()),
        CtlCommand::Groups => (Command::Groups, Rows::default()),
        CtlCommand::Filter(args) => (filter(args), Rows::default()),
        CtlCommand::Paths => (Command::Paths, Rows::default()),
        CtlCommand::Mtu(MtuArgs { mtu, port }) => {
            (Command::Mtu(MtuOrder { mtu: *mtu, port: port.clone() }), Rows::default())
        }
        CtlCommand::Igmp(GmpArgs { port, version, robustness }) => {
            let order = GmpOrder { port: port.clone(), version: *version, robustness: *robustness };
            (Command::Igmp(order), Rows::default())
        }
        CtlCommand::Mld(GmpArgs { port, version, robustness }) => {
            let order = GmpOrder { port: port.clone(), version: *version, robustness: *robustness };
            (Command::Mld(order), Rows::default())
        }
        CtlCommand::Neighbors => (Command::Neighbors, Rows::default()),
        CtlCommand::Routes => (Command::Routes, Rows::default()),
        CtlCommand::Addresses => (Command::Addresses, Rows::default()),
        CtlCommand::Drops(args) => (Command::Drops, rows(args)),
        CtlCommand::Workers => (Command::Workers, Rows::default()),
        CtlCommand::Join(args) => (Command::Join(membership(args)), Rows::default()),
        CtlCommand::Leave(args) => (Command::Leave(membership(args)), Rows::default()),
        CtlCommand::Sources(args) => (Command::SourceFilter(source_filter(args)), Rows::default()),
        CtlCommand::Restart(RestartArgs { port }) => {
            (Command::Restart(RestartOrder { port: port.clone() }), Rows::default())
        }
    }
}

const fn rows(args: &RowsArgs) -> Rows {
    if args.all { Rows::All } else { Rows::Counted }
}

fn membership(args: &MembershipArgs) -> Membership {
    let MembershipArgs { groups, source, service, port } = args;
    Membership { groups: groups.clone(), source: *source, service: service.clone(), port: port.clone() }
}

fn filter(FilterArgs { policy, port }: &FilterArgs) -> Command {
    match policy {
        None => Command::Filter,
        Some(policy) => Command::FilterPolicy(FilterPolicyOrder { policy: *policy, port: port.clone() }),
    }
}

fn source_filter(args: &SourcesArgs) -> SourceFilterOrder {
    let SourcesArgs { groups, include, exclude, any, none: _, service, port } = args;
    let (mode, sources) = match (include, exclude) {
        (Some(sources), _) => (FilterMode::Include, sources.clone()),
        (None, Some(sources)) => (FilterMode::Exclude, sources.clone()),
        (None, None) if *any => (FilterMode::Exclude, Vec::new()),
        (None, None) => (FilterMode::Include, Vec::new()),
    };
    SourceFilterOrder { groups: groups.clone(), mode, sources, service: service.clone(), port: port.clone() }
}
