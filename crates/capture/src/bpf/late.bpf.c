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
//
// Types and names are those of ring/late/memory.rs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define INLINE static __always_inline
#define LINKS 4096
#define RESTS 256
#define PROBES 8
#define SAMPLE 128
#define EXTENSIONS 6
#define PRINTS 4

/* What packets begin with, by ARPHRD_* (<linux/if_arp.h>), as ring/link.rs has it. */
#define KIND_ETHERNET 1
#define KIND_BARE 2

/* What is known of an interface: at its number modulo LINKS. */
struct link {
	__u32 ifindex;
	__u16 hatype;
	__u8 taken;
	__u8 kind;
};

/* Packets of an interface that found no place among the counts. */
struct rest {
	__u64 ifindex;
	__u64 packets;
	__u64 bytes;
};

struct state {
	/* Written for every packet that the ring takes. */
	__u64 position;
	__u64 tick;
	__u64 unused[6];
	/* Written by the reader. */
	__u64 limit;
	__u64 generation;
	__u64 seed;
	/* Of one generation: how many there are, and the size of the index less 1. */
	__u64 entries;
	__u64 mask;
	/* Flows that are settled, and how often their counts were taken. */
	__u64 settled;
	__u64 epoch;
	/* Of how many of them data is counted. */
	__u64 streams;
	/* Written for every packet that is counted. */
	__u64 packets;
	__u64 bytes;
	/* Pauses of streams that were told of, since the beginning. */
	__u64 pauses;
	__u64 spare[5];
	/* Written by the reader: the first bytes, by bit, of payloads that somebody may read also in a settled flow. */
	__u64 read[4];
	__u64 rest[4];
};

/* How far a generation is used. */
struct generation {
	/* Programs that use it now. */
	__u64 users;
	/* Entries that were begun, and those that found no place. */
	__u64 used;
	__u64 unused[6];
};

/* Whose packets are added up. */
struct key {
	__u64 src[2];
	__u64 dst[2];
	__u32 ifindex;
	/* Of fragments their identification, else 0. */
	__u32 fragment;
	__u16 sport;
	__u16 dport;
	/* The EtherType, as far as it is known. */
	__u16 type;
	__u8 protocol;
	/* 4 or 6; 0 where no IP header was read: then only the EtherType and the interface are here. */
	__u8 version;
};

#define FIRST_FRAGMENT 1
#define LATER_FRAGMENT 2

struct entry {
	struct key key;
	__u64 packets;
	__u64 ip_bytes;
	__u64 bytes;
	/* CLOCK_MONOTONIC. */
	__u64 first;
	__u64 last;
	/* Packets that become of these where the interface splits them, beyond their own number. */
	__u64 split;
	/* Of the first packet. */
	__u32 wire_len;
	__u16 captured;
	__u16 vlan_tci;
	__u8 vlan_present;
	__u8 pkt_type;
	/* Of all packets. */
	__u8 tcp_flags;
	__u8 fragment;
	__u32 slot;
	/* What the second to fourth packet keep on their way; the first one's is told by its sample. */
	__u32 prints[PRINTS];
	__u8 sample[SAMPLE];
};

_Static_assert(sizeof(struct key) == 48, "key");
_Static_assert(sizeof(struct entry) == 256, "entry");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} late_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct generation);
} late_generations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LINKS);
	__type(key, __u32);
	__type(value, struct link);
} late_links SEC(".maps");

/* Of each generation: number + 1 of an entry, above 32 bits of its hash; 0 for none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} late_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct entry);
} late_entries SEC(".maps");

/* The first one is of all interfaces that found none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RESTS + 1);
	__type(key, __u32);
	__type(value, struct rest);
} late_rests SEC(".maps");

/* For tail calls: what counts, and the ring's filter. */
#define CALL_COUNT 0
#define CALL_FILTER 1
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} late_calls SEC(".maps");

/* What is read of a packet besides its key. */
struct facts {
	__u64 ip_bytes;
	/* Where IP begins, and what it carries where there are no extension headers. */
	__u32 ip;
	__u32 behind;
	/* Where TCP begins; 0 for no whole header. */
	__u32 tcp;
	__u8 tcp_flags;
	__u8 fragment;
};

struct packet {
	struct key key;
	struct facts facts;
};

INLINE int load(struct __sk_buff *skb, __u32 at, void *to, __u32 len)
{
	return bpf_skb_load_bytes(skb, at, to, len);
}

