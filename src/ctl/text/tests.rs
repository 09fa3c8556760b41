//! The answers are written as the JSON that the socket carries.

use super::*;

fn text(json: &str, rows: Rows) -> String {
    render(&serde_json::from_str(json).unwrap(), rows)
}

const STATS: &str = r#"{"answer":"stats","body":{"uptime_s":7384,"pool":{"free":8123,"size":8191},"ports":[
    {"port":"p0","dropped":5,"engine":{"a_new_one":1,"rx":1200,"tx":1100,"punted":0,"rx_bytes":72000},
     "device":{"ipackets":1200,"opackets":1100,"ibytes":72000,"obytes":66000,"imissed":3,"ierrors":0,"oerrors":0,
               "rx_nombuf":0}},
    {"port":"feed-b","dropped":0,"engine":{"rx":7,"tx":7,"punted":0,"rx_bytes":420},
     "device":{"ipackets":7,"opackets":7,"ibytes":420,"obytes":420,"imissed":0,"ierrors":0,"oerrors":0,"rx_nombuf":0}}
]}}"#;

#[test]
fn stats_leave_out_what_is_zero_on_every_port() {
    let expected = "\
up 2 h 3 min, 8123 of 8191 mbufs free

                     p0  feed-b    sum
rx                 1200       7   1207
rx_bytes          72000     420  72420
tx                 1100       7   1107
a_new_one             1       0      1
dropped               5       0      5
device ipackets    1200       7   1207
device opackets    1100       7   1107
device ibytes     72000     420  72420
device obytes     66000     420  66420
device imissed        3       0      3
device ierrors        0       0      0
device rx_nombuf      0       0      0
";
    assert_eq!(text(STATS, Rows::Counted), expected);
}

#[test]
fn all_stats_are_shown_when_asked_for_and_one_port_needs_no_sum() {
    let json = r#"{"answer":"stats","body":{"uptime_s":0,"pool":null,"ports":[
        {"port":"p0","dropped":0,"engine":{"rx":0},"device":{"ipackets":0,"opackets":0,"ibytes":0,"obytes":0,
         "imissed":0,"ierrors":0,"oerrors":0,"rx_nombuf":0}}]}}"#;
    let expected = "\
up 0 s

                  p0
rx                 0
dropped            0
device ipackets    0
device opackets    0
device ibytes      0
device obytes      0
device imissed     0
device ierrors     0
device oerrors     0
device rx_nombuf   0
";
    assert_eq!(text(json, Rows::All), expected);
}

#[test]
fn a_port_is_a_block() {
    let json = r#"{"answer":"ports","body":[
        {"name":"p0","device":"net_tap0,iface=pc0","driver":"net_tap","mac":"02:00:00:00:00:02","numa_node":null,
         "mtu":1500,"rx_queues":1,"tx_queues":1,"offloads":["rx_ipv4_cksum","rx_udp_cksum"],"link_up":true,
         "interfaces":[{"name":"p0","addresses":["198.18.0.2/24","2001:db8::2/64","fe80::ff:fe00:2/64"],
           "gateway4":"198.18.0.1","gateway6":"fe80::1"}],"cpus":[1,2,3]},
        {"name":"p1","device":"0000:01:00.0","driver":"net_ixgbe","mac":"02:00:00:00:01:02","numa_node":0,
         "mtu":9000,"rx_queues":2,"tx_queues":2,"offloads":[],"link_up":false,
         "rss":{"functions":["ipv4","ipv4-udp"],"key":"6d5a6d5a","symmetric":true,
           "reta":{"size":128,"entries_by_queue":[64,64]},"problems":["the driver refuses our key: it has its own"]},
         "interfaces":[{"name":"p1","addresses":["198.18.1.2/24","198.18.2.2/24"]},
           {"name":"p1.7","vlan":7,"addresses":["198.18.3.2/24"],"gateway4":"198.18.3.1"},
           {"name":"p1.9","vlan":9,"addresses":[],"gateway6":"fe80::9"}],"cpus":[1,2]}]}"#;
    let expected = "\
p0  net_tap0,iface=pc0
  driver      net_tap
  mac         02:00:00:00:00:02
  link        up
  addresses   198.18.0.2/24, 2001:db8::2/64, fe80::ff:fe00:2/64
  gateway     198.18.0.1, fe80::1
  mtu         1500 bytes
  queues      1 rx, 1 tx, on CPU 1
  rps         flows are handed to workers on CPUs 2, 3
  offloads    rx_ipv4_cksum, rx_udp_cksum

