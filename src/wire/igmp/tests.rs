//! What is read and written, from the RFCs' drawings.

use proptest::prelude::*;

use super::*;

fn v4(s: &str) -> Ipv4Addr {
    s.parse().unwrap()
}

fn group(s: &str) -> Group<V4> {
    Group::new(v4(s)).unwrap()
}

/// `bytes` with the checksum that makes them whole in bytes 2 and 3.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[2..4].fill(0);
    let checksum = Sum::of(&bytes).finish();
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// A query of eight bytes.
fn old_query(code: u8, group: &str) -> Vec<u8> {
    let mut bytes = vec![0x11, code, 0, 0];
    bytes.extend(v4(group).octets());
    sealed(bytes)
}

/// A version 3 query that claims `count` sources and carries `sources`.
fn query(code: u8, group: &str, flags: u8, qqic: u8, count: u16, sources: &[&str]) -> Vec<u8> {
    let mut bytes = old_query(code, group);
    bytes.extend([flags, qqic]);
    bytes.extend(count.to_be_bytes());
    bytes.extend(sources.iter().flat_map(|s| v4(s).octets()));
    sealed(bytes)
}

fn parsed_query(bytes: &[u8]) -> Query<'_> {
    match Message::parse(bytes) {
        Ok(Message::Query(query)) => query,
        other => panic!("{other:?}"),
    }
}

fn error(bytes: &[u8]) -> IgmpError {
    Message::parse(bytes).unwrap_err()
}

// G07, RFC 9776 7.1; G14, 7.2.1.
#[test]
fn the_length_tells_the_version_of_a_query() {
    let v1 = parsed_query(&old_query(0, "0.0.0.0")).version;
    let v2 = parsed_query(&old_query(100, "0.0.0.0")).version;
    let v3 = parsed_query(&query(100, "0.0.0.0", 2, 125, 0, &[])).version;
    assert_eq!([v1, v2, v3], [Version::V1, Version::V2, Version::V3]);
    for code in [0, 100] {
        let whole = query(code, "0.0.0.0", 2, 125, 0, &[]);
        for len in [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11] {
            let mut cut = whole[..len].to_vec();
            if len >= 4 {
                cut = sealed(cut);
            }
            assert_eq!(error(&cut), IgmpError::Truncated, "{len} bytes");
        }
    }
}

// G14, RFC 9776 7.2.1; RFC 1112, appendix I: the group field of a version 1 query is ignored.
#[test]
fn a_version_1_query_asks_of_all_groups_within_ten_seconds() {
    let bytes = old_query(0, "239.1.2.3");
    let query = parsed_query(&bytes);
    assert_eq!((query.group, query.max_response), (None, Duration::from_secs(10)));
    assert_eq!(query.querier, None);
}

// G13, RFC 9776 4.1.1 (and G23, 4.1.7: QQIC is the same float); RFC 2236 2.2: version 2 is linear.
#[test]
fn the_max_resp_code_is_a_float_in_version_3_only() {
    let cases = [
        (0u8, 0u64),
        (1, 1),
        (10, 10),
        (100, 100),
        (127, 127),
        // From 128 on: (mant | 0x10) << (exp + 3).
        (0x80, 128),
        (0x81, 136),
        (0x8f, 248),
        (0x90, 256),
        (0x9f, 496),
        (0xa0, 512),
        (0xff, 31744),
    ];
    for (code, value) in cases {
        let bytes = query(code, "0.0.0.0", 0, code, 0, &[]);
        let v3 = parsed_query(&bytes);
        assert_eq!(v3.max_response, Duration::from_millis(value * 100), "{code:#x}");
        assert_eq!(v3.querier.unwrap().query_interval, Duration::from_secs(value), "{code:#x}");
        if code != 0 {
            let v2 = parsed_query(&old_query(code, "0.0.0.0")).max_response;
            assert_eq!(v2, Duration::from_millis(u64::from(code) * 100));
        }
    }
}

