//! Receive-side scaling on a real port: what [`io`](crate::io) asks of a driver.

use dpdk_sys as sys;

use super::Opening;
use crate::dpdk::DpdkError;
use crate::dpdk::eal::Listener;
use crate::dpdk::offload::Offloads;
use crate::dpdk::port::PortError;
use crate::io::{RssCalls, RssConf, RssOffer, RssState, rss_attempts, set_up_rss};

/// Bytes of the longest key that a driver could write, whatever length it tells.
const KEY_ROOM: usize = 256;

/// [`symmetric_key`](crate::io::symmetric_key), as long as any driver's. Drivers keep the pointer, and read it at every start.
static KEY: [u8; KEY_ROOM] = {
    let mut key = [0x6d; KEY_ROOM];
    let mut odd = 1;
    while odd < KEY_ROOM {
        key[odd] = 0x5a;
        odd += 2;
    }
    key
};

/// The entries of one group of a redirection table, as DPDK takes it.
const GROUP: usize = sys::SHIM_RETA_GROUP_SIZE as usize;

/// testpmd's names of what may be hashed.
const NAMES: [(u64, &str); 10] = [
    (sys::SHIM_RSS_IPV4, "ipv4"),
    (sys::SHIM_RSS_FRAG_IPV4, "ipv4-frag"),
    (sys::SHIM_RSS_IPV4_UDP, "ipv4-udp"),
    (sys::SHIM_RSS_IPV4_OTHER, "ipv4-other"),
    (sys::SHIM_RSS_IPV6, "ipv6"),
    (sys::SHIM_RSS_FRAG_IPV6, "ipv6-frag"),
    (sys::SHIM_RSS_IPV6_UDP, "ipv6-udp"),
    (sys::SHIM_RSS_IPV6_OTHER, "ipv6-other"),
    (sys::SHIM_RSS_IPV6_EX, "ipv6-ex"),
    (sys::SHIM_RSS_IPV6_UDP_EX, "ipv6-udp-ex"),
];

/// How a port was configured, for when it has been started.
#[derive(Clone, Debug)]
pub(super) struct Rss {
    offer: RssOffer,
    conf: RssConf,
    problem: Option<String>,
    queues: u16,
}

impl Rss {
    /// Spreads what the started port receives, and reads back what it does; `None`: it has one queue.
    pub(super) fn set_up(&self, port_id: u16) -> Option<RssState> {
        let Self { offer, conf, problem, queues } = self;
        let mut calls = Calls { port_id };
        (*queues > 1).then(|| set_up_rss(&mut calls, *offer, (conf, problem.as_deref()), *queues))
    }
}