p1  0000:01:00.0
  driver      net_ixgbe
  mac         02:00:00:00:01:02
  link        down
  addresses   198.18.1.2/24, 198.18.2.2/24
  vlan        7 (p1.7): addresses 198.18.3.2/24, gateway 198.18.3.1
  vlan        9 (p1.9): addresses -, gateway fe80::9
  mtu         9000 bytes
  queues      2 rx, 2 tx, on CPUs 1, 2
  rss         ipv4, ipv4-udp
  rss key     6d5a6d5a (symmetric)
  rss reta    128 entries: 64 to queue 0, 64 to queue 1
  rss lacks   the driver refuses our key: it has its own
  numa node   0
  offloads    -
";
    assert_eq!(text(json, Rows::Counted), expected);
}

#[test]
fn sockets_groups_and_neighbors_are_tables() {
    let sockets = r#"{"answer":"sockets","body":[
        {"service":"echo","local":"0.0.0.0:7","port":"p0","cpus":[1,2],"multicast_all":true,"rx":12,"tx":11},
        {"service":"echo","local":"[::]:7","port":"p0","cpus":[1,2],"multicast_all":true,"rx":3,"tx":3},
        {"service":"discard","local":"198.18.0.2:9","port":"feed-b","cpus":[2],"multicast_all":false,
         "rx":100000,"tx":0}]}"#;
    let expected = "\
service  port    local         cpus  multicast_all  rx packets  tx packets
echo     p0      0.0.0.0:7     1, 2  yes                    12          11
echo     p0      [::]:7        1, 2  yes                     3           3
discard  feed-b  198.18.0.2:9  2     no                 100000           0
";
    assert_eq!(text(sockets, Rows::Counted), expected);
    let threads = r#"{"answer":"sockets","body":[
        {"service":"thread","local":"198.18.0.2:5000","port":"any","multicast_all":true,"rx":1017,"tx":9,
         "thread":{"id":3,"peer":null,"options":["reuse_address"],"rx_queue_bytes":2304,"rcvbuf":212992,"tx_queue_bytes":0,
                   "drops":17}},
        {"service":"echo","local":"0.0.0.0:7","port":"p0","cpus":[1],"multicast_all":true,"rx":12,"tx":11},
        {"service":"thread","local":"[::]:40000","port":"p0","multicast_all":true,"rx":0,"tx":0,
         "thread":{"id":12,"peer":"[2001:db8::1]:53","options":[],"rx_queue_bytes":0,"rcvbuf":4096,"tx_queue_bytes":832,
                   "drops":0}}]}"#;
    let expected = "\
service  port  local      cpus  multicast_all  rx packets  tx packets
echo     p0    0.0.0.0:7  1     yes                    12          11

socket  port  local            peer              options        rx packets  tx packets  rx queue  rcvbuf  tx queue  drops
     3  any   198.18.0.2:5000  -                 reuse_address        1017           9      2304  212992         0     17
    12  p0    [::]:40000       [2001:db8::1]:53  -                       0           0         0    4096       832      0
