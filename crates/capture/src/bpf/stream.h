/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Data of TCP that goes on where the segment before ended: nobody reads it, and
 * all it says is where the next one begins, which is noted here.
 *
 * A stream is watched before it is counted. Its segments go into the ring, and
 * it is noted how far they have come; the reader, when it has had all that was
 * in the ring before the watch began, says how far it has come itself. From the
 * first segment on that goes on behind one that has come further than both, they
 * are counted. Its number is kept: by it the reader knows when it has had all
 * before, since no packet before that one has come as far.
 *
 * Whatever does not go on, what was lost or is sent again, goes into the ring,
 * and the stream is watched until something goes on again. The reader is told
 * of each pause, and what was counted before it, before it has that packet.
 *
 * Types and names are those of ring/late/streams.rs.
 */
#ifndef SOCKETHOUND_STREAM_H
#define SOCKETHOUND_STREAM_H

struct stream {
	/* Where the next segment begins; above, bits. Only changed as a whole. */
	__u64 state;
	/* Of the last segment that was counted; CLOCK_MONOTONIC. */
	__u64 last;
	/* The first one that was. */
	__u64 from;
	/* Written by the reader: how far it has come, and SAID. */
	__u64 least;
};

_Static_assert(sizeof(struct stream) == 32, "stream");

/* Some data has passed. */
#define SEEN (1ULL << 32)
/* The last data that passed ended where the next begins. */
#define CLEAN (1ULL << 33)
/* It is counted. */
#define LIVE (1ULL << 34)
#define STOPPED (1ULL << 35)
/* It has come further than the reader said. */
#define AHEAD (1ULL << 36)
/* Of `least`. */
#define SAID (1ULL << 32)

/* At the places of late_settled. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SETTLED);
	__type(key, __u32);
	__type(value, struct stream);
} late_streams SEC(".maps");

struct pause {
	/* Place of the stream, +1, and bits; 0 if it was not written yet, or has been read. */
	__u64 place;
	/* Sequence numbers of what was counted: of its first byte, and of the one behind it above 32 bits. */
	__u64 counted;
	__u64 last;
	__u64 unused;
};

/* Something was counted. */
#define COUNTED (1ULL << 32)
/* Nothing will be any more. */
#define OVER (1ULL << 33)

/* In a ring. When it is full, what was counted is not told: then the reader takes it for lost. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SETTLED);
	__type(key, __u32);
	__type(value, struct pause);
} late_pauses SEC(".maps");

/* What a segment says. */
struct segment {
	__u32 seq;
	/* Its data; not 0 where that is not known. */
	__u32 len;
	__u8 flags;
	__u8 is_known;
	/* It may be counted: its window is open, and there is room for it. */
	__u8 is_plain;
};

/* FIN, SYN, RST. */
#define CONTROL 0x07
/* Those, ACK and URG. */
#define KIND 0x37
/* How often two processors may get in each other's way. */
#define TRIES 3

INLINE void tell(struct state *s, __u32 place, __u64 was, __u32 from, __u64 last, __u64 bits)
{
	__u32 at = s->pauses & (SETTLED - 1);
	struct pause *p = bpf_map_lookup_elem(&late_pauses, &at);

	if (!p || *(volatile __u64 *)&p->place)
		return;
	at = __sync_fetch_and_add(&s->pauses, 1) & (SETTLED - 1);
	p = bpf_map_lookup_elem(&late_pauses, &at);
	if (!p)
		return;
	p->counted = was << 32 | from;
	p->last = last;
	*(volatile __u64 *)&p->place = ((__u64)place + 1) | (was & LIVE ? COUNTED : 0) | bits;
}

INLINE void stop(struct state *s, struct stream *t, __u32 place)
{
	__u64 was = __sync_fetch_and_or(&t->state, STOPPED);

	if (!(was & STOPPED))
		tell(s, place, was, t->from, t->last, OVER);
}

INLINE void stop_stream(struct state *s, __u32 place)
{
	struct stream *t = bpf_map_lookup_elem(&late_streams, &place);

	if (t)
		stop(s, t, place);
}

/* How a stream stands behind this data; with LIVE, if it is counted. */
INLINE __u64 behind(const struct stream *t, __u64 was, const struct segment *g)
{
	__u32 next = was, end = g->seq + g->len;
	__u64 least = *(volatile __u64 *)&t->least;
	/* Asked once: later, numbers may have gone round. */
	int is_ahead = was & AHEAD || (was & SEEN && least & SAID && (__s32)(next - (__u32)least) > 0);
	__u64 bits = SEEN | CLEAN | (is_ahead ? AHEAD : 0);

	if (is_ahead && was & CLEAN && g->seq == next && g->is_plain && (g->flags & KIND) == 0x10)
		return end | bits | LIVE;
	if (!(was & SEEN) || (__s32)(end - next) > 0)
		return end | bits;
	return was & ~(CLEAN | LIVE);
}

/* The stream in which a segment is counted that has data, and neither FIN, SYN nor RST; 0 if it is not. Whoever counts it says
   when. */
INLINE struct stream *goes_on(struct state *s, __u32 place, const struct segment *g)
{
	struct stream *t = bpf_map_lookup_elem(&late_streams, &place);

	if (!t || !g->len)
		return 0;
	for (int i = 0; i < TRIES; i++) {
		__u64 was = *(volatile __u64 *)&t->state, now;
		__u64 from = t->from, last = t->last;

		if (was & STOPPED)
			return 0;
		if (!g->is_known)
			break;
		now = behind(t, was, g);
		if (now & LIVE && !(was & LIVE))
			t->from = g->seq;
		if (__sync_val_compare_and_swap(&t->state, was, now) != was)
			continue;
		if (now & LIVE)
			return t;
		if (was & LIVE)
			tell(s, place, was, from, last, 0);
		return 0;
	}
	stop(s, t, place);
	return 0;
}

#endif
