/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Sockets whose next packet is nearly certain to say nothing new: connected, told of, sending for the process that owns them. What
 * is kept of a socket is three cache misses away, each behind the one before; here it is one, and two sockets share a line. A packet
 * for which not all holds goes the long way, and so does a socket whose place another one has.
 */
#ifndef SOCKETHOUND_SENDERS_H
#define SOCKETHOUND_SENDERS_H

#include "owned.h"

/* Places: the kernel numbers sockets one after the other. */
#define SENDERS (1 << 15)

struct sender {
	/* 0: nobody's. */
	__u64 cookie;
	/* As of its socket; other than the present round, nothing is certain. */
	__u64 round;
	/* Packets and bytes that it sent besides those of its socket, as there. */
	__u64 sent;
	__u32 pid;
	__u32 exec;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SENDERS);
	__type(key, __u32);
	__type(value, struct sender);
} senders SEC(".maps");

static __always_inline struct sender *place_of(__u64 cookie)
{
	__u32 at = cookie & (SENDERS - 1);

	return bpf_map_lookup_elem(&senders, &at);
}

/* The place that is this socket's, if it has one. */
static __always_inline struct sender *sender_of(const struct owned *o)
{
	struct sender *s = o->nature & SENDS_BY_CALLS ? place_of(o->cookie) : 0;

	return s && s->cookie == o->cookie ? s : 0;
}

/* Counts a packet of a connected socket, if nothing else is to be done for it. */
static __always_inline int sends_again(struct __sk_buff *skb)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct sender *s = place_of(cookie);

	if (!s || s->cookie != cookie || s->round != this_round() || s->pid != (__u32)task->tgid ||
	    s->exec != (__u32)task->self_exec_id || s->sent >> PACKETS >= MANY_PACKETS)
		return 0;
	__sync_fetch_and_add(&s->sent, (1ULL << PACKETS) + skb->len);
	return 1;
}

/* Adds what was counted here to what is kept of the socket. */
static __always_inline void take_sent(struct owned *o)
{
	struct sender *s = sender_of(o);

	if (s && s->sent)
		__sync_fetch_and_add(&o->passed.ip[1], __sync_lock_test_and_set(&s->sent, 0));
}

/* From now on its packets go the long way. */
static __always_inline void doubt_sender(const struct owned *o)
{
	struct sender *s = sender_of(o);

	if (s)
		__sync_lock_test_and_set(&s->round, 0);
}

/* The place is another's from now on: what was counted there has been taken. */
static __always_inline void leave_place(struct owned *o)
{
	struct sender *s = sender_of(o);

	if (!s)
		return;
	__sync_lock_test_and_set(&s->round, 0);
	take_sent(o);
	__sync_lock_test_and_set(&s->cookie, 0);
}

/* A packet of it said nothing new, nor will the next. */
static __always_inline void keep_sender(const struct owned *o)
{
	struct sender *s;

	if (!(o->nature & SENDS_BY_CALLS) || !o->pid || o->ended)
		return;
	s = place_of(o->cookie);
	if (!s || (s->cookie != o->cookie && __sync_val_compare_and_swap(&s->cookie, 0, o->cookie)))
		return;
	s->pid = o->pid;
	s->exec = o->exec;
	s->round = o->round;
}

#endif
