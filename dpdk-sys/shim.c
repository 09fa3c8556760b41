#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <pthread.h>
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

static FILE *log_stream, *real_stdout, *real_stderr;
static unsigned int captures;
static pthread_mutex_t capture_lock = PTHREAD_MUTEX_INITIALIZER;

/* EAL prints its fatal error and its usage, and libbpf all it has to say, without DPDK's log. In the GNU C library these
 * are variables like any other; Rust's own standard streams do not pass through them. */
static void capture_or_release(void)
{
	if (log_stream == NULL)
		return;
	if (captures > 0 && real_stdout == NULL) {
		fflush(stdout);
		real_stdout = stdout;
		real_stderr = stderr;
		stdout = log_stream;
		stderr = log_stream;
	} else if (captures == 0 && real_stdout != NULL) {
		fflush(log_stream);
		stdout = real_stdout;
		stderr = real_stderr;
		real_stdout = NULL;
	}
}

void shim_capture(int on)
{
	pthread_mutex_lock(&capture_lock);
	captures += on ? 1 : -1;
	capture_or_release();
	pthread_mutex_unlock(&capture_lock);
}

int shim_eal_init(int argc, char **argv, shim_log_write write)
{
	/* Lives as long as the process, as DPDK's log does. */
	static shim_log_write cookie;
	static const cookie_io_functions_t functions = { .write = log_write };
	FILE *log;

	cookie = write;
	log = fopencookie(&cookie, "w", functions);
	if (log == NULL) {
		rte_errno = ENOMEM;
		return -1;
	}
	setvbuf(log, NULL, _IOLBF, 0);
	rte_openlog_stream(log);

	pthread_mutex_lock(&capture_lock);
	log_stream = log;
	capture_or_release();
	pthread_mutex_unlock(&capture_lock);
	return rte_eal_init(argc, argv);
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

#if __has_include(<rte_vhost.h>) && __has_include(<rte_eth_vhost.h>)
#include <rte_eth_vhost.h>
#include <rte_vhost.h>

#define SAME_TYPE(field, function) \
	_Static_assert(__builtin_types_compatible_p(__typeof__(((struct shim_vhost *)0)->field), __typeof__(&(function))), #function)
SAME_TYPE(device, rte_eth_vhost_get_vid_from_port_id);
SAME_TYPE(rings, rte_vhost_get_vring_num);
SAME_TYPE(dequeue, rte_vhost_dequeue_burst);
SAME_TYPE(enqueue, rte_vhost_enqueue_burst);

/* The file that the driver was loaded from; closed by nobody, so that what is found in it stays. */
static void *driver_of(uint16_t port)
{
	Dl_info file;
	void *burst;

	memcpy(&burst, &rte_eth_fp_ops[port].rx_pkt_burst, sizeof(burst));
	if (dladdr(burst, &file) == 0)
		return NULL;
	return dlopen(file.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

/* True if `function` is there. What the driver needs, the library, is searched with it. */
static int find(void *driver, const char *name, void *function)
{
	void *found = dlsym(driver, name);

	memcpy(function, &found, sizeof(found));
	return found != NULL;
}

int shim_vhost_find(uint16_t port, struct shim_vhost *vhost)
{
	void *driver = driver_of(port);

	if (driver == NULL)
		return -1;
	if (find(driver, "rte_eth_vhost_get_vid_from_port_id", &vhost->device) &&
	    find(driver, "rte_vhost_get_vring_num", &vhost->rings) &&
	    find(driver, "rte_vhost_dequeue_burst", &vhost->dequeue) &&
	    find(driver, "rte_vhost_enqueue_burst", &vhost->enqueue))
		return 0;
	return -1;
}
#else
int shim_vhost_find(uint16_t port, struct shim_vhost *vhost)
{
	(void)port;
	(void)vhost;
	return -1;
}
#endif
