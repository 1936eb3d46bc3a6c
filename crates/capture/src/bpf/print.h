/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a packet keeps on its way, by which it is known on another interface.
 */
#ifndef SOCKETHOUND_PRINT_H
#define SOCKETHOUND_PRINT_H

#include "headers.h"

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

#endif
