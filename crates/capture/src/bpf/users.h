/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Who uses a socket: the last process that was seen to is its owner.
 */
#ifndef SOCKETHOUND_USERS_H
#define SOCKETHOUND_USERS_H

#include "told.h"

static __always_inline int is_owner(const struct owned *o, struct task_struct *task)
{
	return o->owner.pid == (__u32)task->tgid && o->owner.exec == (__u32)task->self_exec_id;
}

/* Whether it was seen using the socket. */
static __always_inline int is_user(const struct owned *o, struct task_struct *task)
{
	return o->known == KNOWN_USED && is_owner(o, task);
}

/* Whether the process, which uses the socket, is to become its owner now. */
static __always_inline int is_next(struct owned *o, struct task_struct *task)
{
	__u64 now;

	if (is_user(o, task) || task->flags & PF_KTHREAD)
		return 0;
	if (o->changes < CHANGES) {
		o->changes++;
		return 1;
	}
	/* Many processes share it, and take turns. */
	now = bpf_ktime_get_ns();
	if (now - o->changed < CHANGE_AFTER)
		return 0;
	o->changed = now;
	return 1;
}

static __always_inline void take(struct owned *o, struct task_struct *task)
{
	int same = is_owner(o, task);
	__u8 before = o->known;

	if (!same) {
		add_up(o);
		o->sk = 0;
		current(&o->owner, task);
	}
	o->known = KNOWN_USED;
	/* Nobody was told of the old owner where no five-tuple was told. */
	if (o->told[0] && (!same || before == KNOWN_INHERITED))
		tell_owner(o);
}

/* The current process uses the socket: from now on it is its owner. */
static __always_inline void use(struct owned *o, struct task_struct *task)
{
	if (is_next(o, task))
		take(o, task);
}

/* ---- seen at a packet ---- */

/* So many files of a process are looked at. */
#define FILES 512

/* Whether a process has a socket among its files; of one that has very many, so it is taken to be. */
static __always_inline int has(struct task_struct *task, const struct owned *o)
{
	const struct sock *sk = (const void *)o->sk;
	struct fdtable *fdt = task->files->fdt;
	struct file *sought = BPF_CORE_READ(sk, sk_socket, file), *file;
	__u32 files = fdt->max_fds;
	struct file **fd = fdt->fd;

	/* No process has it any more. */
	if (!sought)
		return 0;
	for (__u32 i = 0; i < FILES; i++) {
		if (i >= files)
			return 0;
		if (!bpf_probe_read_kernel(&file, sizeof(file), fd + i) && file == sought)
			return 1;
	}
	return 1;
}

/*
 * Somebody else than its user sends a packet, or so it seems: whoever lets one go on that had waited for a verdict (NFQUEUE), or
 * is interrupted by what sends one, does not have the socket.
 */
static __always_inline void sends_first(struct owned *o)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (o->stranger == (__u32)task->tgid)
		return;
	if (!is_user(o, task)) {
		if (!is_next(o, task))
			return;
		if (!is_owner(o, task) && !has(task, o)) {
			o->stranger = task->tgid;
			return;
		}
		take(o, task);
	}
	o->pid = o->owner.pid;
	o->exec = o->owner.exec;
}

/* Whoever sends a packet at once is the socket's owner from now on. */
static __always_inline void sender(struct owned *o, struct bpf_sock *sk)
{
	struct task_struct *task;

	if (!(o->nature & SENDS_AT_ONCE))
		return;
	task = bpf_get_current_task_btf();
	/* Nearly always: whoever used it last uses it again. */
	if (o->pid == (__u32)task->tgid && o->exec == (__u32)task->self_exec_id)
		return;
	o->sk = (__u64)sk;
	sends_first(o);
}

#endif
