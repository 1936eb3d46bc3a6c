/* What processes do with sockets, each in its own way, and then end at once.
 *
 *     sockets KIND ADDRESS PORT
 *
 * Prints `PID PORT` for each flow that it made: whose it is, and its own port. A server prints its port first, alone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <netinet/ip_icmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UDPLITE 136

/* verdicts.c */
void verdicts(int queue);

static struct sockaddr_storage peer;
static socklen_t peer_length;

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

static int checked(int result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}

static void set_peer(const char *address, int port)
{
	struct sockaddr_in *v4 = (void *)&peer;
	struct sockaddr_in6 *v6 = (void *)&peer;

	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		peer_length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		peer_length = sizeof(*v6);
	} else {
		fail(address);
	}
}

static void set_port(int port)
{
	/* The port stands in the same place for both. */
	((struct sockaddr_in *)&peer)->sin_port = htons(port);
}

static int own_port(int fd)
{
	struct sockaddr_storage own;
	socklen_t length = sizeof(own);

	checked(getsockname(fd, (void *)&own, &length), "getsockname");
	return ntohs(((struct sockaddr_in *)&own)->sin_port);
}

static int make(int type, int protocol)
{
	return checked(socket(peer.ss_family, type, protocol), "socket");
}

static int connected(int type, int protocol)
{
	int fd = make(type, protocol);

	checked(connect(fd, (void *)&peer, peer_length), "connect");
	return fd;
}

static void told(int pid, int port)
{
	printf("%d %d\n", pid, port);
	fflush(stdout);
}

static void say(int fd)
{
	checked(write(fd, "x", 1), "write");
}

/* ---- clients ---- */

static void tcp(void)
{
	int fd = connected(SOCK_STREAM, 0);

	say(fd);
	told(getpid(), own_port(fd));
}

/* Sends nothing by itself. */
static void silent(void)
{
	told(getpid(), own_port(connected(SOCK_STREAM, 0)));
}

static void datagram(int protocol)
{
	int fd = connected(SOCK_DGRAM, protocol);

	say(fd);
	told(getpid(), own_port(fd));
}

static void unconnected(int destinations)
{
	int fd = make(SOCK_DGRAM, 0);
	int first = ntohs(((struct sockaddr_in *)&peer)->sin_port);

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < destinations; i++) {
			set_port(first + i);
			checked(sendto(fd, "x", 1, 0, (void *)&peer, peer_length), "sendto");
		}
	}
	told(getpid(), own_port(fd));
}

static void raw(int protocol)
{
	int fd = make(SOCK_RAW, protocol);

	set_port(0);
	checked(sendto(fd, "payload!", 8, 0, (void *)&peer, peer_length), "sendto");
	told(getpid(), 0);
}

