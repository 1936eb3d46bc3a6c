/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Counts packets of flows that the reader has called settled: datagrams that
 * nobody reads any more, and segments of TCP that carry nothing, need not pass
 * the ring. What it takes for one to be read after all is looked for here; such
 * a packet goes its usual way.
 *
 * The reader takes counts by exchanging them for zero, and gives a place to
 * another flow long after it has made it nobody's. Of TCP, what goes on where
 * the segment before ended may be counted, too (stream.h).
 *
 * Types and names are those of ring/late/settled.rs.
 */
#ifndef SOCKETHOUND_SETTLED_H
#define SOCKETHOUND_SETTLED_H

#include "clock.h"
#include "hash.h"
#include "print.h"

/* Places, and how many of them a flow may be at. */
#define SETTLED (1 << 15)
#define WAYS 2

/* A directed five-tuple on an interface, in one cache line. */
struct settled {
	/* Of its key; 0 for nobody's place. Two keys of one hash would be one flow: one in 2^64. */
	__u64 hash;
	/* Packets and IP bytes in one word, so that each packet takes one addition; the reader takes all of it at once. */
	__u64 counted;
	/* What their frames had behind the IP packet. */
	__u64 padding;
	/* Packets that become of these where the interface splits them, beyond their own number, and the bytes of what each of
	   those repeats of the headers; in one word, too. */
	__u64 split;
	/* CLOCK_MONOTONIC. */
	__u64 last;
	/* Of the first packets of an epoch, what they keep on their way. */
	__u32 prints[PRINTS];
	/* That epoch, and in its last bits how many there are. */
	__u32 printed;
	/* Written by the reader: what is counted. Above, what their frames had before the IP packet, each. */
	__u32 counts;
};

/* Segments that carry nothing, as long as nothing has begun or ended a connection since that was told; data that goes on. */
#define COUNTS_NOTHING 1
#define COUNTS_DATA 2
#define UNTOUCHED 4
/* Above those bits. */
#define LINK 8
/* Above the number of prints. */
#define EPOCH 3

_Static_assert(sizeof(struct settled) == 64, "settled");

/* Where packets are in those words: above 1 TiB, and above 64 GiB of headers. When so many wait, further ones go their usual
   way. */
#define PACKETS 40
#define MANY_PACKETS (1ULL << 22)
#define SPLIT 36
#define MANY_SPLIT (1ULL << 27)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SETTLED);
	__type(key, __u32);
	__type(value, struct settled);
} late_settled SEC(".maps");

#include "plain.h"
#include "stream.h"

/* Whether somebody may read a datagram's payload, whatever was said before: it begins as another opening does, or as a
   message of DNS (dissect/app/interest.rs, dissect/app/dns). */
INLINE int may_be_read(const struct state *s, const __u32 *udp, __u32 len)
{
	__u32 first, second;

	if (len <= 8)
		return len != 8;
	first = bpf_ntohl(udp[2]);
	second = bpf_ntohl(udp[3]) >> 16;
	if (s->read[first >> 30] >> (first >> 24 & 63) & 1)
		return 1;
	return second == 1 || (second == 0 && (first & 0x8000));
}

/* Fewer steps than for what is counted late: each waits for the one before. */
INLINE __u64 hash_settled(const struct key *k, __u64 seed)
{
	const __u64 *w = (const __u64 *)k;
	__u64 h;

	if (k->version == 4)
		h = mix(seed, w[0] | w[2] << 32);
	else
		h = mix(mix(mix(mix(seed, w[0]), w[1]), w[2]), w[3]);
	return mix(mix(mix(h, w[4]), w[5]), seed);
}

/* The place of a settled flow, if there is one of this hash. */
INLINE struct settled *settled_of(__u64 h, __u32 *place)
{
	__u32 at = (__u32)(h >> 32) & (SETTLED - 1) & ~(WAYS - 1);
	struct settled *p;

	for (int i = 0; i < WAYS; i++, at++) {
		p = bpf_map_lookup_elem(&late_settled, &at);
		if (p && p->hash == h) {
			*place = at;
			return p;
		}
	}
	return 0;
}

