// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Who owns which socket, and which five-tuples it has. Each program loads by
// itself; where one is refused, the others tell less, but nothing wrong.
//
// What may run in softIRQ never takes the current task for a socket's user unless
// it has the socket: it is somebody else's turn that is used.
#include "ends.h"
#include "iterators.h"
#include "told.h"
#include "users.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* ---- made, connected, closed: in the process that does it ---- */

/*
 * Each program of this kind exists twice: `plain` is for where CAP_PERFMON is missing, so that tasks may not be read; of the
 * process it knows the number and the user, and the rest is in /proc.
 */
static __always_inline void uses(struct owned *o, int plain, __u8 known)
{
	__u32 pid;

	if (!plain) {
		use(o, bpf_get_current_task_btf());
		return;
	}
	pid = bpf_get_current_pid_tgid() >> 32;
	if (o->known == KNOWN_USED && o->owner.pid == pid)
		return;
	if (o->owner.pid != pid) {
		add_up(o);
		__builtin_memset(&o->owner, 0, sizeof(o->owner));
	}
	o->owner.pid = pid;
	o->owner.uid = bpf_get_current_uid_gid();
	o->known = known;
}

static __always_inline int makes(struct bpf_sock *sk, int plain)
{
	struct owned *o = bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!o)
		return 1;
	o->cookie = bpf_get_socket_cookie(sk);
	o->netns = bpf_get_netns_cookie(sk);
	o->nature = nature_of(sk->type, sk->protocol);
	if (plain) {
		uses(o, plain, KNOWN_MADE);
		return 1;
	}
	o->known = KNOWN_MADE;
	current(&o->owner, bpf_get_current_task_btf());
	return 1;
}

static __always_inline int releases(struct bpf_sock *sk, int plain)
{
	struct owned *o = bpf_sk_storage_get(&owners, sk, 0, 0);

	if (!o)
		return 1;
	settle(o, bpf_get_socket_cookie(sk));
	if (counting && !plain && gets_datagrams(sk->type))
		count_drops(o, sk);
	/* Who closes what nobody has used had accepted it. */
	if (o->known == KNOWN_INHERITED)
		uses(o, plain, KNOWN_USED);
	leave_place(o);
	tell_end(o);
	return 1;
}

static __always_inline int connects(struct bpf_sock_addr *ctx, int plain)
{
	struct bpf_sock *sk = ctx->sk;
	struct owned *o;

	if (!sk)
		return 1;
	o = bpf_sk_storage_get(&owners, sk, 0, 0);
	if (!o)
		return 1;
	uses(o, plain, KNOWN_USED);
	o->round = 0;
	doubt_sender(o);
	return 1;
}

/* A program, and its like for where CAP_PERFMON is missing. */
#define BOTH(section, name, context, does)                                                                             \
	SEC(section)                                                                                                   \
	int name(context *ctx)                                                                                         \
	{                                                                                                              \
		return does(ctx, 0);                                                                                   \
	}                                                                                                              \
                                                                                                                       \
	SEC(section)                                                                                                   \
	int name##_plain(context *ctx)                                                                                 \
	{                                                                                                              \
		return does(ctx, 1);                                                                                   \
	}

BOTH("cgroup/sock_create", sock_create, struct bpf_sock, makes)
BOTH("cgroup/sock_release", sock_release, struct bpf_sock, releases)
BOTH("cgroup/connect4", connect4, struct bpf_sock_addr, connects)
BOTH("cgroup/connect6", connect6, struct bpf_sock_addr, connects)

/* ---- packets: also in softIRQ ---- */

/* Whether a packet has the own address that its socket was told with for any far end. */
static __always_inline int is_own(struct __sk_buff *skb, const struct owned *o, int sent)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const __u32 *own;

	if (data + 40 <= end && o->any_version == 6 && skb->protocol == bpf_htons(ETH_P_IPV6)) {
		own = (const __u32 *)(data + (sent ? 8 : 24));
		return own[0] == o->any[0] && own[1] == o->any[1] && own[2] == o->any[2] && own[3] == o->any[3];
	}
	if (data + 20 <= end && o->any_version == 4 && skb->protocol == bpf_htons(ETH_P_IP)) {
		own = (const __u32 *)(data + (sent ? 12 : 16));
		return own[0] == o->any[0];
	}
	return 0;
}

