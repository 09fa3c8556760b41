/* What bindgen cannot take from DPDK's headers by itself: functions that exist only as `static inline`, constants that
 * are macros with casts, and fields of structures whose anonymous unions change names from release to release. */
#ifndef POLLCAST_SHIM_H
#define POLLCAST_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_dev.h>
#include <rte_cycles.h>
#include <rte_mempool.h>
#include <rte_mbuf.h>
#include <rte_ether.h>
#include <rte_ethdev.h>
#include <rte_version.h>

/* Offsets in bytes of the fields of `struct rte_mbuf`. */
enum shim_mbuf_layout {
	SHIM_MBUF_SIZE = sizeof(struct rte_mbuf),
	SHIM_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	SHIM_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	SHIM_MBUF_REFCNT = offsetof(struct rte_mbuf, refcnt),
	SHIM_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	SHIM_MBUF_PORT = offsetof(struct rte_mbuf, port),
	SHIM_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags),
	SHIM_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	SHIM_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	SHIM_MBUF_VLAN_TCI = offsetof(struct rte_mbuf, vlan_tci),
	SHIM_MBUF_RSS = offsetof(struct rte_mbuf, hash.rss),
	SHIM_MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len),
	SHIM_MBUF_NEXT = offsetof(struct rte_mbuf, next),
	SHIM_MBUF_TX_OFFLOAD = offsetof(struct rte_mbuf, tx_offload),
	/* Where the lengths lie in `tx_offload`, in bits. */
	SHIM_MBUF_L2_LEN_SHIFT = RTE_MBUF_L2_LEN_OFS,
	SHIM_MBUF_L3_LEN_SHIFT = RTE_MBUF_L3_LEN_OFS,
	SHIM_MBUF_L2_LEN_BITS = RTE_MBUF_L2_LEN_BITS,
	SHIM_MBUF_L3_LEN_BITS = RTE_MBUF_L3_LEN_BITS,
};

/* Bits of `ol_flags`. */
enum shim_mbuf_flags {
	SHIM_RX_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED,
	SHIM_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH,
	SHIM_RX_IP_CKSUM_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD,
	SHIM_RX_IP_CKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD,
	SHIM_RX_L4_CKSUM_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD,
	SHIM_RX_L4_CKSUM_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD,
	SHIM_TX_UDP_CKSUM = RTE_MBUF_F_TX_UDP_CKSUM,
	SHIM_TX_IP_CKSUM = RTE_MBUF_F_TX_IP_CKSUM,
	SHIM_TX_IPV4 = RTE_MBUF_F_TX_IPV4,
	SHIM_TX_IPV6 = RTE_MBUF_F_TX_IPV6,
	SHIM_TX_VLAN = RTE_MBUF_F_TX_VLAN,
	SHIM_MBUF_EXTERNAL = RTE_MBUF_F_EXTERNAL,
	SHIM_MBUF_INDIRECT = RTE_MBUF_F_INDIRECT,
};

/* Offloads of a port. */
enum shim_offloads {
	SHIM_RX_OFFLOAD_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM,
	SHIM_RX_OFFLOAD_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM,
	SHIM_RX_OFFLOAD_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER,
	SHIM_RX_OFFLOAD_VLAN_STRIP = RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
	SHIM_RX_OFFLOAD_VLAN_FILTER = RTE_ETH_RX_OFFLOAD_VLAN_FILTER,
	SHIM_TX_OFFLOAD_IPV4_CKSUM = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM,
	SHIM_TX_OFFLOAD_UDP_CKSUM = RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
	SHIM_TX_OFFLOAD_VLAN_INSERT = RTE_ETH_TX_OFFLOAD_VLAN_INSERT,
	SHIM_OFFLOAD_WIDTH = 1ULL << 63, /* makes the type 64 bits wide in every release */
};