/* No more are counted than there is room for. */
INLINE int is_full(const struct settled *p)
{
	return p->counted >> PACKETS >= MANY_PACKETS || p->split >> SPLIT >= MANY_SPLIT;
}

/* What one packet becomes more, of which each part has so many bytes of headers. */
INLINE __u64 split(struct __sk_buff *skb, __u32 headers)
{
	__u32 segments = skb->gso_segs;

	return segments > 1 ? (segments - 1) * ((1ULL << SPLIT) + headers) : 0;
}

/* Notes what a packet keeps on its way, if it is one of the first of an epoch. */
INLINE void keep_print(struct __sk_buff *skb, const struct state *s, struct settled *p, const struct packet *pk)
{
	__u32 epoch = s->epoch << EPOCH, printed = p->printed, n;

	if ((printed ^ epoch) >> EPOCH)
		printed = epoch;
	n = printed & ((1 << EPOCH) - 1);
	if (n < PRINTS) {
		p->prints[n & (PRINTS - 1)] = print(skb, &pk->key, &pk->facts);
		p->printed = printed + 1;
	}
}

/* Counts a packet, of which the last `payload` bytes are divided among what it becomes. */
INLINE void add_settled(struct __sk_buff *skb, const struct state *s, struct settled *p, const struct packet *pk, __u32 payload,
			__u64 now)
{
	const struct facts *f = &pk->facts;
	__u32 padding = skb->len - f->ip - (__u32)f->ip_bytes;
	__u64 more = split(skb, skb->len - payload);

	if (p->counts >> LINK != f->ip)
		__sync_fetch_and_or(&p->counts, f->ip << LINK);
	/* Another processor may have read the clock since. */
	if (now > p->last)
		p->last = now;
	if (padding)
		__sync_fetch_and_add(&p->padding, padding);
	if (more)
		__sync_fetch_and_add(&p->split, more);
	__sync_fetch_and_add(&p->counted, (1ULL << PACKETS) + f->ip_bytes);
	keep_print(skb, s, p, pk);
}

/* The place of a packet's flow. */
INLINE struct settled *place_of(const struct state *s, const struct key *k, __u32 *place)
{
	return settled_of(hash_settled(k, s->seed), place);
}

/* Reads the header of a segment that begins at this word; one for which there is no `room` is not counted. */
INLINE struct segment read_segment(const __u32 *tcp, const struct facts *f, int room)
{
	__u32 header = f->behind - f->ip, word = bpf_ntohl(tcp[3]);
	__u32 behind = (word >> 28) * 4;
	struct segment g = {
		.seq = bpf_ntohl(tcp[1]),
		.len = 1,
		.flags = word >> 16,
		.is_known = f->ip_bytes >= header + behind && behind >= 20,
		.is_plain = word & 0xffff && room,
	};

	if (g.is_known)
		g.len = f->ip_bytes - header - behind;
	return g;
}

/* Whether it says nothing but how far others have come: ACK alone, without data, and a window that is open. */
INLINE int is_pure_ack(const struct segment *g)
{
	return !g->len && g->flags == 0x10 && g->is_plain;
}

INLINE int counts_nothing(const struct settled *p)
{
	return (p->counts & (COUNTS_NOTHING | UNTOUCHED)) == (COUNTS_NOTHING | UNTOUCHED);
}

INLINE void stop_way(struct state *s, const struct key *k)
{
	__u32 place;
	struct settled *p = place_of(s, k, &place);

	if (p && p->counts & COUNTS_DATA)
		stop_stream(s, place);
}

/* The same, and what carries nothing is not counted any more, either. */
INLINE void see_way(struct state *s, const struct key *k)
{
	__u32 place;
	struct settled *p = place_of(s, k, &place);

	if (!p)
		return;
	__sync_fetch_and_and(&p->counts, ~UNTOUCHED);
	if (p->counts & COUNTS_DATA)
		stop_stream(s, place);
}

