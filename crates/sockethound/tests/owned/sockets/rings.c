/* io_uring: connects and sends without a system call of that name. */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sockets.h"

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

int rings(const char *kind)
{
	if (!strcmp(kind, "uring"))
		uring(0);
	else if (!strcmp(kind, "uring-thread"))
		uring(IORING_SETUP_SQPOLL);
	else
		return 0;
	return 1;
}
