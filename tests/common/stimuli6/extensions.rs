//! Extension headers: their order, their options, their ways; and chains of them at random.

use ::pollcast::rng::Rng;

use super::super::six::{GROUP6, HOST6, HOST6_LOCAL, PEER6};
use super::{
    Extension, HeaderOption, Ipv6, Stimulus, UDP, addr, destination, hello, hop_by_hop, knock, one, ping6,
    plain6, send6, to, unknown,
};

/// A packet whose headers are these.
fn through(extensions: &[Extension]) -> Ipv6 {
    plain6().with(extensions)
}

fn routing_header(kind: u8, segments_left: u8, addresses: usize) -> Extension {
    let mut data = vec![0; 4];
    data.extend(HOST6.ip.octets().repeat(addresses));
    Extension::Routing { kind, segments_left, data }
}

const ATOMIC: Extension = Extension::Fragment { offset: 0, more: false, id: 7 };

/// The word to the echo, the ping, the knock and the unknown header behind the same headers.
fn four(all: &mut Vec<Stimulus>, name: &str, ip: &Ipv6) {
    all.push(one(&format!("{name}, a datagram"), hello(ip)));
    all.push(one(&format!("{name}, a ping"), ping6(ip)));
    all.push(one(&format!("{name}, to a closed port"), knock(ip)));
    all.push(one(&format!("{name}, an unknown header"), unknown(ip)));
}

/// What may follow what.
pub(super) fn order() -> Vec<Stimulus> {
    let (hop, dst) = (hop_by_hop(&[]), destination(&[]));
    let way = routing_header(0, 0, 0);
    let mut all = Vec::new();
    four(&mut all, "V07 hop-by-hop options", &through(std::slice::from_ref(&hop)));
    four(&mut all, "V07 destination options", &through(std::slice::from_ref(&dst)));
    four(&mut all, "V07 a routing header that is done", &through(std::slice::from_ref(&way)));
    let ordered = [hop.clone(), dst.clone(), way.clone(), ATOMIC, dst.clone()];
    four(&mut all, "V07 all in their order", &through(&ordered));
    for (name, extensions) in [
        ("V07 hop-by-hop options twice", vec![hop.clone(), hop.clone()]),
        ("V07 hop-by-hop options behind destination options", vec![dst.clone(), hop.clone()]),
        ("V07 hop-by-hop options behind a routing header", vec![way.clone(), hop.clone()]),
        ("V07 hop-by-hop options behind a fragment header", vec![ATOMIC, hop.clone()]),
        ("V07 hop-by-hop options behind two", vec![hop.clone(), dst.clone(), hop.clone()]),
        ("V07 destination options twice", vec![dst.clone(), dst.clone()]),
        ("V07 destination options three times", vec![dst.clone(); 3]),
        ("V07 routing headers twice", vec![way.clone(), way.clone()]),
        ("V07 fragment headers twice", vec![ATOMIC, ATOMIC]),
        ("V07 a routing header behind a fragment header", vec![ATOMIC, way]),
    ] {
        four(&mut all, name, &through(&extensions));
    }
    // Seven and eight are legal.
    for n in [4, 7, 8, 9, 12, 40] {
        four(&mut all, &format!("V11 {n} headers"), &through(&vec![dst.clone(); n]));
    }
    for next_header in [253, 254, 255, 61, 99] {
        for (name, extensions) in [
            ("at once", vec![]),
            ("behind destination options", vec![dst.clone()]),
            ("behind two headers", vec![hop.clone(), dst.clone()]),
        ] {
            let ip = Ipv6 { next_header, ..through(&extensions) };
            all.push(one(&format!("V08 next header {next_header} {name}"), send6(&ip, &[7; 16])));
        }
    }
    for (name, extensions) in [("at once", vec![]), ("behind options", vec![hop.clone(), dst.clone()])] {
        let ip = Ipv6 { next_header: 59, ..through(&extensions) };
        all.push(one(&format!("V08 no next header {name}"), send6(&ip, &[])));
        all.push(one(&format!("V08 no next header {name}, and bytes"), send6(&ip, &[7; 16])));
    }
    all.push(one("V08 an unknown header behind options, to a group", unknown(&to(GROUP6).with(&[dst]))));
    all.extend(cut_short(&hop));
    all
}

/// Headers that do not end where the packet ends.
fn cut_short(hop: &Extension) -> Vec<Stimulus> {
    let mut all = Vec::new();
    let headers = [
        ("hop-by-hop options", hop.clone()),
        ("destination options", destination(&[])),
        ("a routing header", routing_header(0, 0, 0)),
        ("a fragment header", ATOMIC),
    ];
    for (name, extension) in headers {
        for len in [0, 1, 2, 7] {
            let ip = Ipv6 { next_header: extension.number(), ..plain6() };
            let cut = &extension.bytes(UDP)[..len];
            all.push(one(&format!("V12 {name} cut to {len} bytes"), send6(&ip, cut)));
        }
        for units in [1, 2, 3, 255] {
            let mut frame = hello(&through(std::slice::from_ref(&extension)));
            if extension != ATOMIC {
                frame[55] = units;
                all.push(one(&format!("V12 {name} that says {units} more"), frame));
            }
        }
        let ip = Ipv6 { next_header: 59, ..through(&[extension]) };
        all.push(one(&format!("V12 {name} and no more"), send6(&ip, &[])));
    }
    all
}

