/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Adds packets up by five-tuple, in one of two generations.
 */
#ifndef SOCKETHOUND_ENTRIES_H
#define SOCKETHOUND_ENTRIES_H

#include "hash.h"
#include "print.h"

/* So many places of the index are looked at for each key. */
#define PROBES 8

INLINE void add(struct __sk_buff *skb, struct entry *e, const struct key *k, const struct facts *f, __u64 now)
{
	__u32 segments = skb->gso_segs;
	__u64 before = __sync_fetch_and_add(&e->packets, 1);

	if (before < PRINTS && k->version)
		e->prints[before & (PRINTS - 1)] = print(skb, k, f);
	__sync_fetch_and_add(&e->ip_bytes, f->ip_bytes);
	__sync_fetch_and_add(&e->bytes, skb->len);
	if (segments > 1)
		__sync_fetch_and_add(&e->split, segments - 1);
	e->last = now;
	/* Lost if two processors do it at once: each of these flags says what was seen, none how often. */
	e->tcp_flags |= f->tcp_flags;
}

/* Writes down the first packet of an entry that nobody else knows yet. */
INLINE void begin(struct __sk_buff *skb, struct entry *e, const struct key *k, const struct facts *f, __u64 now)
{
	__u32 len = skb->len < SAMPLE ? skb->len : SAMPLE;

	e->key = *k;
	e->packets = 1;
	e->ip_bytes = f->ip_bytes;
	e->bytes = skb->len;
	e->first = e->last = now;
	e->split = skb->gso_segs > 1 ? skb->gso_segs - 1 : 0;
	e->wire_len = skb->len;
	e->vlan_tci = skb->vlan_tci;
	e->vlan_present = skb->vlan_present;
	e->pkt_type = skb->pkt_type;
	e->tcp_flags = f->tcp_flags;
	e->fragment = f->fragment;
	__builtin_memset(e->prints, 0, sizeof(e->prints));
	/* The verifier wants to see that it is not 0. */
	if (len < 1 || len > SAMPLE || bpf_skb_load_bytes(skb, 0, e->sample, len))
		len = 0;
	e->captured = len;
}

/* The entry that `found` in the index leads to, if it is that of `k`. */
INLINE struct entry *entry_of(__u64 found, __u64 h, __u32 base, const struct key *k)
{
	__u32 number = base + (__u32)found - 1;
	struct entry *e;

	if (found >> 32 != h >> 32)
		return 0;
	e = bpf_map_lookup_elem(&late_entries, &number);
	return e && same(&e->key, k) ? e : 0;
}

/* Adds a packet to a generation's entry; gives whether there was a place for it. */
INLINE int place(struct __sk_buff *skb, struct state *s, struct generation *g, __u32 gen, const struct key *k,
		 const struct facts *f)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 h = hash(k, s->seed);
	__u32 entries = s->entries, mask = s->mask;
	__u32 base = gen ? entries : 0, index_base = gen ? mask + 1 : 0;
	__u32 at, number;
	struct entry *e = 0;
	__u64 *slot, n;
	int i, free;

	for (free = 0; free < PROBES; free++) {
		at = index_base + (((__u32)h + free) & mask);
		slot = bpf_map_lookup_elem(&late_index, &at);
		if (!slot)
			return 0;
		n = *(volatile __u64 *)slot;
		if (!n)
			break;
		e = entry_of(n, h, base, k);
		if (e)
			break;
	}
	if (e) {
		add(skb, e, k, f, now);
		return 1;
	}
	n = __sync_fetch_and_add(&g->used, 1);
	if (n >= entries)
		return 0;
	number = base + (__u32)n;
	e = bpf_map_lookup_elem(&late_entries, &number);
	if (!e)
		return 0;
	begin(skb, e, k, f, now);
	/* Another processor may take the same place, and even for the same key: then there are two entries of it, which is
	   all the same to whoever adds them up. */
	for (i = 0; i < PROBES; i++) {
		at = index_base + (((__u32)h + free + i) & mask);
		slot = bpf_map_lookup_elem(&late_index, &at);
		if (!slot)
			break;
		e->slot = at;
		if (!__sync_val_compare_and_swap(slot, 0, (h >> 32 << 32) | ((__u32)n + 1)))
			break;
	}
	return 1;
}

/* Adds a packet that has no place to those of its interface; where there are too many of those, to all others'. */
INLINE void rest(struct __sk_buff *skb)
{
	__u64 ifindex = skb->ifindex;
	struct rest *r = 0;
	__u32 n = 0;

	for (__u32 i = 0; i < 8; i++) {
		__u32 at = 1 + (((__u32)ifindex + i) & (RESTS - 1));
		__u64 owner;

		r = bpf_map_lookup_elem(&late_rests, &at);
		if (!r)
			break;
		owner = *(volatile __u64 *)&r->ifindex;
		if (!owner)
			owner = __sync_val_compare_and_swap(&r->ifindex, 0, ifindex);
		if (!owner || owner == ifindex) {
			n = at;
			break;
		}
	}
	r = bpf_map_lookup_elem(&late_rests, &n);
	if (!r)
		return;
	__sync_fetch_and_add(&r->packets, 1);
	__sync_fetch_and_add(&r->bytes, skb->len);
}

/* Begins to use the current generation, which is then `gen`; none if it changes all the time. */
INLINE struct generation *enter(struct state *s, __u32 *gen)
{
	for (int i = 0; i < 4; i++) {
		struct generation *g;
		__u64 before;

		*gen = *(volatile __u64 *)&s->generation & 1;
		g = bpf_map_lookup_elem(&late_generations, gen);
		if (!g)
			return 0;
		/* With its result used, the addition is a full barrier on every processor. */
		before = __sync_fetch_and_add(&g->users, 1);
		asm volatile("" : : "r"(before));
		if ((*(volatile __u64 *)&s->generation & 1) == *gen)
			return g;
		__sync_fetch_and_add(&g->users, -1);
	}
	return 0;
}

#endif
