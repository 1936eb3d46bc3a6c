/* Lets every packet go on that a rule has put into a queue (NFQUEUE), until its input ends. */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A message with one attribute. */
struct message {
	struct nlmsghdr header;
	struct nfgenmsg about;
	struct nlattr attribute;
	char value[16];
};

static void say(int fd, int queue, int type, int attribute, const void *value, size_t length)
{
	struct message m = {
		.header = { .nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type, .nlmsg_flags = NLM_F_REQUEST },
		.about = { .version = NFNETLINK_V0, .res_id = htons(queue) },
		.attribute = { .nla_len = NLA_HDRLEN + length, .nla_type = attribute },
	};

	memcpy(m.value, value, length);
	m.header.nlmsg_len = offsetof(struct message, value) + NLA_ALIGN(length);
	if (send(fd, &m, m.header.nlmsg_len, 0) < 0) {
		perror("netlink");
		_exit(1);
	}
}

/* The number of a packet that is shown; in network byte order, 0 for none. */
static uint32_t number_of(const char *data, size_t length)
{
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));

	while (at + NLA_HDRLEN <= length) {
		const struct nlattr *a = (const void *)(data + at);

		if ((a->nla_type & NLA_TYPE_MASK) == NFQA_PACKET_HDR)
			return ((const struct nfqnl_msg_packet_hdr *)(a + 1))->packet_id;
		at += NLA_ALIGN(a->nla_len);
	}
	return 0;
}

void verdicts(int queue)
{
	struct nfqnl_msg_config_cmd bind = { .command = NFQNL_CFG_CMD_BIND, .pf = htons(AF_INET) };
	struct nfqnl_msg_config_params shown = { .copy_mode = NFQNL_COPY_META };
	struct nfqnl_msg_verdict_hdr goes_on = { .verdict = htonl(NF_ACCEPT) };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	struct pollfd waits[] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	char data[4096];

	say(fd, queue, NFQNL_MSG_CONFIG, NFQA_CFG_CMD, &bind, sizeof(bind));
	say(fd, queue, NFQNL_MSG_CONFIG, NFQA_CFG_PARAMS, &shown, sizeof(shown));
	printf("%d\n", queue);
	fflush(stdout);
	while (poll(waits, 2, -1) > 0 && !waits[0].revents) {
		ssize_t got = recv(fd, data, sizeof(data), 0);

		goes_on.id = got > 0 ? number_of(data, got) : 0;
		if (goes_on.id)
			say(fd, queue, NFQNL_MSG_VERDICT, NFQA_VERDICT_HDR, &goes_on, sizeof(goes_on));
	}
}