/* Behind what begins or ends a connection, all that both ends send is seen: numbers may mean something else. */
__attribute__((noinline)) int late_control(struct packet *p)
{
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&late_state, &zero);
	struct key k = {};

	if (!p || !s)
		return 0;
	see_way(s, &p->key);
	k.type = p->key.type;
	k.version = p->key.version;
	k.protocol = p->key.protocol;
	k.ifindex = p->key.ifindex;
	k.sport = p->key.dport;
	k.dport = p->key.sport;
	for (int i = 0; i < 2; i++) {
		k.src[i] = p->key.dst[i];
		k.dst[i] = p->key.src[i];
	}
	see_way(s, &k);
	/* On its way back it may pass as it came. */
	k.ifindex ^= SENT;
	see_way(s, &k);
	return 0;
}

/* A packet that is not plain may still be a part of a stream. */
__attribute__((noinline)) int late_other(struct __sk_buff *skb, struct packet *p)
{
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&late_state, &zero);

	if (!p || !s)
		return 0;
	late_read(skb, p);
	p->key.fragment = 0;
	if (p->key.protocol != 6 || !p->key.version)
		return 0;
	if (p->facts.tcp_flags & CONTROL)
		return late_control(p);
	stop_way(s, &p->key);
	return 0;
}

/* Counts a plain segment of TCP, if it is to be. */
INLINE int count_segment(struct __sk_buff *skb, struct state *s, const __u32 *tcp, struct packet *pk)
{
	struct stream *t;
	struct settled *p;
	struct segment g;
	__u32 place;
	__u64 now;

	if (bpf_ntohl(tcp[3]) >> 16 & CONTROL) {
		late_control(pk);
		return 0;
	}
	p = place_of(s, &pk->key, &place);
	if (!p)
		return 0;
	g = read_segment(tcp, &pk->facts, !is_full(p));
	pk->facts.tcp = pk->facts.behind;
	if (is_pure_ack(&g)) {
		if (!counts_nothing(p))
			return 0;
		add_settled(skb, s, p, pk, 0, packet_time());
		return 1;
	}
	t = p->counts & COUNTS_DATA ? goes_on(s, place, &g) : 0;
	if (!t)
		return 0;
	now = packet_time();
	t->last = now;
	add_settled(skb, s, p, pk, g.len, now);
	return 1;
}

/* The same of a datagram. */
INLINE int count_datagram(struct __sk_buff *skb, struct state *s, const __u32 *udp, struct packet *pk)
{
	const struct facts *f = &pk->facts;
	__u32 header = f->behind - f->ip, place, len = f->ip_bytes - header;
	struct settled *p = place_of(s, &pk->key, &place);

	if (!p || is_full(p) || f->ip_bytes < header || may_be_read(s, udp, len))
		return 0;
	/* A datagram of less than its own header is read. */
	add_settled(skb, s, p, pk, len - 8, packet_time());
	return 1;
}

/* The first program that a packet meets. */
SEC("socket")
int late_settle(struct __sk_buff *skb)
{
	struct packet pk = {};
	struct start st = {};
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&late_state, &zero);
	int ip;

	if (!s || !s->settled)
		goto filter;
	ip = read_start(skb, &st);
	pk.facts.ip = ip;
	if (ip >= 0 && read_plain(skb, &st, &pk.key, &pk.facts)) {
		const __u32 *upper = pk.key.version == 4 ? &st.ip[5] : &st.ip[10];

		if (pk.key.protocol == 6 && count_segment(skb, s, upper, &pk))
			return 0;
		if (pk.key.protocol == 17 && count_datagram(skb, s, upper, &pk))
			return 0;
	} else if (s->streams) {
		__builtin_memset(&pk, 0, sizeof(pk));
		late_other(skb, &pk);
	}
filter:
	bpf_tail_call(skb, &late_calls, CALL_FILTER);
	/* It does not come back. */
	return 0xffff;
}

#endif