";
    assert_eq!(text(threads, Rows::Counted), expected);

    let groups = r#"{"answer":"groups","body":[
        {"port":"p0","group":"239.1.2.3","mac":"01:00:5e:01:02:03","filter_mode":"exclude","sources":[],
         "services":["echo","feed"]},
        {"port":"p0","group":"232.1.2.3","mac":"01:00:5e:01:02:03","filter_mode":"include",
         "sources":["198.18.0.1","198.18.0.9"],"services":["echo"]}]}"#;
    let expected = "\
port  group      mac                mode     sources                 services
p0    239.1.2.3  01:00:5e:01:02:03  exclude  -                       echo, feed
p0    232.1.2.3  01:00:5e:01:02:03  include  198.18.0.1, 198.18.0.9  echo
";
    assert_eq!(text(groups, Rows::Counted), expected);

    let neighbors = r#"{"answer":"neighbors","body":[
        {"port":"p0","addr":"198.18.0.1","mac":"02:00:00:00:00:01","state":"reachable","age_s":200},
        {"port":"p0","addr":"198.18.0.77","mac":null,"state":"incomplete","age_s":0},
        {"port":"p0","addr":"fe80::1","mac":"02:00:00:00:00:01","state":"stale","age_s":9,"is_router":true}]}"#;
    let expected = "\
port  address      mac                state          age
p0    198.18.0.1   02:00:00:00:00:01  reachable      3 min 20 s
p0    198.18.0.77  -                  incomplete     0 s
p0    fe80::1      02:00:00:00:00:01  stale, router  9 s
";
    assert_eq!(text(neighbors, Rows::Counted), expected);

    let routes = r#"{"answer":"routes","body":[
        {"port":"p0","kind":"connected","to":"198.18.0.0/24","via":null,"source":"198.18.0.2"},
        {"port":"p0","kind":"static","to":"198.19.0.0/16","via":"198.18.0.9","source":"198.18.0.2"},
        {"port":"p0.100","kind":"default","to":"0.0.0.0/0","via":"198.18.5.1","source":null}]}"#;
    let expected = "\
port    kind       to             via         source
p0      connected  198.18.0.0/24  -           198.18.0.2
p0      static     198.19.0.0/16  198.18.0.9  198.18.0.2
p0.100  default    0.0.0.0/0      198.18.5.1  -
";
    assert_eq!(text(routes, Rows::Counted), expected);
}

#[test]
fn what_routers_advertise_has_an_end() {
    let routes = r#"{"answer":"routes","body":[
        {"port":"p0","kind":"connected","to":"2001:db8::/64","via":null,"source":"2001:db8::2","expires_s":86400},
        {"port":"p0","kind":"connected","to":"fe80::/64","via":null,"source":"fe80::2"},
        {"port":"p0","kind":"default","to":"::/0","via":"fe80::1","source":"2001:db8::2","expires_s":1790,
         "preference":"high"},
        {"port":"p0","kind":"router","to":"::/0","via":"fe80::7","source":"2001:db8::2","expires_s":9,
         "preference":"medium"}]}"#;
    let expected = "\
port  kind           to             via      source       expires in
p0    connected      2001:db8::/64  -        2001:db8::2  1 d 0 h
p0    connected      fe80::/64      -        fe80::2      never
p0    default, high  ::/0           fe80::1  2001:db8::2  29 min 50 s
p0    router         ::/0           fe80::7  2001:db8::2  9 s
";
    assert_eq!(text(routes, Rows::Counted), expected);

    let addresses = r#"{"answer":"addresses","body":[
        {"port":"p0","addr":"198.18.0.2/24","origin":"static","state":"preferred","preferred_s":null,"valid_s":null},
        {"port":"p0","addr":"2001:db8::2/64","origin":"auto","state":"deprecated","preferred_s":0,"valid_s":3600}]}"#;
    let expected = "\
port  address         origin  state       preferred for  valid for
p0    198.18.0.2/24   static  preferred   ever           ever
p0    2001:db8::2/64  auto    deprecated  0 s            1 h 0 min
";
    assert_eq!(text(addresses, Rows::Counted), expected);
}

