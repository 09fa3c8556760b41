//! What came of a run: figures for programs, and for people.

use core::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::counts::Counts;

/// Latencies, in nanoseconds, from handing a packet to the device to receiving its answer.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// The mean.
    pub mean: f64,
    /// Half are no greater.
    pub p50: u64,
    /// Nine of ten are no greater.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// 9999 of 10000.
    pub p9999: u64,
    /// The greatest.
    pub max: u64,
}

impl Latency {
    /// Of these.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            min: histogram.min(),
            mean: histogram.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }
}

/// What came of one second.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Progress {
    /// Seconds since the start.
    pub at_s: f64,
    /// How long this was, in seconds.
    pub seconds: f64,
    /// What was counted in it.
    pub counts: Counts,
    /// The latencies in it.
    pub latency_ns: Latency,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_s, seconds, counts, latency_ns } = self;
        write!(
            f,
            "{at_s:6.1} s  sent {}/s  answered {}/s  lost {}  p50 {}  p99 {}  max {}",
            rate(counts.sent, *seconds),
            rate(counts.answered, *seconds),
            counts.lost,
            time(latency_ns.p50),
            time(latency_ns.p99),
            time(latency_ns.max)
        )?;
        let odd = [
            ("reordered", counts.reordered),
            ("duplicated", counts.duplicated),
            ("wrong", counts.wrong),
            ("unreachable", counts.unreachable),
            ("skipped", counts.skipped),
        ];
        odd.iter().filter(|(_, n)| *n > 0).try_for_each(|(name, n)| write!(f, "  {name} {n}"))
    }
}

/// What came of a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// From the first packet to the last, in seconds.
    pub seconds: f64,
    /// Packets sent a second.
    pub sent_pps: f64,
    /// Packets answered a second.
    pub answered_pps: f64,
    /// Bits of frames sent a second, without preamble, frame check sequence and gap.
    pub sent_bps: f64,
    /// What was counted.
    pub counts: Counts,
    /// Round trips.
    pub latency_ns: Latency,
    /// CPU time of the thread that sends and hears, in nanoseconds, over the packets that it moved; absent where the kernel does
    /// not tell.
    pub cpu_ns_per_packet: Option<f64>,
    /// Each second.
    pub progress: Vec<Progress>,
}

impl Report {
    /// Of a run in which packets were sent for so many nanoseconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures")]
    pub fn new(counts: Counts, sending_ns: u64, latency: &Histogram<u64>, progress: Vec<Progress>) -> Self {
        let seconds = sending_ns as f64 / 1e9;
        let a_second = |n: u64| if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
        Self {
            seconds,
            sent_pps: a_second(counts.sent),
            answered_pps: a_second(counts.answered),
            sent_bps: a_second(counts.sent_bytes * 8),
            counts,
            latency_ns: Latency::of(latency),
            cpu_ns_per_packet: None,
            progress,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { sent, answered, lost, waiting: _, sent_bytes: _, answered_bytes: _, .. } = self.counts;
        writeln!(
            f,
            "sent        {sent} in {:.3} s: {} packets/s, {} bit/s",
            self.seconds,
            short(self.sent_pps),
            short(self.sent_bps)
        )?;
        writeln!(f, "answered    {answered}: {} packets/s", short(self.answered_pps))?;
        writeln!(f, "lost        {lost} ({})", share(lost, sent))?;
        let rows = [
            ("reordered", self.counts.reordered, "answers behind one of a later packet of their flow"),
            ("duplicated", self.counts.duplicated, "answers to answered packets"),
            ("late", self.counts.late, "answers to packets that count as lost"),
            ("wrong", self.counts.wrong, "answers with another address, port, length, payload or checksum"),
            ("unreachable", self.counts.unreachable, "ICMP errors"),
            ("skipped", self.counts.skipped, "packets due and not sent: the device or this CPU was too slow"),
            ("tx full", self.counts.tx_full, "bursts of which the device took a part or nothing"),
            ("no buffer", self.counts.no_buffer, "times that the pool was empty"),
            ("other", self.counts.other, "frames of other kinds"),
        ];
        for (name, n, what) in rows {
            if n > 0 || matches!(name, "reordered" | "duplicated" | "wrong") {
                writeln!(f, "{name:<11} {n}{}{what}", if n > 0 { ": " } else { " " })?;
            }
        }
        if let Some(ns) = self.cpu_ns_per_packet {
            writeln!(f, "CPU         {ns:.1} ns a packet sent or received, waiting included")?;
        }
        let l = &self.latency_ns;
        if l.count == 0 {
            return writeln!(f, "latency     none was measured");
        }
        let figures = [
            ("min", l.min),
            ("p50", l.p50),
            ("p90", l.p90),
            ("p99", l.p99),
            ("p99.9", l.p999),
            ("p99.99", l.p9999),
            ("max", l.max),
        ];
        write!(f, "latency    ")?;
        figures.iter().try_for_each(|(name, ns)| write!(f, " {name} {}", time(*ns)))?;
        writeln!(f)
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn rate(n: u64, seconds: f64) -> String {
    short(if seconds > 0.0 { n as f64 / seconds } else { 0.0 })
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn share(n: u64, of: u64) -> String {
    if of == 0 { "-".to_owned() } else { format!("{:.4} %", 100.0 * n as f64 / of as f64) }
}

/// `1234567.0` as `1.235 M`.
fn short(n: f64) -> String {
    match n {
        n if n >= 1e9 => format!("{:.3} G", n / 1e9),
        n if n >= 1e6 => format!("{:.3} M", n / 1e6),
        n if n >= 1e4 => format!("{:.1} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// Nanoseconds with the unit that suits them.
#[expect(clippy::cast_precision_loss, reason = "figures")]
fn time(ns: u64) -> String {
    match ns {
        0 => "-".to_owned(),
        1..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        _ => format!("{:.2} ms", ns as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::new_histogram;

    #[test]
    fn a_report_has_its_figures_in_both_forms() {
        let mut latency = new_histogram();
        (1..=1000).for_each(|us| latency.saturating_record(us * 1000));
        let counts =
            Counts { sent: 2000, answered: 1000, lost: 1000, sent_bytes: 120_000, ..Counts::default() };
        let report = Report::new(counts, 2_000_000_000, &latency, Vec::new());
        let text = report.to_string();
        for part in [
            "sent        2000 in 2.000 s: 1000 packets/s, 480.0 k bit/s",
            "lost        1000 (50.0000 %)",
            "p50 500",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["counts"]["lost"], 1000);
        assert!((990_000..=1_000_000).contains(&json["latency_ns"]["p99"].as_u64().unwrap()), "{json}");
    }

    #[test]
    fn a_run_without_answers_has_no_latency() {
        let text = Report::new(Counts::default(), 0, &new_histogram(), Vec::new()).to_string();
        assert!(text.contains("latency     none") && text.contains("lost        0 (-)"), "{text}");
    }
}
