/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Reads a packet's headers, whatever it is: whose it is, and what else is counted.
 */
#ifndef SOCKETHOUND_HEADERS_H
#define SOCKETHOUND_HEADERS_H

#include "shared.h"

/* Extension headers of IPv6 that are followed. */
#define EXTENSIONS 6

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

#endif