#[test]
fn a_filter_that_does_not_filter_is_called_so() {
    let json = r#"{"answer":"filter","body":[{"port":"p0","driver":"net_tap","rung":"addr_list","refused":[],
        "macs":["01:00:5e:00:00:01","01:00:5e:01:02:03"],"capacity":null,"entries":2,"all_multicast":false,
        "promiscuous":false,"policy":"auto","applied":3,"calls":4,"applied_ago_s":125,"not_in_set":12,"not_in_set_here":12,"aliases":1}]}"#;
    let expected = "\
p0  net_tap
  rung        addr_list
  policy      auto
  entries     2
  read back   all-multicast off, promiscuous off
  applied     2 min 5 s ago; 3 times in all, 4 calls to the driver
  not in set  12 frames passed: accepted by the driver, not effective
  aliases     1 frame passed: groups not joined there, with the MAC of one that is joined
  passes      01:00:5e:00:00:01
  passes      01:00:5e:01:02:03
";
    assert_eq!(text(json, Rows::Counted), expected);
}

// E07: what passed on a worse rung is no reproach to the one in use; and a hash is what it is.
#[test]
fn what_passed_for_nothing_is_told_for_the_rung_in_use() {
    let told = |rest: &str| {
        let json = format!(
            r#"{{"answer":"filter","body":[{{"port":"p0","driver":"net_ixgbe","rung":"addr_list","refused":[],"macs":[],
            "capacity":null,"all_multicast":false,"promiscuous":false,"aliases":0,{rest}}}]}}"#
        );
        let text = text(&json, Rows::Counted);
        text.lines().find(|line| line.contains("not in set")).unwrap().trim_start().to_owned()
    };
    for (rest, expected) in [
        (r#""not_in_set":9,"not_in_set_here":0"#, "9 frames passed, none on this rung"),
        (
            r#""not_in_set":9,"not_in_set_here":2"#,
            "9 frames passed, 2 on this rung: accepted by the driver, not effective",
        ),
        (
            r#""not_in_set":9,"not_in_set_here":9,"hashed":true"#,
            "9 frames passed: the device keeps hashes of the set",
        ),
    ] {
        assert_eq!(told(rest), format!("not in set  {expected}"));
    }
}

#[test]
fn a_refused_rung_is_shown_with_the_reason() {
    let json = r#"{"answer":"filter","body":[{"port":"p0","driver":"net_af_packet","rung":"promiscuous","refused":[
        {"rung":"addr_list","why":"set_mc_addr_list: Operation not supported (-ENOTSUP)"},
        {"rung":"mac_table","why":"mac_addr_add: Operation not supported (-ENOTSUP)"}],
        "macs":["01:00:5e:00:00:01"],"capacity":null,"all_multicast":false,"promiscuous":true,"policy":"all_multicast",
        "not_in_set":3,"aliases":0}]}"#;
    let expected = "\
p0  net_af_packet
  rung        promiscuous
  policy      all_multicast
  read back   all-multicast off, promiscuous on
  refused     addr_list: set_mc_addr_list: Operation not supported (-ENOTSUP)
  refused     mac_table: mac_addr_add: Operation not supported (-ENOTSUP)
  not in set  3 frames passed
  aliases     none passed
  passes      01:00:5e:00:00:01
";
    assert_eq!(text(json, Rows::Counted), expected);
}

