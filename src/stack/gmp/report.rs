//! Records put together into reports, each of which fits one packet.

use core::mem::{size_of, take};
use std::collections::VecDeque;

use super::{Record, RecordKind};
use crate::addr::Family;

/// The records of one report. They fit one packet by construction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report<F: Family> {
    /// The records, at least one.
    pub records: Vec<Record<F>>,
}

/// The bytes of a record with `sources` sources: IGMPv3 has 4 fixed ones and addresses of 4, MLDv2 addresses of 16.
// RFC 9776 4.2, RFC 9777 5.2.
pub(super) const fn record_len<F: Family>(sources: usize) -> usize {
    4 + size_of::<F::Addr>() * (1 + sources)
}

/// Fills reports with records.
#[derive(Debug)]
pub(super) struct Packer<F: Family> {
    /// Bytes of records that one report may hold.
    room: usize,
    /// Bytes in `open`.
    used: usize,
    open: Vec<Record<F>>,
    full: VecDeque<Report<F>>,
}

impl<F: Family> Packer<F> {
    /// A packer for reports that may hold `room` bytes of records; a record of one source fits in any case.
    pub(super) fn new(room: usize) -> Self {
        Self { room: room.max(record_len::<F>(1)), used: 0, open: Vec::new(), full: VecDeque::new() }
    }

    /// Whether there is a report at hand, and room in it for a record of a few sources.
    pub(super) const fn is_open(&self) -> bool {
        self.used != 0 && !self.would_overflow(4)
    }

    /// Whether a record of `sources` sources would begin another report.
    pub(super) const fn would_overflow(&self, sources: usize) -> bool {
        self.used != 0 && self.used + record_len::<F>(sources) > self.room
    }

    /// Adds `record` to the report at hand if it fits, else to another.
    // G33, RFC 9776 4.2.15: several reports, each of them within the MTU.
    pub(super) fn push(&mut self, mut record: Record<F>) {
        let most = (self.room - record_len::<F>(0)) / size_of::<F::Addr>();
        if record.sources.len() <= most {
            return self.append(record);
        }
        match record.kind {
            // G32, RFC 9776 4.2.15: one record with what fits, the same sources each time (the lowest); the host itself
            // keeps the others away.
            RecordKind::ModeIsExclude | RecordKind::ChangeToExclude => {
                record.sources.truncate(most);
                self.append(record);
            }
            // G32: several records, each in a report of its own, which it fills or begins.
            RecordKind::ModeIsInclude
            | RecordKind::ChangeToInclude
            | RecordKind::AllowNewSources
            | RecordKind::BlockOldSources => {
                for sources in record.sources.chunks(most) {
                    self.close();
                    self.append(Record { kind: record.kind, group: record.group, sources: sources.to_vec() });
                }
            }
        }
    }

    /// Adds a record that fits an empty report.
    fn append(&mut self, record: Record<F>) {
        if self.would_overflow(record.sources.len()) {
            self.close();
        }
        self.used += record_len::<F>(record.sources.len());
        self.open.push(record);
    }

    /// Ends the report at hand.
    fn close(&mut self) {
        self.used = 0;
        if !self.open.is_empty() {
            self.full.push_back(Report { records: take(&mut self.open) });
        }
    }

    /// The reports, in order.
    pub(super) fn finish(mut self) -> VecDeque<Report<F>> {
        self.close();
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::gmp::test_family::{TestFamily, for_both_families};

    /// What an IGMPv3 report over an MTU of 1500 has room for, after 24 bytes of IPv4 and 8 of its own.
    const ROOM: usize = 1468;

    fn record<F: TestFamily>(kind: RecordKind, group: u16, sources: u16) -> Record<F> {
        Record::new(kind, F::group(group), (0..sources).map(F::wide_source))
    }

    fn packed<F: TestFamily>(room: usize, records: impl IntoIterator<Item = Record<F>>) -> Vec<Report<F>> {
        let mut packer = Packer::new(room);
        records.into_iter().for_each(|record| packer.push(record));
        packer.finish().into()
    }

    fn len<F: Family>(report: &Report<F>) -> usize {
        report.records.iter().map(|r| record_len::<F>(r.sources.len())).sum()
    }

    // G33, RFC 9776 4.2.15: 300 groups; the record of none is lost and no report exceeds the MTU.
    fn many_groups_take_several_reports<F: TestFamily>() {
        let records: Vec<_> = (0..300).map(|n| record::<F>(RecordKind::ModeIsExclude, n, n % 3)).collect();
        let reports = packed(ROOM, records.clone());
        let bytes: usize = records.iter().map(|r| record_len::<F>(r.sources.len())).sum();
        assert!(reports.iter().all(|report| len(report) <= ROOM && !report.records.is_empty()));
        assert!(reports.len() <= bytes / (ROOM - record_len::<F>(2)) + 1, "{} reports", reports.len());
        assert_eq!(reports.into_iter().flat_map(|r| r.records).collect::<Vec<_>>(), records);
    }

    // G32, RFC 9776 4.2.15.
    fn a_long_include_list_is_split_and_a_long_exclude_list_cut<F: TestFamily>() {
        let most = (ROOM - record_len::<F>(0)) / size_of::<F::Addr>();
        let many = u16::try_from(most + 35).unwrap();
        use RecordKind::*;
        for kind in [ModeIsInclude, ChangeToInclude, AllowNewSources, BlockOldSources] {
            let reports = packed(ROOM, [record::<F>(kind, 1, many), record(kind, 2, 0)]);
            assert_eq!(reports.len(), 2, "{kind:?}");
            assert_eq!(reports[0].records, [record(kind, 1, u16::try_from(most).unwrap())]);
            assert_eq!(reports[1].records[0].sources.len(), 35);
            let all: BTreeSet<_> = reports.iter().flat_map(|r| &r.records).flat_map(|r| &r.sources).collect();
            assert_eq!(all.len(), usize::from(many));
        }
        for kind in [ModeIsExclude, ChangeToExclude] {
            let reports = packed(ROOM, [record::<F>(kind, 1, many)]);
            assert_eq!(reports, packed(ROOM, [record::<F>(kind, 1, many)]), "the same subset each time");
            assert_eq!(reports.len(), 1, "{kind:?}");
            assert_eq!(reports[0].records, [record(kind, 1, u16::try_from(most).unwrap())]);
        }
    }

    fn a_room_too_small_for_anything_holds_one_source<F: TestFamily>() {
        let reports = packed(0, [record::<F>(RecordKind::AllowNewSources, 1, 3)]);
        assert_eq!(reports.len(), 3);
    }

    for_both_families!(
        many_groups_take_several_reports,
        a_long_include_list_is_split_and_a_long_exclude_list_cut,
        a_room_too_small_for_anything_holds_one_source
    );

    // G32: 400 sources are 365 and 35 in IGMPv3 over Ethernet.
    #[test]
    fn four_hundred_sources_are_365_and_35() {
        let reports = packed::<crate::addr::V4>(ROOM, [record(RecordKind::ModeIsInclude, 1, 400)]);
        let counts: Vec<_> = reports.iter().map(|r| r.records[0].sources.len()).collect();
        assert_eq!(counts, [365, 35]);
    }

    use std::collections::BTreeSet;
}