impl Opening<'_> {
    /// Queues, offloads, MTU and receive-side scaling, as good as the driver takes it; with RX interrupts if they are wanted and to be
    /// had. Returns whether they are, too.
    pub(super) fn configure(
        &self,
        pairs: u16,
        info: &sys::rte_eth_dev_info,
        offloads: Offloads,
        rx_interrupts: bool,
    ) -> Result<(Rss, bool), PortError> {
        let functions = info.flow_type_rss_offloads & (sys::SHIM_RSS_IP | sys::SHIM_RSS_UDP);
        let offer = RssOffer { functions, key_len: info.hash_key_size.into(), reta_size: info.reta_size };
        let (mut refusal, mut first_error) = (None, None);
        for (conf, why) in rss_attempts(offer, pairs) {
            match self.configure_with(pairs, offloads, &conf, rx_interrupts) {
                Ok(rx_interrupts) => {
                    let problem = why.map(|why| match &refusal {
                        Some(error) => format!("{why} ({error})"),
                        None => why.to_owned(),
                    });
                    return Ok((Rss { offer, conf, problem, queues: pairs }, rx_interrupts));
                }
                Err(error) => {
                    refusal = Some(error.to_string());
                    first_error.get_or_insert(error);
                }
            }
        }
        // It refuses the rest of what it was asked for, too.
        Err(self.refused("its configuration", first_error.unwrap_or(DpdkError::NOT_SUPPORTED)))
    }

    fn configure_with(
        &self,
        pairs: u16,
        offloads: Offloads,
        rss: &RssConf,
        rx_interrupts: bool,
    ) -> Result<bool, DpdkError> {
        // SAFETY: a C structure for which zeros are the defaults.
        let mut conf: sys::rte_eth_conf = unsafe { core::mem::zeroed() };
        conf.rxmode.mtu = u32::from(self.plan.mtu);
        conf.rxmode.offloads = offloads.rx;
        conf.txmode.offloads = offloads.tx;
        if rss.functions != 0 {
            conf.rxmode.mq_mode = sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = rss.functions;
            let key = KEY.get(..rss.key.len()).filter(|key| !key.is_empty() && *key == rss.key);
            if let Some(key) = key {
                // Read by ethdev and drivers, though the type would let them write.
                conf.rx_adv_conf.rss_conf.rss_key = key.as_ptr().cast_mut();
                conf.rx_adv_conf.rss_conf.rss_key_len = u8::try_from(key.len()).unwrap_or(u8::MAX);
            }
        }
        for rx_interrupts in [rx_interrupts, false] {
            conf.intr_conf.set_rxq(rx_interrupts.into());
            // SAFETY: the port is ours and not started; `conf` is read and copied, but for the key, which is static.
            let ret = unsafe { sys::rte_eth_dev_configure(self.port_id, pairs, pairs, &raw const conf) };
            match DpdkError::check(ret) {
                Ok(_) => return Ok(rx_interrupts),
                // Some have none, as a NIC whose interrupts the machine does not pass on.
                Err(error) if rx_interrupts => tracing::debug!("no RX interrupts: {error}"),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// DPDK's calls on one port.
struct Calls {
    port_id: u16,
}

impl Calls {
    fn check(listener: &Listener, ret: i32) -> Result<(), String> {
        DpdkError::check(ret).map(drop).map_err(|error| error.with_log(&listener.heard()))
    }
}

impl RssCalls for Calls {
    fn update_reta(&mut self, table: &[u16]) -> Result<(), String> {
        let mut groups: Vec<sys::rte_eth_rss_reta_entry64> = table.chunks(GROUP).map(group).collect();
        let size = u16::try_from(table.len()).map_err(|_| "it is too large".to_owned())?;
        let listener = Listener::capturing();
        // SAFETY: the port is ours; there is a group for every 64 of `size` entries, and they are read.
        let ret = unsafe { sys::rte_eth_dev_rss_reta_update(self.port_id, groups.as_mut_ptr(), size) };
        Self::check(&listener, ret)
    }

    fn reta(&mut self, size: u16) -> Result<Vec<u16>, String> {
        let asked = vec![0; usize::from(size)];
        let mut groups: Vec<sys::rte_eth_rss_reta_entry64> = asked.chunks(GROUP).map(group).collect();
        let listener = Listener::capturing();
        // SAFETY: the port is ours; there is a group for every 64 of `size` entries, and they are written to.
        let ret = unsafe { sys::rte_eth_dev_rss_reta_query(self.port_id, groups.as_mut_ptr(), size) };
        Self::check(&listener, ret)?;
        Ok(groups.iter().flat_map(|group| group.reta).take(size.into()).collect())
    }

    fn conf(&mut self, key_len: usize) -> Result<RssConf, String> {
        let mut key = [0; KEY_ROOM];
        let key_len = key_len.min(KEY_ROOM);
        // SAFETY: a C structure of numbers and a pointer, for which zeros are a value.
        let mut conf: sys::rte_eth_rss_conf = unsafe { core::mem::zeroed() };
        conf.rss_key = key.as_mut_ptr();
        conf.rss_key_len = u8::try_from(key_len).unwrap_or(u8::MAX);
        let listener = Listener::capturing();
        // SAFETY: the port is ours; the driver writes as many bytes as its key has, and no driver's has more than `KEY_ROOM`.
        let ret = unsafe { sys::rte_eth_dev_rss_hash_conf_get(self.port_id, &raw mut conf) };
        Self::check(&listener, ret)?;
        let told = key.iter().any(|byte| *byte != 0);
        let key = key.get(..key_len).filter(|_| told).unwrap_or_default().to_vec();
        Ok(RssConf { functions: conf.rss_hf, key })
    }

    fn names(&self, functions: u64) -> Vec<String> {
        let known = NAMES.iter().filter(|(bit, _)| functions & bit != 0);
        known.map(|(_, name)| (*name).to_owned()).collect()
    }
}

/// Up to 64 entries, as DPDK takes them.
fn group(entries: &[u16]) -> sys::rte_eth_rss_reta_entry64 {
    // SAFETY: a C structure of numbers, for which zeros are a value.
    let mut group: sys::rte_eth_rss_reta_entry64 = unsafe { core::mem::zeroed() };
    for (bit, (to, from)) in group.reta.iter_mut().zip(entries).enumerate() {
        *to = *from;
        group.mask |= 1 << bit;
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::symmetric_key;

    #[test]
    fn the_static_key_is_the_symmetric_one() {
        assert_eq!(KEY.to_vec(), symmetric_key(KEY_ROOM));
    }

    #[test]
    fn a_group_names_as_many_entries_as_there_are() {
        let of = |entries: &[u16]| {
            (group(entries).mask, group(entries).reta.iter().map(|q| u64::from(*q)).sum::<u64>())
        };
        assert_eq!(of(&[1; 64]), (u64::MAX, 64));
        assert_eq!(of(&[2; 3]), (0b111, 6));
    }
}
