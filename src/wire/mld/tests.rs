//! What is read and written, from the RFCs' drawings and TAHI's cases.

use proptest::prelude::*;

use super::*;

const ROUTER: &str = "fe80::1";
const ALL_NODES: &str = "ff02::1";

fn v6(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn group(s: &str) -> Group<V6> {
    Group::new(v6(s)).unwrap()
}

/// The sum of a message and its pseudo-header, by RFC 1071's words, of nothing that the code under test has.
fn sum(bytes: &[u8]) -> u16 {
    let mut pseudo: Vec<u8> = [v6(ROUTER).octets(), v6(ALL_NODES).octets()].concat();
    pseudo.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    pseudo.extend(bytes);
    let words = pseudo.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// `bytes` with the checksum that makes them whole in bytes 2 and 3.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[2..4].fill(0);
    let checksum = sum(&bytes);
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Result<Message<'_>, MldError> {
    Message::parse(v6(ROUTER), v6(ALL_NODES), bytes)
}

/// A message of 24 bytes.
fn short(kind: u8, code: u16, group: &str) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(code.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(v6(group).octets());
    sealed(bytes)
}

/// A version 2 query that claims `count` sources and carries `sources`.
fn query(code: u16, group: &str, flags: u8, qqic: u8, count: u16, sources: &[&str]) -> Vec<u8> {
    let mut bytes = short(130, code, group);
    bytes.extend([flags, qqic]);
    bytes.extend(count.to_be_bytes());
    bytes.extend(sources.iter().flat_map(|s| v6(s).octets()));
    sealed(bytes)
}

fn parsed_query(bytes: &[u8]) -> Query<'_> {
    match parse(bytes) {
        Ok(Message::Query(query)) => query,
        other => panic!("{other:?}"),
    }
}

fn error(bytes: &[u8]) -> MldError {
    parse(bytes).unwrap_err()
}

// L06, RFC 9777 8.1: 24 bytes, at least 28, and nothing else.
#[test]
fn the_length_tells_the_version_of_a_query() {
    assert_eq!(parsed_query(&short(130, 1000, "::")).version, Version::V1);
    assert_eq!(parsed_query(&query(1000, "::", 2, 125, 0, &[])).version, Version::V2);
    let whole = query(1000, "::", 2, 125, 0, &[]);
    for len in (4..28).filter(|len| *len != 24) {
        assert_eq!(error(&sealed(whole[..len].to_vec())), MldError::Truncated, "{len} bytes");
    }
    assert_eq!(error(&whole[..3]), MldError::Truncated);
}

// L07, RFC 9777 5.1.3, TAHI 2.10: milliseconds, a float of 16 bits from 32768 on; RFC 2710 3.4: version 1 is linear.
#[test]
fn the_max_resp_code_is_in_milliseconds_and_a_float_in_version_2_only() {
    let cases = [
        (0u16, 0u64),
        (1, 1),
        (10_000, 10_000),
        (0x7fff, 32_767),
        // From 32768 on: (mant | 0x1000) << (exp + 3).
        (0x8000, 32_768),
        (0x8001, 32_776),
        (0x8fff, 65_528),
        (0x9000, 65_536),
        (0xffff, 8_387_584),
    ];
    for (code, millis) in cases {
        let bytes = query(code, "::", 0, 0, 0, &[]);
        assert_eq!(parsed_query(&bytes).max_response, Duration::from_millis(millis), "{code:#x}");
        let v1 = parsed_query(&short(130, code, "::")).max_response;
        assert_eq!(v1, Duration::from_millis(code.into()), "{code:#x}");
    }
}

// RFC 9777 5.1; G23's twin, 5.1.9: QQIC is the float of 8 bits that IGMPv3 has.
#[test]
fn a_version_2_query_is_read_field_by_field() {
    let bytes = query(10_000, "ff05::1:3", 0x0f, 0x81, 2, &["2001:db8::1", "2001:db8::2"]);
    let q = parsed_query(&bytes);
    assert_eq!(q.group, Some(group("ff05::1:3")));
    assert_eq!(q.sources.iter().collect::<Vec<_>>(), [v6("2001:db8::1"), v6("2001:db8::2")]);
    let querier = Querier { suppress: true, robustness: 7, query_interval: Duration::from_secs(136) };
    assert_eq!(q.querier, Some(querier));
    let v1 = short(130, 10, "ff05::1:3");
    assert_eq!((parsed_query(&v1).group, parsed_query(&v1).querier), (Some(group("ff05::1:3")), None));
    // RFC 9777 5.1.2, 5.1.4: code and reserved are ignored.
    let mut odd = query(10, "::", 0xf2, 0, 0, &[]);
    (odd[1], odd[6], odd[7]) = (9, 0xff, 0xff);
    assert_eq!(parsed_query(&sealed(odd)).querier.unwrap().robustness, 2);
}