static void ping(int type)
{
	struct icmphdr echo = { .type = ICMP_ECHO, .un.echo.sequence = htons(1) };
	int fd = make(type, IPPROTO_ICMP);
	const uint16_t *words = (void *)&echo;
	uint32_t sum = 0;

	echo.un.echo.id = htons(getpid());
	for (unsigned i = 0; i < sizeof(echo) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	echo.checksum = ~(sum + (sum >> 16));
	set_port(0);
	checked(sendto(fd, &echo, sizeof(echo), 0, (void *)&peer, peer_length), "sendto");
	told(getpid(), 0);
}

/* ---- sockets that change hands ---- */

/* The child uses what its parent connected. */
static void inherited(int type)
{
	int fd = connected(type, 0), pid = checked(fork(), "fork");

	if (pid == 0) {
		say(fd);
		_exit(0);
	}
	waitpid(pid, 0, 0);
	told(pid, own_port(fd));
}

static void send_fd(int over, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	checked(sendmsg(over, &message, 0), "sendmsg");
}

static int receive_fd(int over)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	int fd;

	checked(recvmsg(over, &message, 0), "recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

/* The child is passed what its parent connected afterwards. */
static void passed(int type)
{
	int pair[2], fd, pid;

	checked(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	pid = checked(fork(), "fork");
	if (pid == 0) {
		say(receive_fd(pair[1]));
		_exit(0);
	}
	fd = connected(type, 0);
	send_fd(pair[0], fd);
	waitpid(pid, 0, 0);
	told(pid, own_port(fd));
}

/* Another program goes on with the socket. */
static void executed(const char *other)
{
	int fd = connected(SOCK_STREAM, 0);
	char number[16];

	say(fd);
	snprintf(number, sizeof(number), "%d", fd);
	execl(other, other, "goes-on", number, "0", (char *)0);
	fail(other);
}

/* Another program is executed when the socket is closed, and lives on for a while. */
static void closed_before(const char *other)
{
	int fd = connected(SOCK_STREAM, 0);

	say(fd);
	told(getpid(), own_port(fd));
	close(fd);
	execl(other, other, "lives-on", "0", "0", (char *)0);
	fail(other);
}

/* A second process gets the number of a first one that has ended. */
static void reused(void)
{
	int pid = checked(fork(), "fork"), status;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid_size = 1 };

	if (pid == 0) {
		prctl(PR_SET_NAME, "reused-one");
		tcp();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	/* The start of a process is told in hundredths of a second. */
	usleep(30000);
	args.set_tid = (uintptr_t)&pid;
	status = checked(syscall(SYS_clone3, &args, sizeof(args)), "clone3");
	if (status == 0) {
		prctl(PR_SET_NAME, "reused-two");
		tcp();
		_exit(0);
	}
	waitpid(status, 0, 0);
}

/* ---- io_uring: connects and sends without a system call of that name ---- */

struct ring {
	int fd;
	struct io_uring_sqe *sqes;
	unsigned *tail, *mask, *array, *head, *completed;
};

static struct ring ring_of(unsigned flags)
{
	struct io_uring_params p = { .flags = flags, .sq_thread_idle = 100 };
	struct ring r = { .fd = checked(syscall(SYS_io_uring_setup, 8, &p), "io_uring_setup") };
	char *sq = mmap(0, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
			IORING_OFF_SQ_RING);
	char *cq = mmap(0, p.cq_off.cqes + p.cq_entries * 16, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
			IORING_OFF_CQ_RING);

	r.sqes = mmap(0, p.sq_entries * sizeof(*r.sqes), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || r.sqes == MAP_FAILED)
		fail("mmap");
	r.tail = (void *)(sq + p.sq_off.tail);
	r.mask = (void *)(sq + p.sq_off.ring_mask);
	r.array = (void *)(sq + p.sq_off.array);
	r.head = (void *)(cq + p.cq_off.head);
	r.completed = (void *)(cq + p.cq_off.tail);
	return r;
}

static void submit(struct ring *r, struct io_uring_sqe entry, unsigned flags)
{
	unsigned index = *r->tail & *r->mask;

	r->sqes[index] = entry;
	r->array[index] = index;
	__atomic_store_n(r->tail, *r->tail + 1, __ATOMIC_RELEASE);
	flags |= IORING_ENTER_GETEVENTS;
	checked(syscall(SYS_io_uring_enter, r->fd, 1, 1, flags, 0, 0), "io_uring_enter");
	while (__atomic_load_n(r->completed, __ATOMIC_ACQUIRE) == *r->head)
		;
	*r->head += 1;
}

static void uring(unsigned flags)
{
	struct ring r = ring_of(flags);
	unsigned enter = flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0;
	int fd = make(SOCK_STREAM, 0);

	submit(&r, (struct io_uring_sqe){ .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)&peer,
					  .off = peer_length }, enter);
	submit(&r, (struct io_uring_sqe){ .opcode = IORING_OP_SEND, .fd = fd, .addr = (uintptr_t)"x", .len = 1 }, enter);
	told(getpid(), own_port(fd));
}

/* ---- servers ---- */

static int listening(void)
{
	int fd = make(SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	checked(bind(fd, (void *)&peer, peer_length), "bind");
	checked(listen(fd, 4096), "listen");
	printf("%d\n", own_port(fd));
	fflush(stdout);
	return fd;
}

/* The port of who connected last, who may be gone by now. */
static int far_port;

static int accepted(int fd)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	int got = checked(accept(fd, (void *)&from, &length), "accept");

	far_port = ntohs(((struct sockaddr_in *)&from)->sin_port);
	return got;
}

static void accepts(void)
{
	int fd = accepted(listening());

	say(fd);
	told(getpid(), far_port);
}

/* A child for each connection: the server itself does not touch it. */
static void forks(void)
{
	int fd = accepted(listening()), pid = checked(fork(), "fork");

	if (pid == 0) {
		say(fd);
		_exit(0);
	}
	waitpid(pid, 0, 0);
	told(pid, far_port);
}

/* The listening socket was made by the parent; the child accepts. */
static void activated(void)
{
	int fd = listening(), pid = checked(fork(), "fork");

	if (pid == 0) {
		accepted(fd);
		told(getpid(), far_port);
		_exit(0);
	}
	waitpid(pid, 0, 0);
}

/* Takes whatever comes until its input ends. */
static void sink(void)
{
	int fd = listening(), kept[256] = { 0 };
	char byte;

	signal(SIGCHLD, SIG_IGN);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0;; i = (i + 1) % 256) {
			/* What was just accepted stays open for a while. */
			if (kept[i])
				close(kept[i]);
			kept[i] = accept(fd, 0, 0);
		}
	}
	while (read(0, &byte, 1) > 0)
		;
}

