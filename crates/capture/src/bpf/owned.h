/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What is kept of a socket, and how user space is told of it.
 */
#ifndef SOCKETHOUND_OWNED_H
#define SOCKETHOUND_OWNED_H

#include "kernel.h"

#define COMM 16
#define PATH 128
/* Fingerprints of five-tuples that a socket was last told with. */
#define TOLD 4
/* So often an owner may change at once; further changes wait (nanoseconds) for one another. */
#define CHANGES 4
#define CHANGE_AFTER 100000000ULL

/* A process, as it was when it used the socket. All zero: not known. */
struct owner {
	/* Nanoseconds after boot at which it started; 0 if not known. */
	__u64 start;
	/* Id of its cgroup (version 2). */
	__u64 cgroup;
	__u32 pid;
	__u32 parent;
	__u32 uid;
	/* Counts the programs that it and its ancestors have executed. */
	__u32 exec;
	char comm[COMM];
};

/* What is kept of a socket. */
struct owned {
	struct owner owner;
	/* The socket's own: a clone has its listener's until it is seen. */
	__u64 cookie;
	__u64 netns;
	__u64 changed;
	__u64 told[TOLD];
	__u32 next;
	/* How its owner is known: enum known. */
	__u8 known;
	__u8 changes;
	__u8 ended;
	__u8 pad;
};

enum known {
	/* It came from a listening socket, whose owner this is. */
	KNOWN_INHERITED = 0,
	/* The process made it, or has it among its files. */
	KNOWN_MADE = 1,
	/* The process was seen connecting, sending or receiving. */
	KNOWN_USED = 2,
};

enum kind {
	/* This socket has this five-tuple, and this owner. */
	KIND_TUPLE = 1,
	/* This socket has another owner now. */
	KIND_OWNER = 2,
	/* No process has this socket any more. */
	KIND_END = 3,
	/* This process has executed another program: its path follows. */
	KIND_EXEC = 4,
	/* A socket that was there: as KIND_TUPLE, the remote end being zero if it has none. */
	KIND_THERE = 5,
};

struct event {
	__u32 kind;
	/* IP protocol, and version 4 or 6. */
	__u8 protocol;
	__u8 version;
	/* Host byte order. For ICMP echoes, local is the identifier. */
	__u16 local_port;
	__u16 remote_port;
	/* enum known */
	__u16 known;
	/* Inode of the network namespace, where that was read. */
	__u32 inode;
	__u64 at;
	__u64 cookie;
	__u64 netns;
	struct owner owner;
	/* Network byte order; IPv4 in the first four bytes. */
	__u8 local[16];
	__u8 remote[16];
};

_Static_assert(sizeof(struct event) == 120, "whoever reads it knows its size");

struct executed {
	struct event event;
	char path[PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct owned);
} owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/* What was told of sockets with many destinations. Losing an entry only repeats an event. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u8);
} many SEC(".maps");

/* [0]: events that found no room. [1]: the round of telling, which a snapshot ends. */
enum { STATE_LOST, STATE_ROUND, STATES };
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[STATES]);
} state SEC(".maps");

static __always_inline __u64 *states(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&state, &zero);
}

static __always_inline void lose(void)
{
	__u64 *s = states();

	if (s)
		__sync_fetch_and_add(&s[STATE_LOST], 1);
}

/* Nobody is woken for an event, unless the ring begins to fill. */
static __always_inline __u64 wakeup(void)
{
	__u64 size = bpf_ringbuf_query(&events, BPF_RB_RING_SIZE);

	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > size / 4 ? BPF_RB_FORCE_WAKEUP
									  : BPF_RB_NO_WAKEUP;
}

static __always_inline struct event *begin(__u32 kind, const struct owned *o)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		lose();
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->at = bpf_ktime_get_boot_ns();
	e->cookie = o->cookie;
	e->netns = o->netns;
	e->owner = o->owner;
	e->known = o->known;
	return e;
}

/* The process that runs. Only for hooks in process context. */
static __always_inline void current(struct owner *o, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	o->start = leader->start_boottime;
	o->pid = task->tgid;
	o->parent = leader->real_parent->tgid;
	o->uid = task->cred->euid.val;
	o->exec = task->self_exec_id;
	__builtin_memcpy(o->comm, leader->comm, COMM);
}

/* A clone begins anew, with its listener's owner. */
static __always_inline void settle(struct owned *o, __u64 cookie)
{
	if (o->cookie == cookie)
		return;
	o->cookie = cookie;
	o->known = KNOWN_INHERITED;
	o->changes = 0;
	o->ended = 0;
	o->next = 0;
	__builtin_memset(o->told, 0, sizeof(o->told));
}

#endif