// L13, RFC 9777 5.1.12: over the whole payload, and over the addresses of its packet.
#[test]
fn the_checksum_covers_what_follows_the_message_and_the_pseudo_header() {
    let mut bytes = query(100, "ff05::1:3", 2, 125, 1, &["2001:db8::1", "2001:db8::2"]);
    assert_eq!(parsed_query(&bytes).sources.len(), 1);
    for at in 0..bytes.len() {
        bytes[at] ^= 0x40;
        assert_eq!(error(&bytes), MldError::Checksum, "byte {at}");
        bytes[at] ^= 0x40;
    }
    assert_eq!(Message::parse(v6("fe80::2"), v6(ALL_NODES), &bytes), Err(MldError::Checksum));
    let mut trailing = query(100, "ff05::1:3", 2, 125, 0, &[]);
    trailing.extend([1, 2, 3]);
    assert_eq!(error(&trailing), MldError::Checksum);
    assert!(parse(&sealed(trailing)).is_ok());
}

// L14, TAHI 2.16: a list cut short is no query; what follows a list is none of it: then the group as a whole is asked for.
#[test]
fn the_number_of_sources_is_what_counts() {
    let two_one_included = query(100, "ff05::1:3", 2, 125, 2, &["2001:db8::1"]);
    assert_eq!(error(&two_one_included), MldError::QueryInvalid);
    let zero_but_one_included = query(100, "ff05::1:3", 2, 125, 0, &["2001:db8::1"]);
    let asked = parsed_query(&zero_but_one_included);
    assert_eq!((asked.group, asked.sources.len()), (Some(group("ff05::1:3")), 0));
}

// L13, RFC 9777 5.1.5: the twin of G22.
#[test]
fn queries_that_cannot_be_are_refused() {
    let sources_without_group = query(100, "::", 2, 125, 1, &["2001:db8::1"]);
    let unicast_group = query(100, "2001:db8::1", 2, 125, 0, &[]);
    let unicast_group_v1 = short(130, 100, "2001:db8::1");
    for bytes in [sources_without_group, unicast_group, unicast_group_v1] {
        assert_eq!(error(&bytes), MldError::QueryInvalid);
    }
}

#[test]
fn messages_of_other_hosts_are_recognised_and_unknown_types_named() {
    let g = group("ff05::1:3");
    assert_eq!(parse(&short(131, 0, "ff05::1:3")), Ok(Message::ReportV1(g)));
    assert_eq!(parse(&short(132, 0, "ff05::1:3")), Ok(Message::DoneV1(g)));
    assert_eq!(error(&short(128, 0, "ff05::1:3")), MldError::UnknownType(128));
    assert_eq!(error(&short(131, 0, "2001:db8::1")), MldError::ReportInvalid);
    assert_eq!(error(&sealed(short(132, 0, "ff05::1:3")[..23].to_vec())), MldError::Truncated);
}

// L02, RFC 9777 5.2, byte by byte.
#[test]
fn a_version_2_report_is_written_as_the_rfc_draws_it() {
    let sources = [v6("2001:db8::1"), v6("2001:db8::2")];
    let records = [
        RecordRepr { kind: RecordKind::ChangeToExclude, group: group("ff05::1:3"), sources: &[] },
        RecordRepr { kind: RecordKind::AllowNewSources, group: group("ff35::1:4"), sources: &sources },
    ];
    let mut out = vec![0xee; 3];
    emit_report_v2(v6(ROUTER), v6(ALL_NODES), records, &mut out);
    let expected = [
        &[143, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0][..],
        &v6("ff05::1:3").octets(),
        &[5, 0, 0, 2],
        &v6("ff35::1:4").octets(),
        &sources[0].octets(),
        &sources[1].octets(),
    ];
    assert_eq!(out[3..], sealed(expected.concat()));
    let Ok(Message::ReportV2(report)) = parse(&out[3..]) else { panic!() };
    let read: Vec<_> =
        report.records().map(|r| (r.kind, r.group, r.sources.iter().collect::<Vec<_>>())).collect();
    let written: Vec<_> = records.iter().map(|r| (r.kind, r.group, r.sources.to_vec())).collect();
    assert_eq!(read, written);
}

