/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls that a kernel with a defect does not survive unharmed, made by a process
 * that nobody waits for: it may die in the kernel with locks held, or be left
 * asleep for ever because its end would do the damage.
 */
#ifndef SELFTESTS_XEN_ISOLATED_H
#define SELFTESTS_XEN_ISOLATED_H

#include "xen_util.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* Seconds that a call which only looks at its arguments may take */
#define PATIENCE	10

/* What a process that may never end has to say, in memory it shares */
struct outcome {
	int first;
	int second;
	int stays;
	int done;
};

static inline void done(struct outcome *o)
{
	__sync_synchronize();
	WRITE_ONCE(o->done, 1);
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/*
 * Call @fn in a process that nobody waits for: not this one, not the harness,
 * not the reader of its output. True if it says in @seconds that it is done. What
 * its end gives back has then gone, unless it stays or its end takes seconds.
 */
static inline bool
isolated_for(unsigned int seconds,
	     void (*fn)(struct outcome *o, int fd, domid_t domid),
	     struct outcome *o, int fd, domid_t domid)
{
	uint64_t end = now_ms() + seconds * 1000ULL;
	unsigned int i;
	int null;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return false;
	if (!pid) {
		/* Out of the group that the harness kills and the runner reads */
		setsid();
		null = open("/dev/null", O_RDWR);
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		for (i = STDERR_FILENO + 1; i < 256; i++)
			if ((int)i != fd)
				close(i);
		fn(o, fd, domid);
		_exit(0);
	}
	while (!READ_ONCE(o->done) && now_ms() < end)
		usleep(10 * 1000);
	__sync_synchronize();
	if (!READ_ONCE(o->done))
		return false;
	end = now_ms() + 3000;
	while (!o->stays && !waitpid(pid, NULL, WNOHANG) && now_ms() < end)
		usleep(10 * 1000);
	return true;
}

static inline bool isolated(void (*fn)(struct outcome *o, int fd, domid_t domid),
			    struct outcome *o, int fd, domid_t domid)
{
	return isolated_for(PATIENCE, fn, o, fd, domid);
}

static inline struct outcome *outcome_alloc(void)
{
	int err;

	return xen_mmap(-1, 0, page_size(), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, &err);
}

#endif /* SELFTESTS_XEN_ISOLATED_H */