/// Options, in both headers that have them.
pub(super) fn options6() -> Vec<Stimulus> {
    let mut all = Vec::new();
    for (place, header) in [
        ("hop-by-hop", hop_by_hop as fn(&[HeaderOption]) -> Extension),
        ("destination", destination as fn(&[HeaderOption]) -> Extension),
    ] {
        // V09, RFC 8200 4.2: what the two highest bits say; the third says whether it may change.
        for kind in [0x1e, 0x3e, 0x5e, 0x7e, 0x9e, 0xbe, 0xde, 0xfe] {
            for (whom, ip) in
                [("us", plain6()), ("a group", to(GROUP6)), ("our link-local address", to(HOST6_LOCAL.ip))]
            {
                let ip = ip.with(&[header(&[HeaderOption::new(kind, &[1, 2, 3])])]);
                all.push(one(&format!("V09 {place} option {kind:#04x} to {whom}"), hello(&ip)));
            }
            let behind = header(&[HeaderOption::new(1, &[0; 2]), HeaderOption::new(kind, &[])]);
            let ip = plain6().with(&[behind]);
            all.push(one(&format!("V09 {place} option {kind:#04x} behind padding, a ping"), ping6(&ip)));
        }
        all.extend(known(place, header));
        all.extend(padding(place, header));
        all.extend(broken_options(place, &header(&[])));
    }
    all
}

/// Options that have a name.
fn known(place: &str, header: fn(&[HeaderOption]) -> Extension) -> Vec<Stimulus> {
    let named: &[(&str, u8, &[u8])] = &[
        ("router alert", 5, &[0, 0]),
        ("router alert of an unknown kind", 5, &[0xff, 0xff]),
        ("router alert of three bytes", 5, &[0, 0, 0]),
        ("a jumbo length of a small packet", 0xc2, &[0, 0, 0, 100]),
        ("a jumbo length", 0xc2, &[0, 1, 0, 8]),
        ("a tunnel's limit", 4, &[3]),
        ("a home address", 0xc9, &[0x20; 16]),
        ("quick start", 0x26, &[0; 6]),
        ("RPL", 0x63, &[0; 4]),
    ];
    let each = |(name, kind, data): &(&str, u8, &[u8])| {
        let ip = plain6().with(&[header(&[HeaderOption::new(*kind, data)])]);
        one(&format!("V09 {place} option: {name}"), hello(&ip))
    };
    named.iter().map(each).collect()
}

/// Padding: RFC 8200 4.2, RFC 4942 2.1.9.5, RFC 8504 5.3.
fn padding(place: &str, header: fn(&[HeaderOption]) -> Extension) -> Vec<Stimulus> {
    let pad = |n: usize| HeaderOption::new(1, &vec![0; n - 2]);
    let one_byte = HeaderOption::new(0, &[]);
    let nothing = HeaderOption::new(0x1e, &[]);
    let mut all = Vec::new();
    for (name, options) in [
        ("one byte six times", vec![one_byte.clone(); 6]),
        ("one byte fourteen times", vec![one_byte.clone(); 14]),
        ("of 4 twice", vec![pad(4), pad(4)]),
        ("of 6", vec![pad(6)]),
        ("of 7", vec![pad(7)]),
        ("of 8", vec![pad(8)]),
        ("of 14", vec![pad(14)]),
        ("that is not zero", vec![HeaderOption::new(1, &[0, 0, 1, 0])]),
        ("of 4 before an option and 4 behind it", vec![pad(4), nothing.clone(), pad(4)]),
    ] {
        all.push(one(&format!("V11 {place} padding {name}"), hello(&through(&[header(&options)]))));
    }
    for n in [7, 8, 9, 20] {
        let ip = through(&[header(&vec![nothing.clone(); n])]);
        all.push(one(&format!("V11 {place} options, {n} of them"), hello(&ip)));
    }
    all
}

/// Options that do not end where their header ends.
fn broken_options(place: &str, header: &Extension) -> Vec<Stimulus> {
    let with = |options: [u8; 6]| {
        let mut frame = hello(&through(std::slice::from_ref(header)));
        frame[56..62].copy_from_slice(&options);
        frame
    };
    [
        ("one byte beyond its header", [0x1e, 5, 0, 0, 0, 0]),
        ("far beyond its header", [0x1e, 255, 0, 0, 0, 0]),
        ("padding beyond its header", [1, 5, 0, 0, 0, 0]),
        ("without a length", [1, 3, 0, 0, 0, 0x1e]),
        ("to be answered, beyond its header", [0x9e, 9, 0, 0, 0, 0]),
        ("to be answered, the last", [1, 2, 0, 0, 0x9e, 0]),
        ("two to be answered", [0xde, 0, 0x9e, 0, 0, 0]),
        ("one to be dropped before one to be answered", [0x5e, 0, 0x9e, 0, 0, 0]),
    ]
    .into_iter()
    .map(|(name, options)| one(&format!("V12 {place} option: {name}"), with(options)))
    .collect()
}

