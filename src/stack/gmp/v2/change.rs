//! Which state changes of one group are still to be reported, and how often.

use std::collections::BTreeMap;

use crate::addr::{Family, Group};
use crate::stack::gmp::{Record, RecordKind, state_change};
use crate::stack::source_filter::SourceFilter;

/// The retransmission state of one group: RFC 9776 5.1.
#[derive(Clone, Debug)]
pub(super) struct PendingChange<F: Family> {
    /// How many reports are still to carry a Filter-Mode-Change Record.
    filter_mode: u8,
    /// In how many reports each source is still to be included.
    sources: BTreeMap<F::Addr, u8>,
}

impl<F: Family> PendingChange<F> {
    /// Nothing to report.
    pub(super) const fn none() -> Self {
        Self { filter_mode: 0, sources: BTreeMap::new() }
    }

    /// Whether nothing is left to report.
    pub(super) fn is_none(&self) -> bool {
        self.filter_mode == 0 && self.sources.is_empty()
    }

    /// Takes note of the change of `group` from `old` to `new`, to be reported `robustness` times from now on. Returns
    /// whether there is anything to tell.
    // G28, RFC 9776 5.1: the difference is merged with what is pending, and what is in it starts anew.
    pub(super) fn merge(
        &mut self,
        group: Group<F>,
        old: &SourceFilter<F>,
        new: &SourceFilter<F>,
        robustness: u8,
    ) -> bool {
        let difference = state_change(group, old, new);
        for record in &difference {
            match record.kind {
                RecordKind::AllowNewSources | RecordKind::BlockOldSources => {
                    self.sources.extend(record.sources.iter().map(|source| (*source, robustness)));
                }
                // G29: the next reports carry the whole current list as often as any source would have to be repeated.
                RecordKind::ChangeToInclude | RecordKind::ChangeToExclude => {
                    self.filter_mode = robustness;
                    self.sources.clear();
                }
                RecordKind::ModeIsInclude | RecordKind::ModeIsExclude => {
                    unreachable!("a state change is never told by Current-State Records")
                }
            }
        }
        !difference.is_empty()
    }

    /// The records of `group`, whose filter is now `filter`, for the next report; counts them as reported once.
    // G29, RFC 9776 5.1: first the reports of a changed filter mode, in which source changes ride along, then the
    // sources that have been in too few reports.
    pub(super) fn next_records(&mut self, group: Group<F>, filter: &SourceFilter<F>) -> Vec<Record<F>> {
        let records = if self.filter_mode > 0 {
            self.filter_mode -= 1;
            vec![Record::filter_mode_change(group, filter)]
        } else {
            let (allow, block): (Vec<_>, Vec<_>) =
                self.sources.keys().copied().partition(|source| filter.allows(*source));
            Record::source_list_change(group, allow, block)
        };
        self.sources.retain(|_, left| {
            *left = left.saturating_sub(1);
            *left > 0
        });
        records
    }
}
