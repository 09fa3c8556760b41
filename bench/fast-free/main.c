/* What RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE saves of a transmit queue's clean-up: instructions a packet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#define BURST 32
/* As ixgbe's and i40e's clean-up without the offload: each mbuf looked at, those of one pool gathered. */
static __rte_noinline void normal(struct rte_mbuf **tx, unsigned n)
{
	struct rte_mbuf *m, *free[BURST];
	unsigned nb_free = 0;
	m = rte_pktmbuf_prefree_seg(tx[0]);
	if (likely(m != NULL)) {
		free[0] = m; nb_free = 1;
		for (unsigned i = 1; i < n; i++) {
			m = rte_pktmbuf_prefree_seg(tx[i]);
			if (likely(m != NULL)) {
				if (likely(m->pool == free[0]->pool)) free[nb_free++] = m;
				else { rte_mempool_put_bulk(free[0]->pool, (void *)free, nb_free); free[0] = m; nb_free = 1; }
			}
		}
		rte_mempool_put_bulk(free[0]->pool, (void **)free, nb_free);
	}
}
static __rte_noinline void fast(struct rte_mbuf **tx, unsigned n)
{
	rte_mempool_put_bulk(tx[0]->pool, (void **)tx, n);
}
int main(int argc, char **argv)
{
	char *eal[] = {"ff", "--no-huge", "--no-pci", "--no-shconf", "-m", "64", "--file-prefix", "pollcast-fast-free", "-l", "0"};
	if (rte_eal_init(10, eal) < 0) return 1;
	struct rte_mempool *pool = rte_pktmbuf_pool_create("p", 4095, 256, 0, 2176, SOCKET_ID_ANY);
	unsigned rounds = atoi(argv[2]);
	struct rte_mbuf *tx[BURST];
	for (unsigned r = 0; r < rounds; r++) {
		if (rte_pktmbuf_alloc_bulk(pool, tx, BURST)) return 2;
		if (!strcmp(argv[1], "fast")) fast(tx, BURST); else normal(tx, BURST);
	}
	printf("%s %u\n", argv[1], rounds * BURST);
	return 0;
}
