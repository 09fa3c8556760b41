//! The same frames to pollcast and to Linux, and the same answers from both.
//!
//! The other tests say what RFCs want. This one needs no opinion: whatever Linux sends, or does not, is what pollcast
//! must, field by field. Where pollcast takes another side on purpose, [`EXCEPTIONS`] names the row that says so, and what it
//! does instead.

use std::time::Duration;

use crate::common::stimuli::{late_fragments, path_mtu_modes, stimuli};
use crate::common::truth::{Answer, Differences, What, compare, differences, is_meant};
use crate::common::*;

/// Where pollcast answers otherwise than Linux on purpose: the stimuli (`*` stands for anything), and the row that says so.
/// Checked: at least one of them must really differ.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("A03 hardware type 6", "A03: hardware type 1 alone is Ethernet; Linux takes IEEE 802's for the same"),
    ("A07 sender's MAC a group's", "A07: a host's MAC is no group's; Linux answers to it"),
    ("E14 *", "E14: a frame from our own or a group's MAC is dropped; Linux takes both"),
    ("E15 open port in a broadcast frame", "E15: dropped, as RFC 1122 3.3.6 says; Linux takes it"),
    ("E15 open port in a group's frame", "E15: dropped, as RFC 1122 3.3.6 says; Linux takes it"),
    ("E15 ping in a broadcast frame", "E15: dropped, as RFC 1122 3.3.6 says; Linux takes it"),
    ("I08 *", "I08: the subnet's broadcast address is no source; Linux answers to everyone"),
    (
        "I17 *, to a closed port",
        "I17: RFC 1122 3.2.2.6 speaks of echo replies; Linux returns options in errors too, and quotes the \
        header as it changed it",
    ),
    (
        "I19 end of list, then rubbish, to a closed port",
        "C02, RFC 792: the header is quoted as it came; Linux clears what follows \
        the end of its options",
    ),
    (
        "I23 type of service 0x03 of an error",
        "I23: the two bits of ECN are not type of service (RFC 3168 5); Linux returns one",
    ),
    (
        "C10 timestamp request, short",
        "C10, RFC 792: without its three times it is cut short; Linux reads what is there",
    ),
    (
        "C16 a long one, after a short one was too long",
        "C16, C14: no router refuses a packet for a limit that it keeps; Linux believes it",
    ),
    (
        "C16 after a path of 400: a short one",
        "C16: what the path is said to take goes with DF; Linux sends all without",
    ),
    ("C16 after a path of 20: *", "C16: no path is narrower than 68 (RFC 791); Linux takes it for its least"),
    (
        "C16 after a path of 0: *",
        "C16, RFC 1191 5: 0 is by the table of plateaus; Linux takes it for its least",
    ),
    ("X02 *", "X02: a reflector's port is not answered; an echo server on Linux does"),
];

#[track_caller]
fn assert_none(wrong: &[String], of: usize) {
    assert!(wrong.is_empty(), "{} of {of}:\n{}", wrong.len(), wrong.join("\n"));
}

// E01, E04, E10, E11, E13, E16, E17, A01-A05, A07, A15, I01-I07, I09, I10, I12-I19, I23, F01-F08, F10, F12-F16, F18, F20,
// C01-C04, C06-C14, C16, C17, U01-U05, U09-U11, U21, X01: each stimulus names its own.
#[test]
fn pollcast_answers_as_linux_does() {
    if !may_run() {
        return;
    }
    let (linux, lab) = (Linux::new(), Lab::mute(ECHO));
    let stimuli = stimuli();
    let played = compare::<Answer>(linux, &lab.wire, &stimuli, Duration::from_millis(40));
    let listed: Vec<_> = EXCEPTIONS.iter().map(|(pattern, _)| *pattern).collect();
    let Differences { wrong, answered, used } = differences(&stimuli, played, &listed);
    println!("Linux answered {answered} of {}", stimuli.len());
    assert_none(&wrong, stimuli.len());
    // Else the two might agree by saying nothing.
    assert!(answered * 3 > stimuli.len(), "Linux answered {answered} of {}", stimuli.len());
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|(pattern, _)| !used.contains(pattern)).collect();
    assert!(idle.is_empty(), "listed as different, and are not: {idle:?}");
}

