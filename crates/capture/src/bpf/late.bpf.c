// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Counts packets that a ring is not to have: of flows that nobody reads any
// more (settled.h), and of a reader who is late.
//
// The ring's own filter (ring/late/extended.rs) takes all decisions; what the ring
// may have no room for it hands to `count` by a tail call. That adds the packet
// to what its directed five-tuple has on this interface, in memory that the
// reader has mapped: it needs no system call to take the counts.
//
// There are two generations of counts. The reader has the programs use the
// other one, waits until none uses this one any more, and has it for itself.
// What finds no place in either is added up by interface, and never reset.
#include "entries.h"
#include "settled.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("socket")
int late_count(struct __sk_buff *skb)
{
	struct packet p = {};
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&late_state, &zero);
	struct generation *g;
	int placed = 0;
	__u32 gen;

	if (!s)
		return 0xffff;
	late_read(skb, &p);
	g = enter(s, &gen);
	if (g) {
		__u64 before;

		placed = place(skb, s, g, gen, &p.key, &p.facts);
		/* Whatever was written is seen by whoever sees this. */
		before = __sync_fetch_and_add(&g->users, -1);
		asm volatile("" : : "r"(before));
	}
	if (!placed)
		rest(skb);
	__sync_fetch_and_add(&s->bytes, skb->len);
	__sync_fetch_and_add(&s->packets, 1);
	return 0;
}
