// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// A function of the kernel's entered: only to say whether that would be allowed.
// Nothing depends on it.
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("fentry/tcp_v4_connect")
int entered(void *ctx)
{
	(void)ctx;
	return 0;
}
