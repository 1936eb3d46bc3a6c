/* Servers: they print their port first. */
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sockets.h"

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
	serves(own_port(fd));
	while (read(0, &byte, 1) > 0)
		;
}

int servers(const char *kind)
{
	if (!strcmp(kind, "accepts"))
		accepts();
	else if (!strcmp(kind, "forks"))
		forks();
	else if (!strcmp(kind, "activated"))
		activated();
	else if (!strcmp(kind, "sink"))
		sink();
	else if (!strcmp(kind, "drains"))
		drains();
	else if (!strcmp(kind, "deaf"))
		deaf();
	else
		return 0;
	return 1;
}