#[test]
fn a_filter_that_is_tried_again_says_when_and_how_full_it_is() {
    let json = r#"{"answer":"filter","body":[{"port":"p0","driver":"net_virtio","rung":"mac_table","refused":[
        {"rung":"addr_list","why":"set_mc_addr_list: Device or resource busy (-EBUSY)"}],
        "macs":["01:00:5e:00:00:01"],"capacity":63,"entries":1,"all_multicast":true,"promiscuous":false,"policy":"auto",
        "may_pass":true,"not_undone":"allmulticast_disable: Input/output error (-EIO)","applied":1,"calls":3,
        "applied_ago_s":0,"retry_in_s":1,"not_in_set":0,"aliases":0}]}"#;
    let expected = "\
p0  net_virtio
  rung        mac_table
  policy      auto
  entries     1 of 63
  read back   all-multicast on, promiscuous off
  refused     addr_list: set_mc_addr_list: Device or resource busy (-EBUSY)
  not undone  allmulticast_disable: Input/output error (-EIO)
  retry       in 1 s
  applied     0 s ago; 1 time in all, 3 calls to the driver
  not in set  none passed
  aliases     none passed
  passes      01:00:5e:00:00:01
";
    assert_eq!(text(json, Rows::Counted), expected);
}

#[test]
fn an_order_tells_what_became_of_each_group() {
    let json = r#"{"answer":"done","body":{"done":"joined 1 of 3 groups on p0 for echo; 1 could not be","changes":[
        {"group":"239.1.1.1","changed":true,"from":"INCLUDE {}","to":"EXCLUDE {}","interface":"EXCLUDE {}"},
        {"group":"239.1.1.2","changed":false,"from":"EXCLUDE {}","to":"EXCLUDE {}","interface":"EXCLUDE {}"},
        {"group":"239.1.1.3","changed":false,"from":"INCLUDE {}","to":"INCLUDE {}","interface":"INCLUDE {}",
         "error":"no room"}],"reports":1,"filter":"addr_list, 3 group addresses"}}"#;
    let expected = "\
joined 1 of 3 groups on p0 for echo; 1 could not be
  239.1.1.3: no room
  239.1.1.1: INCLUDE {} -> EXCLUDE {}
  NIC filter: addr_list, 3 group addresses
  1 report left
";
    assert_eq!(text(json, Rows::Counted), expected);
    let row = |n: usize| {
        format!(
            r#"{{"group":"239.1.1.{n}","changed":true,"from":"INCLUDE {{}}","to":"INCLUDE {{198.18.0.1}}","interface":"EXCLUDE {{}}"}}"#
        )
    };
    let rows: Vec<_> = (0..25).map(row).collect();
    let json =
        format!(r#"{{"answer":"done","body":{{"done":"d","changes":[{}],"reports":0}}}}"#, rows.join(","));
    let text = text(&json, Rows::Counted);
    assert_eq!(
        text.lines().nth(1),
        Some("  239.1.1.0: INCLUDE {} -> INCLUDE {198.18.0.1}; the interface: EXCLUDE {}")
    );
    assert_eq!(text.lines().skip(21).collect::<Vec<_>>(), ["  and 5 more", "  0 reports left"]);
}

// C16, K07: the path, how much of it goes with DF, and since when.
#[test]
fn a_path_is_a_row() {
    let json = r#"{"answer":"paths","body":[
        {"port":"p0","addr":"198.19.0.9","mtu":1300,"df_max":1300,"age_s":75},
        {"port":"p0.100","addr":"198.19.0.10","mtu":552,"df_max":300,"age_s":2},
        {"port":"p0","addr":"2001:db8:1::9","mtu":1280,"df_max":1280,"age_s":3}]}"#;
    let expected = "\
port    address         mtu  with df  reported
p0      198.19.0.9     1300     1300  1 min 15 s ago
p0.100  198.19.0.10     552      300  2 s ago
p0      2001:db8:1::9  1280        -  3 s ago
";
    assert_eq!(text(json, Rows::Counted), expected);
}

#[test]
fn drops_that_never_happened_are_left_out() {
    let json = r#"{"answer":"drops","body":[
        {"reason":"udp_checksum","packets":3,"snmp":"UdpInCsumErrors","meaning":"The UDP checksum is wrong."},
        {"reason":"vlan_unknown","packets":0,"meaning":"The frame carries a VLAN that is not configured."},
        {"reason":"arp_not_for_us","packets":1500,"meaning":"An ARP packet about others."}]}"#;
    let counted = "\
packets  reason          snmp             meaning
      3  udp_checksum    UdpInCsumErrors  The UDP checksum is wrong.
   1500  arp_not_for_us  -                An ARP packet about others.
