/* Many processes, many connections, and much that passes one of them. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sockets.h"

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

/* COUNT datagrams of SIZE bytes, from one socket. */
static void flood(int count, int size)
{
	int fd = connected(SOCK_DGRAM, 0);
	char *data = calloc(1, size);

	for (int i = 0; i < count; i++)
		checked(write(fd, data, size), "write");
	told(getpid(), own_port(fd));
}

static void datagrams(int fd, int count)
{
	char data[100] = { 0 };

	while (count--)
		checked(write(fd, data, sizeof(data)), "write");
}

static unsigned long long cookie(int fd)
{
	unsigned long long cookie;
	socklen_t length = sizeof(cookie);

	checked(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length), "SO_COOKIE");
	return cookie;
}

/* The numbers of sockets that want the same place differ above these bits (SENDERS in bpf/senders.h). */
#define PLACE ((1 << 15) - 1)

/* Another connected socket, which wants the same place. */
static int like(int first)
{
	int fd = make(SOCK_DGRAM, 0);

	for (int tries = 0; (cookie(fd) ^ cookie(first)) & PLACE; tries++) {
		checked(close(fd), "close");
		checked(tries < 1000000 ? 0 : -1, "sockets of the same place");
		fd = make(SOCK_DGRAM, 0);
	}
	checked(connect(fd, (void *)&peer, peer_length), "connect");
	return fd;
}

/* Seven times COUNT datagrams of 100 bytes, one of them by a child; of sockets that find one another in their place, that are
   connected anew, and closed. */
static void turns(int count)
{
	struct sockaddr nothing = { .sa_family = AF_UNSPEC };
	int fd = connected(SOCK_DGRAM, 0), other = like(fd), pid;

	datagrams(fd, count);
	pid = checked(fork(), "fork");
	if (pid == 0) {
		prctl(PR_SET_NAME, "the-child");
		datagrams(fd, count);
		_exit(0);
	}
	checked(waitpid(pid, 0, 0), "waitpid");
	for (int i = 0; i < count; i++) {
		datagrams(fd, 1);
		datagrams(other, 1);
	}
	checked(connect(fd, &nothing, sizeof(nothing)), "connect to nothing");
	checked(connect(fd, (void *)&peer, peer_length), "connect anew");
	datagrams(fd, count);
	checked(close(fd), "close");
	datagrams(other, count);
	fd = like(other);
	datagrams(fd, count);
	told(getpid(), own_port(other));
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
	serves(own_port(fd));
	while (read(0, &byte, 1) > 0)
		;
}

int much(const char *kind, char **more)
{
	if (!strcmp(kind, "many"))
		many(atoi(more[0]), atof(more[1]));
	else if (!strcmp(kind, "flood"))
		flood(atoi(more[0]), atoi(more[1]));
	else if (!strcmp(kind, "turns"))
		turns(atoi(more[0]));
	else if (!strcmp(kind, "stream"))
		stream(atoi(more[0]));
	else if (!strcmp(kind, "crowd"))
		crowd(atoi(more[0]));
	else
		return 0;
	return 1;
}
