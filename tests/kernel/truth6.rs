//! The same frames of IPv6 to pollcast and to Linux, and the same answers from both, as `truth` does for IPv4.
//!
//! Linux is asked alone as well: two of it must agree, or the test would tell nothing; and it must do what the tables of
//! conformance say that it does.
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

use std::time::Duration;

use crate::common::stimuli::Stimulus;
use crate::common::stimuli6::{
    hosts6, late_fragments6, neighbors, queries, queries_of_version_1, random_chains, stimuli6,
};
use crate::common::truth::{Differences, compare, compare_again, differences, is_meant, shown};
use crate::common::truth6::{Answer6, Membership, What6};
use crate::common::*;

/// How long an answer is waited for, beyond the proof that what was asked has been dealt with.
const SETTLE: Duration = Duration::from_millis(25);

/// The seed of the random chains, which are the same for all that are asked.
const SEED: u64 = 6;

/// Where pollcast answers otherwise than Linux on purpose: the stimuli (`*` stands for anything), and the row that says so.
/// Checked: at least one of them must really differ.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("E14 *", "E14: a frame from our own or a group's MAC is dropped; Linux takes both"),
    ("E15 *", "E15: dropped, as for IPv4; Linux takes it"),
    (
        "V03 destination *",
        "V03: what is not for this host is no concern of its; Linux says that it knows no way there",
    ),
    ("V05 destination *", "V03, again"),
    ("V06 a solicitation *", "V06: who says that it is us is not answered; Linux answers itself"),
    (
        "V10 routing header of type 3, *",
        "V10, RFC 8200 4.4: of no type that is known; Linux knows RPL's, and drops it",
    ),
    ("V10 routing header of type 4, *", "V10, again: Linux knows that of segments, and drops it"),
    (
        "V10 a routing header that is done, to a group",
        "V10, RFC 8200 4.4: what is done is passed over; Linux takes none to a group",
    ),
    ("V11 9 headers, *", "V11, RFC 8504 5.3: eight headers; Linux follows any number"),
    ("V11 12 headers, *", "V11, again"),
    ("V11 40 headers, *", "V11, again"),
    (
        "W02 inside what is there*",
        "W02, RFC 8200 4.5: what overlaps is dropped with all the rest; Linux passes over what it has",
    ),
    ("W02 the first again, shorter", "W02, again"),
    ("W02 8 bytes twice, and then the whole again", "W02, RFC 5722 4: so are the fragments that come later"),
    (
        "W06 options that nothing follows",
        "W06, RFC 7112 5: a first fragment without its headers; Linux says nothing of it",
    ),
    ("N03 with a group's MAC for an address", "N03, E14: a host's MAC is no group's; Linux answers to it"),
    ("X02 *", "X02: a reflector's port is not answered; an echo server on Linux does"),
    (
        "U07 *",
        "U07, RFC 2675 4: a length of 0 is a jumbogram's, and this is none; Linux takes the rest of the packet",
    ),
];

/// What the tables of conformance say that Linux does, by stimulus: in short, or nothing.
const MEASURED: &[(&str, &str)] = &[
    ("V01 *", ""),
    ("V02 hop limit 0 of a datagram", "udp"),
    ("V02 hop limit 0 of an echo request", "echo reply"),
    ("V03 source *", ""),
    ("V03 destination loopback", ""),
    ("V03 destination a reserved scope*", ""),
    ("V03 destination a group that stays in its host*", ""),
    ("V07 hop-by-hop options behind destination options, *", "4/1 at 0x28"),
    ("V07 hop-by-hop options twice, *", "4/1 at 0x28"),
    ("V08 an unknown next header", "4/1 at 0x6"),
    ("V08 next header 253 behind destination options", "4/1 at 0x28"),
    ("V08 no next header *", ""),
    ("V09 * option 0x1e to us", "udp"),
    ("V09 * option 0x1e to a group", "udp"),
    ("V09 * option 0x5e to us", ""),
    ("V09 * option 0x5e to a group", ""),
    ("V09 * option 0x9e to us", "4/2 at 0x2a"),
    ("V09 * option 0x9e to a group", "4/2 at 0x2a"),
    ("V09 * option 0xde to us", "4/2 at 0x2a"),
    ("V09 * option 0xde to a group", ""),
    ("V10 routing header of type 0, 0 left of 1, a datagram", "udp"),
    ("V10 routing header of type 0, 1 left of 1, a datagram", "4/0 at 0x2a"),
    ("V10 routing header of type 253, 1 left of 1, a datagram", "4/0 at 0x2a"),
    ("W01 one that is whole", "udp"),
    ("W01 one that is whole, of an identification that is there", "udp, udp"),
    ("W02 8 bytes twice", ""),
    ("W03 *", "udp"),
    ("W04 an odd length first", "4/0 at 0x4"),
    ("W05 beyond the end", "4/0 at 0x2a"),
    ("W06 options that end in the second", "4/3"),
    ("W09 *", "udp"),
    ("W12 *", ""),
    ("K01 *", ""),
    ("K02 closed port: *", "1/4"),
    ("K03 *", ""),
    ("K05 ping to all nodes", "echo reply"),
    ("K06 *", ""),
    ("K08 closed port of the second address", "1/4"),
    ("U06 *", ""),
    ("U07 length 0", "udp"),
    ("U08 *", ""),
    ("U09 closed port over IPv6", "1/4"),
    ("U09 closed port of *", ""),
    ("U10 port 0 over IPv6", "1/4"),
    ("X02 from port 7 over IPv6", "udp"),
    ("N01 hop limit *", ""),
    ("N01 code 1", ""),
    ("N01 a wrong checksum", ""),
    ("N01 an option of length 0", ""),
    ("N01 a solicitation of *", ""),
    ("N01 for a group", ""),
    ("N02 from nobody, to us alone", ""),
    ("N02 from nobody, with an address", ""),
    ("N03 to the solicited node", "advertisement 60000000 of 32"),
    ("N03 to us alone", "advertisement 40000000 of 24"),
    ("N04 of one who would have our address", "advertisement 20000000 of 32"),
];

