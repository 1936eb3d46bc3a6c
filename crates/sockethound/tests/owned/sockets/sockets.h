/* What all kinds of users have in common. */
#include <sys/socket.h>

/* The far end; a server's own. */
extern struct sockaddr_storage peer;
extern socklen_t peer_length;

/* Ends the process if a call has failed, else gives its result. */
int checked(int result, const char *what);
void fail(const char *what);

void set_port(int port);
int own_port(int fd);
int make(int type, int protocol);
int connected(int type, int protocol);
int listening(void);
void say(int fd);

/* Prints whose a flow is, and its port. */
void told(int pid, int port);
/* Prints a server's port. */
void serves(int port);

/* One connection, and a byte through it. */
void tcp(void);

/* Each knows some kinds, and does what they do: gives 0 for all others. MORE is what some are told besides. */
int clients(const char *kind);
int hands(const char *kind, char **more);
int rings(const char *kind);
int servers(const char *kind);
int much(const char *kind, char **more);

void verdicts(int queue);
