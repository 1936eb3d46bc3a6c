/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What is kept of a socket, and how user space is told of it.
 */
#ifndef SOCKETHOUND_OWNED_H
#define SOCKETHOUND_OWNED_H

#include "kernel.h"

#define COMM 16
/* So much of a program's path is told, and of its arguments. */
#define PATH 128
#define ARGUMENTS 512
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

/* What a process's sockets sent and received: IP bytes, as the packets passed the socket. */
struct account {
	/* [0]: received, [1]: sent. */
	__u64 packets[2];
	__u64 bytes[2];
	/* Segments of TCP sent again. */
	__u64 retransmits;
	/* Datagrams that a socket did not take: its receive buffer had no room, mostly. */
	__u64 drops;
};

/* The same of one socket, since it was last added to its owner's total. */
struct passed {
	/* [0]: received, [1]: sent; packets and bytes in one word, so that each packet takes one addition. */
	__u64 ip[2];
	__u32 retransmits;
	__u32 drops;
};

/* Where packets are in that word: above 1 TiB. Before so many have passed that either might not fit, they are added up. */
#define PACKETS 40
#define MANY_PACKETS (1ULL << 20)

/* A process that has executed a number of programs, in a network namespace. */
struct whose {
	__u64 start;
	__u64 netns;
	__u32 pid;
	/* As of its owner. */
	__u32 exec;
};

struct total {
	struct owner owner;
	struct account account;
};

/*
 * What is kept of a socket. What each packet and each call wants comes first: the kernel puts it behind eight bytes of its
 * own at the beginning of a cache line.
 */
struct owned {
	/* The round in which it was last told of. */
	__u64 round;
	struct passed passed;
	/* Its address, for comparing, and the owner's number and programs, once it was told of and the owner uses it. */
	__u64 sk;
	__u32 pid;
	__u32 exec;
	/* How its owner is known: enum known. */
	__u8 known;
	/* SENDS_AT_ONCE, IS_RAW, SENDS_BY_CALLS */
	__u8 nature;
	/* IP version of `any`; 0 if there is none. */
	__u8 any_version;
	/* Others may be bound to the same port: SO_REUSEPORT. */
	__u8 shared;
	/* The own end that an unconnected socket was told with for any far end. */
	__u16 any_port;
	__u8 changes;
	__u8 ended;
	__u32 any[4];
	struct owner owner;
	/* The socket's own: a clone has its listener's until it is seen. */
	__u64 cookie;
	__u64 netns;
	__u64 changed;
	__u64 told[TOLD];
	/* A process that sends its packets without having it: it had let them wait. */
	__u32 stranger;
	__u32 next;
	/* Of what the kernel says that it has dropped, or sent again, how much is counted. */
	__u32 dropped;
	__u32 retransmitted;
};

/* Whoever sends a packet does so while it asks for it: not so with TCP, which may have to wait. */
#define SENDS_AT_ONCE 1
#define IS_RAW 2
/* Nothing but a call sends a packet of it: SCTP also does so by itself, while others close it. */
#define SENDS_BY_CALLS 4

enum known {
	/* It came from a listening socket, whose owner this is. */
	KNOWN_INHERITED = 0,
	/* The process made it, or has it among its files. */
	KNOWN_MADE = 1,
	/* The process was seen connecting, sending or receiving. */
	KNOWN_USED = 2,
};

enum kind {
	/* This socket has this five-tuple, and this owner; a remote end of zeros stands for any. */
	KIND_TUPLE = 1,
	/* This socket has another owner now. */
	KIND_OWNER = 2,
	/* No process has this socket any more. */
	KIND_END = 3,
	/* This process has executed another program: its path follows, ended by a zero, then its arguments, each ended by one. */
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
	char text[PATH + ARGUMENTS];
};

/* The smoothed round-trip time of a connection, in microseconds. */
struct rtt {
	struct whose whose;
	__u64 us;
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

/* What is told of a program, while it is put together: most are short. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct executed);
} executing SEC(".maps");

/* What was told of sockets with many destinations. Losing an entry only repeats an event. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u8);
} many SEC(".maps");

/*
 * Totals by process. A process beyond this number adds to the one whose key is zero, which is made beforehand: nothing is
 * ever thrown out here.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct whose);
	__type(value, struct total);
} totals SEC(".maps");

/* Events that found no room. The reader has it mapped. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

/* Rounds of telling so far: a snapshot ends one. */
static volatile __u64 rounds = 0;

/* Whether what sockets do is added up; set before the programs are loaded, so that it costs nothing where it is not. */
const volatile __u8 counting = 0;

/* Never 0. */
static __always_inline __u64 this_round(void)
{
	return rounds + 1;
}

static __always_inline void lose(void)
{
	__u32 zero = 0;
	__u64 *l = bpf_map_lookup_elem(&lost, &zero);

	if (l)
		__sync_fetch_and_add(l, 1);
}

/* Set by the reader, who has it mapped, to be woken by the next event; it reads by the clock while anything is told. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} wake SEC(".maps");

/* Wakes the reader if it wants that, once, or if the ring begins to fill. */
static __always_inline __u64 wakeup(void)
{
	__u32 zero = 0;
	__u64 *wanted = bpf_map_lookup_elem(&wake, &zero), size;

	if (wanted && *wanted) {
		*wanted = 0;
		return BPF_RB_FORCE_WAKEUP;
	}
	size = bpf_ringbuf_query(&events, BPF_RB_RING_SIZE);
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

static __always_inline __u8 nature_of(__u32 type, __u32 protocol)
{
	if (type == SOCK_RAW)
		return SENDS_AT_ONCE | IS_RAW;
	if (type == SOCK_DGRAM)
		return SENDS_AT_ONCE | SENDS_BY_CALLS;
	return protocol == IPPROTO_SCTP ? SENDS_AT_ONCE : 0;
}

static __always_inline int reuses_port(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD(&sk->__sk_common, skc_reuseport);
}

static __always_inline int gets_datagrams(__u32 type)
{
	return type == SOCK_DGRAM || type == SOCK_RAW;
}

/* The process that runs. Only for hooks in process context. */
static __always_inline void current(struct owner *o, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	o->start = leader->start_boottime;
	o->cgroup = task->cgroups->dfl_cgrp->kn->id;
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
	/* What its listener counted is its listener's. */
	__builtin_memset(&o->passed, 0, sizeof(o->passed));
	o->retransmitted = 0;
	o->cookie = cookie;
	o->known = KNOWN_INHERITED;
	o->changes = 0;
	o->ended = 0;
	o->round = 0;
	o->next = 0;
	o->any_version = 0;
	__builtin_memset(o->told, 0, sizeof(o->told));
}

#endif
