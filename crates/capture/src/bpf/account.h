/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What sockets do, added up by process.
 */
#ifndef SOCKETHOUND_ACCOUNT_H
#define SOCKETHOUND_ACCOUNT_H

#include "senders.h"

static __always_inline void add(struct account *to, struct passed *from)
{
	__u64 ip;
	int i;

	for (i = 0; i < 2; i++) {
		if (!from->ip[i])
			continue;
		ip = __sync_lock_test_and_set(&from->ip[i], 0);
		__sync_fetch_and_add(&to->packets[i], ip >> PACKETS);
		__sync_fetch_and_add(&to->bytes[i], ip & ((1ULL << PACKETS) - 1));
	}
	if (from->retransmits)
		__sync_fetch_and_add(&to->retransmits, __sync_lock_test_and_set(&from->retransmits, 0));
	if (from->drops)
		__sync_fetch_and_add(&to->drops, __sync_lock_test_and_set(&from->drops, 0));
}

static __always_inline struct whose whose(const struct owned *o)
{
	struct whose w = { .start = o->owner.start, .netns = o->netns, .pid = o->owner.pid, .exec = o->owner.exec };

	return w;
}

static __always_inline int did_something(const struct passed *p)
{
	return (p->ip[0] | p->ip[1] | p->retransmits | p->drops) != 0;
}

/* Adds what a socket did to its owner's total. */
static __always_inline void add_up(struct owned *o)
{
	struct whose key = whose(o);
	struct total *t, none = {};

	if (!counting)
		return;
	take_sent(o);
	if (!did_something(&o->passed))
		return;
	t = bpf_map_lookup_elem(&totals, &key);
	if (!t) {
		none.owner = o->owner;
		bpf_map_update_elem(&totals, &key, &none, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&totals, &key);
	}
	if (!t) {
		__builtin_memset(&key, 0, sizeof(key));
		t = bpf_map_lookup_elem(&totals, &key);
	}
	if (t)
		add(&t->account, &o->passed);
}

/* What the kernel counts as dropped at a socket that gets datagrams; `sk` may be any pointer to it. */
static __always_inline __u32 drops_of(const void *sk)
{
	const struct sock *s = sk;
	const struct numa_drop_counters *more;
	__u32 drops = BPF_CORE_READ(s, sk_drops.counter);

	if (bpf_core_field_exists(s->sk_drop_counters)) {
		more = BPF_CORE_READ(s, sk_drop_counters);
		if (more)
			drops += BPF_CORE_READ(more, drops0.counter) + BPF_CORE_READ(more, drops1.counter);
	}
	return drops;
}

/* Counts what was dropped since it was last called. A hook where it happens would run for each packet of whoever reads too
   slowly, and cost a third of what counting packets does. */
static __always_inline void count_drops(struct owned *o, const void *sk)
{
	__u32 before = *(volatile __u32 *)&o->dropped, now = drops_of(sk);

	if (now != before && __sync_val_compare_and_swap(&o->dropped, before, now) == before)
		__sync_fetch_and_add(&o->passed.drops, now - before);
}

/* The same of segments that were sent again: what could not be sent is not among them. A socket that connects anew begins at 0. */
static __always_inline void count_retransmits(struct owned *o, const void *sk)
{
	const struct tcp_sock *tcp = sk;
	__u32 before = *(volatile __u32 *)&o->retransmitted, now = BPF_CORE_READ(tcp, total_retrans);

	if (now != before && __sync_val_compare_and_swap(&o->retransmitted, before, now) == before)
		__sync_fetch_and_add(&o->passed.retransmits, now > before ? now - before : now);
}

/* Counts a packet. */
static __always_inline void count(struct owned *o, int sent, __u32 length)
{
	__u64 before = __sync_fetch_and_add(&o->passed.ip[sent], (1ULL << PACKETS) + length);

	if (before >> PACKETS >= MANY_PACKETS)
		add_up(o);
}

/* A packet of a connected socket has said nothing new. */
static __always_inline void keeps_sending(struct owned *o)
{
	struct sender *s = sender_of(o);

	if (s && s->sent >> PACKETS >= MANY_PACKETS)
		add_up(o);
	keep_sender(o);
}

/* Begins with a socket that may be older: what it had dropped and sent again before is no account of ours. */
static __always_inline void begin_older(struct owned *o, struct sock *sk, __u64 cookie)
{
	const struct tcp_sock *tcp = (const void *)sk;

	settle(o, cookie);
	o->dropped = drops_of(sk);
	if (sk->sk_protocol == IPPROTO_TCP)
		o->retransmitted = BPF_CORE_READ(tcp, total_retrans);
}

#endif
