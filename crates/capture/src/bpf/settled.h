/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Counts packets of flows that the reader has called settled: datagrams that
 * nobody reads any more, and segments of TCP that carry nothing, need not pass
 * the ring. What it takes for one to be read after all is looked for here; such
 * a packet goes its usual way.
 *
 * Counts only grow. The reader knows what it has seen of them, and takes back a
 * place long after it has made it nobody's.
 *
 * Types and names are those of ring/late/settled.rs; late.bpf.c includes this.
 */
#ifndef SOCKETHOUND_SETTLED_H
#define SOCKETHOUND_SETTLED_H

/* Places, and how many of them a flow may be at. */
#define SETTLED (1 << 15)
#define WAYS 2
/* Bit of an interface's number: its counts are here, not among those of a late reader. */
#define OF_SETTLED (1U << 30)
#define SENT (1U << 31)

/* A directed five-tuple on an interface, in one cache line. */
struct settled {
	/* Of its key; 0 for nobody's place. Two keys of one hash would be one flow: one in 2^64. */
	__u64 hash;
	__u64 packets;
	__u64 ip_bytes;
	__u64 bytes;
	/* CLOCK_MONOTONIC. */
	__u64 last;
	/* Of the first packets of an epoch, what they keep on their way. */
	__u32 epoch;
	__u32 printed;
	__u32 prints[PRINTS];
};

_Static_assert(sizeof(struct settled) == 64, "settled");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SETTLED);
	__type(key, __u32);
	__type(value, struct settled);
} late_settled SEC(".maps");

/* IPv4 without options, or IPv6 without extension headers, of a packet that is whole: gives whether it is, with ports. */
INLINE int read_plain(struct __sk_buff *skb, struct key *k, struct facts *f)
{
	__u32 number = skb->ifindex & (LINKS - 1), at;
	struct link *l = bpf_map_lookup_elem(&late_links, &number);
	__u32 h[12];

	if (!l || l->ifindex != skb->ifindex)
		return 0;
	at = l->kind == KIND_ETHERNET ? 14 : 0;
	if (!at && l->kind != KIND_BARE)
		return 0;
	/* What has a tag in front of it has another EtherType there. */
	if (at) {
		__u16 type;

		if (load(skb, 12, &type, 2))
			return 0;
		k->type = bpf_ntohs(type);
	}
	if (load(skb, at, h, 28))
		return 0;
	f->ip = at;
	if ((h[0] & bpf_htonl(0xff000000)) == bpf_htonl(0x45000000)) {
		if ((at && k->type != 0x0800) || (h[1] & bpf_htonl(0x3fff)))
			return 0;
		k->type = 0x0800;
		k->version = 4;
		k->protocol = bpf_ntohl(h[2]) >> 16;
		k->src[0] = h[3];
		k->dst[0] = h[4];
		f->ip_bytes = bpf_ntohl(h[0]) & 0xffff;
		f->behind = at + 20;
		k->sport = h[5];
		k->dport = h[5] >> 16;
	} else if ((h[0] & bpf_htonl(0xf0000000)) == bpf_htonl(0x60000000)) {
		if ((at && k->type != 0x86dd) || load(skb, at + 28, &h[7], 20))
			return 0;
		k->type = 0x86dd;
		k->version = 6;
		k->protocol = bpf_ntohl(h[1]) >> 8;
		k->src[0] = (__u64)h[3] << 32 | h[2];
		k->src[1] = (__u64)h[5] << 32 | h[4];
		k->dst[0] = (__u64)h[7] << 32 | h[6];
		k->dst[1] = (__u64)h[9] << 32 | h[8];
		f->ip_bytes = 40 + (bpf_ntohl(h[1]) >> 16);
		f->behind = at + 40;
		k->sport = h[10];
		k->dport = h[10] >> 16;
	} else {
		return 0;
	}
	k->ifindex = skb->ifindex | OF_SETTLED;
	if (skb->pkt_type == 4)
		k->ifindex |= SENT;
	return f->ip + f->ip_bytes <= skb->len;
}

/* Whether a segment says nothing but how far others have come: ACK alone, without data, and a window that is open. */
INLINE int is_pure_ack(struct __sk_buff *skb, struct facts *f)
{
	__u8 h[4];

	if (load(skb, f->behind + 12, h, 4))
		return 0;
	f->tcp = f->behind;
	return h[1] == 0x10 && (h[2] | h[3]) && f->behind - f->ip + (h[0] >> 4) * 4 == f->ip_bytes;
}

/* Whether somebody may read a datagram's payload, whatever was said before: it begins as another opening does, or as a
   message of DNS (dissect/app/interest.rs, dissect/app/dns). */
INLINE int may_be_read(struct __sk_buff *skb, const struct state *s, const struct facts *f)
{
	__u32 at = f->behind + 8;
	__u8 b[6] = {};

	if (at - f->ip > f->ip_bytes)
		return 1;

	if (at + sizeof(b) <= skb->len) {
		if (load(skb, at, b, sizeof(b)))
			return 1;
	} else if (at < skb->len) {
		if (load(skb, at, b, 1))
			return 1;
	} else {
		return 0;
	}
	if (s->read[b[0] >> 6] >> (b[0] & 63) & 1)
		return 1;
	return b[4] == 0 && (b[5] == 1 || (b[5] == 0 && b[2] >= 0x80));
}

/* The place of a settled flow, if there is one of this hash. */
INLINE struct settled *settled_of(__u64 h)
{
	__u32 at = (__u32)(h >> 32) & (SETTLED - 1) & ~(WAYS - 1);
	struct settled *p;

	for (int i = 0; i < WAYS; i++, at++) {
		p = bpf_map_lookup_elem(&late_settled, &at);
		if (p && p->hash == h)
			return p;
	}
	return 0;
}

/* Counts a packet; of the first ones of an epoch, prints are kept. */
INLINE void add_settled(struct __sk_buff *skb, const struct state *s, struct settled *p, const struct packet *packet)
{
	__u32 epoch = s->epoch, n;

	__sync_fetch_and_add(&p->packets, 1);
	__sync_fetch_and_add(&p->ip_bytes, packet->facts.ip_bytes);
	__sync_fetch_and_add(&p->bytes, skb->len);
	p->last = bpf_ktime_get_ns();
	if (p->epoch != epoch) {
		p->epoch = epoch;
		p->printed = 0;
	}
	n = p->printed;
	if (n < PRINTS) {
		p->prints[n & (PRINTS - 1)] = print(skb, &packet->key, &packet->facts);
		p->printed = n + 1;
	}
}

/* The first program that a packet meets. */
SEC("socket")
int late_settle(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct facts *f = &packet.facts;
	struct key *k = &packet.key;
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&late_state, &zero);
	struct settled *p;

	/* One that is split later is several: the ring's reader knows how many. */
	if (!s || !s->settled || skb->gso_segs > 1)
		goto filter;
	if (!read_plain(skb, k, f) || (k->protocol == 6 ? !is_pure_ack(skb, f) : k->protocol != 17))
		goto filter;
	p = settled_of(hash(k, s->seed));
	if (!p || (k->protocol == 17 && may_be_read(skb, s, f)))
		goto filter;
	add_settled(skb, s, p, &packet);
	return 0;
filter:
	bpf_tail_call(skb, &late_calls, CALL_FILTER);
	/* It does not come back. */
	return 0xffff;
}

#endif