/// The keys with which pollcast takes what Linux does.
const AS_LINUX: &str = "accept_unicast_in_group_frames = true\nicmp_echo_group = true\n";

// E15, C08: what is refused by policy is answered as by Linux if the policy says so.
#[test]
fn policies_make_it_answer_as_linux_does() {
    if !may_run() {
        return;
    }
    let linux = Linux::new();
    linux.set("icmp_echo_ignore_broadcasts", "0");
    let echo = ECHO.to_owned() + "refuse_source_ports = \"none\"\n";
    let mut config = Config::new(&format!("net_tap0,iface={DEVICE}"), &echo);
    config.ports += AS_LINUX;
    let lab = Lab::new(&config);
    let wanted = ["E15 *", "C08 *", "C03 *", "X02 from port 19", "I18 *", "A01 *"];
    let stimuli: Vec<_> =
        stimuli().into_iter().filter(|s| wanted.iter().any(|pattern| is_meant(pattern, &s.name))).collect();
    let played = compare::<Answer>(linux, &lab.wire, &stimuli, Duration::from_millis(40));
    let Differences { wrong, answered, .. } = differences(&stimuli, played, &[]);
    assert_none(&wrong, stimuli.len());
    assert!(answered >= 10, "Linux answered {answered} of {}", stimuli.len());
}

// F09, RFC 1122 3.3.2, RFC 792: the time runs from the first arrival; 11/1 only if the first fragment is there.
#[test]
fn fragments_run_out_of_time_as_on_linux() {
    if !may_run() {
        return;
    }
    let linux = Linux::new();
    linux.set("ipfrag_time", "2");
    let services = ECHO.to_owned() + "[reassembly]\ntimeout_s = 2\n";
    let lab = Lab::mute(&services);
    let stimuli = late_fragments();
    let played = compare::<Answer>(linux, &lab.wire, &stimuli, Duration::from_millis(1300));
    let exceeded = |answers: &Vec<Answer>| {
        answers.iter().filter(|a| matches!(a.what, What::Icmp { kind: 11, code: 1, .. })).count()
    };
    let (first, second) = (&played[0], &played[1]);
    assert_eq!(
        (exceeded(&first.0), exceeded(&second.0)),
        (0, 4),
        "Linux is not what we think it is: {second:?}"
    );
    let Differences { wrong, .. } = differences(&stimuli, played, &[]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Four echo services that meet paths as the four modes of ip(7) do.
const MODES: &str = r#"
[[service]]
kind = "echo"
listen = ["0.0.0.0:7000"]
path_mtu_discovery = "dont"
[[service]]
kind = "echo"
listen = ["0.0.0.0:7001"]
path_mtu_discovery = "want"
[[service]]
kind = "echo"
listen = ["0.0.0.0:7002"]
path_mtu_discovery = "do"
[[service]]
kind = "echo"
listen = ["0.0.0.0:7003"]
path_mtu_discovery = "probe"
"#;

// T01, ip(7) IP_MTU_DISCOVER: DF, fragments, or nothing at all; C16: for the path that was told of, and for no other.
#[test]
fn services_meet_their_paths_as_sockets_of_linux_do() {
    if !may_run() {
        return;
    }
    let linux = Linux::new();
    for (mode, port) in (0..).zip(7000..=7003) {
        linux.echo_with_path_mtu_discovery(port, mode);
    }
    let lab = Lab::mute(MODES);
    let stimuli = path_mtu_modes(7000..=7003);
    let played = compare::<Answer>(linux, &lab.wire, &stimuli, Duration::from_millis(40));
    let Differences { wrong, answered, .. } = differences(&stimuli, played, &[]);
    assert_none(&wrong, stimuli.len());
    assert!(answered >= 4 * 5, "Linux answered {answered} of {}", stimuli.len());
}
