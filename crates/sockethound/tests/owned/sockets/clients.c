/* Clients: what they make, they use themselves. */
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "sockets.h"

#define UDPLITE 136

void tcp(void)
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

int clients(const char *kind)
{
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
	else
		return 0;
	return 1;
}