// RFC 9776 4.1.
#[test]
fn a_version_3_query_is_read_field_by_field() {
    let bytes = query(100, "239.1.2.3", 0x0f, 125, 2, &["198.18.0.1", "198.18.0.2"]);
    let q = parsed_query(&bytes);
    assert_eq!(q.group, Some(group("239.1.2.3")));
    assert_eq!(q.sources.iter().collect::<Vec<_>>(), [v4("198.18.0.1"), v4("198.18.0.2")]);
    let querier = Querier { suppress: true, robustness: 7, query_interval: Duration::from_secs(125) };
    assert_eq!(q.querier, Some(querier));
    let plain = query(100, "239.1.2.3", 0xf2, 125, 0, &[]);
    let querier = parsed_query(&plain).querier.unwrap();
    assert_eq!((querier.suppress, querier.robustness), (false, 2), "four bits are reserved");
}

// G06, RFC 9776 4.1.2 and 4.1.10.
#[test]
fn the_checksum_covers_what_follows_the_message() {
    let mut bytes = query(100, "239.1.2.3", 2, 125, 1, &["198.18.0.1", "198.18.0.2"]);
    assert_eq!(parsed_query(&bytes).sources.len(), 1);
    for at in 0..bytes.len() {
        bytes[at] ^= 0x40;
        assert_eq!(error(&bytes), IgmpError::Checksum, "byte {at}");
        bytes[at] ^= 0x40;
    }
    // The sum of the message alone is not enough.
    let mut trailing = query(100, "239.1.2.3", 2, 125, 0, &[]);
    trailing.extend([1, 2]);
    assert_eq!(error(&trailing), IgmpError::Checksum);
    assert!(Message::parse(&sealed(trailing)).is_ok());
}

// G22, RFC 9776 4.1.3, 4.1.8.
#[test]
fn queries_that_cannot_be_are_refused() {
    let cut_list = query(100, "239.1.2.3", 2, 125, 2, &["198.18.0.1"]);
    let sources_without_group = query(100, "0.0.0.0", 2, 125, 1, &["198.18.0.1"]);
    let unicast_group = query(100, "198.18.0.1", 2, 125, 0, &[]);
    let unicast_group_v2 = old_query(100, "198.18.0.1");
    for bytes in [cut_list, sources_without_group, unicast_group, unicast_group_v2] {
        assert_eq!(error(&bytes), IgmpError::QueryInvalid);
    }
}

// G08, RFC 9776 4.
#[test]
fn messages_of_other_hosts_are_recognised_and_unknown_types_named() {
    let message = |kind: u8| {
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend(v4("239.1.2.3").octets());
        sealed(bytes)
    };
    let g = group("239.1.2.3");
    assert_eq!(Message::parse(&message(0x12)), Ok(Message::ReportV1(g)));
    assert_eq!(Message::parse(&message(0x16)), Ok(Message::ReportV2(g)));
    assert_eq!(Message::parse(&message(0x17)), Ok(Message::LeaveV2(g)));
    assert_eq!(error(&message(0x30)), IgmpError::UnknownType(0x30));
    assert_eq!(error(&sealed(vec![0x16, 0, 0, 0, 198, 18, 0, 1])), IgmpError::ReportInvalid);
}

// RFC 9776 4.2, byte by byte.
#[test]
fn a_version_3_report_is_written_as_the_rfc_draws_it() {
    let sources = [v4("198.18.0.1"), v4("198.18.0.2")];
    let records = [
        RecordRepr { kind: RecordKind::ChangeToExclude, group: group("239.1.2.3"), sources: &[] },
        RecordRepr { kind: RecordKind::AllowNewSources, group: group("232.1.2.3"), sources: &sources },
    ];
    let mut out = vec![0xee; 3];
    emit_report_v3(records, &mut out);
    #[rustfmt::skip]
    let expected = [
        0x22, 0, 0, 0, 0, 0, 0, 2,
        4, 0, 0, 0, 239, 1, 2, 3,
        5, 0, 0, 2, 232, 1, 2, 3, 198, 18, 0, 1, 198, 18, 0, 2,
    ];
    assert_eq!(out[3..], sealed(expected.to_vec()));
    let Ok(Message::ReportV3(report)) = Message::parse(&out[3..]) else { panic!() };
    let read: Vec<_> =
        report.records().map(|r| (r.kind, r.group, r.sources.iter().collect::<Vec<_>>())).collect();
    let written: Vec<_> = records.iter().map(|r| (r.kind, r.group, r.sources.to_vec())).collect();
    assert_eq!(read, written);
}