static __always_inline int packet(struct __sk_buff *skb, int sent, int plain)
{
	struct bpf_sock *sk = skb->sk;
	struct ends ends = {};
	struct owned *o;
	int told;

	if (!sk)
		return 1;
	if (sent && !plain && counting && sk->dst_port && sends_again(skb))
		return 1;
	o = bpf_sk_storage_get(&owners, sk, 0, 0);
	if (!o)
		return 1;
	told = o->round == this_round();
	if (!told)
		settle(o, bpf_get_socket_cookie(skb));
	if (sent && !plain)
		sender(o, sk);
	/* Without CAP_PERFMON nobody could read it. */
	if (counting && !plain)
		count(o, sent, skb->len);
	/* The five-tuple of a connected socket stays what it is until it is connected again. */
	if (told && sk->dst_port && !(o->nature & IS_RAW)) {
		if (sent && !plain && counting)
			keeps_sending(o);
		return 1;
	}
	if (told && !plain && !sk->dst_port && !(o->nature & IS_RAW) && o->any_port == sk->src_port && is_own(skb, o, sent))
		return 1;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 1;
	/* Known by now. Without this, clang 14 spills registers in a way that is only allowed with CAP_PERFMON. */
	o->nature = nature_of(sk->type, sk->protocol);
	/* What is being accepted has a socket of its own soon. */
	if (sk->protocol == IPPROTO_TCP && sk->state == TCP_LISTEN)
		return 1;
	/* Every raw socket gets every message: that says nothing of whose it is. */
	if (!sent && sk->type == SOCK_RAW && (sk->protocol == IPPROTO_ICMP || sk->protocol == IPPROTO_ICMPV6))
		return 1;
	if (!(plain ? dissect_plain(skb, &ends, sent) : dissect(skb, &ends, sent)))
		return 1;
	/* Whatever passes an unconnected socket's own end is its: to tell each far end would say no more. */
	if (!sk->dst_port && !o->shared && !(o->nature & IS_RAW) && (ends.protocol == IPPROTO_UDP || ends.protocol == IPPROTO_UDPLITE)) {
		ends.remote_port = 0;
		__builtin_memset(ends.remote, 0, sizeof(ends.remote));
		__builtin_memcpy(o->any, ends.local, sizeof(o->any));
		o->any_port = ends.local_port;
		o->any_version = ends.version;
	}
	tell(o, &ends);
	return 1;
}

static __always_inline int sends(struct __sk_buff *skb, int plain)
{
	return packet(skb, 1, plain);
}

static __always_inline int receives(struct __sk_buff *skb, int plain)
{
	return packet(skb, 0, plain);
}

BOTH("cgroup_skb/egress", sent, struct __sk_buff, sends)
BOTH("cgroup_skb/ingress", received, struct __sk_buff, receives)

/* ---- first use, in the process that sends or receives ---- */