";
    assert_eq!(text(json, Rows::Counted), counted);
    assert!(text(json, Rows::All).contains("      0  vlan_unknown    -                The frame"));
}

#[test]
fn having_nothing_is_said() {
    let nothing = |kind: &str| text(&format!(r#"{{"answer":"{kind}","body":[]}}"#), Rows::Counted);
    assert_eq!(nothing("ports"), "no ports\n");
    assert_eq!(nothing("sockets"), "no sockets\n");
    assert_eq!(nothing("groups"), "no groups are joined\n");
    assert_eq!(nothing("filter"), "no ports\n");
    assert_eq!(nothing("igmp"), "no ports\n");
    assert_eq!(nothing("neighbors"), "no neighbors are known\n");
    assert_eq!(nothing("routes"), "no routes\n");
    assert_eq!(nothing("addresses"), "no addresses\n");
    assert_eq!(nothing("paths"), "no path is known to carry less than its link\n");
    assert_eq!(nothing("drops"), "nothing was dropped\n");
}

#[test]
fn sentences_are_lines() {
    let done = r#"{"answer":"done","body":{"done":"joined 239.1.2.3 on p0 for echo"}}"#;
    assert_eq!(text(done, Rows::Counted), "joined 239.1.2.3 on p0 for echo\n");
    assert_eq!(text(r#"{"answer":"error","body":"no port p9"}"#, Rows::Counted), "no port p9\n");
}

#[test]
fn durations_have_their_two_largest_units() {
    for (s, expected) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (12 * 86400 + 7200, "12 d 2 h"),
    ] {
        assert_eq!(duration(s), expected);
    }
}

#[test]
fn workers_say_how_they_rest_and_why() {
    let json = r#"{"answer":"workers","body":[
        {"worker":0,"lcore":1,"cpu":2,"idle":"adaptive","sleeps":12,"woken":10,"asleep_ms":61234,"overslept":0,
         "heartbeat_us":1000,
         "queues":[{"port":"p0","queue":0,"rx_event":"RX interrupt"},{"port":"p1","queue":0,"rx_event":"packet socket"}]},
        {"worker":1,"lcore":2,"cpu":3,"idle":"adaptive","sleeps":7,"woken":0,"asleep_ms":5,"overslept":0,"sleep_us":50,
         "queues":[{"port":"p0","queue":1,"rx_event":"RX interrupt"},{"port":"p2","queue":0}]},
        {"worker":2,"lcore":3,"cpu":4,"idle":"adaptive","sleeps":7,"woken":4,"asleep_ms":5,"overslept":3,
         "queues":[{"port":"p0","queue":2,"rx_event":"RX interrupt"}]},
        {"worker":3,"lcore":4,"cpu":5,"idle":"spin","sleeps":0,"woken":0,"asleep_ms":0,"overslept":0,
         "queues":[{"port":"p0","queue":3}]}]}"#;
    let text = text(json, Rows::Counted);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "worker  lcore  cpu  queues                  idle      sleeps  woken    asleep  when idle"
    );
    let told = |line: &str, what: &str| assert!(line.ends_with(what), "{line}");
    told(
        lines[1],
        "10  61.234 s  sleeps until an event, with a heartbeat of 1000 us: p0 queue 0 (RX interrupt), p1 queue 0 (packet socket)",
    );
    told(lines[2], "sleeps up to 50 us at a time: no event from p2 queue 0");
    told(lines[3], "sleeps until an event: p0 queue 2 (RX interrupt); slept over 3 events that did not come");
    told(lines[4], "spin           0      0   0.000 s  polls on");
    assert_eq!(render_workers(&[]), "no workers\n");
}
