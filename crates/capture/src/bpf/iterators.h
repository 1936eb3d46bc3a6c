/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What user space asks for: the sockets that processes have, and what all of them
 * have counted.
 */
#ifndef SOCKETHOUND_ITERATORS_H
#define SOCKETHOUND_ITERATORS_H

#include "users.h"

/* ---- what was there before ---- */

/* Of several holders, until one uses it: who made it, whose cgroup is known; else the one that began first but init. */
static __always_inline int holds_better(const struct owned *o, struct task_struct *task)
{
	if (!o->owner.pid)
		return 1;
	if (o->owner.cgroup || task->tgid == 1)
		return 0;
	return o->owner.pid == 1 || task->group_leader->start_boottime < o->owner.start;
}

SEC("iter/task_file")
int there(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct ends ends = {};
	struct event e = {};
	struct socket *socket;
	struct owned *o;
	struct sock *sk;

	if (ctx->meta->seq_num == 0)
		__sync_fetch_and_add(&rounds, 1);
	if (!task || !file || task->pid != task->tgid)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || !is_inet(sk))
		return 0;
	o = bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o)
		return 0;
	if (!o->cookie)
		begin_older(o, sk, bpf_get_socket_cookie(sk));
	else
		settle(o, bpf_get_socket_cookie(sk));
	o->netns = sk->__sk_common.skc_net.net->net_cookie;
	o->nature = nature_of(sk->sk_type, sk->sk_protocol);
	o->shared = reuses_port(sk);
	o->any_version = 0;
	if (o->known != KNOWN_USED && holds_better(o, task)) {
		current(&o->owner, task);
		o->owner.cgroup = 0;
		o->known = KNOWN_MADE;
	}
	connected(sk, &ends);
	e.kind = KIND_THERE;
	e.protocol = ends.protocol;
	e.version = ends.version;
	e.local_port = ends.local_port;
	e.remote_port = ends.remote_port;
	e.known = o->known;
	e.inode = sk->__sk_common.skc_net.net->ns.inum;
	e.at = bpf_ktime_get_boot_ns();
	e.cookie = o->cookie;
	e.netns = o->netns;
	e.owner = o->owner;
	__builtin_memcpy(e.local, ends.local, 16);
	__builtin_memcpy(e.remote, ends.remote, 16);
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

/* ---- totals ---- */

/* Adds up what open sockets did since the last time; of those that did anything, tells the round-trip time. */
SEC("iter/bpf_sk_storage_map")
int open_sockets(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct owned *o = ctx->value;
	struct sock *sk = ctx->sk;
	struct tcp_sock *tcp;
	struct rtt r = {};

	if (!sk || !o)
		return 0;
	take_sent(o);
	/* Of many sockets nearly all are idle: these cost no more than to look here. */
	if (!did_something(&o->passed))
		return 0;
	/* What is dropped was received before. */
	if (o->passed.ip[0] && gets_datagrams(sk->sk_type))
		count_drops(o, sk);
	tcp = sk->sk_protocol == IPPROTO_TCP ? bpf_skc_to_tcp_sock(sk) : 0;
	if (tcp && tcp->srtt_us) {
		r.whose = whose(o);
		/* The kernel keeps it in eighths. */
		r.us = tcp->srtt_us >> 3;
		/* Where there is no room, this socket is shown again in the next piece: until then nothing of it is added up. */
		if (bpf_seq_write(ctx->meta->seq, &r, sizeof(r)))
			return 0;
	}
	add_up(o);
	return 0;
}

SEC("iter/bpf_map_elem")
int each_total(struct bpf_iter__bpf_map_elem *ctx)
{
	struct whose *key = ctx->key;
	struct total *value = ctx->value;
	struct {
		struct whose whose;
		struct total total;
	} r;

	if (!key || !value)
		return 0;
	r.whose = *key;
	r.total = *value;
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

#endif
