/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Of keys, by which packets are added up: their hash, and whether two are the same.
 */
#ifndef SOCKETHOUND_HASH_H
#define SOCKETHOUND_HASH_H

#include "shared.h"

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

#endif