fn linux() -> Linux {
    let linux = Linux::dual();
    linux.know(hosts6());
    linux
}

fn all_stimuli() -> Vec<Stimulus> {
    let mut all = random_chains(SEED, 100);
    all.extend(stimuli6());
    all
}

fn in_short(answers: &[Answer6]) -> String {
    answers.iter().map(Answer6::in_short).collect::<Vec<_>>().join(", ")
}

// Else a difference might be the wire's, and not pollcast's. V01-V03, V07-V10, W01-W06, W09, W12, K01-K03, K05, K06, K08, U06-U10,
// N01-N04: what the tables say of Linux.
#[test]
fn linux_agrees_with_itself_and_with_the_tables() {
    if !may_run() {
        return;
    }
    let (one, other) = (linux(), linux());
    let stimuli = all_stimuli();
    let played = compare::<Answer6>(one, &other.wire, &stimuli, SETTLE);
    let said: Vec<_> =
        stimuli.iter().zip(&played).map(|(s, (truth, _))| (&s.name, in_short(truth))).collect();
    let mut wrong = Vec::new();
    for (pattern, expected) in MEASURED {
        let meant: Vec<_> = said.iter().filter(|(name, _)| is_meant(pattern, name)).collect();
        assert!(!meant.is_empty(), "no stimulus is {pattern}");
        let others = meant.iter().filter(|(_, said)| said != expected);
        wrong.extend(others.map(|(name, said)| format!("{name}: {said:?}, not {expected:?}")));
    }
    let malformed = |answers: &[Answer6]| answers.iter().any(|a| matches!(a.what, What6::Malformed(_)));
    for ((answers, _), stimulus) in played.iter().zip(&stimuli).filter(|((answers, _), _)| malformed(answers))
    {
        wrong.push(format!("no correct host says this: {}: {}", stimulus.name, shown(answers)));
    }
    let Differences { wrong: differing, answered, .. } = differences(&stimuli, played, &[]);
    wrong.extend(differing);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    assert!(answered * 3 > stimuli.len(), "Linux answered {answered} of {}", stimuli.len());
}

// The same of groups, whose reports take their time, and of neighbours.
#[test]
fn linux_agrees_with_itself_about_groups_and_neighbours() {
    if !may_run() {
        return;
    }
    for stimuli in [queries(), queries_of_version_1()] {
        let played = memberships(&linux().wire, &stimuli);
        let Differences { wrong, .. } = differences(&stimuli, played, &[]);
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    }
    let stimuli = neighbors(SEED, 80);
    let played = compare::<Answer6>(linux(), &linux().wire, &stimuli, SETTLE);
    let Differences { wrong, answered, .. } = differences(&stimuli, played, &[]);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    assert!(answered >= 40, "Linux answered {answered} of {}", stimuli.len());
}

// E01, E03, E04, E10, E11, E13, E16, E17, V01-V13, W01-W06, W08, W09, W11-W13, K01-K03, K05-K08, N01-N04, N09, N12-N15, U01, U05-U11,
// U21, X01: each stimulus names its own.
#[test]
fn pollcast_answers_as_linux_does() {
    if !may_run() {
        return;
    }
    let (linux, lab) = (linux(), Lab::dual(ECHO6));
    let stimuli = all_stimuli();
    let played = compare::<Answer6>(linux, &lab.wire, &stimuli, SETTLE);
    let listed: Vec<_> = EXCEPTIONS.iter().map(|(pattern, _)| *pattern).collect();
    let Differences { wrong, answered, used } = differences(&stimuli, played, &listed);
    println!("Linux answered {answered} of {}", stimuli.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|(pattern, _)| !used.contains(pattern)).collect();
    assert!(idle.is_empty(), "listed as different, and are not: {idle:?}");
}