/* Ports and TCP flags at `at`; what is missing stays 0. A packet whose sample would not hold them is not told apart. */
INLINE int read_transport(struct __sk_buff *skb, __u32 at, struct key *k, struct facts *f)
{
	__u16 ports[2];
	__u8 flags;

	if (at + 14 > SAMPLE)
		return 0;
	if (k->protocol != 6 && k->protocol != 17 && k->protocol != 132 && k->protocol != 136)
		return 1;
	if (load(skb, at, ports, 4))
		return 1;
	k->sport = ports[0];
	k->dport = ports[1];
	if (k->protocol == 6 && !load(skb, at + 13, &flags, 1))
		f->tcp_flags = flags;
	if (k->protocol == 6 && at + 20 <= skb->len)
		f->tcp = at;
	return 1;
}

/* RFC 791. */
INLINE int read_v4(struct __sk_buff *skb, __u32 at, struct key *k, struct facts *f)
{
	__u32 h[5];
	__u32 total, header;
	__u16 piece;

	if (load(skb, at, h, sizeof(h)))
		return 0;
	h[0] = bpf_ntohl(h[0]);
	h[1] = bpf_ntohl(h[1]);
	header = (h[0] >> 22) & 0x3c;
	total = h[0] & 0xffff;
	if (!total)
		total = skb->len - at;
	if (h[0] >> 28 != 4 || header < 20 || total < header)
		return 0;
	f->ip_bytes = total;
	f->ip = at;
	f->behind = at + header;
	k->version = 4;
	k->src[0] = h[3];
	k->dst[0] = h[4];
	k->protocol = bpf_ntohl(h[2]) >> 16;
	piece = h[1];
	if (piece & 0x3fff) {
		k->fragment = h[1] >> 16;
		f->fragment = piece & 0x1fff ? LATER_FRAGMENT : FIRST_FRAGMENT;
	}
	if (f->fragment == LATER_FRAGMENT)
		return 1;
	return read_transport(skb, at + header, k, f);
}

/* RFC 8200, as dissect/packet/ipv6.rs reads it. */
INLINE int read_v6(struct __sk_buff *skb, __u32 at, struct key *k, struct facts *f)
{
	__u32 h[10];
	__u32 named, wire, next, len, here = at + 40;
	__u8 e[8];

	if (load(skb, at, h, sizeof(h)))
		return 0;
	if (bpf_ntohl(h[0]) >> 28 != 6)
		return 0;
	h[1] = bpf_ntohl(h[1]);
	named = h[1] >> 16;
	next = (h[1] >> 8) & 0xff;
	wire = skb->len - at;
	f->ip = at;
	f->behind = here;
	k->version = 6;
	k->src[0] = (__u64)h[3] << 32 | h[2];
	k->src[1] = (__u64)h[5] << 32 | h[4];
	k->dst[0] = (__u64)h[7] << 32 | h[6];
	k->dst[1] = (__u64)h[9] << 32 | h[8];
	for (int i = 0; i <= EXTENSIONS; i++) {
		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60 && next != 140)
			break;
		/* Too many to follow. */
		if (i == EXTENSIONS)
			return 0;
		if (load(skb, here, e, sizeof(e)))
			break;
		len = next == 44 ? 8 : next == 51 ? ((__u32)e[1] + 2) * 4 : ((__u32)e[1] + 1) * 8;
		if (here + len > skb->len || (next == 140 && e[0] == 59))
			break;
		here += len;
		if (next == 44) {
			__u16 piece = (__u16)e[2] << 8 | e[3];

			if (piece & 0xfff9) {
				k->fragment = (__u32)e[4] << 24 | (__u32)e[5] << 16 | (__u32)e[6] << 8 | e[7];
				f->fragment = piece & 0xfff8 ? LATER_FRAGMENT : FIRST_FRAGMENT;
			}
		}
		next = e[0];
		if (f->fragment == LATER_FRAGMENT)
			break;
	}
	k->protocol = next;
	if (named)
		f->ip_bytes = 40 + named;
	else
		f->ip_bytes = wire > 40 + 65535 || next == 6 ? wire : 40;
	if (f->fragment == LATER_FRAGMENT)
		return here <= SAMPLE;
	return read_transport(skb, here, k, f);
}

/* The link header: gives where IP begins, and its EtherType in `type`; 0 for none that is looked through. */
INLINE __u32 read_link(struct __sk_buff *skb, __u32 kind, __u16 *type)
{
	__u32 at = 14;
	__u16 t;
	__u8 version;

	*type = bpf_ntohs(skb->protocol);
	if (kind == KIND_BARE) {
		if (load(skb, 0, &version, 1))
			return 0;
		*type = version >> 4 == 4 ? 0x0800 : version >> 4 == 6 ? 0x86dd : *type;
		return 0;
	}
	if (kind != KIND_ETHERNET || load(skb, 12, &t, 2))
		return 0;
	t = bpf_ntohs(t);
	for (int i = 0; i < 3; i++) {
		if (t != 0x8100 && t != 0x88a8 && t != 0x9100 && t != 0x9200)
			break;
		if (load(skb, at + 2, &t, 2))
			return 0;
		t = bpf_ntohs(t);
		at += 4;
	}
	/* IP behind PPPoE (RFC 2516). */
	if (t == 0x8864) {
		__u16 ppp;

		if (load(skb, at + 6, &ppp, 2))
			return 0;
		ppp = bpf_ntohs(ppp);
		if (ppp == 0x21 || ppp == 0x57) {
			t = ppp == 0x21 ? 0x0800 : 0x86dd;
			at += 8;
		}
	}
	*type = t;
	return at;
}