/* Fields that receive-side scaling may hash. */
enum shim_rss {
	SHIM_RSS_IP = RTE_ETH_RSS_IP,
	SHIM_RSS_UDP = RTE_ETH_RSS_UDP,
	SHIM_RSS_IPV4 = RTE_ETH_RSS_IPV4,
	SHIM_RSS_FRAG_IPV4 = RTE_ETH_RSS_FRAG_IPV4,
	SHIM_RSS_IPV4_UDP = RTE_ETH_RSS_NONFRAG_IPV4_UDP,
	SHIM_RSS_IPV4_OTHER = RTE_ETH_RSS_NONFRAG_IPV4_OTHER,
	SHIM_RSS_IPV6 = RTE_ETH_RSS_IPV6,
	SHIM_RSS_FRAG_IPV6 = RTE_ETH_RSS_FRAG_IPV6,
	SHIM_RSS_IPV6_UDP = RTE_ETH_RSS_NONFRAG_IPV6_UDP,
	SHIM_RSS_IPV6_OTHER = RTE_ETH_RSS_NONFRAG_IPV6_OTHER,
	SHIM_RSS_IPV6_EX = RTE_ETH_RSS_IPV6_EX,
	SHIM_RSS_IPV6_UDP_EX = RTE_ETH_RSS_IPV6_UDP_EX,
	SHIM_RSS_WIDTH = 1ULL << 63,
};

/* Limits and versions. */
enum shim_limits {
	SHIM_MAX_LCORE = RTE_MAX_LCORE,
	SHIM_MAX_ETHPORTS = RTE_MAX_ETHPORTS,
	SHIM_MEMPOOL_CACHE_MAX = RTE_MEMPOOL_CACHE_MAX_SIZE,
	SHIM_ETH_NAME_MAX_LEN = RTE_ETH_NAME_MAX_LEN,
	SHIM_PKTMBUF_HEADROOM = RTE_PKTMBUF_HEADROOM,
	SHIM_ETH_MQ_RX_NONE = RTE_ETH_MQ_RX_NONE,
	SHIM_ETH_MQ_RX_RSS = RTE_ETH_MQ_RX_RSS,
	SHIM_RETA_GROUP_SIZE = RTE_ETH_RETA_GROUP_SIZE,
	SHIM_LCORE_RUNNING = RUNNING,
};

/* The reason of the last failure on this thread. */
int shim_errno(void);

typedef void (*shim_log_write)(int level, const char *text, size_t len);
/* Sends the C library's standard output and error to DPDK's log (`on` is 1), and back (0); nests. Does nothing before
 * `shim_eal_init`. */
void shim_capture(int on);
/* `rte_eal_init` with DPDK's log going to `write`, from now on. */
int shim_eal_init(int argc, char **argv, shim_log_write write);

/* The time stamp counter. */
uint64_t shim_tsc(void);

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **bufs, uint16_t n);
uint16_t shim_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **bufs, uint16_t n);
uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **bufs, uint16_t n);

struct rte_mbuf *shim_pktmbuf_alloc(struct rte_mempool *pool);
void shim_pktmbuf_free(struct rte_mbuf *m);
/* Adds `by` to the reference count of every segment. */
void shim_pktmbuf_refcnt_update(struct rte_mbuf *m, int16_t by);

/* What is called of DPDK's vhost library and of its driver net_vhost; types as in their headers. */
struct shim_vhost {
	/* The library's number of the device behind a port; what it says of a port without one is not to be relied upon. */
	int (*device)(uint16_t port);
	/* How many rings that device has. */
	uint16_t (*rings)(int device);
	uint16_t (*dequeue)(int device, uint16_t ring, struct rte_mempool *pool, struct rte_mbuf **bufs, uint16_t n);
	uint16_t (*enqueue)(int device, uint16_t ring, struct rte_mbuf **bufs, uint16_t n);
};
/* Finds them from the driver of `port`, which is net_vhost's and started, in whatever file it is. 0, or -1: not to be had. */
int shim_vhost_find(uint16_t port, struct shim_vhost *vhost);

/* 1 up, 0 down, negative: not known. */
int shim_link_is_up(uint16_t port);

#endif