/* COUNT processes within SECONDS, each with a name, a port and a connection of its own. */
static void many(int count, double seconds)
{
	struct { int pid, port; } *all = mmap(0, count * sizeof(*all), PROT_READ | PROT_WRITE,
					      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec start, now;

	signal(SIGCHLD, SIG_IGN);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < count; i++) {
		int pid = vfork();

		if (pid == 0) {
			struct sockaddr_in own = { .sin_family = AF_INET };
			char name[16];
			int fd;

			snprintf(name, sizeof(name), "m%d", i);
			prctl(PR_SET_NAME, name);
			fd = socket(peer.ss_family, SOCK_STREAM, 0);
			own.sin_port = htons(20000 + i);
			if (bind(fd, (void *)&own, sizeof(own)) == 0 && connect(fd, (void *)&peer, peer_length) == 0) {
				all[i].pid = syscall(SYS_getpid);
				all[i].port = own_port(fd);
				say(fd);
			}
			close(fd);
			_exit(0);
		}
		do {
			clock_gettime(CLOCK_MONOTONIC, &now);
		} while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < i * seconds / count &&
			 usleep(100) == 0);
	}
	for (int i = 0; i < count; i++)
		printf("%d %d\n", all[i].pid, all[i].port);
}

/* ---- much ---- */

/* COUNT datagrams of SIZE bytes, from one socket. */
static void flood(int count, int size)
{
	int fd = connected(SOCK_DGRAM, 0);
	char *data = calloc(1, size);

	for (int i = 0; i < count; i++)
		checked(write(fd, data, size), "write");
	told(getpid(), own_port(fd));
}

/* SIZE bytes through one connection, until the server has all of them. */
static void stream(int size)
{
	int fd = connected(SOCK_STREAM, 0);
	char *data = calloc(1, size);

	for (int at = 0; at < size;)
		at += checked(write(fd, data + at, size - at), "write");
	told(getpid(), own_port(fd));
	checked(shutdown(fd, SHUT_WR), "shutdown");
	while (read(fd, data, size) > 0)
		;
}

/* Reads one connection to its end. */
static void drains(void)
{
	int fd = listening(), from;
	char data[65536];

	from = checked(accept(fd, 0, 0), "accept");
	while (read(from, data, sizeof(data)) > 0)
		;
	told(getpid(), own_port(from));
}

