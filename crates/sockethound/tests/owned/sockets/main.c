/* What processes do with sockets, each in its own way, and then end at once.
 *
 *     sockets KIND ADDRESS PORT
 *
 * Prints `PID PORT` for each flow that it made: whose it is, and its own port. A server prints its port first, alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sockets.h"

struct sockaddr_storage peer;
socklen_t peer_length;

void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

int checked(int result, const char *what)
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

void set_port(int port)
{
	/* The port stands in the same place for both. */
	((struct sockaddr_in *)&peer)->sin_port = htons(port);
}

int own_port(int fd)
{
	struct sockaddr_storage own;
	socklen_t length = sizeof(own);

	checked(getsockname(fd, (void *)&own, &length), "getsockname");
	return ntohs(((struct sockaddr_in *)&own)->sin_port);
}

int make(int type, int protocol)
{
	return checked(socket(peer.ss_family, type, protocol), "socket");
}

int connected(int type, int protocol)
{
	int fd = make(type, protocol);

	checked(connect(fd, (void *)&peer, peer_length), "connect");
	return fd;
}

void told(int pid, int port)
{
	printf("%d %d\n", pid, port);
	fflush(stdout);
}

void say(int fd)
{
	checked(write(fd, "x", 1), "write");
}

void serves(int port)
{
	printf("%d\n", port);
	fflush(stdout);
}

int listening(void)
{
	int fd = make(SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	checked(bind(fd, (void *)&peer, peer_length), "bind");
	checked(listen(fd, 4096), "listen");
	serves(own_port(fd));
	return fd;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 3 ? argv[1] : "";
	int port = argc > 3 ? atoi(argv[3]) : 0;
	char **more = argv + 4;

	signal(SIGPIPE, SIG_IGN);
	/* What others have executed. */
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
	if (!strcmp(kind, "verdicts")) {
		verdicts(port);
	} else if (!clients(kind) && !hands(kind, more) && !rings(kind) && !servers(kind) && !much(kind, more)) {
		fprintf(stderr, "usage: sockets KIND ADDRESS PORT\n");
		return 2;
	}
	return 0;
}
