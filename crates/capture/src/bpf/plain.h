/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Reads what most packets begin with: Ethernet or nothing, IPv4 without options
 * or IPv6 without extension headers, ports. With one look into the packet, since
 * it is done for each.
 */
#ifndef SOCKETHOUND_PLAIN_H
#define SOCKETHOUND_PLAIN_H

/* Bit of an interface's number. */
#define SENT (1U << 31)

/* How a packet begins: its EtherType, IP headers, and what follows them. */
struct start {
	__u16 unused;
	__u16 type;
	__u32 ip[15];
};

/* Reads it, as far as it is there; zeros behind. Gives where IP begins, or -1. Of IPv4 no more than TCP needs: what lies further
   is often not where the packet begins, and takes longer to fetch. */
INLINE int read_start(struct __sk_buff *skb, struct start *st)
{
	__u32 most = skb->protocol == bpf_htons(0x86dd) ? sizeof(st->ip) : 40;
	__u32 number = skb->ifindex & (LINKS - 1), n = skb->len;
	struct link *l = bpf_map_lookup_elem(&late_links, &number);

	if (!l || l->ifindex != skb->ifindex || n < 28)
		return -1;
	if (l->kind == KIND_BARE) {
		st->type = 0;
		if (n > most)
			n = most;
		return load(skb, 0, st->ip, n) ? -1 : 0;
	}
	if (l->kind != KIND_ETHERNET || n < 14 + 28)
		return -1;
	n -= 12;
	if (n > most + 2)
		n = most + 2;
	return load(skb, 12, &st->type, n) ? -1 : 14;
}

/* What is common to IPv4 without options and IPv6 without extension headers; the ports, which follow a header of so many
   words. */
INLINE int read_plain(struct __sk_buff *skb, const struct start *st, struct key *k, struct facts *f)
{
	/* What has a tag in front of it has another EtherType there. */
	__u16 type = bpf_ntohs(st->type);
	const __u32 *h = st->ip;
	__u32 ports;

	if ((h[0] & bpf_htonl(0xff000000)) == bpf_htonl(0x45000000)) {
		if ((f->ip && type != 0x0800) || (h[1] & bpf_htonl(0x3fff)))
			return 0;
		k->type = 0x0800;
		k->version = 4;
		k->protocol = bpf_ntohl(h[2]) >> 16;
		k->src[0] = h[3];
		k->dst[0] = h[4];
		f->ip_bytes = bpf_ntohl(h[0]) & 0xffff;
		f->behind = f->ip + 20;
		ports = h[5];
	} else if ((h[0] & bpf_htonl(0xf0000000)) == bpf_htonl(0x60000000)) {
		if (f->ip && type != 0x86dd)
			return 0;
		k->type = 0x86dd;
		k->version = 6;
		k->protocol = bpf_ntohl(h[1]) >> 8;
		k->src[0] = (__u64)h[3] << 32 | h[2];
		k->src[1] = (__u64)h[5] << 32 | h[4];
		k->dst[0] = (__u64)h[7] << 32 | h[6];
		k->dst[1] = (__u64)h[9] << 32 | h[8];
		f->ip_bytes = 40 + (bpf_ntohl(h[1]) >> 16);
		f->behind = f->ip + 40;
		ports = h[10];
	} else {
		return 0;
	}
	k->sport = ports;
	k->dport = ports >> 16;
	k->ifindex = skb->ifindex;
	if (skb->pkt_type == 4)
		k->ifindex |= SENT;
	return f->ip + f->ip_bytes <= skb->len;
}

#endif