/* Receives datagrams, and reads none, until its input ends. */
static void deaf(void)
{
	int fd = make(SOCK_DGRAM, 0), room = 8192;
	char byte;

	checked(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), "SO_RCVBUF");
	checked(bind(fd, (void *)&peer, peer_length), "bind");
	printf("%d\n", own_port(fd));
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
}

/* Holds many connections to itself, over which a byte has passed each way; says so, and ends with its input. */
static void crowd(int pairs)
{
	struct rlimit files = { 2 * pairs + 16, 2 * pairs + 16 };
	int fd = make(SOCK_STREAM, 0), one, other;
	char byte;

	checked(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	checked(bind(fd, (void *)&peer, peer_length), "bind");
	checked(listen(fd, 16), "listen");
	set_port(own_port(fd));
	while (pairs--) {
		one = connected(SOCK_STREAM, 0);
		other = checked(accept(fd, 0, 0), "accept");
		say(one);
		checked(read(other, &byte, 1), "read");
		say(other);
		checked(read(one, &byte, 1), "read");
	}
	printf("%d\n", own_port(fd));
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 3 ? argv[1] : "";
	int port = argc > 3 ? atoi(argv[3]) : 0;

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(kind, "goes-on")) {
		say(atoi(argv[2]));
		told(getpid(), own_port(atoi(argv[2])));
		return 0;
	}
	if (!strcmp(kind, "lives-on")) {
		sleep(2);
		return 0;
	}
	if (argc > 3)
		set_peer(argv[2], port);
	if (!strcmp(kind, "tcp"))
		tcp();
	else if (!strcmp(kind, "silent"))
		silent();
	else if (!strcmp(kind, "udp"))
		datagram(0);
	else if (!strcmp(kind, "udplite"))
		datagram(UDPLITE);
	else if (!strcmp(kind, "unconnected"))
		unconnected(1);
	else if (!strcmp(kind, "destinations"))
		unconnected(50);
	else if (!strcmp(kind, "raw"))
		raw(253);
	else if (!strcmp(kind, "raw-ping"))
		ping(SOCK_RAW);
	else if (!strcmp(kind, "ping"))
		ping(SOCK_DGRAM);
	else if (!strcmp(kind, "inherited"))
		inherited(SOCK_STREAM);
	else if (!strcmp(kind, "inherited-udp"))
		inherited(SOCK_DGRAM);
	else if (!strcmp(kind, "passed"))
		passed(SOCK_STREAM);
	else if (!strcmp(kind, "passed-udp"))
		passed(SOCK_DGRAM);
	else if (!strcmp(kind, "executed"))
		executed(argv[4]);
	else if (!strcmp(kind, "closed-before"))
		closed_before(argv[4]);
	else if (!strcmp(kind, "reused"))
		reused();
	else if (!strcmp(kind, "uring"))
		uring(0);
	else if (!strcmp(kind, "uring-thread"))
		uring(IORING_SETUP_SQPOLL);
	else if (!strcmp(kind, "accepts"))
		accepts();
	else if (!strcmp(kind, "forks"))
		forks();
	else if (!strcmp(kind, "activated"))
		activated();
	else if (!strcmp(kind, "sink"))
		sink();
	else if (!strcmp(kind, "flood"))
		flood(atoi(argv[4]), atoi(argv[5]));
	else if (!strcmp(kind, "stream"))
		stream(atoi(argv[4]));
	else if (!strcmp(kind, "drains"))
		drains();
	else if (!strcmp(kind, "deaf"))
		deaf();
	else if (!strcmp(kind, "crowd"))
		crowd(atoi(argv[4]));
	else if (!strcmp(kind, "verdicts"))
		verdicts(port);
	else if (!strcmp(kind, "many"))
		many(atoi(argv[4]), atof(argv[5]));
	else {
		fprintf(stderr, "usage: sockets KIND ADDRESS PORT\n");
		return 2;
	}
	return 0;
}
