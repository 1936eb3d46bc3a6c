/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the programs share with the reader, who has it mapped; and what they call.
 *
 * Types and names are those of ring/late/memory.rs and ring/late/entry.rs.
 */
#ifndef SOCKETHOUND_SHARED_H
#define SOCKETHOUND_SHARED_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define INLINE static __always_inline
#define LINKS 4096
#define RESTS 256
#define SAMPLE 128
#define PRINTS 4

/* What packets begin with, by ARPHRD_* (<linux/if_arp.h>), as ring/link.rs has it. */
#define KIND_ETHERNET 1
#define KIND_BARE 2

/* What is known of an interface: at its number modulo LINKS. */
struct link {
	__u32 ifindex;
	__u16 hatype;
	__u8 taken;
	__u8 kind;
};

/* Packets of an interface that found no place among the counts. */
struct rest {
	__u64 ifindex;
	__u64 packets;
	__u64 bytes;
};

struct state {
	/* Written for every packet that the ring takes. */
	__u64 position;
	__u64 tick;
	__u64 unused[6];
	/* Written by the reader. */
	__u64 limit;
	__u64 generation;
	__u64 seed;
	/* Of one generation: how many there are, and the size of the index less 1. */
	__u64 entries;
	__u64 mask;
	/* Flows that are settled, and how often their counts were taken. */
	__u64 settled;
	__u64 epoch;
	/* Of how many of them data is counted. */
	__u64 streams;
	/* Written for every packet that is counted. */
	__u64 packets;
	__u64 bytes;
	/* Pauses of streams that were told of, since the beginning. */
	__u64 pauses;
	__u64 spare[5];
	/* Written by the reader: the first bytes, by bit, of payloads that somebody may read also in a settled flow. */
	__u64 read[4];
	__u64 rest[4];
};

/* How far a generation is used. */
struct generation {
	/* Programs that use it now. */
	__u64 users;
	/* Entries that were begun, and those that found no place. */
	__u64 used;
	__u64 unused[6];
};

/* Whose packets are added up. */
struct key {
	__u64 src[2];
	__u64 dst[2];
	__u32 ifindex;
	/* Of fragments their identification, else 0. */
	__u32 fragment;
	__u16 sport;
	__u16 dport;
	/* The EtherType, as far as it is known. */
	__u16 type;
	__u8 protocol;
	/* 4 or 6; 0 where no IP header was read: then only the EtherType and the interface are here. */
	__u8 version;
};

#define FIRST_FRAGMENT 1
#define LATER_FRAGMENT 2

struct entry {
	struct key key;
	__u64 packets;
	__u64 ip_bytes;
	__u64 bytes;
	/* CLOCK_MONOTONIC. */
	__u64 first;
	__u64 last;
	/* Packets that become of these where the interface splits them, beyond their own number. */
	__u64 split;
	/* Of the first packet. */
	__u32 wire_len;
	__u16 captured;
	__u16 vlan_tci;
	__u8 vlan_present;
	__u8 pkt_type;
	/* Of all packets. */
	__u8 tcp_flags;
	__u8 fragment;
	__u32 slot;
	/* What the second to fourth packet keep on their way; the first one's is told by its sample. */
	__u32 prints[PRINTS];
	__u8 sample[SAMPLE];
};

_Static_assert(sizeof(struct key) == 48, "key");
_Static_assert(sizeof(struct entry) == 256, "entry");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} late_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct generation);
} late_generations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LINKS);
	__type(key, __u32);
	__type(value, struct link);
} late_links SEC(".maps");

/* Of each generation: number + 1 of an entry, above 32 bits of its hash; 0 for none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} late_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct entry);
} late_entries SEC(".maps");

/* The first one is of all interfaces that found none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RESTS + 1);
	__type(key, __u32);
	__type(value, struct rest);
} late_rests SEC(".maps");

/* For tail calls: what counts, and the ring's filter. */
#define CALL_COUNT 0
#define CALL_FILTER 1
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} late_calls SEC(".maps");

#endif
