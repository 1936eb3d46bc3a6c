/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * When a packet is counted. To read the clock is the dearest single step of what
 * is done for a packet of a settled flow, since the processor waits until whatever
 * it had begun is over. So where a processor has many of them, one reading is
 * for several: never beyond the kernel's own tick, and only while those before
 * have come at such a pace.
 */
#ifndef SOCKETHOUND_CLOCK_H
#define SOCKETHOUND_CLOCK_H

#include "shared.h"

/* At most so many packets have one reading, while they come so many nanoseconds one after the other or less. */
#define TOGETHER 16
#define PACE 4000

struct clock {
	/* The last reading (CLOCK_MONOTONIC), and its tick. */
	__u64 now;
	__u64 tick;
	/* For how many packets that is, and how many of them are still to come. */
	__u32 together;
	__u32 left;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct clock);
} late_clock SEC(".maps");

INLINE __u64 now_of(struct clock *c)
{
	__u64 tick = bpf_jiffies64(), now;

	if (c->left && c->tick == tick) {
		c->left--;
		return c->now;
	}
	now = bpf_ktime_get_ns();
	if (now - c->now >= c->together * PACE)
		c->together = 1;
	else if (c->together < TOGETHER)
		c->together *= 2;
	c->now = now;
	c->tick = tick;
	c->left = c->together - 1;
	return now;
}

INLINE __u64 packet_time(void)
{
	__u32 zero = 0;
	struct clock *c = bpf_map_lookup_elem(&late_clock, &zero);

	return c ? now_of(c) : bpf_ktime_get_ns();
}

#endif
