//! Offloads of a NIC: which of them are on says who does the work, and nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ::pollcast::addr::MacAddr;
use serde_json::json;

use super::super::common::*;
use super::super::offload_common::{FRAMES, SAID, VID, answers, pairwise, requests, said};

/// What a run came to: what was said, and what was dropped and why.
type Outcome = (Vec<String>, BTreeMap<String, u64>);

const PATIENCE: Duration = Duration::from_secs(20);

/// The echo of every NIC's tests, on a VLAN beside the untagged network too.
fn config(guest: &Guest, offloads: &str) -> Config {
    let mut config = guest.model.config(ECHO6);
    config.ports += &format!(
        "offloads = {offloads}\n\n[[port.vlan]]\nid = {VID}\naddresses = [\"198.19.0.2/24\", \"2001:db8:64::2/64\"]\n\
         dad_transmits = 0\nrouter_discovery = false\n"
    );
    config
}

/// The offloads in use, but for the leave to see frames of VLANs, which is no work.
fn in_use(guest: &Guest) -> Vec<String> {
    let mut names: Vec<String> =
        serde_json::from_value(guest.ctl(&["ports"])[0]["offloads"].clone()).unwrap();
    names.retain(|name| name != "rx_vlan_filter");
    names
}

/// What is in use of `allowed`: Intel's devices put no tags into frames unless they take them off, too.
fn used(guest: &Guest, mut allowed: Vec<String>) -> Vec<String> {
    let strips = allowed.iter().any(|name| name == "rx_vlan_strip");
    if guest.model.driver.starts_with("net_e1000") && !strips {
        allowed.retain(|name| name != "tx_vlan_insert");
    }
    allowed
}

/// Asks everything of a pollcast that has been asked nothing yet, and sees what comes of it.
fn outcome(guest: &Guest) -> Outcome {
    let mac = MacAddr(HOST.mac);
    let capture = guest.wire.raw.capture();
    let mut seen = Vec::new();
    let frames =
        |seen: &[Vec<u8>]| capture.as_ref().map_or_else(|| seen.to_vec(), |capture| capture.frames());
    let mut ask = |requests: &[Vec<u8>], settle| {
        let answers = guest.wire.exchange_all(requests, settle);
        seen.extend(answers.into_iter().map(|frame| frame.bytes));
        frames(&seen)
    };
    for chunk in requests(mac).chunks(16) {
        ask(chunk, Duration::from_millis(5));
    }
    // Another worker than that of the fence may not be that far yet; and what is too much comes by now.
    let deadline = Instant::now() + PATIENCE;
    while answers(mac, &ask(&[], Duration::from_millis(100))) < FRAMES && Instant::now() < deadline {}
    let frames = ask(&[], Duration::from_millis(200));
    assert_eq!(answers(mac, &frames), FRAMES, "of what is asked, with {:?}", in_use(guest));
    let rows = guest.ctl(&["drops"]);
    let rows = rows.as_array().unwrap().iter();
    let drops =
        rows.map(|row| (row["reason"].as_str().unwrap().to_owned(), row["packets"].as_u64().unwrap()));
    (said(mac, &frames), drops.filter(|(_, packets)| *packets > 0).collect())
}

// C01, U04, U05, E11, E12: of what the model's driver offers, any two are met in each of their four ways to be on and off: the same
// comes out, for good, wrong and absent sums, with and without tags, in one piece and in several; and `ctl ports` says what is on.
pub fn offloads_come_to_the_same(guest: &Guest) {
    guest.run(&config(guest, "\"auto\""));
    let offered = in_use(guest);
    for name in guest.model.offloads {
        assert!(offered.iter().any(|offload| offload == name), "{name} in {offered:?}");
    }
    let mut reference: Option<Outcome> = None;
    for on in pairwise(&offered) {
        // Counters from 0.
        guest.stop();
        guest.run(&config(guest, &json!(on).to_string()));
        assert_eq!(in_use(guest), used(guest, on.clone()));
        let found = outcome(guest);
        assert_eq!(found.0.len(), SAID, "{found:#?}");
        for reason in ["udp_checksum", "ipv4_checksum"] {
            assert!(found.1.contains_key(reason), "{reason} in {found:#?}");
        }
        let reference = reference.get_or_insert_with(|| found.clone());
        assert!(found == *reference, "{on:?}:\n{found:#?}\nand without:\n{reference:#?}");
    }
}
