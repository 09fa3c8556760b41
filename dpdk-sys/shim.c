#define _GNU_SOURCE
#include "shim.h"

#include <stdlib.h>
#include <string.h>

int shim_errno(void)
{
	return rte_errno;
}

static ssize_t log_write(void *cookie, const char *text, size_t len)
{
	shim_log_write write;

	memcpy(&write, cookie, sizeof(write));
	write(rte_log_cur_msg_loglevel(), text, len);
	return (ssize_t)len;
}

int shim_eal_init(int argc, char **argv, shim_log_write write)
{
	/* Lives as long as the process, as DPDK's log does. */
	static shim_log_write cookie;
	static const cookie_io_functions_t functions = { .write = log_write };
	FILE *old_stdout = stdout, *old_stderr = stderr, *log;
	int ret;

	cookie = write;
	log = fopencookie(&cookie, "w", functions);
	if (log == NULL) {
		rte_errno = ENOMEM;
		return -1;
	}
	setvbuf(log, NULL, _IOLBF, 0);
	rte_openlog_stream(log);

	/* EAL prints its fatal error, and the usage after a bad argument, without its log. In the GNU C library these
	 * are variables like any other; Rust's own standard streams do not pass through them. */
	stdout = log;
	stderr = log;
	ret = rte_eal_init(argc, argv);
	stdout = old_stdout;
	stderr = old_stderr;
	fflush(log);
	return ret;
}

uint64_t shim_tsc(void)
{
	return rte_rdtsc();
}

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **bufs, uint16_t n)
{
	return rte_eth_rx_burst(port, queue, bufs, n);
}

uint16_t shim_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **bufs, uint16_t n)
{
	return rte_eth_tx_prepare(port, queue, bufs, n);
}

uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **bufs, uint16_t n)
{
	return rte_eth_tx_burst(port, queue, bufs, n);
}

struct rte_mbuf *shim_pktmbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

void shim_pktmbuf_free(struct rte_mbuf *m)
{
	rte_pktmbuf_free(m);
}

void shim_pktmbuf_refcnt_update(struct rte_mbuf *m, int16_t by)
{
	rte_pktmbuf_refcnt_update(m, by);
}

int shim_link_is_up(uint16_t port)
{
	struct rte_eth_link link;
	int ret = rte_eth_link_get_nowait(port, &link);

	if (ret < 0)
		return ret;
	return link.link_status == RTE_ETH_LINK_UP;
}