/* A function of its own, which the verifier looks at once: inlined, it would follow every way through what comes behind for
   each way through this, and need half a second for it. */
__attribute__((noinline)) int late_read(struct __sk_buff *skb, struct packet *p)
{
	struct key *k = &p->key;
	struct facts *f = &p->facts;
	__u32 number, kind, at;
	struct link *l;
	int whole = 0;

	if (!p)
		return 0;
	number = skb->ifindex & (LINKS - 1);
	l = bpf_map_lookup_elem(&late_links, &number);
	kind = l && l->ifindex == skb->ifindex ? l->kind : 0;
	at = read_link(skb, kind, &k->type);
	k->ifindex = skb->ifindex;
	if (k->type == 0x0800 && kind)
		whole = read_v4(skb, at, k, f);
	else if (k->type == 0x86dd && kind)
		whole = read_v6(skb, at, k, f);
	if (!whole) {
		__u16 type = k->type;

		__builtin_memset(k, 0, sizeof(*k));
		__builtin_memset(f, 0, sizeof(*f));
		k->ifindex = skb->ifindex;
		k->type = type;
	}
	/* The two ways that a packet passes an interface are kept apart. */
	if (skb->pkt_type == 4)
		k->ifindex |= 1U << 31;
	return 0;
}

INLINE __u64 mix(__u64 a, __u64 b)
{
	a = (a ^ b) * 0x9e3779b97f4a7c15ULL;
	return a ^ a >> 32;
}

INLINE __u64 hash(const struct key *k, __u64 seed)
{
	const __u64 *w = (const __u64 *)k;
	__u64 h = seed;

	for (int i = 0; i < 6; i++)
		h = mix(h, w[i]);
	return mix(h, seed);
}

INLINE int same(const struct key *a, const struct key *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;
	__u64 differ = 0;

	for (int i = 0; i < 6; i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

/* Up to eight bytes at `at`, as far as they are before `end`. */
INLINE __u64 word(struct __sk_buff *skb, __u32 at, __u32 end)
{
	__u64 w = 0;
	__u32 n;

	if (at >= end)
		return 0;
	n = end - at;
	if (n > 8)
		n = 8;
	/* The verifier wants to see that it is not 0. */
	asm volatile("" : "+r"(n));
	if (n < 1 || n > 8 || load(skb, at, &w, n))
		return 0;
	return w;
}

/* What a packet keeps on its way: its number, and where it stands in its stream or how its payload begins; as flow/path.rs
   has it, never 0. */
INLINE __u32 print(struct __sk_buff *skb, const struct key *k, const struct facts *f)
{
	__u64 end = f->ip + f->ip_bytes, a, b = 0, number = 0, x, y, low, middle, high;
	__u32 at = f->behind, place[2];
	__u16 n;

	if (end > skb->len)
		end = skb->len;
	if (k->version == 4 && !load(skb, f->ip + 4, &n, 2))
		number = n;
	if (f->tcp && !load(skb, f->tcp + 4, place, 8)) {
		a = (__u64)bpf_ntohl(place[0]) << 32 | bpf_ntohl(place[1]);
	} else {
		if (k->protocol == 6 || k->protocol == 17 || k->protocol == 136)
			at += 8;
		else if (k->protocol == 1 || k->protocol == 58)
			at += 6;
		a = word(skb, at, end);
		b = word(skb, at + 8, end);
	}
	x = a ^ (number << 47 | number >> 17) ^ 0x9e3779b97f4a7c15ULL;
	y = b ^ 0xd1b54a32d192ed03ULL;
	/* The product's 128 bits. */
	low = (x & 0xffffffff) * (y & 0xffffffff);
	middle = (x >> 32) * (y & 0xffffffff) + (low >> 32);
	high = (middle & 0xffffffff) + (x & 0xffffffff) * (y >> 32);
	high = (x >> 32) * (y >> 32) + (middle >> 32) + (high >> 32);
	return ((__u32)low ^ (__u32)high ^ (__u32)(high >> 32)) | 1;
}

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

#include "settled.h"

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