// L02, RFC 2710 3, byte by byte.
#[test]
fn version_1_messages_are_written_as_the_rfc_draws_them() {
    for (kind, number) in [(Short::Report, 131), (Short::Done, 132)] {
        let mut out = vec![0xee; 5];
        emit_short(kind, group("ff05::1:3"), v6(ROUTER), v6(ALL_NODES), &mut out);
        assert_eq!(out[5..], short(number, 0, "ff05::1:3"));
    }
}

// L13, RFC 9777 5.2.6, 5.2.10, 5.2.12, TAHI 2.18.
#[test]
fn records_are_bounded_and_auxiliary_data_and_unknown_ones_stepped_over() {
    let record = |kind: u8, aux: u8, group: &str, sources: &[&str], data: &[u8]| {
        let mut bytes = vec![kind, aux, 0, u8::try_from(sources.len()).unwrap()];
        bytes.extend(v6(group).octets());
        bytes.extend(sources.iter().flat_map(|s| v6(s).octets()));
        [&bytes, data].concat()
    };
    let records = [
        record(2, 1, "ff05::1:3", &["2001:db8::1"], &[9; 4]),
        record(7, 0, "ff05::1:4", &[], &[]),
        record(6, 0, "ff05::1:5", &["2001:db8::2"], &[]),
    ];
    let bytes = sealed([&[143, 0xff, 0, 0, 0xff, 0xff, 0, 3][..], &records.concat()].concat());
    let Ok(Message::ReportV2(report)) = parse(&bytes) else { panic!() };
    let read: Vec<_> = report.records().map(|r| (r.kind, r.group)).collect();
    let expected =
        [(RecordKind::ModeIsExclude, group("ff05::1:3")), (RecordKind::BlockOldSources, group("ff05::1:5"))];
    assert_eq!(read, expected);
    // With a record less, and with the last source cut.
    for len in [bytes.len() - 36, bytes.len() - 16, bytes.len() - 1] {
        assert_eq!(error(&sealed(bytes[..len].to_vec())), MldError::Truncated);
    }
}

/// Looks at everything that a message has.
fn look_at(bytes: &[u8]) -> usize {
    match parse(bytes) {
        Ok(Message::Query(query)) => query.sources.iter().len(),
        Ok(Message::ReportV2(report)) => report.records().map(|r| r.sources.iter().len()).sum(),
        Ok(Message::ReportV1(_) | Message::DoneV1(_)) | Err(_) => 0,
    }
}

proptest! {
    /// No bytes panic, whole or cut anywhere, and no list is longer than what is there.
    #[test]
    fn no_bytes_panic(kind in prop::sample::select(vec![130u8, 131, 132, 143, 128]),
                      rest in prop::collection::vec(any::<u8>(), 3..120)) {
        let mut bytes = vec![kind];
        bytes.extend(rest);
        look_at(&bytes);
        for len in 0..=bytes.len() {
            let cut = bytes[..len].to_vec();
            let cut = if len >= 4 { sealed(cut) } else { cut };
            prop_assert!(look_at(&cut) * 16 <= len);
        }
    }

    /// What is written is read back, and every truncation of it is refused: a report says how long it is.
    #[test]
    fn a_report_reads_back(records in prop::collection::vec((1u8..=6, any::<[u8; 3]>(), prop::collection::vec(any::<[u8; 16]>(), 0..5)), 0..6)) {
        let records: Vec<_> = records.into_iter().map(|(kind, [a, b, c], sources)| {
            let sources: Vec<Ipv6Addr> = sources.into_iter().map(Ipv6Addr::from).collect();
            let group = Ipv6Addr::new(0xff05, 0, 0, 0, 0, a.into(), b.into(), c.into());
            (RecordKind::from_wire(kind).unwrap(), Group::new(group).unwrap(), sources)
        }).collect();
        let mut out = Vec::new();
        let reprs = records.iter().map(|(kind, group, sources)| RecordRepr { kind: *kind, group: *group, sources });
        emit_report_v2(v6(ROUTER), v6(ALL_NODES), reprs, &mut out);
        let Ok(Message::ReportV2(report)) = parse(&out) else { panic!() };
        let read: Vec<_> = report.records().map(|r| (r.kind, r.group, r.sources.iter().collect::<Vec<_>>())).collect();
        prop_assert_eq!(&read, &records);
        for len in 4..out.len() {
            prop_assert_eq!(error(&sealed(out[..len].to_vec())), MldError::Truncated);
        }
    }
}