// G34, RFC 9776 4.2.6, 4.2.12.
#[test]
fn auxiliary_data_and_unknown_records_are_stepped_over() {
    #[rustfmt::skip]
    let bytes = sealed(vec![
        0x22, 0xff, 0, 0, 0xff, 0xff, 0, 3,
        2, 1, 0, 1, 239, 1, 2, 3, 198, 18, 0, 1, 9, 9, 9, 9,
        7, 0, 0, 0, 239, 1, 2, 4,
        6, 0, 0, 1, 239, 1, 2, 5, 198, 18, 0, 2,
    ]);
    let Ok(Message::ReportV3(report)) = Message::parse(&bytes) else { panic!() };
    let read: Vec<_> = report.records().map(|r| (r.kind, r.group)).collect();
    let expected =
        [(RecordKind::ModeIsExclude, group("239.1.2.3")), (RecordKind::BlockOldSources, group("239.1.2.5"))];
    assert_eq!(read, expected);
    // With a record less, and with the last source cut.
    for len in [bytes.len() - 12, bytes.len() - 4] {
        assert_eq!(error(&sealed(bytes[..len].to_vec())), IgmpError::Truncated);
    }
}

#[test]
fn kinds_and_their_numbers_agree() {
    for number in 0..=255 {
        assert!(RecordKind::from_wire(number).is_none_or(|kind| kind.to_wire() == number));
    }
    assert_eq!((0..=255).filter_map(RecordKind::from_wire).count(), 6);
}

/// Looks at everything that a message has.
fn look_at(bytes: &[u8]) -> usize {
    match Message::parse(bytes) {
        Ok(Message::Query(query)) => query.sources.iter().len(),
        Ok(Message::ReportV3(report)) => report.records().map(|r| r.sources.iter().len()).sum(),
        Ok(Message::ReportV1(_) | Message::ReportV2(_) | Message::LeaveV2(_)) | Err(_) => 0,
    }
}

proptest! {
    /// No bytes panic, whole or cut anywhere, and no list is longer than what is there.
    #[test]
    fn no_bytes_panic(kind in prop::sample::select(vec![0x11u8, 0x12, 0x16, 0x17, 0x22, 0x30]),
                      rest in prop::collection::vec(any::<u8>(), 3..120)) {
        let mut bytes = vec![kind];
        bytes.extend(rest);
        look_at(&bytes);
        for len in 0..=bytes.len() {
            let cut = bytes[..len].to_vec();
            let cut = if len >= 4 { sealed(cut) } else { cut };
            prop_assert!(look_at(&cut) * 4 <= len);
        }
    }

    /// What is written is read back, and every truncation of it is refused: a report says how long it is.
    #[test]
    fn a_report_reads_back(records in prop::collection::vec((1u8..=6, any::<[u8; 3]>(), prop::collection::vec(any::<[u8; 4]>(), 0..5)), 0..6)) {
        let records: Vec<_> = records.into_iter().map(|(kind, [a, b, c], sources)| {
            let sources: Vec<Ipv4Addr> = sources.into_iter().map(Ipv4Addr::from).collect();
            (RecordKind::from_wire(kind).unwrap(), Group::new(Ipv4Addr::new(239, a, b, c)).unwrap(), sources)
        }).collect();
        let mut out = Vec::new();
        emit_report_v3(records.iter().map(|(kind, group, sources)| RecordRepr { kind: *kind, group: *group, sources }), &mut out);
        let Ok(Message::ReportV3(report)) = Message::parse(&out) else { panic!() };
        let read: Vec<_> = report.records().map(|r| (r.kind, r.group, r.sources.iter().collect::<Vec<_>>())).collect();
        prop_assert_eq!(&read, &records);
        for len in 4..out.len() {
            prop_assert_eq!(error(&sealed(out[..len].to_vec())), IgmpError::Truncated);
        }
    }
}