/* What is kept of a socket that a process has; begun here where it is older than us, or sock_create tells nothing. */
static __always_inline struct owned *of_file(struct sock *sk)
{
	struct owned *o = bpf_sk_storage_get(&owners, sk, 0, 0);
	struct socket *socket;

	if (!o) {
		/* The kernel's own have no file. */
		socket = sk->sk_socket;
		if (!socket || !socket->file)
			return 0;
		o = bpf_sk_storage_get(&owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (!o)
			return 0;
		o->netns = sk->__sk_common.skc_net.net->net_cookie;
		o->nature = nature_of(sk->sk_type, sk->sk_protocol);
		begin_older(o, sk, bpf_get_socket_cookie(sk));
		return o;
	}
	settle(o, bpf_get_socket_cookie(sk));
	return o;
}

static __always_inline int io(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ends ends = {};
	struct owned *o;

	if (!sk || !is_inet(sk))
		return 0;
	o = bpf_sk_storage_get(&owners, sk, 0, 0);
	/* Nearly always: whoever used it last uses it again. A clone has another address than its listener. */
	if (o && o->sk == (__u64)sk && o->pid == (__u32)task->tgid && o->exec == (__u32)task->self_exec_id)
		return 0;
	o = of_file(sk);
	if (!o)
		return 0;
	if (counting && gets_datagrams(sk->sk_type))
		count_drops(o, sk);
	use(o, task);
	if (o->told[0] && is_user(o, task)) {
		o->pid = o->owner.pid;
		o->exec = o->owner.exec;
		o->sk = (__u64)sk;
	}
	if (!o->shared && reuses_port(sk)) {
		o->shared = 1;
		o->any_version = 0;
	}
	if (!o->told[0] && connected(sk, &ends))
		tell(o, &ends);
	return 0;
}

/* Where no packet tells who sends it: `sent` is not there, or the next one. */
SEC("tp_btf/sock_send_length")
int sock_send_length(__u64 *ctx)
{
	return io((struct sock *)ctx[0]);
}

/* Where they do, but for those of TCP. Linux 6.16. */
SEC("tp_btf/tcp_sendmsg_locked")
int tcp_sendmsg_locked(__u64 *ctx)
{
	return io((struct sock *)ctx[0]);
}

SEC("tp_btf/sock_recv_length")
int sock_recv_length(__u64 *ctx)
{
	return io((struct sock *)ctx[0]);
}

/* ---- states of TCP: also in softIRQ ---- */

SEC("tp_btf/inet_sock_set_state")
int inet_sock_set_state(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	int new = ctx[2];
	struct ends ends = {};
	struct owned *o;

	if (!is_inet(sk))
		return 0;
	if (new == TCP_SYN_SENT) {
		/* Only connect(2) does this. */
		o = of_file(sk);
		if (o)
			use(o, bpf_get_current_task_btf());
	} else {
		o = bpf_sk_storage_get(&owners, sk, 0, 0);
	}
	if (!o)
		return 0;
	settle(o, bpf_get_socket_cookie(sk));
	if (new == TCP_CLOSE)
		tell_end(o);
	else if ((new == TCP_SYN_SENT || new == TCP_ESTABLISHED) && connected(sk, &ends))
		tell(o, &ends);
	return 0;
}

/* ---- segments sent again: in softIRQ, mostly ---- */

/* Linux 6.18 tells also of those that cannot be sent. */
SEC("tp_btf/tcp_retransmit_skb")
int tcp_retransmit_skb(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	struct owned *o = bpf_sk_storage_get(&owners, sk, 0, 0);

	if (!o)
		return 0;
	settle(o, bpf_get_socket_cookie(sk));
	count_retransmits(o, sk);
	return 0;
}

/* ---- programs executed ---- */

/* Its own memory, which has just been written: what is not there is not told. */
static __always_inline __u32 arguments(struct task_struct *task, char *to)
{
	struct mm_struct *mm = task->mm;
	__u64 start, length;

	if (!mm)
		return 0;
	start = mm->arg_start;
	length = mm->arg_end - start;
	if (length > ARGUMENTS)
		length = ARGUMENTS;
	return bpf_probe_read_user(to, length, (void *)start) ? 0 : length;
}

SEC("tp_btf/sched_process_exec")
int sched_process_exec(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[2];
	__u32 zero = 0;
	struct executed *x = bpf_map_lookup_elem(&executing, &zero);
	__u64 length;

	if (!x)
		return 0;
	__builtin_memset(&x->event, 0, sizeof(x->event));
	x->event.kind = KIND_EXEC;
	x->event.at = bpf_ktime_get_boot_ns();
	current(&x->event.owner, task);
	length = bpf_probe_read_kernel_str(x->text, PATH, bprm->filename);
	if (length - 1 >= PATH) {
		x->text[0] = 0;
		length = 1;
	}
	length += arguments(task, x->text + length);
	if (bpf_ringbuf_output(&events, x, sizeof(x->event) + length, wakeup()))
		lose();
	return 0;
}