/// Routing headers.
pub(super) fn routing() -> Vec<Stimulus> {
    let mut all = Vec::new();
    for kind in [0, 1, 2, 3, 4, 5, 253, 255] {
        for (left, addresses) in [(0, 0), (0, 1), (1, 1), (2, 1), (255, 0)] {
            let ip = through(&[routing_header(kind, left, addresses)]);
            let name = format!("V10 routing header of type {kind}, {left} left of {addresses}");
            all.push(one(&format!("{name}, a datagram"), hello(&ip)));
            if kind != 2 {
                all.push(one(&format!("{name}, behind options, a ping"), {
                    ping6(&through(&[hop_by_hop(&[]), routing_header(kind, left, addresses)]))
                }));
            }
        }
    }
    let group = |left| to(GROUP6).with(&[routing_header(0, left, 1)]);
    all.push(one("V10 a routing header to a group", hello(&group(1))));
    all.push(one("V10 a routing header that is done, to a group", hello(&group(0))));
    let odd = Extension::Routing { kind: 0, segments_left: 1, data: vec![0; 12] };
    all.push(one("V10 a routing header of half an address", hello(&through(&[odd]))));
    all
}

/// Chains of headers of every kind, `n` of them, of `seed`.
pub fn random_chains(seed: u64, n: usize) -> Vec<Stimulus> {
    let mut rng = Rng::new(seed);
    (0..n).map(|i| random_chain(&mut rng, i)).collect()
}

/// One of `n`.
pub(super) fn pick(rng: &mut Rng, n: usize) -> usize {
    usize::try_from(rng.below(u64::try_from(n).unwrap())).unwrap()
}

fn random_chain(rng: &mut Rng, i: usize) -> Stimulus {
    let len = pick(rng, 7);
    let mut extensions: Vec<_> = (0..len).map(|at| random_header(rng, at == 0)).collect();
    let whom = [HOST6.ip, HOST6_LOCAL.ip, GROUP6, addr("ff02::1")][[0, 0, 0, 1, 2, 3][pick(rng, 6)]];
    // V10: a group's packet that a routing header has brought is for a stimulus of its own.
    extensions.retain(|e| !(whom.is_multicast() && matches!(e, Extension::Routing { .. })));
    // Behind a fragment header that is no fragment's, a second one is nothing that Linux and others agree upon.
    let mut fragments = 0;
    extensions.retain(|e| {
        fragments += usize::from(matches!(e, Extension::Fragment { .. }));
        fragments < 2 || !matches!(e, Extension::Fragment { .. })
    });
    let ip = Ipv6::new(PEER6.ip, whom, UDP).with(&extensions);
    let (what, frame) = match pick(rng, 5) {
        0 | 1 => ("a datagram", hello(&ip)),
        2 => ("a ping", ping6(&ip)),
        3 => ("a closed port", knock(&ip)),
        _ => ("an unknown header", unknown(&ip)),
    };
    let shape: Vec<String> = extensions.iter().map(shown).collect();
    one(&format!("V07 chain {i}: {} to {whom}, {what}", shape.join(" ")), frame)
}

fn shown(extension: &Extension) -> String {
    match extension {
        Extension::HopByHop(options) => {
            format!("hop{:x?}", options.iter().map(|o| o.kind).collect::<Vec<_>>())
        }
        Extension::Destination(options) => {
            format!("dst{:x?}", options.iter().map(|o| o.kind).collect::<Vec<_>>())
        }
        Extension::Routing { kind, segments_left, .. } => format!("rt{kind}/{segments_left}"),
        Extension::Fragment { .. } => "frag".to_owned(),
        Extension::Other { number, .. } => number.to_string(),
    }
}

fn random_header(rng: &mut Rng, first: bool) -> Extension {
    match pick(rng, if first { 12 } else { 9 }) {
        0..5 => destination(&random_options(rng)),
        5 | 6 => {
            let kind = [0, 5, 253][pick(rng, 3)];
            let left = [0, 0, 0, 0, 0, 1][pick(rng, 6)];
            routing_header(kind, left, pick(rng, 3))
        }
        7 => ATOMIC,
        // Now and then where it may not be.
        8 if pick(rng, 3) > 0 => destination(&[]),
        _ => hop_by_hop(&random_options(rng)),
    }
}

/// Mostly such as are skipped.
fn random_options(rng: &mut Rng) -> Vec<HeaderOption> {
    let n = pick(rng, 4);
    let option = |rng: &mut Rng| {
        let kind = [0x1e, 0x3e, 0x1e, 0x3e, 0x1e, 0x1e, 0x5e, 0x9e, 0xde, 0x1e][pick(rng, 10)];
        HeaderOption::new(kind, &vec![0x55; pick(rng, 12)])
    };
    (0..n).map(|_| option(rng)).collect()
}
