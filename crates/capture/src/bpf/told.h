/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Telling of sockets: each five-tuple once, owners when they change, ends.
 */
#ifndef SOCKETHOUND_TOLD_H
#define SOCKETHOUND_TOLD_H

#include "ends.h"

/* Whether `o` was told with this fingerprint before; from now on it was. */
static __always_inline int was_told(struct owned *o, __u64 f)
{
	__u64 key;
	__u8 one = 1;

	if (o->told[0] == f || o->told[1] == f || o->told[2] == f || o->told[3] == f)
		return 1;
	if (o->next < TOLD) {
		o->told[o->next & (TOLD - 1)] = f;
		o->next++;
		return 0;
	}
	key = mix(f, o->cookie);
	if (bpf_map_lookup_elem(&many, &key))
		return 1;
	bpf_map_update_elem(&many, &key, &one, BPF_ANY);
	o->told[o->next & (TOLD - 1)] = f;
	o->next = TOLD + ((o->next + 1) & (TOLD - 1));
	return 0;
}

static __always_inline void tell(struct owned *o, const struct ends *ends)
{
	struct event *e;

	o->round = this_round();
	if (was_told(o, fingerprint(ends)))
		return;
	e = begin(KIND_TUPLE, o);
	/* What is lost is told again in the round that the next snapshot begins. */
	if (!e)
		return;
	e->protocol = ends->protocol;
	e->version = ends->version;
	e->local_port = ends->local_port;
	e->remote_port = ends->remote_port;
	__builtin_memcpy(e->local, ends->local, 16);
	__builtin_memcpy(e->remote, ends->remote, 16);
	bpf_ringbuf_submit(e, wakeup());
}

static __always_inline void tell_owner(struct owned *o)
{
	struct event *e = begin(KIND_OWNER, o);

	if (e)
		bpf_ringbuf_submit(e, wakeup());
}

static __always_inline void tell_end(struct owned *o)
{
	struct event *e;

	add_up(o);
	/* What was never told of needs no end. */
	if (o->ended || !o->told[0])
		return;
	o->ended = 1;
	e = begin(KIND_END, o);
	if (e)
		bpf_ringbuf_submit(e, wakeup());
}

#endif
