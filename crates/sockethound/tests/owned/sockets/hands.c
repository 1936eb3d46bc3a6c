/* Sockets that change hands. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sockets.h"

/* The child uses what its parent connected; as its file NUMBER, unless that is 0. */
static void inherited(int type, int number)
{
	int fd = connected(type, 0), pid = checked(fork(), "fork");

	if (pid == 0) {
		if (number) {
			checked(dup2(fd, number), "dup2");
			close(fd);
			fd = number;
		}
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

int hands(const char *kind, char **more)
{
	if (!strcmp(kind, "inherited"))
		inherited(SOCK_STREAM, 0);
	else if (!strcmp(kind, "inherited-udp"))
		inherited(SOCK_DGRAM, 0);
	else if (!strcmp(kind, "inherited-far-udp"))
		inherited(SOCK_DGRAM, 600);
	else if (!strcmp(kind, "passed"))
		passed(SOCK_STREAM);
	else if (!strcmp(kind, "passed-udp"))
		passed(SOCK_DGRAM);
	else if (!strcmp(kind, "executed"))
		executed(more[0]);
	else if (!strcmp(kind, "closed-before"))
		closed_before(more[0]);
	else if (!strcmp(kind, "reused"))
		reused();
	else
		return 0;
	return 1;
}