// W07, RFC 8200 4.5: the time runs from the first arrival; 3/1 only if the first fragment is there.
#[test]
fn fragments_run_out_of_time_as_on_linux() {
    if !may_run() {
        return;
    }
    let linux = linux();
    linux.set6("ip6frag_time", "2");
    let lab = Lab::dual(&(ECHO6.to_owned() + "[reassembly]\ntimeout6_s = 2\n"));
    let stimuli = late_fragments6();
    let played = compare::<Answer6>(linux, &lab.wire, &stimuli, Duration::from_millis(1300));
    let exceeded = |answers: &[Answer6]| answers.iter().filter(|a| a.in_short() == "3/1").count();
    let (first, second) = (&played[0], &played[1]);
    assert_eq!(
        (exceeded(&first.0), exceeded(&second.0)),
        (0, 4),
        "Linux is not what we think it is: {second:?}"
    );
    let Differences { wrong, .. } = differences(&stimuli, played, &[]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where pollcast says of its groups what Linux does not.
const GROUP_EXCEPTIONS: &[(&str, &str)] = &[
    (
        "L10 a query for a source of a group of any source",
        "L10, RFC 9777 6.3: a host that excludes none says that it wants the source; Linux says that it excludes none",
    ),
    ("L03 Router Alert for RSVP", "L03, RFC 9777 6.2: the option is there; Linux wants it to say MLD, too"),
];

/// Joins are told twice, within a second: RFC 9777 9.11, and what a busy machine adds.
const JOINED: Duration = Duration::from_millis(2500);

/// What Linux and the host at the far end of `wire` say of their groups after each of `stimuli`, when what they say of
/// themselves has been said.
fn memberships(wire: &Wire, stimuli: &[Stimulus]) -> Vec<(Vec<Membership>, Vec<Membership>)> {
    let linux = linux();
    linux.wire.exchange(&[], JOINED);
    wire.exchange(&[], Duration::from_millis(500));
    compare_again(linux, wire, stimuli, Duration::from_millis(300), Some(Duration::from_secs(2)))
}

// L01-L07, L10, L13, L14: which queries are answered, and with what.
#[test]
fn groups_are_reported_as_by_linux() {
    if !may_run() {
        return;
    }
    let stimuli = queries();
    let played = memberships(&Lab::dual(ECHO6).wire, &stimuli);
    let all = played[0].0.len();
    // Two groups, the solicited nodes of three addresses, of which two are the same.
    assert_eq!(all, 4, "Linux is not what we think it is: {:?}", played[0].0);
    let listed: Vec<_> = GROUP_EXCEPTIONS.iter().map(|(pattern, _)| *pattern).collect();
    let Differences { wrong, answered, used } = differences(&stimuli, played, &listed);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    assert!(answered >= 12, "Linux answered {answered} of {}", stimuli.len());
    assert_eq!(used.len(), GROUP_EXCEPTIONS.len(), "listed as different, and is not");
}

// L02, L04, L11: a querier of version 1, and what is said to it.
#[test]
fn groups_are_reported_to_a_querier_of_version_1_as_by_linux() {
    if !may_run() {
        return;
    }
    let stimuli = queries_of_version_1();
    let mut played = memberships(&Lab::dual(ECHO6).wire, &stimuli);
    // L16, RFC 4604 2.2.1: in version 1 nobody speaks of a group of named sources; Linux does.
    let of_sources = |said: &Membership| said.0.1 == SOURCE_GROUP6;
    assert!(played[0].0.iter().any(of_sources), "Linux is not what we think it is: {played:?}");
    played.iter_mut().for_each(|(truth, _)| truth.retain(|said| !of_sources(said)));
    let Differences { wrong, answered, .. } = differences(&stimuli, played, &[]);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    assert_eq!(answered, 3, "Linux answered {answered} of {}", stimuli.len());
}

// N03, N09, N10, RFC 4861 7.2.5: where an answer goes after what a neighbour has said of itself, by turns.
#[test]
fn neighbours_are_believed_as_by_linux() {
    if !may_run() {
        return;
    }
    let (linux, lab) =
        (linux(), Lab::dual(&ECHO6.replace("answer_broadcast", "reply = \"route\"\nanswer_broadcast")));
    let stimuli = neighbors(SEED, 80);
    let played = compare::<Answer6>(linux, &lab.wire, &stimuli, SETTLE);
    let Differences { wrong, answered, .. } = differences(&stimuli, played, &[]);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    assert!(answered >= 40, "Linux answered {answered} of {}", stimuli.len());
}
