/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Five-tuples: of a packet, and of a connected socket.
 */
#ifndef SOCKETHOUND_ENDS_H
#define SOCKETHOUND_ENDS_H

#include "account.h"

/* One packet's ends, as its socket sees them. */
struct ends {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u8 protocol;
	__u8 version;
};

static __always_inline __u64 mix(__u64 a, __u64 b)
{
	a = (a ^ b) * 0x9E3779B97F4A7C15ULL;
	return a ^ (a >> 29);
}

static __always_inline __u64 fingerprint(const struct ends *e)
{
	const __u64 *local = (const __u64 *)e->local, *remote = (const __u64 *)e->remote;
	__u64 f = (__u64)e->local_port << 48 | (__u64)e->remote_port << 32 | e->protocol << 8 | e->version;

	f ^= this_round() << 16;
	f = mix(f, local[0]);
	f = mix(f, remote[0]);
	if (e->version == 6) {
		f = mix(f, local[1]);
		f = mix(f, remote[1]);
	}
	return f | 1;
}

/* Reads the ports, or an echo's identifier, which has no remote. */
static __always_inline int ports(struct ends *e, const __u8 *l4, const void *end, int sent)
{
	__u16 a, b;

	if (e->protocol == IPPROTO_ICMP || e->protocol == IPPROTO_ICMPV6) {
		if (l4 + 6 > (const __u8 *)end)
			return 0;
		if (l4[0] == 8 || l4[0] == 0 || l4[0] == 128 || l4[0] == 129)
			e->local_port = l4[4] << 8 | l4[5];
		return 1;
	}
	if (e->protocol != IPPROTO_TCP && e->protocol != IPPROTO_UDP && e->protocol != IPPROTO_UDPLITE &&
	    e->protocol != IPPROTO_SCTP)
		return 1;
	if (l4 + 4 > (const __u8 *)end)
		return 0;
	a = l4[0] << 8 | l4[1];
	b = l4[2] << 8 | l4[3];
	e->local_port = sent ? a : b;
	e->remote_port = sent ? b : a;
	return 1;
}

static __always_inline int dissect(struct __sk_buff *skb, struct ends *e, int sent)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u8 *source = sent ? e->local : e->remote, *destination = sent ? e->remote : e->local;
	__u8 next;
	int i;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (data + 20 > end)
			return 0;
		e->version = 4;
		e->protocol = data[9];
		__builtin_memcpy(source, data + 12, 4);
		__builtin_memcpy(destination, data + 16, 4);
		return ports(e, data + ((data[0] & 15) << 2), end, sent);
	}
	if (data + 40 > end)
		return 0;
	e->version = 6;
	__builtin_memcpy(source, data + 8, 16);
	__builtin_memcpy(destination, data + 24, 16);
	next = data[6];
	data += 40;
	/* Hop-by-hop, routing, destination options (RFC 8200, section 4). */
	for (i = 0; i < 4 && (next == 0 || next == 43 || next == 60); i++) {
		if (data + 2 > end)
			return 0;
		next = data[0];
		data += (data[1] + 1) << 3;
	}
	e->protocol = next;
	return ports(e, data, end, sent);
}

/* The same by copying, where pointers into packets may not be moved: without CAP_PERFMON. */
static __always_inline int dissect_plain(struct __sk_buff *skb, struct ends *e, int sent)
{
	__u8 *source = sent ? e->local : e->remote, *destination = sent ? e->remote : e->local;
	__u8 head[40] = {}, l4[8] = {};
	__u32 at;
	int i;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, head, 20))
			return 0;
		e->version = 4;
		e->protocol = head[9];
		__builtin_memcpy(source, head + 12, 4);
		__builtin_memcpy(destination, head + 16, 4);
		at = (head[0] & 15) << 2;
	} else {
		if (bpf_skb_load_bytes(skb, 0, head, 40))
			return 0;
		e->version = 6;
		__builtin_memcpy(source, head + 8, 16);
		__builtin_memcpy(destination, head + 24, 16);
		l4[0] = head[6];
		at = 40;
		for (i = 0; i < 4 && (l4[0] == 0 || l4[0] == 43 || l4[0] == 60); i++) {
			__u32 here = at;

			if (bpf_skb_load_bytes(skb, here, l4, 2))
				return 0;
			at += (l4[1] + 1) << 3;
		}
		e->protocol = l4[0];
	}
	/* What is shorter has neither ports nor an identifier. */
	if (bpf_skb_load_bytes(skb, at, l4, 8))
		__builtin_memset(l4, 0, sizeof(l4));
	return ports(e, l4, l4 + sizeof(l4), sent);
}

static __always_inline int is_inet(struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return family == AF_INET || family == AF_INET6;
}

/* A connected socket's ends; 0 if it has no remote. */
static __always_inline int connected(struct sock *sk, struct ends *e)
{
	struct sock_common *c = &sk->__sk_common;
	__u32 *local = (__u32 *)e->local, *remote = (__u32 *)e->remote;
	int mapped;

	e->protocol = sk->sk_protocol;
	e->local_port = c->skc_num;
	e->remote_port = bpf_ntohs(c->skc_dport);
	if (!e->remote_port || !e->local_port)
		return 0;
	mapped = c->skc_family == AF_INET6 && !c->skc_v6_daddr.in6_u.u6_addr32[0] &&
		 !c->skc_v6_daddr.in6_u.u6_addr32[1] &&
		 c->skc_v6_daddr.in6_u.u6_addr32[2] == bpf_htonl(0xffff);
	if (c->skc_family == AF_INET || mapped) {
		e->version = 4;
		local[0] = c->skc_rcv_saddr;
		remote[0] = c->skc_daddr;
		return 1;
	}
	e->version = 6;
	__builtin_memcpy(e->local, &c->skc_v6_rcv_saddr, 16);
	__builtin_memcpy(e->remote, &c->skc_v6_daddr, 16);
	return 1;
}

#endif
